"""`imap://` and `imaps://`: the greeting of a mail server and what it can do (CAPABILITY); no mailbox is ever opened."""

from typing import Final

import pycurl

from core.adapters.probe_check import Check
from core.adapters.probe_kinds.greeting import Service, greeted
from core.adapters.probe_kinds.workbench import Workbench
from core.adapters.probe_verdicts import Verdict, down
from core.domain.outcomes import Reason
from core.domain.urls import NormalisedUrl

_WELCOMES: Final = (b"* OK", b"* PREAUTH")
_REFUSES: Final = b"* BYE"


def _untagged(line: bytes) -> Verdict | None:
    """RFC 9051, section 7.1."""
    upper, shown = line.upper(), line.decode(errors="replace").strip()
    if upper.startswith(_WELCOMES):
        return None
    if upper.startswith(_REFUSES):
        return down(Reason.SERVICE_REFUSED, shown)
    return down(Reason.PROTOCOL_ERROR, f"not a greeting: {shown!r}")


_SERVICE: Final = Service(pycurl.PROTO_IMAP | pycurl.PROTO_IMAPS, _untagged, login_options="AUTH=+LOGIN")
"""With the command LOGIN, which every server has."""


async def probe(bench: Workbench, check: Check, url: NormalisedUrl) -> Verdict:
    """Ask for capabilities."""
    return await greeted(bench, check, url, _SERVICE)
