"""Two hours of 120 heartbeats, as every change is tested; `tests/faults` lives a whole day of 500."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.adapters.database import Pool, open_pool
from tests.heartbeat_day import POISON, Day, draw
from tests.perf.machine import logging_to


@pytest.fixture
def pool(database_url: str) -> Iterator[Pool]:
    with open_pool(database_url, application="day", size=4) as opened:
        yield opened


def test_what_is_told_is_the_truth(pool: Pool, tmp_path: Path) -> None:
    script = draw(7, hours=2, heartbeats=120)
    assert script.stops.edge
    assert script.stops.core
    day = Day(script, pool)
    with logging_to(tmp_path / "log"):
        day.live()
    assert day.told() == script.truth()
    assert day.stored() == day.answered
    assert day.unsettled() == 0
    assert {message.body for message in day.queue.dead} == set(POISON)
