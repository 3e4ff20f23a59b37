"""The whole of one check, for somebody who waits for it. What the stored row has no place for is told here and nowhere else."""

from core.contracts.check_reports import CheckReport, Hop, ShownCertificate
from core.domain.certificates import SeenChain
from core.domain.outcomes import MonitorState
from core.domain.probes import ProbeResult
from core.flows.certificates import chain_facts
from core.flows.websites import Finished


def check_report(done: Finished, state: MonitorState) -> CheckReport:
    """The report of a check that was stored, and left the website in `state`."""
    found = done.result
    return CheckReport(
        website=done.job.monitor.uid,
        started_at=found.started_at,
        outcome=found.outcome.label,
        reason=found.reason.label,
        detail=found.detail,
        state=state.value,
        status_code=found.status_code,
        dns_ms=_milliseconds(found.dns_us),
        connect_ms=_milliseconds(found.connect_us),
        tls_ms=_milliseconds(found.tls_us),
        first_byte_ms=_milliseconds(found.first_byte_us),
        total_ms=_milliseconds(found.total_us),
        address=found.address,
        http_version=found.http_version,
        body_bytes=None if found.status_code is None else found.body_bytes,
        hops=_hops(done.job.request.url, found),
        is_downgraded=found.is_downgraded,
        certificate=_certificate(found.certificate) if found.certificate else None,
        joined=not done.job.request.shows_certificate,
    )


def _hops(url: str, found: ProbeResult) -> tuple[Hop, ...]:
    """The answers that redirected, then the request that was judged."""
    redirects = [Hop(url=hop.url, address=hop.address, status_code=hop.status_code) for hop in found.hops]
    judged = found.redirects[-1] if found.redirects else url
    return (*redirects, Hop(url=judged, address=found.address, status_code=found.status_code))


def _certificate(seen: SeenChain) -> ShownCertificate:
    valid = not seen.error if seen.verified else None
    return ShownCertificate(host=seen.host, port=seen.port, valid=valid, error=seen.error, chain=chain_facts(seen))


def _milliseconds(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds / 1000
