"""`ws://` and `wss://`: the upgrade of an HTTP connection (RFC 6455), up to the server's consent; no frame is sent."""

from base64 import b64encode
from hashlib import sha1
from secrets import token_bytes
from typing import Final

import pycurl

from core.adapters.probe_check import Check
from core.adapters.probe_extras import equip, examined, header_lines
from core.adapters.probe_handle import Handle
from core.adapters.probe_head import Head, WholeHead
from core.adapters.probe_kinds.workbench import Workbench
from core.adapters.probe_transfers import OK
from core.adapters.probe_verdicts import UP, Verdict, down
from core.domain.outcomes import Reason
from core.domain.request_options import RequestOptions
from core.domain.urls import NormalisedUrl

SWITCHING: Final = 101
_PROTOCOLS: Final = 1 << 30 | 1 << 31  # CURLPROTO_WS, CURLPROTO_WSS, which pycurl has no names for
_WITH_ANSWER: Final = 2
"""CONNECT_ONLY with the head of the answer."""
_SALT: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_NO_OPTIONS: Final = RequestOptions()


async def probe(bench: Workbench, check: Check, url: NormalisedUrl) -> Verdict:
    """Ask for an upgrade. libcurl does not look at the answer to the key, so the key is ours."""
    options = check.request.options or _NO_OPTIONS
    key = b64encode(token_bytes(16))
    expected = b64encode(sha1(key + _SALT, usedforsecurity=False).digest()).decode()

    def prepare(handle: Handle) -> None:
        setopt = handle.curl.setopt
        setopt(pycurl.PROTOCOLS, _PROTOCOLS)
        setopt(pycurl.CONNECT_ONLY, _WITH_ANSWER)
        equip(handle, check, options, url)
        lines = header_lines(options, trusted=True, sends_body=False)
        setopt(pycurl.HTTPHEADER, [*lines, f"Sec-WebSocket-Key: {key.decode()}"])

    def read(handle: Handle, code: int, _message: str) -> Verdict | None:
        head = handle.head
        if head.bad_status_line is not None:
            return down(Reason.PROTOCOL_ERROR, f"not a status line: {head.bad_status_line!r}")
        if not head.is_complete or not isinstance(head, WholeHead):
            return _cut_off(head) if code == OK else None
        if head.status_code != SWITCHING:
            return down(Reason.HTTP_STATUS, f"status {head.status_code}, expected {SWITCHING}")
        if wrong := _wrong_consent(head, expected):
            return down(Reason.PROTOCOL_ERROR, wrong)
        return examined(check, options, url, handle) if check.request.options else UP

    return await bench.call(check, url, prepare, read)


def _cut_off(head: Head) -> Verdict:
    """Libcurl calls it a success when the other side hangs up."""
    if head.status_code is None:
        return down(Reason.EMPTY_REPLY, "the connection was closed without an answer")
    return down(Reason.PROTOCOL_ERROR, "the answer ended within its head")


def _wrong_consent(head: WholeHead, expected: str) -> str | None:
    """What of the answer is not as section 4.1 wants it."""
    fields = head.fields()
    if not any(name == "upgrade" and value.lower() == "websocket" for name, value in fields):
        return "the server does not say that it changes to WebSocket"
    if not any(name == "connection" and "upgrade" in value.lower() for name, value in fields):
        return "the server does not say that the connection changes"
    if not any(name == "sec-websocket-accept" and value == expected for name, value in fields):
        return "the server's Sec-WebSocket-Accept does not answer our key"
    return None
