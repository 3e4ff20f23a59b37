"""What libcurl's errors mean: whose trouble it is, and which reason of the closed list."""

import errno
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

import pycurl

from core.domain.outcomes import Outcome, Reason

_NOT_THE_CHAIN: Final = 1  # what libcurl says while the chain is good, so it is the name; over QUIC there is no other sign
_X509_NOT_YET_VALID: Final = 9
_X509_EXPIRED: Final = 10
_X509_HOSTNAME: Final = 62
_X509_IP_ADDRESS: Final = 64
_OUR_NETWORK: Final = frozenset(
    {errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EACCES, errno.EPERM}
)
_OUR_LIMITS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_ANY_PORT: Final = 9
_E_QUIC_CONNECT: Final = 96


class Verdict(NamedTuple):
    """The outcome of a check and why; `detail` is not cleaned yet."""

    outcome: Outcome
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Failure:
    """How a transfer failed: after a connection, after the first line of an answer, or before both.

    `code` and `message` are libcurl's, `errno` is the system's for the last connect that failed. `certificate_not_after` is of the
    server's own certificate, where it is known.
    """

    code: int
    message: str
    errno: int
    connected: bool
    answered: bool
    address: str | None
    verify_result: int
    certificate_not_after: datetime | None
    at: datetime


UP: Final = Verdict(Outcome.UP, Reason.OK, "")


def down(reason: Reason, detail: str) -> Verdict:
    """The target's trouble."""
    return Verdict(Outcome.DOWN, reason, detail)


def unknown(reason: Reason, detail: str) -> Verdict:
    """Our own trouble."""
    return Verdict(Outcome.UNKNOWN, reason, detail)


def has_route(address: str) -> bool:
    """Whether this machine knows a way to `address`. Nothing is sent: connecting a datagram socket only looks up the route."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as looking:
            looking.connect((address, _ANY_PORT))
    except OSError:
        return False
    return True


def judge(failure: Failure, has_route: Callable[[str], bool] = has_route) -> Verdict:
    """The verdict about a transfer that failed."""
    if failure.code == pycurl.E_COULDNT_CONNECT:
        return _connect(failure, has_route)
    if failure.code == pycurl.E_OPERATION_TIMEDOUT:
        return _timeout(failure)
    if failure.code in TLS_CODES:
        return _tls(failure)
    if failure.code in _BROKEN_OFF and _was_reset(failure.message):
        return down(Reason.CONNECTION_RESET, "the connection was reset")
    if failure.code in _PROTOCOL:
        return _with_client_certificate(failure) or _protocol(failure)
    return unknown(Reason.INTERNAL, f"libcurl error {failure.code}: {failure.message}")


def from_errno(number: int) -> Verdict:
    """The verdict about a socket that this machine would not open."""
    reason = Reason.INTERNAL if number in _OUR_LIMITS else Reason.LOCAL_NETWORK
    return unknown(reason, f"no socket could be opened: {os.strerror(number)}")


def ends_without_a_word(code: int, message: str) -> bool:
    """Whether TLS ended without its closing message. libcurl calls that an error, though many servers do it after a whole answer."""
    return code == pycurl.E_RECV_ERROR and "unexpected eof" in message


def _connect(failure: Failure, has_route: Callable[[str], bool]) -> Verdict:
    number = failure.errno
    where = f"{failure.address}: {os.strerror(number) if number else failure.message}"
    if number == errno.ECONNREFUSED:
        return down(Reason.CONNECT_REFUSED, where)
    if number == errno.ETIMEDOUT:
        return down(Reason.CONNECT_TIMEOUT, where)
    if number in _OUR_LIMITS:
        return unknown(Reason.INTERNAL, where)
    if number in _OUR_NETWORK:
        return unknown(Reason.LOCAL_NETWORK, where)
    if number == errno.EHOSTUNREACH and not (failure.address and has_route(failure.address)):
        return unknown(Reason.LOCAL_NETWORK, where)
    return down(Reason.CONNECT_FAILED, where)


def _timeout(failure: Failure) -> Verdict:
    if not failure.connected:
        return down(Reason.CONNECT_TIMEOUT, f"{failure.address or 'the target'}: no connection in time")
    return down(Reason.TIMEOUT, failure.message)


def _tls(failure: Failure) -> Verdict:
    if client := _with_client_certificate(failure):
        return client
    if failure.code != pycurl.E_PEER_FAILED_VERIFICATION:
        reset = _was_reset(failure.message)
        return down(Reason.CONNECTION_RESET if reset else Reason.TLS_OTHER, failure.message)
    if failure.verify_result == _X509_EXPIRED:
        ends = failure.certificate_not_after
        ours_is_good = ends is not None and ends > failure.at
        return down(Reason.TLS_CHAIN_EXPIRED if ours_is_good else Reason.TLS_EXPIRED, failure.message)
    if failure.verify_result == _X509_NOT_YET_VALID:
        return down(Reason.TLS_NOT_YET_VALID, failure.message)
    if failure.verify_result in (_NOT_THE_CHAIN, _X509_HOSTNAME, _X509_IP_ADDRESS) or "subject name" in failure.message:
        return down(Reason.TLS_HOSTNAME, failure.message)
    return down(Reason.TLS_UNTRUSTED, failure.message)


def _protocol(failure: Failure) -> Verdict:
    if not failure.answered and ends_without_a_word(failure.code, failure.message):
        return down(Reason.EMPTY_REPLY, "the connection was closed without an answer")
    reason, text = _PROTOCOL[failure.code]
    return down(reason, failure.message or text)


def _with_client_certificate(failure: Failure) -> Verdict | None:
    """TLS 1.3 asks for a client certificate after the handshake, so the alert may come with any later error."""
    if "certificate required" not in failure.message:
        return None
    return down(Reason.TLS_CLIENT_CERT_REQUIRED, "the server asks for a client certificate")


def _was_reset(message: str) -> bool:
    return any(os.strerror(number) in message for number in (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED))


TLS_CODES: Final = frozenset(
    {
        pycurl.E_SSL_CONNECT_ERROR,
        pycurl.E_PEER_FAILED_VERIFICATION,
        pycurl.E_SSL_CIPHER,
        pycurl.E_SSL_INVALIDCERTSTATUS,
    }
)
_BROKEN_OFF: Final = frozenset({pycurl.E_RECV_ERROR, pycurl.E_SEND_ERROR, pycurl.E_PARTIAL_FILE})
_PROTOCOL: Final = {
    pycurl.E_UNSUPPORTED_PROTOCOL: (Reason.PROTOCOL_ERROR, "the answer is not HTTP"),
    pycurl.E_FTP_WEIRD_SERVER_REPLY: (Reason.PROTOCOL_ERROR, "the answer is not HTTP"),
    pycurl.E_PARTIAL_FILE: (Reason.PROTOCOL_ERROR, "the answer ended early"),
    pycurl.E_GOT_NOTHING: (Reason.EMPTY_REPLY, "the connection was closed without an answer"),
    pycurl.E_SEND_ERROR: (Reason.PROTOCOL_ERROR, "the request could not be sent"),
    pycurl.E_RECV_ERROR: (Reason.PROTOCOL_ERROR, "the answer could not be read"),
    pycurl.E_BAD_CONTENT_ENCODING: (Reason.PROTOCOL_ERROR, "the answer is encoded badly"),
    pycurl.E_HTTP2: (Reason.PROTOCOL_ERROR, "the answer is not HTTP/2"),
    # pycurl has no names for these: CURLE_HTTP2_STREAM, CURLE_HTTP3, CURLE_QUIC_CONNECT_ERROR, CURLE_TOO_LARGE
    92: (Reason.PROTOCOL_ERROR, "the stream of HTTP/2 was broken off"),
    95: (Reason.PROTOCOL_ERROR, "the answer is not HTTP/3"),
    _E_QUIC_CONNECT: (Reason.CONNECT_FAILED, "no connection over QUIC"),
    100: (Reason.PROTOCOL_ERROR, "the head of the answer is too large"),
}
