"""`ftp://` and `ftps://`: the greeting of a file server; with a user, a login. No data connection is ever opened.

Without a user nothing is said: libcurl would try to log in as anonymous, and who fails at that every minute is soon locked out. There
is no STARTTLS (AUTH TLS): libcurl shakes hands for it with the loop standing still.
"""

from typing import Final

import pycurl

from core.adapters.probe_check import Check
from core.adapters.probe_kinds.greeting import Service, greeted, numbered
from core.adapters.probe_kinds.workbench import Workbench
from core.adapters.probe_verdicts import Verdict
from core.domain.urls import NormalisedUrl

_SERVICE: Final = Service(pycurl.PROTO_FTP | pycurl.PROTO_FTPS, numbered, lambda line: line.startswith(b"220 "))


async def probe(bench: Workbench, check: Check, url: NormalisedUrl) -> Verdict:
    """Hear the greeting."""
    return await greeted(bench, check, url, _SERVICE)
