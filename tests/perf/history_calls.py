"""Calls of the API about the one heartbeat of a database: `python -m tests.perf.history_calls DSN PID COUNT`, one line of JSON.

A process of its own, because Django reads where its database is when it is first loaded.
"""

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.perf.settings import SETTINGS


def main(dsn: str, database: int, count: int) -> dict[str, dict[str, float]]:
    """CPU and clock of each kind of call."""
    os.environ.update({**SETTINGS, "DATABASE_URL": dsn, "DJANGO_SETTINGS_MODULE": "core.api.settings"})
    import django  # noqa: PLC0415  (reads the environment)

    django.setup()
    from rest_framework.test import APIClient  # noqa: PLC0415  (needs Django set up)

    from core.api.accounts.models import Workspace  # noqa: PLC0415
    from core.api.accounts.services import api_key_create  # noqa: PLC0415
    from core.api.monitors.models import Monitor  # noqa: PLC0415
    from tests.perf.bench_history import measured  # noqa: PLC0415

    _, secret = api_key_create(workspace=Workspace.objects.get(), name="bench", role="viewer", created_by=None)
    client = APIClient(headers={"X-Api-Key": secret})
    address = f"/api/v1/heartbeats/{Monitor.objects.get().uid}/"
    now = datetime.now(UTC)
    queries = {
        "statistics": ("statistics/", {}),
        "first_page": ("pings/", {}),
        "page_a_month_back": ("pings/", {"until": (now - timedelta(days=30)).isoformat()}),
        "failures": ("pings/", {"kind": "fail"}),
    }

    def call(path: str, parameters: dict[str, Any]) -> None:
        answer = client.get(address + path, parameters)
        if answer.status_code != 200:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.content!r}")

    return {what: measured(lambda query=query: call(*query), count, {"postgres": database}) for what, query in queries.items()}  # type: ignore[misc]  # mypy does not see through the default


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))) + "\n")
