"""Why people were told of an incident, or were not. Reads only."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from uuid import UUID

from core.adapters.database import Connection
from core.adapters.store import histories as store
from core.domain.alert_history import History, Letter, history

type FindLetters = Callable[[Collection[UUID]], Sequence[Letter]]
"""Finds the dead letters about these deliveries."""


def no_letters(_deliveries: Collection[UUID]) -> Sequence[Letter]:
    """For whoever has no access to the queues."""
    return ()


def incident_history(connection: Connection, incident_id: UUID, letters: FindLetters = no_letters) -> History | None:
    """The steps of an incident; None where there is no such one."""
    known = store.known(connection, incident_id)
    if known is None:
        return None
    return history(replace(known, letters=letters({message.id for message in known.messages})))
