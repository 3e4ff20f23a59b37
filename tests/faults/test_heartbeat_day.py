"""A whole day of 500 heartbeats in accelerated time, another one with each run: what is told is the truth, exactly."""

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.adapters.database import Pool, open_pool
from tests.heartbeat_day import POISON, Day, draw
from tests.perf.machine import logging_to

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]

SCALE = float(os.environ.get("FAULTS_SCALE", "1"))
SEED = int(os.environ.get("DAY_SEED", "0")) or random.randrange(10**6)


@pytest.fixture
def pool(database_url: str) -> Iterator[Pool]:
    with open_pool(database_url, application="day", size=4) as opened:
        yield opened


def test_a_day_of_500_heartbeats_is_told_as_it_was(pool: Pool, tmp_path: Path) -> None:
    script = draw(SEED, hours=max(24 * SCALE, 3), heartbeats=max(round(500 * SCALE), 120))
    day, began = Day(script, pool), time.monotonic()
    with logging_to(tmp_path / "log"):
        day.live()
    truth, told = script.truth(), day.told()
    deeds = Counter(deed for job in script.jobs for deed in job.deeds)
    figures = {
        "seed": SEED,
        "heartbeats": len(script.jobs),
        "hours": script.length / 3600,
        "took_s": round(time.monotonic() - began),
        "edge_away": [f"{begin / 3600:.1f} h for {(end - begin) / 60:.0f} min" for begin, end in script.stops.edge],
        "core_away": [f"{begin / 3600:.1f} h for {(end - begin) / 60:.0f} min" for begin, end in script.stops.core],
        "jobs": dict(Counter(f"{job.calendar} {job.kind}" for job in script.jobs)),
        "deeds": dict(deeds),
        "told": dict(Counter(one for of_one in truth.values() for one in of_one)),
        **day.figures,
        "conflicts": day.dynamodb.conflicts,
    }
    print(f"\n{figures}")  # noqa: T201  (the figures of this test)
    wrong = {str(uid): (told[uid], truth[uid]) for uid in truth if told[uid] != truth[uid]}
    assert not wrong, f"told otherwise than it was (told, truth): {wrong}"
    assert day.stored() == day.answered
    assert day.unsettled() == 0
    assert {message.body for message in day.queue.dead} == set(POISON)
