"""What a worker exposes about websites: the samples that a scrape would read, for a bounded number of monitors."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prometheus_client import CollectorRegistry

from core.checker.website_series import FORGET_AFTER_S, WebsiteSeries
from core.domain.outcomes import Outcome
from core.domain.probes import ProbeRequest
from core.domain.transitions import MonitorRef
from core.domain.website import Policy, Step, WebsiteState
from core.flows.websites import Applied, Job
from tests.websites import finished

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def monitor(number: int, name: str = "shop") -> MonitorRef:
    return MonitorRef(number, UUID(int=number), UUID(int=0), "website", name, "http://x/")


def checked(of: MonitorRef, outcome: Outcome = Outcome.UP, **found: Any) -> Applied:
    request = ProbeRequest(of.id, of.target, "GET", 1000, (), True, 5, True)
    job = Job(of, Policy(60, 10, 3, 1), request, UUID(int=1), NOW, NOW)
    return Applied(judged=[(finished(job, NOW, outcome, **found), Step(WebsiteState(), None, None, NOW))])


def exposed(series: WebsiteSeries) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(series)
    return registry


def labels(of: MonitorRef, **more: str) -> dict[str, str]:
    return {"monitor_id": str(of.uid), "monitor_name": of.name, **more}


def test_each_check_is_counted_timed_and_remembered() -> None:
    series, shop = WebsiteSeries(10), monitor(1)
    series.count(checked(shop, total_us=40_000, dns_us=1500, connect_us=2500, status_code=200), NOW)
    series.count(checked(shop, total_us=2_000_000, dns_us=500, status_code=200), NOW)
    series.count(checked(shop, Outcome.DOWN), NOW)
    registry = exposed(series)

    assert registry.get_sample_value("uptime_website_checks_total", labels(shop, status="up")) == 2
    assert registry.get_sample_value("uptime_website_checks_total", labels(shop, status="down")) == 1
    duration = "uptime_website_check_duration_seconds"
    assert registry.get_sample_value(f"{duration}_sum", labels(shop)) == 2.04
    assert registry.get_sample_value(f"{duration}_count", labels(shop)) == 2
    within = {
        bound: registry.get_sample_value(f"{duration}_bucket", labels(shop, le=bound))
        for bound in ("0.01", "0.05", "2.5", "+Inf")
    }
    assert within == {"0.01": 0, "0.05": 1, "2.5": 2, "+Inf": 2}
    assert registry.get_sample_value("uptime_website_response_time_seconds_count", labels(shop, status_code="200")) == 2
    assert registry.get_sample_value("uptime_website_dns_resolution_time", labels(shop)) == 0.0005
    assert registry.get_sample_value("uptime_website_tcp_connection_time", labels(shop)) == 0.0025


def test_a_gap_is_a_check_that_could_not_tell() -> None:
    series, shop = WebsiteSeries(10), monitor(1)
    series.count(Applied(missed=[shop]), NOW)
    assert exposed(series).get_sample_value("uptime_website_checks_total", labels(shop, status="unknown")) == 1


def test_beyond_the_limit_only_who_was_not_seen_for_an_hour_makes_room() -> None:
    series = WebsiteSeries(2)
    for number in (1, 2, 3):
        series.count(checked(monitor(number)), NOW)
    assert exposed(series).get_sample_value("uptime_website_checks_total", labels(monitor(3), status="up")) is None
    later = NOW + timedelta(seconds=FORGET_AFTER_S)
    series.count(checked(monitor(2)), later)
    series.count(checked(monitor(3)), later)
    registry = exposed(series)
    counts = [registry.get_sample_value("uptime_website_checks_total", labels(monitor(n), status="up")) for n in (1, 2, 3)]
    assert counts == [None, 2, 1]


def test_a_new_name_is_a_new_series_and_the_old_one_goes() -> None:
    series = WebsiteSeries(2)
    series.count(checked(monitor(1)), NOW)
    series.count(checked(monitor(1, "boutique")), NOW)
    registry = exposed(series)
    assert registry.get_sample_value("uptime_website_checks_total", labels(monitor(1), status="up")) is None
    assert registry.get_sample_value("uptime_website_checks_total", labels(monitor(1, "boutique"), status="up")) == 1
