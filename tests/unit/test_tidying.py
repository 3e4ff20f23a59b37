"""What is forgotten of a monitor's outages, and that nobody ever misses it."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import pytest

from lambdas.alert_dispatch.order import Order
from lambdas.alert_dispatch.places import AlreadySent, Claimed, Outage, Place, Superseded, Wait
from lambdas.alert_dispatch.tidying import ATTRIBUTES_AT_MOST, NOTHING_TO_TIDY, PLACES_AT_MOST
from tests.dispatch_in_memory import DispatchTable
from tests.integration.test_order import RECOVERY

NOW: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)
BETWEEN: Final = timedelta(minutes=15)
MOST_BYTES: Final = 400_000
"""Of an item of DynamoDB."""


class Channel:
    """One that hears of one monitor."""

    def __init__(self) -> None:
        self.table = DispatchTable()
        self.order = Order(self.table, "dispatch")  # type: ignore[arg-type]  # the one call of the client that it makes
        self.now = NOW

    @property
    def item(self) -> dict[str, Any]:
        return self.table.items[place(1).item_id]

    @property
    def size(self) -> int:
        """As DynamoDB counts, and more: numbers take half of their digits."""
        return sum(len(name) + len(str(next(iter(value.values())))) for name, value in self.item.items())

    def claim(self, number: int, sequence: int = 1) -> Any:
        return self.order.claim(place(number, sequence), str(random.random()), self.now)

    def send(self, number: int, sequence: int = 1) -> None:
        claimed = self.claim(number, sequence)
        assert isinstance(claimed, Claimed), (number, sequence, claimed)
        self.order.finish(place(number, sequence), claimed, self.now)

    def refuse(self, number: int, sequence: int = 1) -> None:
        claimed = self.claim(number, sequence)
        assert isinstance(claimed, Claimed)
        self.order.release(place(number, sequence), claimed)


def place(number: int, sequence: int = 1) -> Place:
    at = NOW + number * BETWEEN
    outage = Outage(UUID(int=number), at, at, at + timedelta(minutes=5) if sequence == RECOVERY else None)
    return Place(UUID(int=1), UUID(int=2), sequence, supersedable=sequence != RECOVERY, outage=outage)


@pytest.mark.parametrize("seed", range(5))
def test_while_a_message_can_come_its_outage_is_known(seed: int) -> None:
    """Two hundred outages in two days, all of whose messages come twice, in any order."""
    channel, chance = Channel(), random.Random(seed)
    messages = [(number, sequence) for number in range(1, 201) for sequence in (1, 2, RECOVERY)] * 2
    chance.shuffle(messages)
    told: dict[int, list[int]] = {}
    for number, sequence in messages:
        channel.now += timedelta(minutes=2)
        before = told.setdefault(number, [])
        turn = channel.claim(number, sequence)
        match turn:
            case Claimed():
                assert sequence not in before
                assert sequence == RECOVERY or not before or sequence > max(before)
                before.append(sequence)
                channel.order.finish(place(number, sequence), turn, channel.now)
            case AlreadySent():
                assert sequence in before
            case Superseded():
                assert sequence != RECOVERY
                assert before
            case _:
                pytest.fail(f"{turn} without anybody on the way")
    assert all(heard[-1] == RECOVERY for heard in told.values())
    assert len(told) == 200


def test_an_end_may_wait_for_days() -> None:
    channel = Channel()
    channel.send(1)
    for number in range(2, 300):
        channel.send(number)
        channel.send(number, RECOVERY)
    assert channel.claim(1) == AlreadySent()
    channel.send(1, RECOVERY)
    assert channel.claim(1, RECOVERY) == AlreadySent()


def test_an_item_stays_small() -> None:
    """A unit of writing, a kilobyte, for few outages in two weeks; little more for many."""
    channel, sizes = Channel(), []
    for number in range(1, 201):
        channel.now = NOW + number * BETWEEN
        channel.send(number)
        channel.send(number, RECOVERY)
        sizes.append(channel.size)
    assert sizes[5] < 1100
    assert sizes[-1] < 6000


def test_nobody_is_remembered_for_ever() -> None:
    """Fifty outages however old, and no others of more than two weeks ago."""
    channel = Channel()
    for number in range(1, 101):
        channel.send(number)
        channel.send(number, RECOVERY)
    channel.now += timedelta(days=40)
    for sequence in (1, RECOVERY):
        channel.send(4000, sequence)
    assert len(channel.item["settled"]["NS"]) == 50
    assert channel.claim(100) == AlreadySent()
    assert channel.claim(60) == Superseded(RECOVERY)
    assert isinstance(channel.claim(1), Claimed)


def test_tries_of_what_was_superseded_are_forgotten() -> None:
    channel = Channel()
    for sequence in range(1, 40):
        channel.refuse(1, sequence)
    assert sum(name.startswith("tries#") for name in channel.item) == 39
    channel.send(1, 40)
    channel.send(1, 41)
    assert not [name for name in channel.item if name.startswith("tries#")]


def test_a_channel_that_refuses_everything_for_weeks_fills_no_item() -> None:
    """What is oldest is forgotten, and nothing else."""
    channel, last = Channel(), ATTRIBUTES_AT_MOST + 100
    for number in range(1, last):
        channel.refuse(number)
    assert len(channel.item) < ATTRIBUTES_AT_MOST + 10
    assert channel.size < MOST_BYTES / 2
    assert channel.claim(last - 1).tries == 1


def test_nor_do_reminders_of_one_outage() -> None:
    channel, last = Channel(), ATTRIBUTES_AT_MOST + 100
    for sequence in range(1, last):
        channel.refuse(1, sequence)
    assert len(channel.item) < ATTRIBUTES_AT_MOST + 10
    assert channel.claim(1, last - 1).tries == 1


@pytest.mark.parametrize("end", ["finish", "unsure"])
def test_an_outage_of_months_with_a_reminder_each_minute_fits(end: str) -> None:
    channel = Channel()
    for sequence in range(1, 400):
        claimed = channel.claim(1, sequence)
        if end == "finish":
            channel.order.finish(place(1, sequence), claimed, channel.now)
        else:
            channel.order.release(place(1, sequence), claimed, unsure=True)
    assert max(len(value.get("NS", [])) for value in channel.item.values()) <= PLACES_AT_MOST + 1
    assert isinstance(channel.claim(1, 398), AlreadySent if end == "finish" else Wait)
    channel.send(1, RECOVERY)
    assert isinstance(channel.claim(1, 1), Superseded)


def test_a_story_without_outages_has_nothing_to_forget() -> None:
    channel = Channel()
    note = Place(UUID(int=1), UUID(int=2), 1, supersedable=False)
    assert channel.order.claim(note, "a", NOW) == Claimed("a", tidying=NOTHING_TO_TIDY)
