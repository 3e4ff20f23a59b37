"""The tasks of the heartbeat loop."""

from datetime import UTC, datetime
from uuid import UUID

from core.checker import heartbeats
from core.checker.app import app


@app.task(name="check_due_heartbeats", autoretry_for=())
def check_due_heartbeats() -> None:
    """The tick: judge every heartbeat whose deadline has passed. It is not retried, the next tick is."""
    heartbeats.judge_all(datetime.now(UTC))


@app.task(name="check_single_heartbeat")
def check_single_heartbeat(monitor_id: str) -> None:
    """Judge one heartbeat (its public id), if its deadline has passed."""
    heartbeats.judge_one(UUID(monitor_id), datetime.now(UTC))


@app.task(name="process_ping")
def process_ping(detail: str) -> None:
    """Store one ping, the `detail` of a HeartbeatPinged as JSON. The inbox does the same in batches."""
    heartbeats.process(detail, datetime.now(UTC))


@app.task(name="watch_edge", autoretry_for=())
def watch_edge() -> None:
    """Ping our own public address: what is known of the edge decides whose silence counts. It is not retried, the next look is."""
    heartbeats.watch_edge()


@app.task(name="reconcile_edge", autoretry_for=())
def reconcile_edge() -> None:
    """Make what is missing at the edge, and remove what belongs to nothing there. It is not retried, the next run is."""
    heartbeats.reconcile(datetime.now(UTC))


@app.task(name="sweep_pending_pings", autoretry_for=())
def sweep_pending_pings() -> None:
    """Publish pings again that the core should have stored by now. It is not retried, the next sweep is."""
    heartbeats.sweep(datetime.now(UTC))
