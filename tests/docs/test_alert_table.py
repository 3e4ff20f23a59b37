"""What the page about alerts promises is held by tests that exist, and its list of steps is the one at which we kill."""

import ast
import re
from pathlib import Path

import pytest

from tests.faults.failpoints import CHECKER, INBOX, RUNNER, STEPS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/explanation/alerts.md").read_text()
PROCESSES = {CHECKER: "worker", RUNNER: "runner", INBOX: "inbox"}
NAMED = re.compile(r"`(?P<file>test_\w+\.py)::(?P<test>test_\w+)(?:\[(?P<case>[^\]]+)\])?`")
FAULTS = ("SMTP", "Slack", "webhook", "EventBridge", "SQS", "DynamoDB", "PostgreSQL", "Valkey")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its first two lines."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_the_steps_are_those_at_which_we_kill() -> None:
    told = [(process, step, messages.strip(" |")) for process, step, _, messages in rows("Killed at every step")]
    assert told == [(PROCESSES[step.module], step.name, str(step.messages)) for step in STEPS]


@pytest.mark.parametrize("row", rows("What happens when something fails"), ids=lambda row: ", ".join(row[:2]))
def test_every_fault_names_a_test_that_exists(row: list[str]) -> None:
    named = list(NAMED.finditer(row[-1]))
    assert named
    for one in named:
        [file] = (ROOT / "tests").rglob(one["file"])
        source = file.read_text()
        assert one["test"] in {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
        assert not one["case"] or f'"{one["case"]}": (' in source


def test_every_kind_of_fault_has_a_row() -> None:
    assert {row[0] for row in rows("What happens when something fails")} >= set(FAULTS)
