"""One check on its way: what it has cost so far, and where it has been."""

from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import pycurl

from core.adapters.probe_cookies import CookieMemory
from core.adapters.probe_verdicts import Verdict
from core.domain.certificates import SeenChain
from core.domain.probes import Hop, ProbeRequest, ProbeResult, clean_text


class Check:
    """Starts when it is made. The attributes are those of the result; `method` may change on the way.

    `behind` are the addresses of the target that a proxy is told, where it is told one.
    """

    __slots__ = (
        "address",
        "began",
        "behind",
        "body_bytes",
        "certificate",
        "certificate_not_after",
        "connect_us",
        "cookies",
        "dns_us",
        "first_byte_us",
        "first_end",
        "hops",
        "http_version",
        "is_downgraded",
        "method",
        "redirects",
        "request",
        "started_at",
        "status_code",
        "tls_us",
    )

    first_end: datetime | None  # set by the first hop that is TLS

    def __init__(self, request: ProbeRequest) -> None:
        self.request = request
        self.method = request.method
        self.started_at = datetime.now(UTC)
        self.began = monotonic()
        self.redirects: list[str] = []
        self.hops: list[Hop] = []
        self.is_downgraded = False
        self.cookies: CookieMemory | None = None
        self.http_version: str | None = None
        self.behind: tuple[str, ...] = ()
        self.body_bytes = 0
        self.address: str | None = None
        self.status_code: int | None = None
        self.certificate: SeenChain | None = None
        self.certificate_not_after: datetime | None = None
        self.dns_us: int | None = None
        self.connect_us: int | None = None
        self.tls_us: int | None = None
        self.first_byte_us: int | None = None

    def left_ms(self) -> int:
        """Milliseconds until the time-out of the whole check."""
        return self.request.timeout_ms - int((monotonic() - self.began) * 1000)

    def add_dns(self, seconds: float) -> None:
        """Add the time that a name took."""
        self.dns_us = (self.dns_us or 0) + int(seconds * 1_000_000)

    def add_transfer(self, curl: Any, *, answered: bool) -> bool:
        """Add the phases of one hop (libcurl counts each from the start of the transfer). Returns whether it was connected."""
        connected = curl.getinfo(pycurl.CONNECT_TIME_T)
        if not connected:
            return False
        self.connect_us = (self.connect_us or 0) + connected - curl.getinfo(pycurl.NAMELOOKUP_TIME_T)
        if secured := curl.getinfo(pycurl.APPCONNECT_TIME_T):
            self.tls_us = (self.tls_us or 0) + secured - connected
        if answered:
            waited = curl.getinfo(pycurl.STARTTRANSFER_TIME_T) - curl.getinfo(pycurl.PRETRANSFER_TIME_T)
            self.first_byte_us = (self.first_byte_us or 0) + waited
        return True

    def leave(self, url: str, following: str, status: int, cookies: Sequence[bytes]) -> None:
        """Go on from `url`, which has redirected with `status` and `cookies`. The method changes as RFC 9110 has it."""
        self.redirects.append(following)
        self.hops.append(Hop(url, self.address, status))
        if cookies:
            self.cookies = self.cookies or CookieMemory()
            self.cookies.learn(url, cookies)
        if (status == 303 and self.method != "HEAD") or (status in (301, 302) and self.method == "POST"):  # noqa: PLR2004  (of the RFC)
            self.method = "GET"

    def see_certificate(self, chain: SeenChain | None, not_after: datetime | None) -> None:
        """A hop was TLS: its chain, if it was read, and the end of its certificate, if it is known.

        Of several hops the one whose certificate ends first is the website's, or the one that was refused, which is the last.
        """
        is_first = self.certificate_not_after is None
        self.certificate_not_after = not_after
        refused = chain is not None and chain.error
        if is_first or refused or (not_after is not None and (self.first_end is None or not_after < self.first_end)):
            self.first_end = not_after
            self.certificate = chain

    def result(self, verdict: Verdict) -> ProbeResult:
        """The check has ended."""
        return ProbeResult(
            outcome=verdict.outcome,
            reason=verdict.reason,
            started_at=self.started_at,
            status_code=self.status_code,
            detail=clean_text(verdict.detail) if verdict.detail else "",
            dns_us=self.dns_us,
            connect_us=self.connect_us,
            tls_us=self.tls_us,
            first_byte_us=self.first_byte_us,
            total_us=int((monotonic() - self.began) * 1_000_000),
            address=self.address,
            redirects=tuple(self.redirects),
            hops=tuple(self.hops),
            is_downgraded=self.is_downgraded,
            http_version=self.http_version,
            body_bytes=self.body_bytes,
            certificate_not_after=self.certificate_not_after,
            certificate=self.certificate,
        )
