"""Counters of incidents, for a bounded number of monitors."""

from datetime import timedelta
from uuid import uuid4

from prometheus_client import REGISTRY

from core.domain.outcomes import Reason
from core.domain.transitions import MonitorRef
from core.flows.incident_metrics import IncidentSeries


def monitor() -> MonitorRef:
    return MonitorRef(1, uuid4(), uuid4(), "website", "shop", "http://x/")


def sample(name: str, of: MonitorRef, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"monitor_id": str(of.uid), "monitor_name": of.name, **labels})


def opened(of: MonitorRef) -> float | None:
    return sample("uptime_downtime_events_total", of, monitor_type="website", reason="timeout")


def test_an_incident_is_counted_when_it_begins_and_ends() -> None:
    series, shop = IncidentSeries(), monitor()
    series.went_down(shop, Reason.TIMEOUT)
    series.went_down(shop, Reason.TIMEOUT)
    series.came_up(shop)
    series.lasted(shop, timedelta(seconds=90))

    assert opened(shop) == 2
    assert sample("uptime_recovery_events_total", shop, monitor_type="website") == 1
    assert sample("uptime_downtime_duration_seconds_sum", shop) == 90


def test_beyond_the_limit_who_was_down_the_longest_ago_makes_room_with_all_its_series() -> None:
    series, first, second, third = IncidentSeries(2), monitor(), monitor(), monitor()
    for one in (first, second):
        series.went_down(one, Reason.TIMEOUT)
    second_down = opened(second)
    series.came_up(first)
    series.lasted(first, timedelta(seconds=5))
    series.went_down(third, Reason.TIMEOUT)
    assert (second_down, opened(first), opened(second), opened(third)) == (1, 1, None, 1)

    series.went_down(second, Reason.TIMEOUT)
    assert sample("uptime_recovery_events_total", first, monitor_type="website") is None
    assert sample("uptime_downtime_duration_seconds_sum", first) is None
