"""`tls://host:port`: a handshake, and the certificate that is shown in it. Nothing is said afterwards, so any service will do."""

from core.adapters.probe_check import Check
from core.adapters.probe_kinds.answers import judged
from core.adapters.probe_kinds.workbench import Workbench
from core.adapters.probe_transfers import OK
from core.adapters.probe_verdicts import UP, Verdict
from core.domain.urls import NormalisedUrl


async def probe(bench: Workbench, check: Check, url: NormalisedUrl) -> Verdict:
    """Shake hands."""
    host = f"[{url.host}]" if ":" in url.host else url.host
    secure = NormalisedUrl(f"https://{host}:{url.port}/", "https", url.host, url.port)
    verdict = await bench.call(check, secure, lambda _: None, lambda _, code, __: UP if code == OK else None)
    return judged(check, verdict)
