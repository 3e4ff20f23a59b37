"""The byte code of a package. Lambda's file system is read-only: what is not compiled here is compiled again at every cold start.

Code of ours keeps its sources, so that tracebacks show lines. Of everybody else's only the byte code is there, both would be too large;
tracebacks show its files and the numbers of its lines.
"""

import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Final

TASK_ROOT: Final = "/var/task"
"""Where Lambda unpacks the package."""


class WrongPython(Exception):
    """This Python writes byte code that the runtime cannot read."""


def require_python(version: str) -> None:
    """Be of the runtime's minor version, such as `3.13`: byte code differs between them, and not within one.

    Raises:
        WrongPython: this is another one; the message says what to do.
    """
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    if ours != version:
        raise WrongPython(f"Lambda runs Python {version} and cannot read byte code of Python {ours}: build with Python {version}")


def compile_package(folder: Path, keep_sources_of: Collection[str]) -> None:
    """Compile everything in `folder`, in which no byte code is yet; sources stay in the folders of these names alone.

    Raises:
        subprocess.CalledProcessError: a source cannot be compiled; the compiler has said which.
    """
    kept = [folder / name for name in sorted(keep_sources_of)]
    others = [path for path in sorted(folder.iterdir()) if path not in kept and (path.is_dir() or path.suffix == ".py")]
    _compile(folder, *kept)
    _compile(folder, "-b", *others)  # -b: beside the source, where it is also found without it
    for path in others:
        for source in path.rglob("*.py") if path.is_dir() else [path]:
            source.unlink()


def _compile(folder: Path, *arguments: str | Path) -> None:
    """In a process of its own, so that it is the same each time; never compared with sources, which are dated anew when packed."""
    command = [sys.executable, "-I", "-m", "compileall", "-q", "-o", "0", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([*command, "-s", str(folder), "-p", TASK_ROOT, *map(str, arguments)], check=True)
