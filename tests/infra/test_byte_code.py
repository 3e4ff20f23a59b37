"""Byte code of a package: read without sources, with the names and lines of Lambda; and what stops the build."""

import subprocess
import sys
from pathlib import Path

import pytest

from cdk.byte_code import WrongPython, compile_package, require_python
from tests.infra.estates import ROOT  # also finds Node.js for the CDK

# isort: split
from cdk import bundle

OTHERS = "def divide(by):\n    return 1 / by\n"
OURS = "from library.numbers import divide\nfrom single import ZERO\n\ndef handler():\n    return divide(ZERO)  # ours\n"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of ours that needs one of others, and a module of others."""
    sources = {
        "library/__init__.py": "",
        "library/numbers.py": OTHERS,
        "single.py": "ZERO = 0\n",
        "ours/__init__.py": "",
        "ours/app.py": OURS,
    }
    for name, text in sources.items():
        path = tmp_path / "package" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "package"


def test_ours_has_sources_and_byte_code_and_the_rest_byte_code_alone(package: Path) -> None:
    compile_package(package, keep_sources_of=["ours"])
    cached = {f"ours/__pycache__/{name}.{sys.implementation.cache_tag}.pyc" for name in ("__init__", "app")}
    others = {"library/__init__.pyc", "library/numbers.pyc", "single.pyc"}
    files = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    assert files == {"ours/__init__.py", "ours/app.py", *cached, *others}


def test_a_traceback_shows_our_lines_and_where_the_others_are(package: Path) -> None:
    compile_package(package, keep_sources_of=["ours"])
    program = f"import sys; sys.path.insert(0, {str(package)!r}); from ours.app import handler; handler()"
    said = subprocess.run([sys.executable, "-I", "-S", "-B", "-c", program], check=False, capture_output=True, text=True).stderr
    assert f'File "{package}/ours/app.py", line 5, in handler\n    return divide(ZERO)  # ours\n' in said
    assert 'File "/var/task/library/numbers.py", line 2, in divide\n' in said


def test_a_source_that_cannot_be_compiled_stops_the_build(package: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (package / "library/broken.py").write_text("def\n")
    with pytest.raises(subprocess.CalledProcessError):
        compile_package(package, keep_sources_of=["ours"])
    assert "library/broken.py" in capfd.readouterr().out


def test_another_python_than_the_runtimes_is_refused_before_anything_is_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    require_python("3.13")
    monkeypatch.setattr(bundle, "PYTHON", "3.12")
    with pytest.raises(
        WrongPython, match=r"runs Python 3\.12 and cannot read byte code of Python 3\.13: build with Python 3\.12"
    ):
        bundle.build("ping", "arm64", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_runtime_is_the_python_of_the_repository() -> None:
    pinned = (ROOT / ".python-version").read_text().strip()
    assert (bundle.RUNTIME.name, bundle.PYTHON) == (f"python{pinned}", pinned)
