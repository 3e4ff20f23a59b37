"""The decision records: numbered, in one form, and all in the index."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs/adr"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
INDEX = re.compile(r"^\| \[(?P<number>\d+)\]\((?P<file>[^)]+)\) \| (?P<title>[^|]+) \| (?P<status>[^|]+) \|$", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_a_page_is_numbered_and_has_its_four_parts(page: Path) -> None:
    text = page.read_text()
    number = re.fullmatch(r"(\d{4})-[a-z0-9-]+\.md", page.name)

    assert number is not None
    assert text.startswith(f"# {int(number[1])}. ")
    assert re.search(r"^(?:## )?Status(?::|\n)", text, re.MULTILINE)
    assert [part for part in ("## Context", "## Decision", "## Consequences") if part not in text] == []


def test_numbers_are_unique() -> None:
    numbers = [page.name[:4] for page in PAGES]

    assert sorted(set(numbers)) == numbers


def test_the_index_lists_every_page_by_its_title() -> None:
    listed = {row["file"]: (int(row["number"]), row["title"]) for row in INDEX.finditer((FOLDER / "README.md").read_text())}
    titles = {page.name: page.read_text().splitlines()[0].removeprefix("# ") for page in PAGES}

    assert {file: f"{number}. {title}" for file, (number, title) in listed.items()} == titles
