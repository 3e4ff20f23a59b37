"""The dead letters of an installation, by the noun of their queue."""

from core.adapters.dead_letters import DeadLetters
from core.adapters.queues import QueueUnreachable as QueueUnreachable  # noqa: PLC0414  (what they raise)
from core.adapters.queues import sqs_client
from core.contracts.names import Names


def dead_letters(names: Names, region: str) -> dict[str, DeadLetters]:
    """Those of every queue that has some."""
    client = sqs_client(region)
    queues = {"pings": names.pings_queue, "receipts": names.receipts_queue, "alerts": names.alerts_queue}
    return {noun: DeadLetters(client, queue) for noun, queue in queues.items()}
