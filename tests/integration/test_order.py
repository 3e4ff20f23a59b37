"""The order of messages, on DynamoDB of the stand-in and on the table in memory, which is held to it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lambdas.alert_dispatch.order import LEASE, Order
from lambdas.alert_dispatch.places import AlreadySent, Claimed, Newer, Outage, Place, Superseded, Wait
from tests.aws_stand_in import AwsStandIn
from tests.dispatch_in_memory import memory_order
from tests.dispatching import dispatch_environment

NOW: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)
MINUTE: Final = timedelta(minutes=1)
RECOVERY: Final = 1_000_000


@pytest.fixture
def table(aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Order]:
    with dispatch_environment(aws, monkeypatch):
        yield Order(aws.client("dynamodb"), aws.names.dispatch_table)


@pytest.fixture
def order() -> Order:
    return memory_order()


@pytest.fixture(params=["table", "memory"])
def either(request: pytest.FixtureRequest) -> Order:
    return memory_order() if request.param == "memory" else request.getfixturevalue("table")


class Monitor:
    """The places of messages about its outages, which begin every ten minutes and last for five, on one channel."""

    def __init__(self) -> None:
        self.story, self.channel = uuid4(), uuid4()

    def began(self, number: int) -> datetime:
        return NOW + 10 * number * MINUTE

    def outage(self, number: int) -> Outage:
        return Outage(UUID(int=number), self.began(number), self.began(number) + MINUTE)

    def notice(self, number: int = 1, sequence: int = 1) -> Place:
        return Place(self.story, self.channel, sequence, supersedable=True, outage=self.outage(number))

    def recovered(self, number: int = 1) -> Place:
        outage = replace(self.outage(number), ended_at=self.ended(number))
        return Place(self.story, self.channel, RECOVERY, supersedable=False, outage=outage)

    def ended(self, number: int) -> datetime:
        return self.began(number) + 5 * MINUTE


@pytest.fixture
def shop() -> Monitor:
    return Monitor()


def claim(order: Order, place: Place, now: datetime = NOW) -> Claimed:
    found = order.claim(place, str(uuid4()), now)
    assert isinstance(found, Claimed), found
    return found


def send(order: Order, place: Place, now: datetime = NOW) -> Claimed:
    found = claim(order, place, now)
    order.finish(place, found, now)
    return found


def doubt(order: Order, place: Place) -> None:
    """It was sent, and nobody knows whether it arrived."""
    order.release(place, claim(order, place), unsure=True)


def refuse(order: Order, place: Place) -> None:
    """It was sent, and did not arrive for sure."""
    order.release(place, claim(order, place))


# --- one at a time ------------------------------------------------------------------------------------------------------


def test_the_lease_is_given_by_condition(either: Order, shop: Monitor) -> None:
    down, recovered = shop.notice(), shop.recovered()
    claimed = either.claim(down, "a", NOW)
    assert claimed == Claimed("a")
    assert either.claim(recovered, "b", NOW) == Wait()
    assert either.claim(down, "c", NOW) == Wait()
    assert either.claim(down, "a", NOW) == claimed, "a request that was made again because its answer was lost"
    either.release(down, Claimed("somebody else"))
    assert either.claim(recovered, "b", NOW) == Wait()
    after_lease = NOW + LEASE + SECOND
    taken_over = either.claim(recovered, "b", after_lease)
    assert taken_over == Claimed("b", doubtful=frozenset({1}))
    assert isinstance(claimed, Claimed)
    assert isinstance(taken_over, Claimed)
    either.finish(down, claimed, after_lease)
    assert either.claim(down, "d", after_lease) == AlreadySent()
    either.finish(recovered, taken_over, after_lease)
    assert either.claim(recovered, "e", after_lease) == AlreadySent()
    assert either.claim(shop.notice(sequence=2), "f", after_lease) == Superseded(RECOVERY)


def test_whoever_lost_the_lease_has_sent_all_the_same(order: Order, shop: Monitor) -> None:
    slow = claim(order, shop.recovered())
    after_lease = NOW + LEASE + SECOND
    claim(order, shop.recovered(), after_lease)  # and is killed
    order.finish(shop.recovered(), slow, after_lease)
    assert order.claim(shop.recovered(), "c", after_lease) == AlreadySent()
    assert order.claim(shop.notice(), "d", after_lease) == Superseded(RECOVERY)


def test_a_note_that_was_made_again_says_nothing_of_a_lost_lease(
    order: Order, shop: Monitor, caplog: pytest.LogCaptureFixture
) -> None:
    claimed = send(order, shop.notice())
    order.finish(shop.notice(), claimed, NOW)
    assert "order.lease_lost" not in caplog.text
    order.release(shop.notice(), claimed)
    assert "order.release_failed" in caplog.text


def test_a_lost_lease_takes_back_nothing_of_what_was_sent_meanwhile(order: Order, shop: Monitor) -> None:
    slow = claim(order, shop.notice())
    after_lease = NOW + LEASE + SECOND
    send(order, shop.recovered(), after_lease)
    order.finish(shop.notice(), slow, after_lease)
    assert order.claim(shop.notice(), "c", after_lease) == AlreadySent()
    assert order.claim(shop.notice(sequence=2), "d", after_lease) == Superseded(RECOVERY)


def test_nor_does_a_lease_that_was_kept(order: Order, shop: Monitor) -> None:
    """The recovery's first sender seemed dead, its second one was refused for good, and then the first one had sent it after all."""
    slow = claim(order, shop.recovered())
    after_lease = NOW + LEASE + SECOND
    order.release(shop.recovered(), claim(order, shop.recovered(), after_lease))
    down = claim(order, shop.notice(), after_lease)
    order.finish(shop.recovered(), slow, after_lease)
    order.finish(shop.notice(), down, after_lease)
    assert order.claim(shop.notice(), "a", after_lease) == AlreadySent()
    assert order.claim(shop.notice(sequence=2), "b", after_lease) == Superseded(RECOVERY)
    send(order, shop.notice(2), after_lease)


def test_a_turn_is_kept_with_the_place_of_its_message(order: Order, shop: Monitor) -> None:
    down, recovered = shop.notice(), shop.recovered()
    order.postpone(down, claim(order, down), NOW + SECOND)
    order.postpone(down, Claimed("stranger"), NOW + 9 * SECOND)
    other = order.claim(recovered, "b", NOW)
    assert other == Claimed("b"), "who waits for a token holds up nobody"
    assert isinstance(other, Claimed)
    order.release(recovered, other)
    assert order.claim(down, "c", NOW) == Claimed("c", turn_at=NOW + SECOND)
    order.release(down, Claimed("c"))
    assert order.claim(down, "d", NOW) == Claimed("d", tries=1), "the turn went with the claim before, which was a try"


# --- what may have arrived ----------------------------------------------------------------------------------------------


def test_an_outage_waits_for_its_end_where_that_may_have_arrived(either: Order, shop: Monitor) -> None:
    """Who was killed with a recovery in hand, or had no answer to it, leaves it in doubt: the outage must not come after it."""
    down, recovered = shop.notice(), shop.recovered()
    claim(either, recovered)
    after_lease = NOW + LEASE + SECOND
    assert either.claim(down, "a", after_lease) == Wait()
    for tries in (1, 2):
        taken_over = claim(either, recovered, after_lease)
        assert (taken_over.tries, taken_over.doubtful) == (tries, frozenset({RECOVERY}))
        either.release(recovered, taken_over, unsure=True)
        assert either.claim(down, "d", after_lease) == Wait()
    either.release(recovered, claim(either, recovered, after_lease))
    claim(either, down, after_lease)  # the recovery ended unsent


def test_it_stays_in_doubt_while_it_waits_for_its_turn(order: Order, shop: Monitor) -> None:
    down, recovered = shop.notice(), shop.recovered()
    doubt(order, recovered)
    again = order.claim(recovered, "b", NOW)
    assert again == Claimed("b", tries=1, doubtful=frozenset({RECOVERY}))
    assert isinstance(again, Claimed)
    order.postpone(recovered, again, NOW + SECOND)
    assert order.claim(down, "c", NOW) == Wait()
    assert order.claim(recovered, "d", NOW) == replace(again, token="d", turn_at=NOW + SECOND)


@pytest.mark.parametrize("settle", [refuse, lambda order, place: order.postpone(place, claim(order, place), NOW)])
def test_a_later_message_that_did_not_arrive_settles_no_earlier_one(
    order: Order, shop: Monitor, settle: Callable[[Order, Place], None]
) -> None:
    doubt(order, shop.notice(sequence=3))
    settle(order, shop.notice(sequence=4))
    assert order.claim(shop.notice(), "a", NOW) == Wait(), "the third message may have arrived"
    doubt(order, shop.notice(sequence=5))
    refuse(order, shop.notice(sequence=5))
    assert order.claim(shop.notice(), "b", NOW) == Wait(), "still"
    refuse(order, shop.notice(sequence=3))
    claim(order, shop.notice())


def test_a_later_message_that_did_arrive_settles_earlier_ones(order: Order, shop: Monitor) -> None:
    doubt(order, shop.notice(sequence=3))
    send(order, shop.notice(sequence=4))
    for sequence in (1, 3):
        assert order.claim(shop.notice(sequence=sequence), "a", NOW) == Superseded(4)
    assert claim(order, shop.notice(sequence=5)).doubtful == set()


def test_a_claim_that_was_made_again_knows_of_the_doubts_of_others(order: Order, shop: Monitor) -> None:
    doubt(order, shop.notice(sequence=3))
    assert order.claim(shop.notice(sequence=4), "a", NOW) == Claimed("a", doubtful=frozenset({3}))
    assert order.claim(shop.notice(sequence=4), "a", NOW) == Claimed("a", doubtful=frozenset({3}))


# --- one outage after the other -----------------------------------------------------------------------------------------


def test_outages_of_a_monitor_follow_each_other(order: Order, shop: Monitor) -> None:
    for number in (1, 2, 3):
        assert send(order, shop.notice(number)).newer is None
        assert send(order, shop.recovered(number)).newer is None


@pytest.mark.parametrize("settle", [send, doubt, refuse, claim])
def test_a_recovery_that_is_late_knows_of_the_next_outage(
    order: Order, shop: Monitor, settle: Callable[[Order, Place], Any]
) -> None:
    """Whatever became of the news of that outage: that there is one is true."""
    send(order, shop.notice(1))
    settle(order, shop.notice(2))
    later = NOW + LEASE + SECOND
    assert claim(order, shop.recovered(1), later).newer == Newer(shop.began(2))


def test_it_knows_of_the_latest_and_of_its_end(either: Order, shop: Monitor) -> None:
    send(either, shop.recovered(2))
    assert send(either, shop.notice(1)).newer == Newer(shop.began(2), shop.ended(2))
    send(either, shop.notice(3))
    assert send(either, shop.recovered(1)).newer == Newer(shop.began(3))
    assert either.claim(shop.recovered(1), "b", NOW) == AlreadySent()


def test_a_reminder_of_an_outage_that_is_known_is_not_told_after_the_next(order: Order, shop: Monitor) -> None:
    send(order, shop.notice(1))
    send(order, shop.notice(2))
    assert order.claim(shop.notice(1, sequence=2), "a", NOW) == Superseded(1)
    assert order.claim(shop.notice(1), "b", NOW) == AlreadySent()


def test_an_outage_that_nobody_knows_is_told_after_the_next(order: Order, shop: Monitor) -> None:
    doubt(order, shop.notice(2))
    assert send(order, shop.notice(1, sequence=2)).newer == Newer(shop.began(2))
    assert order.claim(shop.notice(1), "a", NOW) == Superseded(2)


def test_messages_about_two_outages_are_never_under_way_together(order: Order, shop: Monitor) -> None:
    claim(order, shop.recovered(1))
    assert order.claim(shop.notice(2), "a", NOW) == Wait()
    assert claim(order, shop.notice(2), NOW + LEASE + SECOND).newer is None, (
        "what may have arrived of another outage holds up nobody"
    )


def test_a_late_claim_that_is_made_again_finds_itself(order: Order, shop: Monitor) -> None:
    send(order, shop.notice(2))
    first = order.claim(shop.recovered(1), "a", NOW)
    assert isinstance(first, Claimed)
    assert order.claim(shop.recovered(1), "a", NOW) == first


def test_outages_that_one_moment_opened_are_two(order: Order, shop: Monitor) -> None:
    one, other = (replace(shop.notice(1), outage=replace(shop.outage(1), id=UUID(int=number))) for number in (1, 2))
    assert send(order, one).newer is None
    assert send(order, other).newer is None


def test_what_is_settled_is_a_number(either: Order, shop: Monitor) -> None:
    """Of an outage whose end was sent nothing is sent again, however many came after it; nor is it said to be on its way."""
    for number in range(1, 20):
        send(either, shop.notice(number))
        send(either, shop.recovered(number))
    for number in range(1, 20):
        assert either.claim(shop.recovered(number), "a", NOW) == AlreadySent()
        assert either.claim(shop.notice(number, sequence=2), "b", NOW) == Superseded(RECOVERY)
    assert send(either, shop.notice(20)).newer is None


# --- the two tables -----------------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(range(5)),  # the message
            st.sampled_from(["finish", "release", "unsure", "postpone", "killed", "late"]),
            st.sampled_from([0, 1, 31]),  # seconds that pass
        ),
        min_size=8,
        max_size=15,
    )
)
def test_the_table_in_memory_answers_like_that_of_the_stand_in(table: Order, steps: list[tuple[int, str, int]]) -> None:
    shop, memory, now = Monitor(), memory_order(), NOW
    places = [shop.notice(1), shop.notice(1, sequence=2), shop.recovered(1), shop.notice(2), shop.recovered(2)]
    slow: list[tuple[Place, Claimed]] = []
    for number, (message, ending, seconds) in enumerate(steps):
        now += seconds * SECOND
        place = places[message]
        answers = [order.claim(place, str(number), now) for order in (table, memory)]
        assert answers[0] == answers[1]
        if isinstance(answers[0], Claimed):
            for order in (table, memory):
                _end(order, ending, place, answers[0], now)
            if ending == "late":
                slow.append((place, answers[0]))
        elif slow and ending == "finish":
            place, claimed = slow.pop()
            for order in (table, memory):
                order.finish(place, claimed, now)


def _end(order: Order, ending: str, place: Place, claimed: Claimed, now: datetime) -> None:
    endings: dict[str, Callable[[], None]] = {
        "finish": partial(order.finish, place, claimed, now),
        "release": partial(order.release, place, claimed),
        "unsure": partial(order.release, place, claimed, unsure=True),
        "postpone": partial(order.postpone, place, claimed, now + SECOND),
    }
    endings.get(ending, lambda: None)()
