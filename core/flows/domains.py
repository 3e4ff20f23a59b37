"""Asks registries when the domains of websites end: each domain once a day, however many websites watch it.

Invariant: a domain is asked about by one worker at a time, because asking begins with a claim that moves its next time on. What a
registry said stays until it says something else; that it cannot be asked is told in the API, to nobody else.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from core.adapters.database import Pool
from core.adapters.rdap import AskedTooOften, LookupFailed, Rdap
from core.adapters.store import domains as store
from core.domain.registrations import Registration, next_asked_at, paused_until
from core.logs import get_logger

log = get_logger(__name__)

LEASE: Final = timedelta(hours=1)
LONGEST_RUN_S: Final = 60.0
BETWEEN_S: Final = 1.0
"""Seconds between two questions to one server."""

SPREAD: Final = timedelta(minutes=10)
"""Over how long those are spread that had to wait for the same moment."""

NO_SERVER: Final = "the registry of this top level domain has no RDAP server"


@dataclass(slots=True)
class DomainRound:
    """One round of questions. `paused` are servers that want to be left alone, `asked` when each was asked last (monotonic)."""

    pool: Pool
    rdap: Rdap
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    draw: Callable[[], float] = random.random
    sleep: Callable[[float], None] = time.sleep
    paused: dict[str, datetime] = field(default_factory=dict)
    asked: dict[str, float] = field(default_factory=dict)

    def run(self) -> int:
        """Ask about the domains that are due, for a minute at most; returns how many. The rest waits for the next round."""
        began, count = time.monotonic(), 0
        with self.pool.connection() as connection:
            store.keep_in_step(connection, self.now())
            self.paused |= store.paused_servers(connection, self.now())
        while time.monotonic() - began < LONGEST_RUN_S and (claimed := self._claim()):
            count += self._ask(*claimed)
        return count

    def _claim(self) -> tuple[str, int] | None:
        with self.pool.connection() as connection:
            return store.claim(connection, self.now(), LEASE)

    def _ask(self, name: str, failures: int) -> bool:
        """Ask about one domain and store the answer; False if its server wants to be left alone."""
        server = self.rdap.server_of(name)
        if server is None:
            self._failed(name, "", failures, LookupFailed(NO_SERVER))
            return True
        if until := self.paused.get(server):
            with self.pool.connection() as connection:
                store.postpone(connection, name, until + self.draw() * SPREAD)
            return False
        self._be_polite(server)
        try:
            self._answered(name, server, self.rdap.look_up(server, name))
        except LookupFailed as error:
            self._failed(name, server, failures, error)
        return True

    def _be_polite(self, server: str) -> None:
        if server in self.asked:
            self.sleep(max(self.asked[server] + BETWEEN_S - time.monotonic(), 0.0))
        self.asked[server] = time.monotonic()

    def _answered(self, name: str, server: str, found: Registration) -> None:
        now = self.now()
        next_at = next_asked_at(now, 0, self.draw())
        with self.pool.connection() as connection:
            store.answered(
                connection, name, server=server, ends_at=found.ends_at, registrar=found.registrar, now=now, next_at=next_at
            )

    def _failed(self, name: str, server: str, failures: int, error: LookupFailed) -> None:
        now = self.now()
        next_at, pause = next_asked_at(now, failures + 1, self.draw()), None
        if isinstance(error, AskedTooOften):
            pause = self.paused[server] = paused_until(error.retry_after, now)
            next_at = max(next_at, pause)
        log.info("domains.unknown", domain=name, server=server, error=str(error))
        with self.pool.connection() as connection:
            store.failed(connection, name, server=server, failure=str(error), now=now, next_at=next_at, paused_until=pause)
