"""The rule of the send-rate limit: nobody is dropped, nobody starves, and the target gets no more than it takes."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.contracts.channels.registry import KINDS, parse_config
from lambdas.alert_dispatch import limits
from lambdas.alert_dispatch.limits import Limit, Limits, full_again_at, mail_limit, turn_at
from tests.unit.test_channels import SECRET

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)

LIMITS = st.builds(
    Limit, st.integers(1, 10_000).map(lambda milliseconds: timedelta(milliseconds=milliseconds)), st.integers(1, 40)
)
PAUSES = st.lists(st.integers(0, 5_000).map(lambda milliseconds: timedelta(milliseconds=milliseconds)), min_size=1, max_size=60)


def turns(limit: Limit, arrivals: list[datetime]) -> list[datetime]:
    """The turn of each message, in the order in which they came."""
    full_at: datetime | None = None
    taken = []
    for now in arrivals:
        taken.append(turn_at(limit, full_at or now, now))
        full_at = full_again_at(limit, full_at, now)
    return taken


def arrivals(pauses: list[timedelta]) -> list[datetime]:
    return [START + sum(pauses[: number + 1], timedelta()) for number in range(len(pauses))]


@given(LIMITS, PAUSES)
def test_every_message_has_a_turn_that_comes_after_those_before_it_and_no_later_than_they_explain(
    limit: Limit, pauses: list[timedelta]
) -> None:
    came = arrivals(pauses)
    taken = turns(limit, came)
    assert taken == sorted(taken)
    for number, (now, turn) in enumerate(zip(came, taken, strict=True)):
        assert now <= turn <= now + number * limit.every


@given(LIMITS, PAUSES, st.integers(1, 60_000).map(lambda milliseconds: timedelta(milliseconds=milliseconds)))
def test_no_window_of_time_has_more_turns_than_the_burst_and_the_rate(
    limit: Limit, pauses: list[timedelta], window: timedelta
) -> None:
    taken = turns(limit, arrivals(pauses))
    for first in taken:
        within = sum(first <= turn < first + window for turn in taken)
        assert within <= limit.burst + window / limit.every


@given(LIMITS, st.integers(1, 100))
def test_a_burst_goes_out_at_once_and_the_rest_at_the_rate(limit: Limit, messages: int) -> None:
    taken = turns(limit, [START] * messages)
    assert taken == [START + max(number + 1 - limit.burst, 0) * limit.every for number in range(messages)]


@given(LIMITS, st.integers(1, 100))
def test_a_target_that_was_left_alone_for_long_enough_takes_a_burst_again(limit: Limit, messages: int) -> None:
    rested = START + (messages + 1) * limit.every
    assert turns(limit, [START] * messages + [rested] * limit.burst)[messages:] == [rested] * limit.burst


@pytest.mark.parametrize(
    ("limit", "window", "allowed"),
    [
        (limits.SLACK, SECOND, 1),
        (limits.DISCORD, 2 * SECOND, 5),
        (limits.TELEGRAM_GROUP, MINUTE, 20),
        (limits.TELEGRAM_CHAT, SECOND, 1),
        (limits.PAGERDUTY, MINUTE, 120),
    ],
)
def test_what_services_allow_in_any_window_is_kept(limit: Limit, window: timedelta, allowed: int) -> None:
    taken = turns(limit, [START] * 500)
    assert max(sum(first <= turn < first + window for turn in taken) for first in taken) == allowed


def test_a_limit_follows_from_the_configuration() -> None:
    known = Limits(mail_limit(14))
    token = "123456789:" + "A" * 35
    chat = parse_config("telegram", {"token": token, "chat_id": "42"})
    group = parse_config("telegram", {"token": token, "chat_id": "-1001234567890"})
    mail = parse_config("email", {"address": "ops@example.com"})
    webhook = parse_config("webhook", {"url": "https://hook.example.com/", "secret": SECRET})
    assert (known.of(chat), known.of(group)) == (limits.TELEGRAM_CHAT, limits.TELEGRAM_GROUP)
    assert known.of(mail) == Limit(SECOND / 14, 14, shared="mail")
    assert (known.of(webhook), Limits().of(mail), mail_limit(0)) == (None, None, None)
    assert mail_limit(0.2) == Limit(5 * SECOND, 1, shared="mail")
    assert set(known._rules) <= set(KINDS.values())
