"""An alert on its way through a whole box, while what carries it is killed with SIGKILL at every step, and started again by its supervisor.

Every alert is told. It is told twice only where the receiver had answered and we had not written that down.
"""

import time
from collections.abc import Iterator

import pytest

from tests.faults.alert_stage import PATIENCE_S, AlertStage, alert_stage
from tests.faults.failpoints import CHECKER, STEPS, Step
from tests.faults.stage import spell
from tests.waiting import until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(420)]

HELD_BY_A_LEASE = ("turn claimed", "before sending", "receiver answered")
"""Who is killed there keeps the next attempt waiting until the lease of its turn ends, half a minute; so these three wait together."""

STEADY = [f"steady-{number}" for number in range(20)]

ONE_BY_ONE = [step for step in STEPS if step.name not in HELD_BY_A_LEASE]
TOGETHER = [step for step in STEPS if step.name in HELD_BY_A_LEASE]


@pytest.fixture(scope="module")
def stage() -> Iterator[AlertStage]:
    with alert_stage() as running:
        yield running


def name_of(step: Step) -> str:
    return step.name.replace(" ", "-")


def test_a_calm_run_passes_every_step(stage: AlertStage) -> None:
    stage.outage("calm")
    stage.wait_told("calm")
    assert set(stage.trace()) >= {step.name for step in STEPS}
    assert stage.heard("calm") == ["alert.down"]


@pytest.mark.parametrize("step", ONE_BY_ONE, ids=name_of)
def test_who_is_killed_at_a_step_loses_nothing(stage: AlertStage, step: Step) -> None:
    stage.arm(step.name)
    stage.outage(name_of(step))
    stage.wait_struck()
    stage.wait_told(name_of(step))
    assert stage.heard(name_of(step)) == ["alert.down"] * step.messages


def test_who_is_killed_in_its_turn_loses_nothing(stage: AlertStage) -> None:
    for step in TOGETHER:
        stage.arm(step.name, concerning=f'"{name_of(step)}"')
        stage.outage(name_of(step))
        stage.wait_struck()
    for step in TOGETHER:
        stage.wait_told(name_of(step))
        assert stage.heard(name_of(step)) == ["alert.down"] * step.messages


def test_the_broker_may_be_wiped_with_the_task_in_it(stage: AlertStage) -> None:
    stage.arm("change committed")
    stage.outage("wiped-broker")
    stage.wait_struck()
    stage.kill("valkey")
    stage.wait_told("wiped-broker")
    assert stage.heard("wiped-broker") == ["alert.down"]


def test_the_queues_may_be_wiped_with_the_message_in_them(stage: AlertStage) -> None:
    stage.arm("message received")
    stage.outage("wiped-queues")
    stage.wait_struck()
    stage.kill("aws")
    stage.wait_told("wiped-queues")
    assert stage.heard("wiped-queues") == ["alert.down"]


def test_in_the_end_everybody_has_heard_that_it_is_up_and_nothing_came_later(stage: AlertStage) -> None:
    names = ["calm", "wiped-broker", "wiped-queues", *(name_of(step) for step in STEPS)]
    stage.site.down.clear()
    for name in names:
        stage.wait_told(name, "recovered")
    table = {step: stage.heard(name_of(step)) for step in STEPS}
    print("\n| killed | at this step | messages that it is down |\n|---|---|---|")  # noqa: T201  (the figures of this test)
    for step, heard in table.items():
        who = "worker" if step.module == CHECKER else step.module.rpartition(".")[2]
        print(f"| {who} | {step.name} | {heard.count('alert.down')} |")  # noqa: T201  (as above)
    assert {step.name: heard for step, heard in table.items()} == {
        step.name: ["alert.down"] * step.messages + ["alert.recovered"] for step in STEPS
    }
    assert all(stage.heard(name) == ["alert.down", "alert.recovered"] for name in names[:3])


def test_postgresql_may_be_away_for_two_minutes_while_an_outage_begins(stage: AlertStage) -> None:
    """Afterwards all websites are overdue at once; they share a server whose queue of connections holds five."""
    for name in ("failing", *STEADY):
        stage.watch(name)
    until(lambda: {stage.state_of(name) for name in ("failing", *STEADY)} == {"up"}, PATIENCE_S, 0.25)
    stage.database.stop()
    stage.site.down.add("/failing")
    time.sleep(spell(120))  # the trouble itself: so long it is away
    stage.database.start()
    stage.wait_told("failing")
    stage.site.down.clear()
    stage.wait_told("failing", "recovered")
    assert len(stage.incidents("failing")) == 1
    assert {name: found for name in STEADY if (found := stage.incidents(name))} == {}
    assert stage.heard("failing") == ["alert.down", "alert.recovered"]
    assert {name: told for name in STEADY if (told := stage.heard(name))} == {}
