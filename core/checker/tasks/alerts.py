"""The tasks of the alert loop."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from core.checker.app import app
from core.checker.edge import event_bus, relay
from core.checker.runtime import runtime
from core.flows import alert_metrics, alerts, routing


@app.task(name="handle_alert")
def handle_alert(*alert_ids: str) -> None:
    """Route alerts to the channels of their workspaces and publish the requests at once."""
    timeout = timedelta(seconds=runtime().settings.receipt_timeout_s)
    with runtime().pool.connection() as connection:
        routing.route_alerts(connection, map(UUID, alert_ids), datetime.now(UTC), timeout, runtime().queue.look_soon)
    relay()()


@app.task(name="sweep_outbox", autoretry_for=())
def sweep_outbox() -> None:
    """Route, request and publish what was left behind. It is not retried, the next sweep is."""
    timeout = timedelta(seconds=runtime().settings.receipt_timeout_s)
    for given_up in alerts.sweep(runtime().pool, event_bus(), datetime.now(UTC), timeout, runtime().queue.look_soon):
        alert_metrics.count(given_up)
