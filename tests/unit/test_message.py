"""Messages say what, why, since when and for how long, whatever users and targets put into names and details."""

from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from core.contracts.events import (
    AlertRequested,
    AlertType,
    ExpiryFacts,
    GroupFacts,
    GroupLine,
    IncidentFacts,
    LineState,
    MonitorFacts,
    MonitorKind,
)
from core.contracts.lines import one_line
from core.domain.outcomes import Reason
from lambdas.alert_dispatch.message import REASONS, compose, duration, may_be_acknowledged, moment
from lambdas.alert_dispatch.places import Newer

BEGAN = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
OUR_TROUBLE = {
    Reason.RESOLVER_FAILURE,
    Reason.LOCAL_NETWORK,
    Reason.OVERLOADED,
    Reason.SHUTTING_DOWN,
    Reason.MISSED_WINDOW,
    Reason.INTERNAL,
}


def request(
    alert_type: AlertType,
    kind: MonitorKind = "website",
    *,
    name: str = "Shop",
    reason: str = "connect_refused",
    detail: str = "connection refused by 203.0.113.7",
    text: str = "",
) -> AlertRequested:
    target = "https://shop.example.com/" if kind == "website" else "every 1 d, grace 1 h"
    resolved_at = BEGAN + timedelta(minutes=12, seconds=3) if alert_type == "recovered" else None
    about_outage = alert_type in {"down", "escalated", "reminder", "recovered", "acknowledged", "unacknowledged"}
    acknowledged_at = BEGAN + timedelta(minutes=2) if alert_type == "acknowledged" else None
    return AlertRequested(
        delivery_id=UUID(int=1),
        generation=1,
        alert_id=UUID(int=2),
        alert_type=alert_type,
        order_key=UUID(int=3),
        sequence=1,
        channel_id=UUID(int=4),
        channel_kind="email",
        config_version=1,
        monitor=None if alert_type == "test" else MonitorFacts(id=UUID(int=5), kind=kind, name=name, target=target),
        incident=IncidentFacts(
            id=UUID(int=3),
            reason=reason,
            detail=detail,
            began_at=BEGAN,
            opened_at=BEGAN + timedelta(seconds=20),
            resolved_at=resolved_at,
            acknowledged_at=acknowledged_at,
            acknowledged_by="Ada" if acknowledged_at else "",
        )
        if about_outage
        else None,
        group=group_of(name, reason) if alert_type == "group" else None,
        text=text,
    )


def group_of(name: str, reason: str) -> GroupFacts:
    """A group with a line of each kind about monitors of this name."""
    states: list[LineState] = ["down", "flapping", "up"]
    lines = [
        GroupLine(monitor_id=UUID(int=5), kind="website", name=name, state=state, reason=reason, since=BEGAN) for state in states
    ]
    return GroupFacts(opened_at=BEGAN, as_of=BEGAN, down=2, up=1, lines=lines)


def test_down_says_what_why_and_since_when() -> None:
    message = compose(request("down"))
    assert message.subject == "DOWN: Shop - The connection was refused"
    for part in (
        "Shop is down.",
        "https://shop.example.com/",
        "The connection was refused. (connection refused by 203.0.113.7)",
        "2026-11-23 12:00:00 UTC",
        "after 20 s",
    ):
        assert part in message.text
        assert part in message.html


@pytest.mark.parametrize(
    ("alert_type", "kind", "subject", "headline"),
    [
        ("escalated", "website", "DOWN: Shop - The connection was refused", "Shop is down."),
        ("escalated", "heartbeat", "DOWN: Shop - The connection was refused", "Shop has not pinged in time."),
        ("reminder", "website", "STILL DOWN: Shop - The connection was refused", "Shop is still down."),
        ("reminder", "heartbeat", "STILL DOWN: Shop - The connection was refused", "Shop is still down."),
    ],
)
def test_what_lasts_is_told_to_others_as_news_and_once_more_as_a_reminder(
    alert_type: Any, kind: Any, subject: str, headline: str
) -> None:
    text = "It has been down for 20 min, and nobody has acknowledged it."
    message = compose(request(alert_type, kind, text=text))
    assert (message.subject, message.headline, message.closing) == (subject, headline, text)
    assert dict(message.facts)["Since"] == "2026-11-23 12:00:00 UTC"


def test_recovered_tells_the_whole_story() -> None:
    message = compose(request("recovered"))
    assert message.subject == "UP: Shop - was down 12 min 3 s"
    assert "Shop is up again. It was down for 12 min 3 s." in message.text
    assert "The connection was refused." in message.text
    assert "2026-11-23 12:12:03 UTC" in message.text


def test_who_has_taken_it_on_is_told_and_who_had_to_the_end() -> None:
    taken = compose(request("acknowledged", text="Ada has taken this on."))
    assert taken.subject == "ACKNOWLEDGED: Shop - by Ada"
    assert taken.headline == "Shop is down, and Ada looks after it."
    assert dict(taken.facts)["Handled"] == "by Ada, since 2026-11-23 12:02:00 UTC"
    assert dict(taken.facts)["Why"] == "The connection was refused. (connection refused by 203.0.113.7)"
    back = compose(request("unacknowledged", text="Ada does not any more."))
    assert back.subject == "NOT ACKNOWLEDGED ANY MORE: Shop"
    assert "Nobody looks after Shop any more." in back.text
    ended = request("recovered")
    assert ended.incident
    handled = structs.replace(ended.incident, acknowledged_at=BEGAN, acknowledged_by="Ada")
    assert "Handled:   by Ada" in compose(structs.replace(ended, incident=handled)).text


def test_only_an_outage_that_nobody_has_taken_on_can_be_acknowledged() -> None:
    may = {
        kind: may_be_acknowledged(request(kind)) for kind in ("down", "recovered", "acknowledged", "unacknowledged", "flapping")
    }
    assert [kind for kind, possible in may.items() if possible] == ["down", "unacknowledged"]
    assert not may_be_acknowledged(structs.replace(request("flapping"), incident=request("down").incident))
    told = compose(request("down"), "https://up.example.com", 'https://up.example.com/acknowledge/x"y/')
    assert "Acknowledge: https://up.example.com/acknowledge/" in told.text
    assert 'href="https://up.example.com/acknowledge/x&quot;y/"' in told.html


def test_heartbeats_are_told_in_their_own_words() -> None:
    assert "Shop has not pinged in time." in compose(request("down", "heartbeat", reason="heartbeat_missed")).text
    assert "Shop has failed." in compose(request("down", "heartbeat", reason="heartbeat_failed")).text
    assert "every 1 d, grace 1 h" in compose(request("down", "heartbeat", reason="heartbeat_missed")).text
    assert "Shop pings again. It was down for 12 min 3 s." in compose(request("recovered", "heartbeat")).text


def test_notices_carry_their_text() -> None:
    assert compose(request("test")).subject == "Test message from Uptime Monitor"
    assert "this channel works" in compose(request("test")).text
    unknown = compose(request("not_monitored", text="No name server answers since 12:00 UTC."))
    assert unknown.subject == "NOT MONITORED: Shop"
    assert "No name server answers since 12:00 UTC." in unknown.text
    assert "unknown, not down" in compose(request("not_monitored")).text
    assert compose(request("monitored_again")).subject == "MONITORED AGAIN: Shop"
    assert "Shop is being monitored again." in compose(request("monitored_again")).text


def test_flapping_says_what_comes_next() -> None:
    message = compose(request("flapping", text="It changed 6 times within 30 minutes."))
    assert message.subject == "FLAPPING: Shop"
    assert "Shop keeps going down and up." in message.text
    assert "It changed 6 times within 30 minutes." in message.html


def test_slowness_is_no_outage_in_words_either() -> None:
    slow = compose(request("degraded", text="It is up, but slow since 2026-03-01 12:00 UTC."))
    assert slow.subject == "SLOW: Shop"
    assert "Shop is slow." in slow.text
    assert "It is up, but slow since 2026-03-01 12:00 UTC." in slow.text
    fast = compose(request("fast_again"))
    assert (fast.subject, fast.headline) == ("FAST AGAIN: Shop", "Shop is fast enough again.")


def test_an_outage_that_is_told_after_the_next_is_neither_down_nor_up() -> None:
    again, back = BEGAN + timedelta(hours=1), BEGAN + timedelta(hours=2)
    ended = compose(request("recovered", text="It was muted."), newer=Newer(again))
    assert ended.subject == "EARLIER OUTAGE: Shop - was down 12 min 3 s"
    assert ended.headline == f"Shop was down for 12 min 3 s, until {moment(BEGAN + timedelta(minutes=12, seconds=3))}."
    assert [label for label, _ in ended.facts] == ["What", "Why", "Since", "Until", "For"]
    assert ended.closing == f"This comes late. It went down again at {moment(again)}. It was muted."
    begun = compose(request("down"), newer=Newer(again, back))
    assert begun.subject == "EARLIER OUTAGE: Shop - The connection was refused"
    assert begun.headline == "Shop was down before."
    assert begun.closing == f"This comes late. It went down again at {moment(again)} and came back at {moment(back)}."
    taken_on = compose(request("acknowledged"), newer=Newer(again))
    assert dict(taken_on.facts)["Handled"].startswith("by Ada")


@pytest.mark.parametrize("alert_type", ["down", "recovered"])
def test_what_is_told_late_says_why(alert_type: Any) -> None:
    assert (
        "during a maintenance window" in compose(request(alert_type, text="This was held back during a maintenance window.")).text
    )


def test_notices_about_many_monitors_name_none() -> None:
    many = compose(structs.replace(request("not_monitored", text="12 websites are not monitored: a, b."), monitor=None))
    assert many.subject == "NOT MONITORED: Your websites"
    assert "Your websites are not being monitored right now." in many.text
    assert "12 websites are not monitored: a, b." in many.text
    again = compose(structs.replace(request("monitored_again"), monitor=None))
    assert "Your websites are being monitored again." in again.text


@pytest.mark.parametrize(("days", "when"), [(14, "IN 14 DAYS"), (1, "IN 1 DAY"), (0, "IN LESS THAN A DAY")])
def test_a_certificate_that_ends_says_whose_and_when(days: int, when: str) -> None:
    ending = ExpiryFacts(name="shop.example.com", ends_at=BEGAN, days_left=days)
    message = compose(structs.replace(request("certificate_expiring", text="Issued by Example CA."), expiry=ending))
    assert message.subject == f"CERTIFICATE ENDS {when}: Shop - shop.example.com"
    for part in (f"The certificate of Shop ends {when.lower()}.", "Host:      shop.example.com", "2026-11-23 12:00:00 UTC"):
        assert part in message.text
    assert "Issued by Example CA." in message.html


def test_an_end_that_websites_share_counts_them() -> None:
    ending = ExpiryFacts(name="example.com", ends_at=BEGAN, days_left=7, websites=12)
    message = compose(structs.replace(request("domain_expiring"), expiry=ending, monitor=None))
    assert message.subject == "DOMAIN ENDS IN 7 DAYS: 12 websites - example.com"
    assert "The domain of 12 websites ends in 7 days." in message.text


def test_the_installation_is_named_where_it_has_an_address() -> None:
    assert "http://127.0.0.1:8000" in compose(request("down"), "http://127.0.0.1:8000").text


def test_every_reason_of_an_outage_has_words() -> None:
    assert {r.label for r in Reason} - {r.label for r in OUR_TROUBLE} - {"ok"} <= set(REASONS)
    assert "Reason: something_newer." in compose(request("down", reason="something_newer")).text


def test_nothing_is_said_twice() -> None:
    failed = request("down", kind="heartbeat", reason="heartbeat_failed", detail="the job reported a failure")
    assert failed.incident
    told = compose(structs.replace(failed, incident=structs.replace(failed.incident, opened_at=failed.incident.began_at)))
    assert dict(told.facts)["Why"] == "The job reported a failure."
    assert "Confirmed" not in told.text


def test_html_is_escaped() -> None:
    message = compose(request("down", name="<script>alert(1)</script>", detail='"><img src=x>'))
    assert "<script>" not in message.html
    assert "<img" not in message.html
    assert "&lt;script&gt;" in message.html


@given(st.text(), st.text())
def test_no_name_or_detail_breaks_out_of_its_line(name: str, detail: str) -> None:
    message = compose(request("down", name=name, detail=detail))
    assert one_line(message.subject) == message.subject
    assert len(message.subject) <= 200
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = message.subject
    assert "\n" not in mail["Subject"]
    assert len(message.text.splitlines()) == 9


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(0), "0 s"),
        (timedelta(seconds=-5), "0 s"),
        (timedelta(seconds=59), "59 s"),
        (timedelta(minutes=12), "12 min"),
        (timedelta(minutes=12, seconds=3), "12 min 3 s"),
        (timedelta(hours=3, seconds=59), "3 h"),
        (timedelta(days=2, hours=5, minutes=30), "2 d 5 h"),
    ],
)
def test_durations_in_their_two_largest_units(span: timedelta, words: str) -> None:
    assert duration(span) == words


def test_pieces_of_a_message_are_lines() -> None:
    told = compose(request("down", name="a\nb\x00c", detail="d\r\ne", text="f\ng"))
    assert told.headline == "a b c is down."
    assert dict(told.facts)["Why"] == "The connection was refused. (d e)"
    assert told.closing == "f g"


def test_the_link_leads_to_the_incident_where_there_is_one() -> None:
    link = "https://up.example.com/api/v1/incidents/00000000-0000-0000-0000-000000000003/"
    assert compose(request("down"), "https://up.example.com").link == link
    assert compose(request("down")).link == ""
    assert compose(request("flapping"), "https://up.example.com").link == ""
