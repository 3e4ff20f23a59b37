"""What the documents tell people to type exists, and what they link to is there."""

import re
from pathlib import Path

import pytest

from tests.docs.commands_in_code import verbs

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"^```(?:.|\n)*?^```|^    [^\n]*$|`[^`\n]+`", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
MAKE = re.compile(r"(?<![\w-])make ([a-z][a-z-]*)")
COMMAND = re.compile(r"(?<![\w./-])uptimemonitor ([a-z]+(?: [a-z]+)?)")
QUICK_START = "make up\nmake test\n"


def name(path: Path) -> str:
    """A document as its readers know it."""
    return str(path.relative_to(ROOT))


def code_in(document: Path) -> list[str]:
    """Everything in a document that is meant to be typed."""
    return CODE.findall(document.read_text())


def make_targets() -> set[str]:
    """Every target of the Makefile."""
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def anchors(document: Path) -> set[str]:
    """The anchors that a reader's browser knows: headings in lower case, punctuation removed, spaces to hyphens."""
    found = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def links(document: Path) -> list[str]:
    """The targets of a document's links, those in examples left out."""
    return [link["target"] for link in LINK.finditer(FENCED.sub("", document.read_text()))]


def resolves(document: Path, target: str) -> bool:
    """Whether a link leads somewhere: addresses on the web are taken on trust."""
    if re.match(r"[a-z]+:", target):
        return True
    path, _, anchor = target.partition("#")
    aim = document.parent / path if path else document
    return aim.exists() and (not anchor or aim.suffix != ".md" or anchor in anchors(aim))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_relative_link_resolves(document: Path) -> None:
    assert [target for target in links(document) if not resolves(document, target)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_make_target_exists(document: Path) -> None:
    mentioned = {target for code in code_in(document) for target in MAKE.findall(code)}

    assert sorted(mentioned - make_targets()) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_command_exists(document: Path) -> None:
    known = verbs().keys() | {verb.split()[0] for verb in verbs() if " " not in verb}
    mentioned = [words for code in code_in(document) for words in COMMAND.findall(code)]

    assert [words for words in mentioned if words not in known and words.split()[0] not in known] == []


def test_the_quick_start_is_two_commands() -> None:
    assert QUICK_START in (ROOT / "README.md").read_text()


def test_every_page_of_the_documentation_is_linked_from_its_index() -> None:
    pages = {path for path in (ROOT / "docs").rglob("*.md") if path.parent.name != "adr" and path != ROOT / "docs/README.md"}
    linked = {
        (ROOT / "docs" / link["target"].partition("#")[0]).resolve()
        for link in LINK.finditer((ROOT / "docs/README.md").read_text())
    }

    assert sorted(name(page) for page in pages - linked) == []
