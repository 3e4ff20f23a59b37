"""The story of an incident's messages: each step once, in the order of time, with the reason why somebody was told or was not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.alert_history import Known, Letter, Message, Outage, Receiver, ToldAlert, WaitingEvent, history

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
OUTAGE = Outage(
    id=UUID(int=1),
    workspace_id=UUID(int=2),
    monitor="Shop",
    reason="timeout",
    detail="",
    began_at=NOW - 20 * SECOND,
    opened_at=NOW,
    resolved_at=None,
    acknowledged_at=None,
    acknowledged_by="",
    cause=None,
)
SENT = ToldAlert(UUID(int=3), "down", 1, NOW, NOW + SECOND, None, "", dropped=False, text="")
OPS = Receiver(UUID(int=4), "Ops", "email", NOW - 99 * SECOND, None, "", None)
DELIVERED = Message(
    id=UUID(int=5),
    alert_id=SENT.id,
    channel_id=OPS.id,
    config_version=3,
    state="delivered",
    generation=1,
    attempts=2,
    requested_at=NOW + SECOND,
    receipt_due_at=None,
    retry_at=None,
    finished_at=NOW + 3 * SECOND,
    error_type="",
    error="",
)
TOLD = Known(OUTAGE, [SENT], [DELIVERED], [OPS], [])


def lines(known: Known) -> list[str]:
    return [f"{step.what} {step.subject}: {step.text}" for step in history(known).steps]


def test_an_outage_that_was_told() -> None:
    resolved = replace(OUTAGE, resolved_at=NOW + 60 * SECOND, acknowledged_at=NOW + 9 * SECOND, acknowledged_by="Ada")
    assert lines(replace(TOLD, outage=resolved)) == [
        "incident Shop: Failed for the first time: timeout.",
        "incident Shop: Confirmed; the incident was opened.",
        "alert down: Wanted, as message 1 of the incident.",
        "alert down: Sent.",
        f"delivery Ops (email): Asked for, with version 3 of the channel: delivery {UUID(int=5)}.",
        "delivery Ops (email): The channel took the message after 2 attempts.",
        "incident Shop: Acknowledged by Ada.",
        "incident Shop: Up again; the incident was resolved.",
    ]


def test_a_route_that_goes_on_says_when() -> None:
    lasting = replace(OUTAGE, next_at=NOW + 60 * SECOND)
    last = history(replace(TOLD, outage=lasting)).steps[-1]
    assert (last.at, last.what, last.subject) == (NOW + 60 * SECOND, "alert", "next")
    for ended in ({"acknowledged_at": NOW + SECOND, "acknowledged_by": "Ada"}, {"resolved_at": NOW + SECOND}):
        assert not any(step.subject == "next" for step in history(replace(TOLD, outage=replace(lasting, **ended))).steps)


@pytest.mark.parametrize(
    ("alert", "says"),
    [
        (replace(SENT, routed_at=None), "Nothing was decided yet."),
        (
            replace(SENT, routed_at=None, due_at=NOW + 60 * SECOND, held_reason="muted"),
            "Held while the monitor is muted; decided again by 2026-11-23 12:01:00 UTC.",
        ),
        (replace(SENT, dropped=True, held_reason="untold"), "Not sent: nobody had been told of the outage."),
    ],
)
def test_an_alert_that_was_not_sent_says_why_and_names_no_channel(alert: ToldAlert, says: str) -> None:
    told = lines(replace(TOLD, alerts=[alert], messages=[]))
    assert told[-1] == f"alert down: {says}"
    assert not any(line.startswith(("channel", "delivery")) for line in told)


@pytest.mark.parametrize(
    ("receiver", "why"),
    [
        (replace(OPS, created_at=NOW + 60 * SECOND), "it was added later, on 2026-11-23 12:01:00 UTC."),
        (replace(OPS, disabled_at=NOW, disabled_reason="HTTP 410"), "it is disabled since 2026-11-23 12:00:00 UTC: HTTP 410."),
        (replace(OPS, unverified_since=NOW), "nobody has answered from its address yet."),
        (OPS, "it was not chosen, or was disabled at that time."),
    ],
)
def test_a_channel_that_was_not_told_says_why(receiver: Receiver, why: str) -> None:
    told = lines(replace(TOLD, messages=[], receivers=[receiver]))
    assert f"channel Ops (email): Not told: {why}" in told
    assert told[-1] == "channel none: Nobody was told: no channel was chosen."


def test_a_channel_that_the_route_did_not_name_says_so() -> None:
    routed = replace(SENT, chosen_by="route", route_name="Nights")
    told = lines(replace(TOLD, alerts=[routed], messages=[], receivers=[OPS]))
    assert "alert down: Sent, by the route “Nights”." in told
    assert "channel Ops (email): Not told by this message: it is in another step of the route “Nights”, or in none." in told


def test_what_is_stuck_shows_where() -> None:
    stuck = replace(DELIVERED, state="requested", generation=3, finished_at=None, receipt_due_at=NOW + 60 * SECOND)
    letter = Letter("alerts", stuck.id, NOW + 2 * SECOND, 60)
    other = replace(letter, delivery_id=UUID(int=9))
    told = lines(replace(TOLD, messages=[stuck], waiting=[WaitingEvent("AlertRequested", NOW + SECOND)], letters=[letter, other]))
    assert "delivery Ops (email): Asked for 3 times by now, because no receipt came in time." in told
    assert "outbox AlertRequested: Waits in the outbox: the bus has not taken it yet." in told
    assert [line for line in told if "dead letters" in line] == [
        "dead letter Ops (email): Among the dead letters of alerts, received 60 times; `redrive alerts` tries it again."
    ]


times = st.integers(0, 1000).map(lambda seconds: NOW + seconds * SECOND)


@given(st.lists(st.tuples(times, times, st.booleans()), max_size=8))
def test_steps_are_in_the_order_of_time_and_none_is_lost(alerts: list[tuple[datetime, datetime, bool]]) -> None:
    wanted = [
        replace(SENT, id=UUID(int=100 + n), created_at=min(one, two), routed_at=max(one, two) if sent else None)
        for n, (one, two, sent) in enumerate(alerts)
    ]
    steps = history(replace(TOLD, alerts=wanted, messages=[])).steps
    assert [step.at for step in steps] == sorted(step.at for step in steps)
    assert sum(step.text.startswith("Wanted") for step in steps) == len(wanted)
    assert sum(step.text.startswith("Nobody was told") for step in steps) == sum(sent for _, _, sent in alerts)


def test_a_message_that_was_told_with_others() -> None:
    group = replace(DELIVERED, group_id=UUID(int=9))
    assert lines(replace(TOLD, messages=[group]))[-1].endswith(
        "The channel took the message that told this together with others."
    )
    waits = replace(group, state="requested", finished_at=None)
    assert lines(replace(TOLD, messages=[waits]))[-1].endswith(
        "Told together with others; the message about all of them has not arrived yet."
    )
    failed = replace(group, state="failed", error="gone")
    assert lines(replace(TOLD, messages=[failed]))[-1].endswith("Given up after 2 attempts: gone")
