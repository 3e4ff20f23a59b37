"""Check now from one end to the other: the API, Valkey, a real Celery worker with libcurl, PostgreSQL, and a target over HTTP."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from core.adapters.check_reports import CheckReports
from core.adapters.task_queue import TaskQueue
from core.api import edge
from core.api.monitors.models import CheckResult
from tests.fleet import Fleet, Target
from tests.integration.api.conftest import make_caller


@pytest.fixture
def target() -> Iterator[Target]:
    served = Target()
    yield served
    served.close()


@pytest.fixture
def fleet(committed_database: str, valkey_url: str, tmp_path: Path) -> Iterator[Fleet]:
    quiet = {"CANARY_URLS": "none", "CANARY_NAMES": "none", "PRIVATE_TARGETS": "true"}
    running = Fleet(tmp_path, {"DATABASE_URL": committed_database, "REDIS_URL": valkey_url, **quiet})
    running.start("worker")
    yield running
    running.close()


@pytest.fixture
def broker(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The real ways to the fleet."""
    queue, reports = TaskQueue(valkey_url), CheckReports(valkey_url)
    monkeypatch.setattr(edge, "task_queue", lambda: queue)
    monkeypatch.setattr(edge, "check_reports", lambda: reports)
    monkeypatch.setattr(settings, "PRIVATE_TARGETS", True)
    yield
    queue.close()
    reports.close()


@pytest.mark.timeout(90)
def test_a_worker_answers_who_waits(fleet: Fleet, broker: None, target: Target) -> None:
    alice = make_caller("alice@example.com")
    site = alice.client.post(
        "/api/v1/websites/", {"name": "Shop", "url": target.url, "timeout_ms": 30_000, "interval_s": 3600}, format="json"
    ).json()

    answer = alice.client.post(f"/api/v1/websites/{site['id']}/check/")
    assert answer.status_code == 200, fleet.log("worker")
    report: dict[str, Any] = answer.json()
    assert (report["outcome"], report["reason"], report["state"], report["status_code"]) == ("up", "ok", "up", 200)
    assert (report["address"], report["http_version"], report["body_bytes"]) == ("127.0.0.1", "1.0", 2)
    assert report["hops"] == [{"url": target.url, "address": "127.0.0.1", "status_code": 200}]
    assert (report["tls_ms"], report["certificate"], report["joined"]) == (None, None, False)
    phases = [report[name] for name in ("dns_ms", "connect_ms", "first_byte_ms", "total_ms")]
    assert None not in phases
    assert max(phases) == report["total_ms"]

    target.status = 503
    again = alice.client.post(f"/api/v1/websites/{site['id']}/check/").json()
    assert (again["outcome"], again["reason"], again["detail"]) == ("down", "http_status", "status 503")
    assert CheckResult.objects.count() == target.requests == 2
    assert fleet.stop("worker") == 0
