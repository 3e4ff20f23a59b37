"""The tasks about what ends: certificates, and registrations of domains."""

from datetime import UTC, datetime

from core.checker.app import app
from core.checker.runtime import runtime
from core.flows import expiry
from core.logs import get_logger

log = get_logger(__name__)


@app.task(name="notify_expiries")
def notify_expiries() -> None:
    """Tell people of certificates and domains that end soon."""
    with runtime().pool.connection() as connection:
        alert_ids = expiry.notify(connection, datetime.now(UTC))
    runtime().queue.kick_alerts(alert_ids)
    if alert_ids:
        log.info("expiry.told", alerts=len(alert_ids))
