"""Which kind of check belongs to which scheme. HTTP is not among them: it is the engine itself."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from core.adapters.probe_check import Check
from core.adapters.probe_kinds import dns, ftp, imap, smtp, tcp, tls, websocket
from core.adapters.probe_kinds.workbench import ProbeKind, Workbench
from core.adapters.probe_verdicts import Verdict
from core.domain.schemes import normalise_target, scheme_of

KINDS: Final[Mapping[str, ProbeKind]] = MappingProxyType(
    {
        "tcp": tcp.probe,
        "tls": tls.probe,
        "dns": dns.probe,
        "smtp": smtp.probe,
        "smtps": smtp.probe,
        "imap": imap.probe,
        "imaps": imap.probe,
        "ftp": ftp.probe,
        "ftps": ftp.probe,
        "ws": websocket.probe,
        "wss": websocket.probe,
    }
)


def has(url: str) -> bool:
    """Whether the URL is of one of these kinds."""
    return scheme_of(url) in KINDS


async def probe(bench: Workbench, check: Check) -> Verdict:
    """Make a check of one of these kinds.

    Raises:
        BadUrl: the URL cannot be checked.
        TransfersAborted: the engine was closed.
    """
    url = normalise_target(check.request.url)
    return await KINDS[url.scheme](bench, check, url)
