"""The tasks of the website loop."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from celery import Task

from core.checker.app import app
from core.checker.beat import AHEAD_HEADER
from core.checker.dispatch import dispatch_due, follow_clock
from core.checker.runtime import runtime
from core.flows.websites import Claim


@app.task(name="check_due_websites", bind=True, autoretry_for=())
def check_due_websites(task: Task[Any, Any]) -> None:
    """The tick: send what is due to the workers. It is not retried, the next tick is."""
    now, ahead_s = datetime.now(UTC), (task.request.headers or {}).get(AHEAD_HEADER)
    follow_clock(runtime().pool, runtime().clock, now)
    dispatch_due(runtime().pool, runtime().queue, now, runtime().pacer, ahead_s)


@app.task(name="check_websites")
def check_websites(ids: list[int], lease_id: str) -> None:
    """Check a batch of websites (bigint ids) under their lease. It ends when they are on the loop; results follow by the flush."""
    runtime().check(Claim(UUID(lease_id), ids))


@app.task(name="check_single_website", ignore_result=False)
def check_single_website(website_id: str) -> bool:
    """Check one website (its public id) now; False when it is paused, gone or being checked already. The result is kept for a day."""
    return runtime().check_one(UUID(website_id))
