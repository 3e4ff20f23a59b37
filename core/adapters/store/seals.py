"""What is sealed with the keys of the channel vault, in SQL. Every function works inside the caller's transaction."""

from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

from core.adapters.database import Connection

FIRST_CHANNEL: Final = UUID(int=0)
FIRST_WEBSITE: Final = 0
"""Below any id."""

CHANNELS: Final = """
    SELECT id, config_ciphertext FROM channel WHERE id > %(after)s ORDER BY id LIMIT %(limit)s
"""

WEBSITES: Final = """
    SELECT monitor_id, sealed_options FROM website WHERE monitor_id > %(after)s AND sealed_options IS NOT NULL
    ORDER BY monitor_id LIMIT %(limit)s
"""

RENEW_CHANNELS: Final = """
    UPDATE channel c SET config_ciphertext = r.after
    FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS r (id, before, after)
    WHERE c.id = r.id AND c.config_ciphertext = r.before
"""

RENEW_WEBSITES: Final = """
    UPDATE website w SET sealed_options = r.after
    FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS r (id, before, after)
    WHERE w.monitor_id = r.id AND w.sealed_options = r.before
"""


class Sealed[Id](NamedTuple):
    """A ciphertext, and whose it is."""

    id: Id
    ciphertext: str


class Renewed[Id](NamedTuple):
    """A ciphertext and the one that is to take its place, which says the same."""

    id: Id
    before: str
    after: str


def channels(connection: Connection, after: UUID, limit: int) -> list[Sealed[UUID]]:
    """The configurations of channels whose ids come after this one."""
    return [Sealed(*row) for row in connection.execute(CHANNELS, {"after": after, "limit": limit}).fetchall()]


def websites(connection: Connection, after: int, limit: int) -> list[Sealed[int]]:
    """The options of websites that have secrets among them."""
    return [Sealed(*row) for row in connection.execute(WEBSITES, {"after": after, "limit": limit}).fetchall()]


def renew_channels(connection: Connection, renewed: Sequence[Renewed[UUID]]) -> int:
    """Replace ciphertexts that are still the same; how many were. No version changes: the configuration is the same."""
    return connection.execute(RENEW_CHANNELS, _columns(renewed)).rowcount


def renew_websites(connection: Connection, renewed: Sequence[Renewed[int]]) -> int:
    """As above. No check under way is fenced: the options are the same."""
    return connection.execute(RENEW_WEBSITES, _columns(renewed)).rowcount


def _columns[Id](renewed: Sequence[Renewed[Id]]) -> tuple[list[Id], list[str], list[str]]:
    return [one.id for one in renewed], [one.before for one in renewed], [one.after for one in renewed]
