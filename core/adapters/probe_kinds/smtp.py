"""`smtp://` and `smtps://`: the greeting of a mail server and what it can do (EHLO); no message is ever begun."""

from typing import Final

import pycurl

from core.adapters.probe_check import Check
from core.adapters.probe_kinds.greeting import Service, greeted, numbered
from core.adapters.probe_kinds.workbench import Workbench
from core.adapters.probe_verdicts import Verdict
from core.domain.urls import NormalisedUrl

CALLED: Final = "uptimemonitor.invalid"
"""How we call ourselves; libcurl would tell the name of this machine."""
_SERVICE: Final = Service(
    pycurl.PROTO_SMTP | pycurl.PROTO_SMTPS, numbered, login_options="AUTH=PLAIN;AUTH=LOGIN;AUTH=CRAM-MD5", lets_in=b"235"
)
"""Where a server offers no way to log in, libcurl goes on without."""


async def probe(bench: Workbench, check: Check, url: NormalisedUrl) -> Verdict:
    """Say EHLO. libcurl takes the name for it from the path."""
    return await greeted(bench, check, NormalisedUrl(f"{url.url}/{CALLED}", url.scheme, url.host, url.port), _SERVICE)
