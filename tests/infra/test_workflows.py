"""The workflows of GitHub Actions: in form, without the usual holes, and what they run is there."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cdk.cost.bill import SLEEPING_STACKS
from cdk.delivery.__main__ import DESTROYABLE, STEPS

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
BIN = Path(sys.executable).parent
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
by_name = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def content(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(
        (ROOT / f".github/workflows/{name}.yml").read_text(), yaml.BaseLoader
    )  # `on` is no truth here
    return found


def commands(path: Path) -> str:
    jobs = yaml.safe_load(path.read_text())["jobs"].values()
    return "\n".join(step.get("run", "") for job in jobs for step in job["steps"])


def test_all_of_them_are_there() -> None:
    assert [path.stem for path in WORKFLOWS] == ["ci", "deploy", "destroy", "staging-schedule"]


def test_they_follow_the_schema() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", *map(str, WORKFLOWS)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def zizmor(*paths: Path) -> subprocess.CompletedProcess[str]:
    command = [str(BIN / "zizmor"), "--offline", "--no-progress", "--persona", "pedantic", *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_they_have_none_of_the_holes_that_zizmor_knows() -> None:
    checked = zizmor(*WORKFLOWS)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_zizmor_would_find_one(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_text(
        (ROOT / ".github/workflows/ci.yml")
        .read_text()
        .replace("run: .ci/run", "run: echo ${{ github.event.pull_request.title }}")
    )
    assert "template-injection" in zizmor(bad).stdout


@by_name
def test_actions_are_pinned_by_commit(path: Path) -> None:
    used = re.findall(r"uses: (\S+)(.*)", path.read_text())
    assert used
    assert [
        action for action, version in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action) or " # v" not in version
    ] == []


@by_name
def test_what_it_runs_is_there(path: Path) -> None:
    text = commands(path)
    assert set(re.findall(r"python -m cdk\.delivery ([a-z-]+)", text)) <= set(STEPS)
    assert set(re.findall(r"\bmake ([a-z-]+)", text)) <= TARGETS
    assert all((ROOT / script).is_file() for script in re.findall(r"(?:^|\s)(\.ci/\w+)", text))


def test_prod_is_no_choice_of_the_destroyer() -> None:
    inputs = content("destroy")["on"]["workflow_dispatch"]["inputs"]
    assert inputs["environment"]["options"] == list(DESTROYABLE)
    assert list(content("destroy")["on"]) == ["workflow_dispatch"]


def test_nothing_is_destroyed_before_it_was_asked_whether_that_is_meant() -> None:
    text = commands(ROOT / ".github/workflows/destroy.yml")
    assert 0 < text.index("may-destroy") < text.index("delivery empty") < text.index('ARGS="destroy')


def test_a_deployment_goes_in_order() -> None:
    text = commands(ROOT / ".github/workflows/deploy.yml")
    order = [
        "make image",
        "docker push",
        "delivery weigh",
        ':latest"\n',
        "diff",
        "delivery migrate",
        "deploy --all",
        "delivery roll",
        "delivery validate",
    ]
    places = [text.index(step, text.index("delivery weigh") if step == ':latest"\n' else 0) for step in order]
    assert places == sorted(places)


def test_people_are_told_whatever_the_outcome() -> None:
    (job,) = content("deploy")["jobs"].values()
    assert "delivery tell" in job["steps"][-1]["run"]
    assert job["steps"][-1]["if"] == "always()"


def test_staging_sleeps_at_night() -> None:
    schedule = content("staging-schedule")
    assert [entry["cron"] for entry in schedule["on"]["schedule"]] == ["0 20 * * 1-5", "0 8 * * 1-5"]
    (job,) = schedule["jobs"].values()
    assert "github.event.schedule == '0 20 * * 1-5' && 'destroy' || 'deploy'" in job["env"]["VERB"]
    steps = {step["name"]: step for step in job["steps"] if "name" in step}
    assert steps["Take down or set up what computes"]["env"]["STACKS"].split() == [
        f"staging-uptimemonitor-{noun}" for noun in SLEEPING_STACKS
    ]  # what is priced is what sleeps


def test_the_database_rests_after_what_uses_it_and_is_awake_before() -> None:
    (job,) = content("staging-schedule")["jobs"].values()
    ran = [(step.get("if", "always"), step["run"]) for step in job["steps"] if "run" in step]
    assert [when for when, _ in ran] == ["env.VERB == 'deploy'", "always", "env.VERB == 'destroy'"]
    assert "delivery wake --env staging" in ran[0][1]
    assert "delivery rest --env staging" in ran[2][1]
