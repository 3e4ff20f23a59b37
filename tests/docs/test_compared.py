"""The comparison promises: each row names a test, a page or a decision that exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/explanation/heartbeats-compared.md"
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
LINK = re.compile(r"\]\(([^)#]+)(?:#([^)]+))?\)")
DEFECTS = 15


def rows(text: str) -> list[str]:
    """The rows of all tables, without their heads."""
    lines = text.splitlines()
    below = [*lines[1:], ""]
    return [
        line for line, following in zip(lines, below, strict=True) if line.startswith("| ") and not following.startswith("|---")
    ]


@cache
def functions(path: str) -> set[str]:
    """The names of all tests in a module."""
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def anchors(page: Path) -> set[str]:
    """What a link into a page may name."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def broken(row: str) -> list[str]:
    """What a row names that does not exist; a row that names nothing is broken, too."""
    held = row.rstrip("| ").rpartition(" | ")[2]
    tests, links = TEST.findall(held), LINK.findall(held)
    missing = [f"{path}::{name}" for path, name in tests if not (ROOT / path).exists() or name not in functions(path)]
    for target, anchor in links:
        page = (PAGE.parent / target).resolve()
        if not page.exists() or (anchor and anchor not in anchors(page)):
            missing.append(f"{target}#{anchor}")
    return missing if tests or links else ["nothing"]


ROWS = rows(PAGE.read_text())


def test_the_page_has_its_rows() -> None:
    assert len(ROWS) > 60
    assert [number for number in range(1, DEFECTS + 1) if not any(row.startswith(f"| {number} |") for row in ROWS)] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:60].strip())
def test_what_a_row_names_is_there(row: str) -> None:
    assert broken(row) == []


@pytest.mark.parametrize(
    ("held", "missing"),
    [
        ("words", ["nothing"]),
        ("`tests/docs/test_compared.py::test_nothing`", ["tests/docs/test_compared.py::test_nothing"]),
        ("`tests/docs/test_gone.py::test_it`", ["tests/docs/test_gone.py::test_it"]),
        ("[149](../adr/0149-what-is-nowhere.md)", ["../adr/0149-what-is-nowhere.md#"]),
        ("[uptime](uptime.md#nowhere)", ["uptime.md#nowhere"]),
        ("[uptime](uptime.md#heartbeats), `tests/docs/test_compared.py::test_what_a_row_names_is_there`", []),
    ],
)
def test_a_row_that_names_what_is_not_there_is_found(held: str, missing: list[str]) -> None:
    assert broken(f"| there | here | {held} |") == missing
