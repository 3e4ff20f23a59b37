"""The task about websites that are up, but slow."""

from datetime import UTC, datetime

from core.checker.app import app
from core.checker.runtime import runtime
from core.flows import slowness
from core.logs import get_logger

log = get_logger(__name__)


@app.task(name="notify_slowness", autoretry_for=())
def notify_slowness() -> None:
    """Tell people of websites that became slow, or fast again. It is not retried, the next run is."""
    with runtime().pool.connection() as connection:
        alert_ids = slowness.notify(connection, datetime.now(UTC))
    runtime().queue.kick_alerts(alert_ids)
    if alert_ids:
        log.info("slowness.told", alerts=len(alert_ids))
