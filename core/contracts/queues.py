"""The queues of one environment and the rules that fill them: the same on AWS and on one box."""

from dataclasses import dataclass
from typing import Final

from core.contracts.names import Names
from core.contracts.tasks import QUEUES

DISPATCH_TIMEOUT_S: Final = 30
"""Time that alert_dispatch gets for one invocation."""

MAIL_TIMEOUT_S: Final = 30
"""Time that the ping Lambda gets for one mail."""

TASK_VISIBILITY_S: Final = 300
"""How long a task that a worker has taken is nobody else's; Celery must know the same."""

RETENTION_S: Final = 14 * 86_400
"""How long messages and dead letters are kept: as long as SQS can."""


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue, which events go to it, and when a message that nobody can handle goes to its dead letters."""

    name: str
    rule: str
    detail_types: tuple[str, ...]
    visibility_s: int
    max_receives: int


def queues(names: Names) -> tuple[Queue, ...]:
    """The queues behind the bus. Visibility is six times what its consumer may take; alerts are tried for hours."""
    return (
        Queue(names.pings_queue, "pings", ("HeartbeatPinged",), 60, 5),
        Queue(names.alerts_queue, "alerts", ("AlertRequested",), 6 * DISPATCH_TIMEOUT_S, 60),
        Queue(names.receipts_queue, "receipts", ("AlertDelivered", "AlertFailed"), 60, 5),
    )


def mail_events(names: Names) -> Queue:
    """What SES says on the default bus of mail that it sent."""
    return Queue(names.mail_events_queue, "mail-events", ("Email Bounced", "Email Complaint Received"), 60, 5)


def mails(names: Names) -> Queue:
    """What SES says by its topic of mail that it received; no rule of a bus fills this one. Tried for two and a half hours."""
    return Queue(names.mails_queue, "", (), 6 * MAIL_TIMEOUT_S, 50)


def tasks(names: Names) -> tuple[Queue, ...]:
    """Celery's queues, where SQS carries its tasks. What is lost with a task is found by a sweep, so few tries are enough."""
    return tuple(Queue(f"{names.tasks_prefix}{name}", "", (), TASK_VISIBILITY_S, 5) for name in QUEUES)
