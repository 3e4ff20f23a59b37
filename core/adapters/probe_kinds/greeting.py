"""Services that speak first, in lines: mail and file servers. libcurl talks to them up to where a command could be given.

Without a user that is the greeting and what the server can do; with one, it is logged in.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, ClassVar, Final, override

import pycurl

from core.adapters.probe_check import Check
from core.adapters.probe_handle import Handle
from core.adapters.probe_head import ANY_LINE, Head
from core.adapters.probe_kinds.answers import judged
from core.adapters.probe_kinds.workbench import Workbench
from core.adapters.probe_transfers import OK
from core.adapters.probe_verdicts import UP, Verdict, down
from core.domain.outcomes import Reason
from core.domain.request_options import Basic
from core.domain.urls import NormalisedUrl

TALK_LIMIT: Final = 16 * 1024
"""Bytes that a server may say: a greeting is short, and a server that never ends it is none."""
_REFUSED: Final = frozenset({pycurl.E_REMOTE_ACCESS_DENIED, pycurl.E_FTP_WEIRD_SERVER_REPLY})
_CUT: Final = frozenset({pycurl.E_RECV_ERROR, pycurl.E_GOT_NOTHING})
_SAYS_NO: Final = re.compile(rb"[45][0-9]{2}[ -]|\S+ (?:NO|BAD|BYE)\b", re.IGNORECASE)
_TOO_MANY: Final = b"421"

type Greet = Callable[[bytes], Verdict | None]
"""What is wrong with the first line, if anything."""


@dataclass(frozen=True, slots=True)
class Service:
    """A protocol, `protocols` being libcurl's bits of it.

    `ends_greeting` tells the last line of a greeting; without a user nothing is said after it. Where it is None, libcurl goes on and
    asks what the server can do. `login_options` limit the ways to log in to those that need nobody else: Kerberos would resolve names
    by itself, with the loop standing still. `lets_in` begins the line that says that a login worked; None: libcurl sees to it.
    """

    protocols: int
    greet: Greet
    ends_greeting: Callable[[bytes], bool] | None = None
    login_options: str = ""
    lets_in: bytes | None = None


class Transcript(Head):
    """What a server said. `trouble` is why the talk was ended by us; `is_complete` says that it was."""

    telling: ClassVar = ANY_LINE

    __slots__ = ("_greet", "_is_last", "_size", "began", "lines", "times", "trouble")

    def __init__(self, greet: Greet, is_last: Callable[[bytes], bool] | None) -> None:
        super().__init__()
        self.began = monotonic()
        self.lines: list[bytes] = []
        self.times: list[int] = []
        self.trouble: Verdict | None = None
        self._greet = greet
        self._is_last = is_last
        self._size = 0

    @override
    def take(self, line: bytes) -> bool:
        """Read one line, line end included. Returns whether to go on."""
        self._size += len(line)
        if self._size > TALK_LIMIT:
            self.trouble = down(Reason.PROTOCOL_ERROR, f"the server says more than {TALK_LIMIT // 1024} KiB")
        else:
            self.lines.append(line)
            self.times.append(int((monotonic() - self.began) * 1_000_000))
            if len(self.lines) == 1:
                self.trouble = self._greet(line)
        self.is_complete = self.trouble is not None or (self._is_last is not None and self._is_last(line))
        return not self.is_complete

    def has(self, beginning: bytes) -> bool:
        """Whether any line begins so."""
        return any(line.startswith(beginning) for line in self.lines)

    def last_line(self) -> str:
        """What the server said last."""
        return self.lines[-1].decode(errors="replace").strip() if self.lines else "nothing"

    def time(self, check: Check, curl: Any) -> None:
        """Put the wait for the greeting into the check; a handshake that came after it began when the line before it had come."""
        connected, secured = curl.getinfo(pycurl.CONNECT_TIME_T), curl.getinfo(pycurl.APPCONNECT_TIME_T)
        if not self.times or not connected:
            return
        first = self.times[0]
        check.first_byte_us = max(first - (secured if 0 < secured < first else connected), 0)
        if secured > first:
            check.tls_us = secured - max(at for at in self.times if at < secured)


async def greeted(bench: Workbench, check: Check, url: NormalisedUrl, service: Service) -> Verdict:
    """Connect, hear the greeting, and log in where there is a user."""
    options = check.request.options
    user = options.auth if options is not None and isinstance(options.auth, Basic) else None
    transcript = Transcript(service.greet, service.ends_greeting if user is None else None)

    def prepare(handle: Handle) -> None:
        setopt = handle.curl.setopt
        handle.head = transcript
        setopt(pycurl.PROTOCOLS, service.protocols)
        if options is not None and options.starttls:
            setopt(pycurl.USE_SSL, pycurl.USESSL_ALL)
        if user is not None:
            setopt(pycurl.LOGIN_OPTIONS, service.login_options)
            setopt(pycurl.USERNAME, user.username.encode())
            setopt(pycurl.PASSWORD, user.password.encode())
        transcript.began = monotonic()

    def read(handle: Handle, code: int, message: str) -> Verdict | None:
        transcript.time(check, handle.curl)
        if transcript.trouble is not None:
            return transcript.trouble
        if code != OK and not transcript.is_complete:
            return _refusal(transcript, code, message)
        if user is not None and service.lets_in is not None and not transcript.has(service.lets_in):
            return down(Reason.LOGIN_REFUSED, "the server offers no way to log in that we know")
        return UP

    verdict = await bench.call(check, url, prepare, read)
    return judged(check, verdict, b"".join(transcript.lines))


def numbered(line: bytes) -> Verdict | None:
    """The greeting of SMTP and FTP: 220, or another number if the server does not want us."""
    shown = line.decode(errors="replace").strip()
    if not (line[:3].isdigit() and line[3:4] in (b" ", b"-", b"\r", b"\n")):
        return down(Reason.PROTOCOL_ERROR, f"not a greeting: {shown!r}")
    return None if line.startswith(b"220") else down(Reason.SERVICE_REFUSED, shown)


def _refusal(transcript: Transcript, code: int, message: str) -> Verdict | None:
    if not transcript.lines:
        return _no_greeting(code, message)
    last = transcript.lines[-1]
    if code == pycurl.E_LOGIN_DENIED:
        return down(Reason.LOGIN_REFUSED, transcript.last_line())
    if code == pycurl.E_USE_SSL_FAILED:
        return down(Reason.TLS_NOT_OFFERED, message or transcript.last_line())
    if last.startswith(_TOO_MANY) or (code in _REFUSED and _SAYS_NO.match(last)):
        return down(Reason.SERVICE_REFUSED, transcript.last_line())
    if code in _REFUSED:
        return down(Reason.PROTOCOL_ERROR, f"{message or 'the answer cannot be read'} after {transcript.last_line()!r}")
    return None


def _no_greeting(code: int, message: str) -> Verdict | None:
    if code in _REFUSED:
        return down(Reason.PROTOCOL_ERROR, "what the server says cannot be read")
    if code in _CUT and "reset" not in message.lower():
        return down(Reason.EMPTY_REPLY, "the connection was closed without a greeting")
    return None
