"""The schemas of released events, kept as they were: `python -m tests.contract.releases` freezes today's as those of this version.

It is part of making a release (CONTRIBUTING.md). Freezing a version again is fine, before its release and for a patch of it: what would
break anything that was ever frozen is refused.
"""

import json
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

from core.contracts import schema_files
from tests.contract.compatibility import breaks

ROOT = Path(__file__).parents[2]
RELEASED = Path(__file__).parent / "released"

type Schemas = dict[str, dict[str, Any]]


def read(folder: Path) -> Schemas:
    """The schemas in a folder, by type of event."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def current() -> Schemas:
    """Today's schemas, as checked in."""
    return read(schema_files.HERE / "schemas")


def releases(released: Path = RELEASED) -> list[Path]:
    """The frozen ones, oldest first."""
    return sorted(released.iterdir(), key=lambda folder: version_key(folder.name))


def version_key(version: str) -> tuple[int, ...]:
    """`0.10` comes after `0.9`."""
    return tuple(int(part) for part in version.split("."))


def this_version() -> str:
    """Major and minor of the project's version: a patch release adds to what its minor version froze."""
    version: str = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    return ".".join(version.split(".")[:2])


def freeze(schemas: Path, version: str, released: Path = RELEASED) -> list[str]:
    """Keep the schemas in a folder as those of `version`; returns what breaks, and then keeps nothing."""
    found = [f"{folder.name}: {finding}" for folder in releases(released) for finding in breaks(read(folder), read(schemas))]
    if not found:
        shutil.rmtree(released / version, ignore_errors=True)
        shutil.copytree(schemas, released / version)
    return found


if __name__ == "__main__":
    RELEASED.mkdir(exist_ok=True)
    sys.exit("\n".join(freeze(schema_files.HERE / "schemas", this_version())) or 0)
