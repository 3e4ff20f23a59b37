"""Every setting that the code reads is in the reference with its default, and the reference names no other."""

import re

from tests.docs.settings_in_code import ROOT, settings_read

DOCUMENT = ROOT / "docs/reference/settings.md"
ROW = re.compile(r"^\| `(?P<name>[A-Z][A-Z0-9_]+)` \| (?P<default>[^|]+) \| (?P<meaning>[^|]{10,}) \|$", re.MULTILINE)


def rows() -> dict[str, str]:
    """Setting -> what the reference says about its default."""
    return {row["name"]: row["default"] for row in ROW.finditer(DOCUMENT.read_text())}


def test_every_setting_is_documented() -> None:
    assert sorted(settings_read("core", "lambdas").keys() - rows().keys()) == []


def test_every_documented_setting_is_read() -> None:
    assert sorted(rows().keys() - settings_read("core", "lambdas").keys()) == []


def test_no_setting_has_two_rows() -> None:
    names = [row["name"] for row in ROW.finditer(DOCUMENT.read_text())]

    assert sorted(set(names)) == sorted(names)


def test_defaults_are_the_ones_of_the_code() -> None:
    documented = rows()
    wrong = {
        name: sorted(defaults)
        for name, defaults in settings_read("core", "lambdas").items()
        if name in documented and not all(f"`{default}`" in documented[name] for default in defaults)
    }

    assert wrong == {}
