"""What registries say about domains is read carefully, and they are asked politely."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.adapters.public_suffix import registered_domain
from core.domain.registrations import NoRegistration, Registration, next_asked_at, paused_until, read_registration

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
END = datetime(2027, 5, 6, 7, 8, 9, tzinfo=UTC)
DAY = timedelta(days=1)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["registrar", "fn", "expiration", "vcard"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["events", "entities", "eventAction", "eventDate", "roles", "vcardArray"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


def expiration(at: str) -> dict[str, Any]:
    return {"eventAction": "expiration", "eventDate": at}


@pytest.mark.parametrize(
    "text",
    [
        "2027-05-06T07:08:09Z",
        "2027-05-06T07:08:09.000Z",
        "2027-05-06T09:08:09+02:00",
        "2027-05-06T07:08:09",
        "2027-05-06 07:08:09+00",
    ],
)
def test_the_end_is_read_however_it_is_written(text: str) -> None:
    assert read_registration({"events": [expiration(text)]}) == Registration(END, "")


def test_the_registrar_is_named_among_the_entities() -> None:
    entities = [
        {"roles": ["registrant"], "vcardArray": ["vcard", [["fn", {}, "text", "Somebody"]]]},
        {
            "roles": ["abuse", "registrar"],
            "vcardArray": ["vcard", [["version", {}, "text", "4.0"], ["fn", {}, "text", "Re\x00gistrar"]]],
        },
    ]
    assert (
        read_registration({"events": [expiration("2027-05-06T07:08:09Z")], "entities": entities}).registrar
        == "Re\N{REPLACEMENT CHARACTER}gistrar"
    )


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        {"events": "soon"},
        {"events": [expiration("never")]},
        {"events": [{"eventAction": "registration", "eventDate": "2027-05-06T07:08:09Z"}]},
        {"events": [{"eventAction": "registrar expiration", "eventDate": "2027-05-06T07:08:09Z"}]},
    ],
)
def test_an_answer_without_an_end_is_none(answer: Any) -> None:
    with pytest.raises(NoRegistration):
        read_registration(answer)


@given(anything)
def test_whatever_a_registry_sends_is_read_or_refused(answer: Any) -> None:
    try:
        found = read_registration(answer)
    except NoRegistration:
        return
    assert found.ends_at.tzinfo is UTC


@given(st.integers(min_value=0, max_value=10_000), st.floats(min_value=0, max_value=0.999))
def test_a_domain_is_asked_about_once_a_day_and_sooner_after_a_failure(failures: int, draw: float) -> None:
    wait = next_asked_at(NOW, failures, draw) - NOW
    assert timedelta(hours=1) <= wait <= 1.1 * DAY
    if failures == 0:
        assert wait >= DAY
    assert next_asked_at(NOW, failures + 1, draw) >= next_asked_at(NOW, max(failures, 1), draw)


@pytest.mark.parametrize(
    ("retry_after", "wait"),
    [
        ("120", timedelta(seconds=120)),
        ("0", timedelta(minutes=1)),
        ("999999999999999999999", DAY),
        (format_datetime(NOW + timedelta(hours=3), usegmt=True), timedelta(hours=3)),
        (format_datetime(NOW - DAY, usegmt=True), timedelta(minutes=1)),
        ("soon", timedelta(hours=1)),
        ("1 Jan 99999999999999999999 00:00:00 GMT", timedelta(hours=1)),
        ("٣", timedelta(hours=1)),
        (None, timedelta(hours=1)),
    ],
)
def test_a_registry_is_left_alone_for_as_long_as_it_wants_within_reason(retry_after: str | None, wait: timedelta) -> None:
    assert paused_until(retry_after, NOW) == NOW + wait


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("shop.example.com", "example.com"),
        ("example.com", "example.com"),
        ("www.example.co.uk", "example.co.uk"),
        ("xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
        ("a.b.www.ck", "www.ck"),
        ("com", None),
        ("co.uk", None),
        ("localhost", None),
        ("db.internal", None),
        ("192.0.2.1", None),
        ("2001:db8::1", None),
        ("someone.github.io", None),
        ("ec2-1-2-3-4.compute-1.amazonaws.com", None),
    ],
)
def test_the_domain_of_a_host_is_the_one_that_was_registered(host: str, domain: str | None) -> None:
    assert registered_domain(host) == domain
