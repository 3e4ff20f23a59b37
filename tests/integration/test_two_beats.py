"""Two real beats on one Valkey, as during a deployment: each run is sent once, whatever happens to the one that sends them."""

import json
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from core.adapters.beat_lease import KEY, BeatLease
from core.checker.leadership import LEASE_S
from tests.fleet import COMMANDS, Fleet
from tests.waiting import until

NAMES = ("beat_1", "beat_2")
STARTED_S = 90.0
FOLLOWED_S = LEASE_S + 30
"""The lease, a question, and a machine that others use, too."""

type Run = tuple[str, float]


@pytest.fixture
def server(valkey_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(valkey_url) as connection:
        connection.flushall()
        yield connection
        connection.flushall()


@dataclass
class Pair:
    """Both beats, told apart by who holds the lease."""

    fleet: Fleet
    leader: str
    other: str

    def leads(self, name: str) -> bool:
        """By the last thing that it said about it."""
        log = self.fleet.log(name)
        return log.rfind("beat.leads") > log.rfind("beat.stands_by")


@pytest.fixture
def beats(tmp_path: Path, valkey_url: str, server: redis.Redis) -> Iterator[Pair]:
    """One leads, the other stands by."""
    environ = {"REDIS_URL": valkey_url, "CANARY_PING_S": "0"}
    fleet = Fleet(tmp_path, environ, commands=dict.fromkeys(NAMES, COMMANDS["beat"]))
    pair = Pair(fleet, *NAMES)
    try:
        fleet.start()
        until(lambda: all("beat.leads" in fleet.log(name) or "beat.stands_by" in fleet.log(name) for name in NAMES), STARTED_S)
        until(lambda: sum(pair.leads(name) for name in NAMES) == 1, FOLLOWED_S)
        pair.leader, pair.other = sorted(NAMES, key=pair.leads, reverse=True)
        yield pair
    finally:
        for process in fleet.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
        fleet.close()


def runs(server: redis.Redis) -> list[Run]:
    """What was sent so far: nobody takes it. Due times of one tick differ by what the clocks of two processes differ."""
    waiting = server.lrange("schedule", 0, -1)
    assert isinstance(waiting, list)
    headers = [json.loads(message)["headers"] for message in waiting]
    return [(header["task"], float(header["due_at"])) for header in headers]


def sent_twice(sent: list[Run]) -> dict[tuple[str, int], int]:
    return {run: times for run, times in Counter((task, round(due_at)) for task, due_at in sent).items() if times > 1}


def more_than(server: redis.Redis, known: int) -> bool:
    return len(runs(server)) >= known + 4


def test_one_ticks_and_the_other_stands_by(beats: Pair, server: redis.Redis) -> None:
    until(lambda: more_than(server, 4), FOLLOWED_S)
    assert sent_twice(runs(server)) == {}
    assert beats.fleet.alive()


def test_a_killed_leader_is_followed(beats: Pair, server: redis.Redis) -> None:
    beats.fleet.kill(beats.leader)
    known = len(runs(server))
    until(lambda: beats.leads(beats.other), FOLLOWED_S)
    until(lambda: more_than(server, known), FOLLOWED_S)
    assert sent_twice(runs(server)) == {}


def test_a_leader_that_ends_leaves_its_place_at_once(beats: Pair, server: redis.Redis) -> None:
    assert beats.fleet.stop(beats.leader, FOLLOWED_S) == 0
    holder = server.get(KEY)
    assert holder is None or f":{beats.fleet.processes[beats.other].pid}:".encode() in holder
    until(lambda: beats.leads(beats.other), FOLLOWED_S)


def test_a_leader_that_slept_does_not_tick_when_it_wakes(beats: Pair, server: redis.Redis) -> None:
    beats.fleet.processes[beats.leader].send_signal(signal.SIGSTOP)
    until(lambda: beats.leads(beats.other), FOLLOWED_S)
    beats.fleet.processes[beats.leader].send_signal(signal.SIGCONT)
    until(lambda: not beats.leads(beats.leader), FOLLOWED_S)
    known = len(runs(server))
    until(lambda: more_than(server, known), FOLLOWED_S)
    assert sent_twice(runs(server)) == {}


def test_when_all_of_valkey_is_lost_one_of_them_ticks(beats: Pair, server: redis.Redis) -> None:
    server.flushall()
    until(lambda: server.get(KEY), FOLLOWED_S)
    until(lambda: more_than(server, 0), FOLLOWED_S)
    server.delete("schedule")
    until(lambda: more_than(server, 4), FOLLOWED_S)
    assert sent_twice(runs(server)) == {}
    assert sum(beats.leads(name) for name in NAMES) == 1


def test_a_lease_is_renewed_by_its_holder_and_released_by_nobody_else(valkey_url: str, server: redis.Redis) -> None:
    mine, other = BeatLease(valkey_url), BeatLease(valkey_url)
    assert mine.hold(60) is True
    assert other.hold(60) is False
    other.release()
    assert mine.hold(90) is True
    assert 60_000 < int(str(server.pttl(KEY))) <= 90_000
    mine.release()
    assert other.hold(60) is True
    other.release()


def test_a_server_that_is_away_is_not_an_answer() -> None:
    lease = BeatLease("redis://127.0.0.1:1/0")
    assert lease.hold(60) is None
    lease.release()
