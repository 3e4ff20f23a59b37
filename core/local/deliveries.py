"""The messages about an incident, from PostgreSQL and the dead letters of the queues."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final
from uuid import UUID

import msgspec
import psycopg

from core.adapters.dead_letters import DeadLetter
from core.contracts.names import Names
from core.domain.alert_history import History, Letter
from core.flows.histories import incident_history
from core.local import redrive

QUEUES: Final = ("alerts", "receipts")
MOST_LETTERS: Final = 1000


class _Data(msgspec.Struct):
    delivery_id: UUID


class _Detail(msgspec.Struct):
    data: _Data


class _Event(msgspec.Struct):
    """The part of an event in a queue that says which delivery it is about."""

    detail: _Detail


def explain(url: str, incident_id: UUID, names: Names, region: str, complain: Callable[[str], None]) -> History | None:
    """The history of an incident; None where there is no such one. Queues that cannot be read are complained about and left out."""

    def letters(deliveries: Collection[UUID]) -> Sequence[Letter]:
        return [letter for queue in QUEUES for letter in _letters(queue, deliveries, names, region, complain)]

    with psycopg.connect(url, options="-c timezone=UTC") as connection:
        return incident_history(connection, incident_id, letters)


def _letters(
    queue: str, deliveries: Collection[UUID], names: Names, region: str, complain: Callable[[str], None]
) -> Iterator[Letter]:
    try:
        found = redrive.dead_letters(names, region)[queue].look(MOST_LETTERS)
    except redrive.QueueUnreachable as error:
        complain(f"the dead letters of {queue} are not known: {error}")
        return
    for letter in found:
        delivery_id = _delivery_of(letter)
        if delivery_id and delivery_id in deliveries:
            yield Letter(queue, delivery_id, letter.sent_at, letter.received)


def _delivery_of(letter: DeadLetter) -> UUID | None:
    """Which delivery a letter is about; None where it cannot be read, which may be why it is here."""
    try:
        return msgspec.json.decode(letter.body, type=_Event).detail.data.delivery_id
    except msgspec.MsgspecError:
        return None
