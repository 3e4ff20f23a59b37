"""A ping of our own to our own public address, as a job would send it."""

import http.client
import ssl
import urllib.error
import urllib.request
from functools import cached_property
from http import HTTPStatus
from typing import Final
from uuid import UUID

import certifi

from core.adapters.heartbeat_table import EdgeUnreachable, HeartbeatTable
from core.logs import get_logger

log = get_logger(__name__)

TIMEOUT_S: Final = 2.0
ATTEMPTS: Final = 2
NOBODY: Final = UUID(int=0)
"""The workspace of the canary's heartbeat: it has no row in PostgreSQL, so the core drops its pings."""

AGENT: Final = "uptimemonitor-canary"


class PingCanary:
    """Pings `{ping_url}/api/ping/{id}/`. Safe to share between threads."""

    def __init__(self, ping_url: str, table: HeartbeatTable, timeout_s: float = TIMEOUT_S) -> None:
        self._ping_url = ping_url.rstrip("/")
        self._table = table
        self._timeout_s = timeout_s
        self._complained = False

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=certifi.where())

    def is_well(self, canary_id: UUID) -> bool:
        """Whether a ping was taken now. One that fails is sent again at once: a single lost packet is no gap."""
        troubles = [self._attempt(canary_id)]
        while troubles[-1] and len(troubles) < ATTEMPTS:
            troubles.append(self._attempt(canary_id))
        if troubles[-1] and not self._complained:  # once, until it is well again
            log.warning("edge_canary.failed", url=self._ping_url, trouble=troubles[-1])
        self._complained = troubles[-1] is not None
        return troubles[-1] is None

    def _attempt(self, canary_id: UUID) -> str | None:
        """What went wrong, None if nothing."""
        try:
            status = self._ping(canary_id)
            if status == HTTPStatus.NOT_FOUND:
                self._table.provision(canary_id, NOBODY)
                status = self._ping(canary_id)
        except (OSError, http.client.HTTPException, EdgeUnreachable) as error:
            return f"{type(error).__name__}: {error}"
        if status in (HTTPStatus.OK, HTTPStatus.TOO_MANY_REQUESTS):  # a ping too many counts as alive
            return None
        return f"answered {int(status)}"

    def _ping(self, canary_id: UUID) -> int:
        request = urllib.request.Request(f"{self._ping_url}/api/ping/{canary_id}/", headers={"User-Agent": AGENT})
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s, context=self._tls) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refusal:
            refusal.close()
            return refusal.code
