"""The tasks about what ends: certificates, and registrations of domains."""

from datetime import UTC, datetime
from functools import cache

from core.adapters.rdap import Rdap
from core.checker.app import app
from core.checker.runtime import runtime
from core.flows import expiry
from core.flows.domains import DomainRound
from core.logs import get_logger

log = get_logger(__name__)


@cache
def rdap() -> Rdap:
    """The list of registries, kept for the life of the process."""
    settings = runtime().settings
    return Rdap(settings.rdap_bootstrap_url, private_targets=settings.private_targets)


@app.task(name="look_up_domains", autoretry_for=())
def look_up_domains() -> None:
    """Ask registries about the domains that are due. It is not retried, the next run is."""
    if runtime().settings.domain_expiry and (asked := DomainRound(runtime().pool, rdap()).run()):
        log.info("domains.asked", domains=asked)


@app.task(name="notify_expiries")
def notify_expiries() -> None:
    """Tell people of certificates and domains that end soon."""
    with runtime().pool.connection() as connection:
        alert_ids = expiry.notify(connection, datetime.now(UTC))
    runtime().queue.kick_alerts(alert_ids)
    if alert_ids:
        log.info("expiry.told", alerts=len(alert_ids))
