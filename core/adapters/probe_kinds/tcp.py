"""`tcp://host:port`: a connection, and if that is asked for, a text that the other side must answer.

libcurl connects, so that addresses, time-outs and errors are judged as they are for HTTP; what is said afterwards is said here, on a
duplicate of its socket.
"""

import asyncio
import socket
from time import monotonic
from typing import Final

from core.adapters.probe_check import Check
from core.adapters.probe_handle import Handle
from core.adapters.probe_kinds.answers import judged
from core.adapters.probe_kinds.workbench import Workbench
from core.adapters.probe_transfers import OK
from core.adapters.probe_verdicts import UP, Verdict, down, unknown
from core.domain.outcomes import Outcome, Reason
from core.domain.request_options import TcpTalk
from core.domain.urls import NormalisedUrl

ANSWER_LIMIT: Final = 64 * 1024
"""Bytes of an answer that are searched."""
_CHUNK: Final = 16 * 1024
_SHOWN: Final = 100


async def probe(bench: Workbench, check: Check, url: NormalisedUrl) -> Verdict:
    """Connect, and talk."""
    options = check.request.options
    talk = options.tcp if options else None
    sockets: list[socket.socket] = []

    def prepare(handle: Handle) -> None:
        if talk is not None:
            handle.keep_sockets(sockets)

    try:
        verdict = await bench.call(check, _as_http(url), prepare, lambda _, code, __: UP if code == OK else None)
        if verdict.outcome is Outcome.UP and talk is not None:
            verdict = await bench.during(_converse(check, talk, sockets))
    finally:
        for kept in sockets:
            kept.close()
    return judged(check, verdict)


def _as_http(url: NormalisedUrl) -> NormalisedUrl:
    """Libcurl has no scheme for a bare connection, but says nothing by itself where it shall only connect."""
    host = f"[{url.host}]" if ":" in url.host else url.host
    return NormalisedUrl(f"http://{host}:{url.port}/", "http", url.host, url.port)


async def _converse(check: Check, talk: TcpTalk, sockets: list[socket.socket]) -> Verdict:
    connected = next((one for one in sockets if _is_connected(one)), None)
    if connected is None:
        return down(Reason.CONNECTION_RESET, "the connection was cut at once")
    connected.setblocking(False)
    answer = bytearray()
    try:
        async with asyncio.timeout(max(check.left_ms(), 0) / 1000):
            return await _answer(check, talk, connected, answer)
    except TimeoutError:
        return down(Reason.TIMEOUT, f"{talk.expect!r} did not come in time, but {_shown(answer)}")
    except ConnectionError as error:
        return down(Reason.CONNECTION_RESET, f"the connection was cut: {error.strerror}")
    except OSError as error:
        return unknown(Reason.LOCAL_NETWORK, f"the connection failed: {error.strerror}")


async def _answer(check: Check, talk: TcpTalk, connected: socket.socket, answer: bytearray) -> Verdict:
    loop = asyncio.get_running_loop()
    wanted = talk.expect.encode()
    if talk.send:
        await loop.sock_sendall(connected, talk.send.encode())
    said_at = monotonic()
    while received := await loop.sock_recv(connected, _CHUNK):
        if not answer:
            check.first_byte_us = int((monotonic() - said_at) * 1_000_000)
        start = max(len(answer) - len(wanted), 0)
        answer += received
        if answer.find(wanted, start) >= 0:
            return UP
        if len(answer) >= ANSWER_LIMIT:
            return down(Reason.BODY_LIMIT, f"{talk.expect!r} is not within the first {ANSWER_LIMIT // 1024} KiB of the answer")
    if not answer:
        return down(Reason.EMPTY_REPLY, "the connection was closed without an answer")
    return down(Reason.ASSERTION_KEYWORD, f"the answer does not contain {talk.expect!r}: {_shown(answer)}")


def _is_connected(one: socket.socket) -> bool:
    """Happy eyeballs may have opened several."""
    try:
        one.getpeername()
    except OSError:
        return False
    return True


def _shown(answer: bytearray) -> str:
    return repr(bytes(answer[:_SHOWN]).decode(errors="replace")) if answer else "nothing"
