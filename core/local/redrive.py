"""The dead letters of an installation, by the noun of their queue."""

from collections.abc import Mapping
from typing import Final

from core.adapters.dead_letters import DeadLetters, NoSuchQueue
from core.adapters.queues import QueueUnreachable as QueueUnreachable  # noqa: PLC0414  (what they raise)
from core.adapters.queues import sqs_client
from core.contracts.names import Names

OPTIONAL: Final = frozenset({"mails"})
"""Queues that an installation may lack: one box, and whoever receives no mail."""


def dead_letters(names: Names, region: str) -> dict[str, DeadLetters]:
    """Those of every queue that has some."""
    client = sqs_client(region)
    queues = {
        "pings": names.pings_queue,
        "receipts": names.receipts_queue,
        "alerts": names.alerts_queue,
        "mails": names.mails_queue,
    }
    return {noun: DeadLetters(client, queue) for noun, queue in queues.items()}


def counts(found: Mapping[str, DeadLetters]) -> dict[str, int]:
    """How many there are, of every queue that there is.

    Raises:
        QueueUnreachable: SQS does not answer, or lacks a queue that every installation has.
    """
    counted: dict[str, int] = {}
    for noun, letters in found.items():
        try:
            counted[noun] = letters.count()
        except NoSuchQueue:
            if noun not in OPTIONAL:
                raise
    return counted
