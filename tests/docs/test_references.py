"""What can be met from outside has its place in the reference: events, problem types, commands."""

import re
from pathlib import Path

import pytest

from core.api.problem_types import PROBLEM_TYPES
from core.contracts.channels.registry import KINDS
from core.contracts.events import EVENT_TYPES
from core.domain.outcomes import Reason
from core.domain.schemes import SCHEMES
from tests.docs.commands_in_code import verbs

REFERENCE = Path(__file__).parents[2] / "docs/reference"
VERBS = verbs()


def entries(document: str) -> set[str]:
    """What a document has a heading or a row of a table for, back-ticks and arguments in capitals removed."""
    text = (REFERENCE / document).read_text()
    found = re.findall(r"^(?:#+ |\| )`?([^`|\n]+)", text, re.MULTILINE)
    return {re.sub(r"( \[?(--\S+|[A-Z]+)\]?)+$", "", entry.strip()) for entry in found}


@pytest.mark.parametrize("event", EVENT_TYPES)
def test_every_event_has_its_entry(event: str) -> None:
    assert event in entries("events.md")


@pytest.mark.parametrize("code", PROBLEM_TYPES)
def test_every_problem_type_has_its_entry(code: str) -> None:
    assert code in entries("problems.md")


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_has_its_entry_and_every_option_is_explained(verb: str) -> None:
    assert {entry.removeprefix("uptimemonitor ") for entry in entries("cli.md")} >= {verb}
    assert sorted(option for option in VERBS[verb] if option not in (REFERENCE / "cli.md").read_text()) == []


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.label)
def test_every_reason_is_explained(reason: Reason) -> None:
    section = (REFERENCE / "api.md").read_text().partition("## Reasons")[2].partition("\n## ")[0]
    assert f"`{reason.label}`" in section


@pytest.mark.parametrize("scheme", [name for name, kind in SCHEMES.items() if not kind.is_http])
def test_every_kind_of_check_has_its_how_to(scheme: str) -> None:
    assert f"`{scheme}://" in (REFERENCE.parent / "how-to/check-other-things.md").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_channel_has_its_section_with_all_fields_and_its_row_in_the_how_to(kind: str) -> None:
    section = (REFERENCE / "channels.md").read_text().partition(f"\n## `{kind}`\n")[2].partition("\n## ")[0]
    assert [field for field in KINDS[kind].__struct_fields__ if f"`{field}`" not in section] == []
    assert f"\n| `{kind}` |" in (REFERENCE.parent / "how-to/add-a-channel.md").read_text()
