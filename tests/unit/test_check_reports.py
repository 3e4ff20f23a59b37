"""A report tells every hop of a check, however far it came."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from core.contracts.check_reports import Hop
from core.domain.outcomes import MonitorState, Outcome, Reason
from core.domain.probes import Hop as RedirectHop
from core.domain.probes import ProbeRequest, ProbeResult
from core.domain.transitions import MonitorRef
from core.domain.website import Policy
from core.flows.check_reports import check_report
from core.flows.websites import Finished, Job

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIRST, SECOND = "http://a.test/", "http://b.test/"


def finished(**found: Any) -> Finished:
    request = ProbeRequest(1, FIRST, "GET", 1000, (range(200, 300),), True, 5, True)
    monitor = MonitorRef(1, uuid4(), uuid4(), "website", "Shop", FIRST)
    job = Job(monitor, Policy(60, 10, 3, 1), request, uuid4(), NOW, NOW)
    return Finished(job, ProbeResult(outcome=Outcome.DOWN, reason=Reason.DNS_NXDOMAIN, started_at=NOW, **found))


@pytest.mark.parametrize(
    ("found", "hops"),
    [
        ({}, [(FIRST, None, None)]),
        ({"address": "192.0.2.1", "status_code": 200, "body_bytes": 5}, [(FIRST, "192.0.2.1", 200)]),
        (
            {"redirects": (SECOND,), "hops": (RedirectHop(FIRST, "192.0.2.1", 301),)},
            [(FIRST, "192.0.2.1", 301), (SECOND, None, None)],
        ),
        (
            {"redirects": (SECOND,), "hops": (RedirectHop(FIRST, None, 301),), "address": "192.0.2.2", "status_code": 404},
            [(FIRST, None, 301), (SECOND, "192.0.2.2", 404)],
        ),
    ],
    ids=["no name", "one answer", "a redirect to no name", "two answers"],
)
def test_every_url_is_a_hop(found: dict[str, Any], hops: list[tuple[str, str | None, int | None]]) -> None:
    report = check_report(finished(**found), MonitorState.UP)
    assert report.hops == tuple(Hop(url=url, address=address, status_code=status) for url, address, status in hops)
    assert (report.body_bytes is None) == (report.status_code is None)
    assert (report.reason, report.state, report.certificate, report.total_ms) == ("dns_nxdomain", "up", None, None)
    assert report.joined
