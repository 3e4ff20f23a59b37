"""Whoever is woken by an alarm finds what to do: each has its heading among the runbooks, and its figure on the dashboard."""

import json
from typing import Any

import pytest
import yaml

from cdk.stacks.alarms import RUNBOOKS
from tests.docs.test_readme import anchors
from tests.infra.estates import ROOT, estate

PAGE = ROOT / "docs/runbooks/alarms.md"
RULES = ROOT / "cdk/assets/prometheus/rules.yml"


def alarms(name: str) -> dict[str, Any]:
    prefix = f"{estate(name).config.env}-uptimemonitor-"
    return {one["AlarmName"].removeprefix(prefix): one for one in estate(name).all("AWS::CloudWatch::Alarm", "monitoring")}


def rules() -> dict[str, Any]:
    return {rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}


def anchor(link: str) -> str:
    page, _, found = link.partition("#")
    assert page == RUNBOOKS
    return found


def linked() -> set[str]:
    of_alarms = {anchor(one["AlarmDescription"].split()[-1]) for one in alarms("everything").values()}
    return of_alarms | {anchor(rule["annotations"]["runbook_url"]) for rule in rules().values()}


def test_the_link_is_that_of_the_page() -> None:
    assert RUNBOOKS.endswith(str(PAGE.relative_to(ROOT)))
    assert "github.com/uptimemonitor/uptimemonitor" in RUNBOOKS


@pytest.mark.parametrize("name", ["prod", "everything", "staging"])
def test_every_alarm_leads_to_its_runbook(name: str) -> None:
    found = {noun: anchor(one["AlarmDescription"].split()[-1]) for noun, one in alarms(name).items()}
    assert {noun: heading for noun, heading in found.items() if heading not in anchors(PAGE)} == {}
    shared = {noun: heading for noun, heading in found.items() if noun != heading}
    text = PAGE.read_text()
    families = ("-dead", "-old", "-errors", "-throttled", "-no-task")
    assert [noun for noun in shared if f"`{noun}`" not in text and not noun.endswith(families)] == []


def test_every_rule_of_prometheus_leads_to_its_runbook() -> None:
    assert {noun for noun, rule in rules().items() if anchor(rule["annotations"]["runbook_url"]) not in anchors(PAGE)} == set()


def test_no_runbook_is_left_over() -> None:
    headings = {line.removeprefix("## ") for line in PAGE.read_text().splitlines() if line.startswith("## ")}
    assert headings == linked()


@pytest.mark.parametrize("name", ["everything", "staging"])
def test_the_dashboard_shows_what_alarms_look_at(name: str) -> None:
    board = json.dumps(estate(name).one("AWS::CloudWatch::Dashboard")["DashboardBody"])
    shown = [noun for noun, one in alarms(name).items() if f'\\"{one["MetricName"]}\\"' in board]
    assert sorted(shown) == sorted(alarms(name))
