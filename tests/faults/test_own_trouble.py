"""Trouble of our own while every target is up: nobody is called down, and an outage that begins meanwhile is found afterwards."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from tests.faults.cpu import cpu_s, cpu_share, limited
from tests.faults.internet import Internet
from tests.faults.servers import Broker, Database, broker, database
from tests.faults.set_clock import SetClock
from tests.faults.stage import EVERY_S, FAILING, WEBSITES, Names, Stage, environ_of, names, spell, stage
from tests.faults.targets import Targets
from tests.fleet import COMMANDS, Fleet
from tests.hostile import Zone
from tests.waiting import until

__all__ = ["broker", "database", "names", "stage"]  # fixtures from their own modules
pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


def test_a_worker_that_was_stopped_blames_nobody(stage: Stage) -> None:
    stage.rise()
    worker = stage.fleet.processes["worker"].pid
    os.kill(worker, signal.SIGSTOP)
    stage.suffer(spell(90))
    os.kill(worker, signal.SIGCONT)
    stage.only_they_are_down()
    assert stage.unknown_checks()["missed_window"] >= WEBSITES, "every website has a gap that shows"


def test_a_worker_with_half_the_cpu_that_it_needs_blames_nobody(stage: Stage) -> None:
    """Twice the load that it can bear, for three minutes."""
    stage.rise()
    worker = stage.fleet.processes["worker"].pid
    needs = cpu_share(worker, spell(20))
    checks, used, began = stage.database.checks(), cpu_s(worker), time.monotonic()
    with limited(worker, needs / 2):
        stage.suffer(spell(180))
        took_s = time.monotonic() - began
        had = (cpu_s(worker) - used) / took_s
        stage.figures |= {
            "needs_of_a_core": round(needs, 3),
            "had_of_a_core": round(had, 3),
            "checks_made_of_those_due": round((stage.database.checks() - checks) / (took_s * (WEBSITES + FAILING) / EVERY_S), 2),
            "lags": stage.fleet.log("worker").count("probe_loop.lagged"),
        }
    stage.only_they_are_down()
    assert had < 0.6 * needs
    assert stage.figures["lags"], "the loop noticed"


@contextmanager
def busy_neighbours(fleet: Fleet) -> Iterator[None]:
    """Two busy processes for each core, which go first."""
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        for thread in Path(f"/proc/{fleet.processes['worker'].pid}/task").iterdir():
            os.setpriority(os.PRIO_PROCESS, int(thread.name), 19)
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait(10)


def test_a_worker_behind_busy_neighbours_blames_nobody(stage: Stage) -> None:
    stage.rise()
    with busy_neighbours(stage.fleet):
        stage.suffer(spell(30))
    stage.only_they_are_down()


def test_a_silent_name_server_is_nobody_s_outage(stage: Stage, names: Names) -> None:
    stage.rise()
    names.answer(Zone(silent=True))
    stage.suffer(spell(120))
    names.answer()
    stage.only_they_are_down()
    assert stage.unknown_checks()["resolver_failure"] >= WEBSITES


def test_a_name_server_that_lost_its_way_is_nobody_s_outage(stage: Stage, names: Names) -> None:
    stage.rise()
    for wrong in (Zone(rcode=2), Zone(), Zone(rcode=3)):
        names.answer(wrong)
        time.sleep(spell(15))
        names.answer()
        time.sleep(spell(5))
    names.answer(Zone(rcode=3))
    stage.suffer(spell(20))
    names.answer()
    stage.only_they_are_down()
    assert stage.unknown_checks()["resolver_failure"] >= WEBSITES


@pytest.fixture
def internet() -> Iterator[Internet]:
    held = Internet()
    yield held
    held.close()


@pytest.fixture
def far_stage(database: Database, broker: Broker, internet: Internet, tmp_path: Path) -> Iterator[Stage]:
    """All websites, the canary and the name server are in another network."""
    healthy, refusing, hanging = (Targets(internet.prefix, internet.address) for _ in range(3))
    canary = healthy.url(internet.address)
    fleet = Fleet(tmp_path, environ_of(database, broker, name_server=internet.name_server, canary=canary))
    yield Stage(database, fleet, healthy, refusing, hanging)
    fleet.close()
    for each in (healthy, refusing, hanging):
        each.kill()


def test_a_network_that_is_cut_off_is_nobody_s_outage(far_stage: Stage, internet: Internet) -> None:
    far_stage.rise()
    internet.cut_off()
    far_stage.suffer(spell(120))
    internet.reconnect()
    far_stage.only_they_are_down()
    unknown = far_stage.unknown_checks()
    assert unknown["resolver_failure"] + unknown["local_network"] >= WEBSITES
    assert far_stage.fleet.log("worker").count("own_trouble.began") == 1


def test_a_network_that_swallows_everything_is_nobody_s_outage(stage: Stage) -> None:
    """It connects, and then nothing comes."""
    stage.rise()
    stage.healthy.hang()
    stage.suffer(spell(30))
    stage.healthy.go_on()
    stage.only_they_are_down()
    assert stage.unknown_checks()["local_network"] >= WEBSITES


def test_a_lost_broker_is_nobody_s_outage(stage: Stage, broker: Broker) -> None:
    stage.rise()
    broker.kill()
    stage.suffer(spell(60))
    broker.start()
    stage.only_they_are_down()
    assert stage.fleet.alive()


def test_a_database_that_restarts_is_nobody_s_outage(stage: Stage) -> None:
    """Twice: told to stop, and crashed."""
    stage.rise()
    stage.database.stop()
    stage.suffer(spell(30))
    stage.database.start()
    stage.database.stop(signal.SIGQUIT)
    time.sleep(spell(15))
    stage.database.start()
    stage.only_they_are_down()
    assert stage.fleet.alive()


@pytest.fixture
def clock(stage: Stage, tmp_path: Path) -> SetClock:
    """The fleet's wall clock."""
    made = SetClock(tmp_path)
    stage.fleet.environ = {**stage.fleet.environ, **made.environ}
    stage.fleet.commands = {name: made.command(command) for name, command in COMMANDS.items()}
    return made


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1)], ids=["forward", "back"])
def test_a_wall_clock_that_is_set_is_nobody_s_outage(stage: Stage, clock: SetClock, jump: timedelta) -> None:
    """Nor is it a burst of checks, or an hour of silence."""
    stage.rise()
    before = stage.database.checks()
    time.sleep(spell(20))
    usual = (stage.database.checks() - before) / spell(20)
    clock.set_by(jump)
    stage.clock_set_by = jump
    before = stage.database.checks()
    stage.suffer(spell(40))
    then = (stage.database.checks() - before) / spell(40)
    stage.figures |= {"checks_a_second": round(usual, 1), "after_the_jump": round(then, 1)}
    stage.only_they_are_down()
    assert usual * 0.7 < then < usual * 1.4, stage.figures
    assert "dispatch.clock_was_set" in stage.fleet.log("schedule")


def test_a_large_hoster_that_fails_is_down_for_each_and_on_time(stage: Stage) -> None:
    """Seven in ten at once, while the canary, which is elsewhere, is well."""
    fallen = WEBSITES * 7 // 10
    stage.watch({stage.healthy: WEBSITES + FAILING - fallen, stage.refusing: fallen})
    stage.fleet.start()
    stage.all_up()
    stage.refusing.kill()
    until(lambda: stage.count("state = 'down'") == fallen, EVERY_S + 10, 0.2)
    assert stage.unknown_checks().keys() <= {"overloaded", "missed_window"}
