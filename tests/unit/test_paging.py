"""Who is called, and who is spared: by what, on which kind of channel, after news of which other outage."""

from uuid import uuid4

import pytest

from core.contracts.channels.registry import KINDS as ALL_KINDS
from core.contracts.events import ALERT_TYPES
from lambdas.alert_dispatch.paging import CLOSING, KINDS, is_of_the_past
from lambdas.alert_dispatch.places import Newer
from tests.dispatching import BEGAN, alert_request

CALLS = {"down", "escalated", "reminder", "acknowledged", "unacknowledged"}
"""What opens, changes or opens again the page of one outage."""

OF_ITSELF = {"not_monitored", "degraded", "certificate_expiring", "domain_expiring", "channel_disabled", "test"}
"""What no outage is the end of."""


def spared(alert_type: str, kind: str = "pagerduty", newer: Newer | None = Newer(BEGAN)) -> bool:  # noqa: B008  (frozen)
    return is_of_the_past(alert_request(uuid4(), alert_type=alert_type, channel_kind=kind).data, newer)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_nobody_is_called_for_an_outage_that_is_over(kind: str) -> None:
    assert all(spared(alert_type, kind) for alert_type in CALLS)
    assert not any(spared(alert_type, kind) for alert_type in CLOSING), "what may be open is closed"
    assert not any(spared(alert_type, kind) for alert_type in OF_ITSELF)


def test_what_is_read_and_calls_nobody_is_told() -> None:
    assert set(ALL_KINDS) > KINDS
    assert not any(spared(alert_type, kind) for alert_type in ALERT_TYPES for kind in set(ALL_KINDS) - KINDS)


@pytest.mark.parametrize("alert_type", sorted(CALLS))
def test_the_latest_outage_calls(alert_type: str) -> None:
    assert not spared(alert_type, newer=None)
