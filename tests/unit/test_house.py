"""The rules of the house that no linter knows: sizes, names, empty packages, suppressions with a reason."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = ("core", "lambdas", "cdk", "examples", "tests")
LINES_OF_A_MODULE = 400
LINES_OF_A_TEST = 500
NAMES_THAT_SAY_NOTHING = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}
SUPPRESSION = re.compile(
    r"#\s*(?:noqa(?P<rule>:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*)?|type:\s*ignore(?P<code>\[[\w, -]+\])?)(?P<reason>.*)"
)
REASON = re.compile(r"\s+(?:#\s*)?\(?\w.{5,}")


def modules(*folders: str) -> list[Path]:
    """Every Python file below `folders`, relative to the root."""
    return sorted(path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*.py"))


def too_long(path: Path, lines: int) -> bool:
    """Whether a module is past the stop. Generated migrations grow as they must."""
    if "migrations" in path.parts:
        return False
    return lines > (LINES_OF_A_TEST if path.parts[0] == "tests" else LINES_OF_A_MODULE)


def bad_suppression(line: str) -> str | None:
    """What is wrong with the suppression in a line of source, if anything."""
    found = SUPPRESSION.search(line)
    if found is None:
        return None
    if not (found["rule"] or found["code"]):
        return "names no rule"
    return None if REASON.match(found["reason"]) else "gives no reason"


def test_no_module_is_too_long() -> None:
    long = {str(path): count for path in modules(*CODE) if too_long(path, count := len((ROOT / path).read_text().splitlines()))}

    assert long == {}, "split it along what it does"


def test_packages_are_empty() -> None:
    filled = [
        str(path)
        for path in modules("core", "lambdas", "examples", "tests")
        if path.name == "__init__.py" and (ROOT / path).stat().st_size
    ]

    assert filled == [], "an import of a package must not load its modules; `core/__init__.py` ships inside the Lambdas"


def test_every_folder_of_code_is_a_package() -> None:
    folders = {path.parent for path in modules("core", "lambdas", "examples", "tests")}

    assert [str(folder) for folder in sorted(folders) if not (ROOT / folder / "__init__.py").exists()] == []


def test_names_say_what_a_module_is_about() -> None:
    vague = [str(path) for path in modules(*CODE) if NAMES_THAT_SAY_NOTHING & set(path.stem.split("_"))]

    assert vague == [], "name it by the noun that it knows"


def test_suppressions_name_their_rule_and_give_a_reason() -> None:
    findings = [
        f"{path}:{number} {wrong}"
        for path in modules("core", "lambdas", "cdk", "examples")
        for number, line in enumerate((ROOT / path).read_text().splitlines(), 1)
        if (wrong := bad_suppression(line))
    ]

    assert findings == []


@pytest.mark.parametrize("folder", ["unit", "contract", "integration", "e2e", "perf", "docs"])
def test_every_kind_of_test_has_its_place(folder: str) -> None:
    assert {path.stem for path in (ROOT / "tests" / folder).glob("*.py")} - {"__init__"}


class TestTheRulesThemselves:
    """Each rule on an example that breaks it."""

    def test_a_long_module_is_found(self) -> None:
        assert too_long(Path("core/flows/example.py"), 401)
        assert too_long(Path("tests/unit/test_example.py"), 501)
        assert not too_long(Path("core/flows/example.py"), 400)
        assert not too_long(Path("core/api/migrations/0001_initial.py"), 2000)

    def test_a_bare_suppression_is_found(self) -> None:
        assert bad_suppression("import json  # noqa") == "names no rule"
        assert bad_suppression("x: int = f()  # type: ignore") == "names no rule"

    def test_a_suppression_without_a_reason_is_found(self) -> None:
        assert bad_suppression("import json  # noqa: PLC0415") == "gives no reason"
        assert bad_suppression("x: int = f()  # type: ignore[assignment]") == "gives no reason"

    def test_a_suppression_with_a_reason_is_fine(self) -> None:
        assert bad_suppression("import boto3  # noqa: PLC0415  (0.3 s that only this path needs)") is None
        assert bad_suppression("x = f()  # type: ignore[arg-type]  # the stubs lag behind") is None
        assert bad_suppression("x = f()") is None
