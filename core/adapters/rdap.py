"""Asks registries about domains over RDAP (RFC 9082): the server for each top level domain is in IANA's list (RFC 9224).

A copy of the list is part of this package. A newer one is fetched now and then where the network allows; where it does not, the
copy is good for years.
"""

import threading
import time
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any, Final

import msgspec

from core.adapters import guarded_http
from core.adapters.guarded_http import RequestFailed
from core.domain.registrations import NoRegistration, Registration, read_registration
from core.logs import get_logger

log = get_logger(__name__)

REFRESH_S: Final = 7 * 86_400.0
REFRESH_RETRY_S: Final = 86_400.0
TIMEOUT_S: Final = 10.0
HEADERS: Final = {"Accept": "application/rdap+json, application/json", "User-Agent": "uptimemonitor (domain expiry)"}
_OK: Final = 200
_NOT_FOUND: Final = 404
_TOO_MANY: Final = 429


class LookupFailed(Exception):
    """The registry did not say when the domain ends; the message says why, for people."""


class AskedTooOften(LookupFailed):
    """The registry wants to be left alone; `retry_after` is its header, if there was one."""

    def __init__(self, retry_after: str | None) -> None:
        super().__init__("the registry limits how often it is asked")
        self.retry_after = retry_after


class Rdap:
    """Safe to share between threads. `private_targets` allows servers on loopback and private addresses."""

    def __init__(self, bootstrap_url: str, *, private_targets: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._bootstrap_url = bootstrap_url
        self._private_targets = private_targets
        self._clock = clock
        self._lock = threading.Lock()
        self._servers: Mapping[str, str] = {}
        self._refresh_at = clock()

    def server_of(self, domain: str) -> str | None:
        """The base URL of the server that knows about a domain (ASCII), with a slash at its end; None where the registry has none."""
        servers = self._current_servers()
        labels = domain.split(".")
        return next((servers[suffix] for place in range(1, len(labels)) if (suffix := ".".join(labels[place:])) in servers), None)

    def look_up(self, server: str, domain: str) -> Registration:
        """Ask a server about a domain.

        Raises:
            AskedTooOften, LookupFailed: it did not say.
        """
        try:
            answer = self._get(f"{server}domain/{domain}")
        except RequestFailed as error:
            raise LookupFailed(f"the registry cannot be reached: {error}") from error
        if answer.status == _TOO_MANY:
            raise AskedTooOften(answer.headers.get("retry-after"))
        if answer.status == _NOT_FOUND:
            raise LookupFailed("the registry does not know the domain")
        if answer.status != _OK:
            raise LookupFailed(f"the registry answered with status {answer.status}")
        try:
            return read_registration(msgspec.json.decode(answer.body))
        except (msgspec.DecodeError, RecursionError) as error:
            raise LookupFailed("the answer of the registry is not JSON") from error
        except NoRegistration as error:
            raise LookupFailed(str(error)) from error

    def _get(self, url: str) -> guarded_http.Answer:
        return guarded_http.get(url, HEADERS, timeout_s=TIMEOUT_S, private_targets=self._private_targets)

    def _current_servers(self) -> Mapping[str, str]:
        with self._lock:
            if not self._servers:
                self._servers = read_bootstrap(files("core.adapters").joinpath("rdap_bootstrap.json").read_bytes())
            if self._clock() >= self._refresh_at:
                self._refresh_at = self._clock() + (REFRESH_S if self._refreshed() else REFRESH_RETRY_S)
            return self._servers

    def _refreshed(self) -> bool:
        """Whether a newer list came; what is not plausible is not taken."""
        try:
            self._servers = read_bootstrap(self._get(self._bootstrap_url).body)
        except (RequestFailed, ValueError) as error:
            log.info("rdap.bootstrap_kept", error=str(error))
            return False
        return True


def read_bootstrap(text: bytes) -> Mapping[str, str]:
    """The server of each suffix, by IANA's file; of several the first with https.

    Raises:
        ValueError: not such a file.
    """
    try:
        services: Any = msgspec.json.decode(text)["services"]
        servers = {str(suffix).lower(): _preferred(urls) for suffixes, urls in services for suffix in suffixes}
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise ValueError(f"not a bootstrap file: {error}") from error
    if not servers:
        raise ValueError("a bootstrap file without any server")
    return servers


def _preferred(urls: list[str]) -> str:
    url = next((url for url in urls if url.startswith("https:")), urls[0])
    return url if url.endswith("/") else f"{url}/"
