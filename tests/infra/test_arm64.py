"""What the image needs is there for Graviton, too, so that `profile=lean` can be deployed."""

import re
import tomllib
from typing import Any

import pytest
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

from tests.infra.estates import ROOT

LOCK: dict[str, list[dict[str, Any]]] = {}
for _package in tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]:
    LOCK.setdefault(_package["name"], []).append(_package)
ANY_SOURCE = frozenset({"oncalendar", "uptimemonitor"})
"""Pure Python without a wheel: built from its source, for any architecture."""


def needed() -> set[str]:
    """The project's own dependencies and theirs: groups are not in the image."""
    found: set[str] = set()
    waiting = [("uptimemonitor", frozenset[str]())]
    while waiting:
        name, extras = waiting.pop()
        found.add(name)
        for package in LOCK[name]:
            optional = package.get("optional-dependencies", {})
            wanted = [*package.get("dependencies", []), *(one for extra in extras for one in optional.get(extra, []))]
            waiting += [
                (one["name"], frozenset(one.get("extra", [])))
                for one in wanted
                if one["name"] not in found and "win32" not in re.sub(r"!= '?win32", "", one.get("marker", ""))
            ]
    return found


def tags(machine: str) -> set[Tag]:
    """What pip takes on Debian 12 of that architecture."""
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(36, 16, -1)] + [f"manylinux2014_{machine}"]
    return {*cpython_tags((3, 13), ["cp313"], platforms), *compatible_tags((3, 13), "cp313", platforms)}


@pytest.mark.parametrize("machine", ["aarch64", "x86_64"])
def test_every_dependency_has_a_wheel(machine: str) -> None:
    fitting = tags(machine)
    without = [
        name
        for name in sorted(needed() - ANY_SOURCE)
        for package in LOCK[name]
        if not any(parse_wheel_filename(wheel["url"].rpartition("/")[2])[3] & fitting for wheel in package.get("wheels", []))
    ]

    assert len(needed()) > 40
    assert without == []
