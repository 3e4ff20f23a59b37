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
MATRIX = {
    "test_smtp": {"refused", "slow", "550", "421"},
    "test_slack": {"200", "404", "410", "429", "500", "hangs", "resets"},
    "test_dynamodb_throttles": {"record in progress", "turn", "breaker", "turn given back", "record completed"},
}
"""Tests of the table that have cases, and those that it must have: a test that loses one says nothing, its row would."""
FAULTS = ("SMTP", "Slack", "webhook", "EventBridge", "SQS", "DynamoDB", "PostgreSQL", "Valkey")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its first two lines."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def cases_of(test: str) -> set[str]:
    """The keys of the dictionary that a test of the matrix is run for."""
    module = ast.parse((ROOT / "tests/integration/test_alert_faults.py").read_text()).body
    [function] = [node for node in module if isinstance(node, ast.FunctionDef) and node.name == test]
    [decorator] = [node for node in function.decorator_list if isinstance(node, ast.Call)]
    name = ast.unparse(decorator.args[1])
    for node in module:
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target if isinstance(node, ast.AnnAssign) else None
        if target is not None and ast.unparse(target) == name:
            assert isinstance(node, ast.Assign | ast.AnnAssign)
            return {ast.literal_eval(key) for key in node.value.keys}  # type: ignore[union-attr]  # a dictionary
    raise AssertionError(f"{name} is not in the module")


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


@pytest.mark.parametrize("test", MATRIX)
def test_every_case_of_the_matrix_has_a_row_and_the_expected_ones_are_there(test: str) -> None:
    named = [
        one["case"] for row in rows("What happens when something fails") for one in NAMED.finditer(row[-1]) if one["test"] == test
    ]
    assert sorted(named) == sorted(cases_of(test))
    assert set(named) >= MATRIX[test]
