"""Checks websites: the name, the addresses, the transfer and every redirect, each hop judged like the first.

One engine belongs to one event loop. Names are resolved by our resolver only, and libcurl gets the addresses that have passed the
filter; the filter judges once more what libcurl is about to connect to.
"""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final

import certifi
import pycurl

from core.adapters.probe_addresses import AddressFilter
from core.adapters.probe_certificates import CertificateMemory, read_chain
from core.adapters.probe_check import Check
from core.adapters.probe_extras import carry_cookies, equip, examined, is_elsewhere
from core.adapters.probe_handle import Handle, PinNames
from core.adapters.probe_head import Head
from core.adapters.probe_kinds import registry
from core.adapters.probe_kinds.workbench import Workbench
from core.adapters.probe_names import OwnNames, unresolved
from core.adapters.probe_proxy import is_certificate_of_proxy, proxy_of, send_through, status_detail, told_apart
from core.adapters.probe_redirects import REDIRECTS, redirected
from core.adapters.probe_transfers import OK, Transfers, TransfersAborted
from core.adapters.probe_verdicts import UP, Failure, Verdict, down, ends_without_a_word, from_errno, has_route, judge, unknown
from core.adapters.resolver import Resolver
from core.domain.assertions import needs_certificate
from core.domain.outcomes import Outcome, Reason
from core.domain.probes import ProbeRequest, ProbeResult, clean_text, is_accepted
from core.domain.urls import BadUrl, NormalisedUrl, normalise

IDLE_HANDLES: Final = 512
"""Making one costs a tenth of a check. They take 6 kB each, less than they do while many more are in flight."""
_SHUTTING_DOWN: Final = unknown(Reason.SHUTTING_DOWN, "we are shutting down")


class ProbeEngine:
    """Makes checks on the running event loop, as many at once as are asked for.

    `private_targets` allows loopback, private and unique local addresses. `ca_file` holds the trusted authorities (PEM), those of
    certifi by default. The engine owns its resolver and closes it.
    """

    def __init__(
        self,
        resolver: Resolver,
        *,
        private_targets: bool,
        ca_file: str | None = None,
        has_route: Callable[[str], bool] = has_route,
    ) -> None:
        self._resolver = resolver
        self._transfers = Transfers(asyncio.get_running_loop())
        self._filter = AddressFilter(private_targets=private_targets, has_route=has_route)
        self._own_names = OwnNames(resolver, self._filter.refused, has_route)
        self._has_route = has_route
        self._ca_file = ca_file or certifi.where()
        self._certificates = CertificateMemory()
        self._idle: list[Handle] = []
        self._pin_names = PinNames()
        self._closed = False
        self._bench = Workbench(
            resolver=resolver,
            addresses=self._addresses,
            take=self._take,
            give_back=self._give_back,
            run=self._transfers.run,
            failed=self._failed,
            has_route=has_route,
        )

    async def probe(self, request: ProbeRequest) -> ProbeResult:
        """Make one check. Whatever happens is in the result; only cancelling raises."""
        check = Check(request)
        try:
            if not request.url.startswith("http") and registry.has(request.url):
                return check.result(await registry.probe(self._bench, check))
            url = normalise(request.url)
            while not isinstance(step := await self._hop(check, url), Verdict):
                url = step
        except BadUrl as error:
            step = unknown(Reason.INTERNAL, f"the URL cannot be checked: {error.message}")
        except TransfersAborted as error:
            step = _SHUTTING_DOWN if self._closed else unknown(Reason.INTERNAL, str(error))
        except pycurl.error as error:
            step = unknown(Reason.INTERNAL, f"libcurl refused the transfer: {error}")
        return check.result(step)

    async def close(self) -> None:
        """End what is in flight as unknown (shutting down) and let go of everything."""
        if self._closed:
            return
        self._closed = True
        self._transfers.abort("closed")
        self._bench.close()
        await self._resolver.close()
        await self._own_names.close()
        self._transfers.close()
        while self._idle:
            self._idle.pop().close()

    async def _hop(self, check: Check, url: NormalisedUrl) -> Verdict | NormalisedUrl:
        """One transfer to one URL: the verdict, or the URL that it redirects to."""
        check.address = check.status_code = check.http_version = None
        check.body_bytes = 0
        addresses = await self._addresses(check, url)
        if isinstance(addresses, Verdict):
            return addresses
        left_ms = check.left_ms()
        if left_ms <= 0:
            return down(Reason.TIMEOUT, "no time was left to connect")
        options = check.request.options
        handle = self._idle.pop() if self._idle else self._new_handle()
        try:
            handle.aim(
                url,
                check.behind or addresses,
                method=check.method,
                timeout_ms=left_ms,
                verify_tls=check.request.verify_tls,
                read_certificate=self._certificates.is_due(check.request.monitor_id, url, check.began)
                or _asks_for_certificate(check, url),
            )
            if options is not None:
                equip(handle, check, options, url)
                if options.proxy is not None:
                    send_through(handle, options.proxy, addresses)
            if check.cookies is not None:
                carry_cookies(handle, check, url)
            code, message = await self._transfers.run(handle.curl)
            step = self._after(check, url, handle, code, message)
        except BaseException:
            handle.close()
            raise
        self._give_back(handle)
        return step

    def _take(self) -> Handle:
        return self._idle.pop() if self._idle else self._new_handle()

    def _new_handle(self) -> Handle:
        return Handle(self._pin_names, self._filter.refused, self._ca_file)

    def _give_back(self, handle: Handle) -> None:
        if self._closed or len(self._idle) >= IDLE_HANDLES:
            handle.close()
        else:
            if handle.equipped:
                handle.strip()
            self._idle.append(handle)

    async def _addresses(self, check: Check, url: NormalisedUrl) -> list[str] | Verdict:
        if self._closed:
            return _SHUTTING_DOWN
        if check.request.options is not None:
            found = await self._own_names.addresses(check, check.request.options, url)
            return found if isinstance(found, Verdict) else self._filter.usable(found) or self._blocked(check, found[0])
        asked = monotonic()
        resolution = self._resolver.known(url.host)
        if resolution is None:
            resolution = await self._resolver.resolve(url.host, max(check.left_ms(), 1) / 1000)
        check.add_dns(monotonic() - asked)
        if resolution.reason is not Reason.OK:
            return unresolved(url.host, resolution)
        return self._filter.usable(resolution.addresses) or self._blocked(check, resolution.addresses[0])

    def _blocked(self, check: Check, address: str) -> Verdict:
        """The first hop and a proxy are the user's own setting, which says nothing about the target; a redirect is the target's doing."""
        check.address = address
        proxied = proxy_of(check) is not None
        outcome = Outcome.DOWN if check.redirects and not proxied else Outcome.UNKNOWN
        name = f"the proxy {address}" if proxied else address
        return Verdict(outcome, Reason.BLOCKED_ADDRESS, f"{name} is not allowed: {self._filter.refused(address)}")

    def _after(self, check: Check, url: NormalisedUrl, handle: Handle, code: int, message: str) -> Verdict | NormalisedUrl:
        check.address = handle.address
        check.status_code = handle.head.status_code
        check.http_version = handle.head.http_version
        check.body_bytes = handle.body_bytes
        connected = check.add_transfer(handle.curl, answered=handle.head.status_code is not None)
        if url.scheme == "https":
            self._see_certificate(check, url, handle, message if code == pycurl.E_PEER_FAILED_VERIFICATION else "")
        if code == OK or handle.stopped or _ended_with_the_connection(handle.head, code, message):
            return _answered(check, url, handle)
        if handle.head.bad_status_line is not None:
            return down(Reason.PROTOCOL_ERROR, f"not a status line: {handle.head.bad_status_line!r}")
        return self._failed(check, handle, code, message, url=url, connected=connected)

    def _failed(self, check: Check, handle: Handle, code: int, message: str, *, url: NormalisedUrl, connected: bool) -> Verdict:
        if handle.refused is not None and handle.address is not None:
            return self._blocked(check, handle.address)
        if handle.local_errno:
            return from_errno(handle.local_errno)
        self._certificates.forget(check.request.monitor_id, url)
        message = handle.told_without_our_name(message, url.host)
        verdict = judge(_failure(check, handle, code, message, connected=connected), self._has_route)
        proxy = proxy_of(check)
        return verdict if proxy is None else told_apart(verdict, proxy, url, handle.curl, code=code, message=message)

    def _see_certificate(self, check: Check, url: NormalisedUrl, handle: Handle, error: str) -> None:
        monitor_id = check.request.monitor_id
        chain = None
        if handle.reads_certificate and not is_certificate_of_proxy(check, handle.curl):
            error = clean_text(handle.told_without_our_name(error, url.host))
            chain = read_chain(handle.curl, url, verified=check.request.verify_tls, error=error)
            if chain is not None and chain.not_after is not None:
                self._certificates.learn(monitor_id, url, chain.not_after, check.began)
        check.see_certificate(chain, self._certificates.not_after(monitor_id, url))


def _answered(check: Check, url: NormalisedUrl, handle: Handle) -> Verdict | NormalisedUrl:
    request = check.request
    head = handle.head
    status = head.status_code
    if status is None or not head.is_complete:
        return down(Reason.PROTOCOL_ERROR, "the answer ended within its head")
    if request.follow_redirects and status in REDIRECTS and head.location:
        return redirected(check, url, status, head)
    if is_accepted(status, request.accepted_status):
        return UP if request.options is None else examined(check, request.options, url, handle)
    return down(Reason.HTTP_STATUS, status_detail(check, status))


def _asks_for_certificate(check: Check, url: NormalisedUrl) -> bool:
    options = check.request.options
    if options is None:
        return check.request.shows_certificate
    return check.request.shows_certificate or needs_certificate(options.assertions) or is_elsewhere(check, url)


def _ended_with_the_connection(head: Head, code: int, message: str) -> bool:
    return head.is_complete and not head.is_delimited and ends_without_a_word(code, message)


def _failure(check: Check, handle: Handle, code: int, message: str, *, connected: bool) -> Failure:
    return Failure(
        code=code,
        message=message,
        answered=handle.head.status_code is not None,
        errno=handle.curl.getinfo(pycurl.OS_ERRNO),
        connected=connected,
        address=handle.address,
        verify_result=handle.curl.getinfo(pycurl.SSL_VERIFYRESULT),
        certificate_not_after=check.certificate_not_after,
        at=check.started_at,
    )
