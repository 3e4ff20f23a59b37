"""Requests to targets over HTTP, and what their answers mean. Addresses are judged, one deadline covers everything."""

import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from typing import Final
from urllib.parse import SplitResult, urlsplit

import certifi

from lambdas.alert_dispatch.connect import AddressRefused, Deadline, NameNotResolved, connect
from lambdas.alert_dispatch.errors import Permanent, RateLimited, Refused, Transient
from lambdas.http1.exchange import Head, Incoming, NotHttp, request

USER_AGENT: Final = "uptimemonitor/1 (+https://github.com/uptimemonitor/uptimemonitor)"
LEAST_S: Final = 0.1
"""For a second request of a send whose time the first has used up."""

BODY_LIMIT: Final = 1024 * 1024
"""Of an answer that has to be read: some repeat the message, each character of it as an escape."""
REASON_LIMIT: Final = 16 * 1024
"""Of an answer that is read for its reason only."""
GONE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
TRY_AGAIN: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY})


@cache
def trusted_roots() -> ssl.SSLContext:
    """The TLS context of every send; loading the roots takes milliseconds, so once."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


@dataclass(frozen=True, slots=True)
class Answer:
    """What a target said: `retry_after` is that header, `body` its beginning where it was asked for."""

    status: int
    retry_after: str = ""
    body: bytes = b""


class Poster:
    """Sends one request at a time, each over a connection of its own."""

    def __init__(
        self, *, private_targets: bool, clock: Callable[[], datetime], tls: Callable[[], ssl.SSLContext] = trusted_roots
    ) -> None:
        self._private_targets = private_targets
        self._tls = tls
        self.clock = clock

    def send(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        timeout_s: float,
        *,
        method: str = "POST",
        read_body: bool = False,
        read_errors: bool = False,
    ) -> Answer:
        """Send a request; redirects are not followed.

        The answer ends with its head, but for `read_body`, which waits for the body, and `read_errors`, which reads that of an
        answer other than 2xx as far as it comes: what is taken stays taken, and what is refused stays refused.

        Raises:
            Refused: the address must not be connected to.
            Transient: there was no answer.
        """
        sent = {"content-type": "application/json", "user-agent": USER_AGENT, **headers}
        try:
            return self._send(method, url, sent, body, timeout_s, read_body=read_body, read_errors=read_errors)
        except AddressRefused as error:
            raise Refused(f"the address was refused: {error}") from error
        except NameNotResolved as error:
            raise Transient(str(error)) from error
        except TimeoutError as error:
            raise Transient(f"no answer within {timeout_s:.0f} s", timed_out=True) from error
        except (OSError, NotHttp) as error:
            raise _lost(error) from error

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
        *,
        read_body: bool,
        read_errors: bool,
    ) -> Answer:
        target = urlsplit(url)
        host, port = target.hostname or "", target.port or DEFAULT_PORTS[target.scheme]
        path = (target.path or "/") + (f"?{target.query}" if target.query else "")
        sent = request(method, path, {"Host": host_field(target), **headers}, body)
        with connect(host, port, Deadline.after(timeout_s), private_targets=self._private_targets) as connection:
            if target.scheme == "https":
                connection.secure(self._tls(), host)
            try:
                connection.send(sent)
                return _answer(Incoming(connection.receive), read_body=read_body, read_errors=read_errors)
            except TimeoutError:
                raise
            except (OSError, NotHttp) as error:
                raise _lost(error, in_doubt=True) from error


def _answer(incoming: Incoming, *, read_body: bool, read_errors: bool) -> Answer:
    head = incoming.head()
    said = b""
    if read_body:
        said = b"".join(_pieces(incoming, head, BODY_LIMIT))
    elif read_errors and not taken(head.status):
        said = _what_comes(incoming, head)
    return Answer(head.status, head.fields.get("retry-after", ""), said)


def _lost(error: Exception, *, in_doubt: bool = False) -> Transient:
    return Transient(f"the connection failed: {str(error) or type(error).__name__}", in_doubt=in_doubt)


def host_field(target: SplitResult) -> str:
    """The host as requests name it: an IPv6 address in brackets, a port where it is not the usual one."""
    host = target.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return host if target.port in {None, DEFAULT_PORTS[target.scheme]} else f"{host}:{target.port}"


def _what_comes(incoming: Incoming, head: Head) -> bytes:
    said = b""
    try:
        for piece in _pieces(incoming, head, REASON_LIMIT):
            said += piece
    except (OSError, NotHttp):
        return said  # the status decides, and it is known: the rest would only have added words
    return said


def _pieces(incoming: Incoming, head: Head, limit: int) -> Iterator[bytes]:
    for piece in incoming.body(head):
        yield piece[:limit]
        limit -= len(piece)
        if limit <= 0:
            return


def taken(status: int) -> bool:
    """Whether a status says that the message was taken."""
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


def judge(answer: Answer, now: datetime, who: str, *, reason: str = "", gone: bool = False) -> None:
    """Raise what the status of an answer means; 2xx means taken.

    Args:
        answer: the answer.
        now: the time, for a Retry-After that holds a date.
        who: begins the text of the error, e.g. `the webhook`.
        reason: what the service said, for people.
        gone: whether it said that the target is gone, or that we are shut out: then a 4xx that ends the delivery disables the channel.

    Raises:
        Permanent, RateLimited, Transient: as the table in docs/reference/channels.md says.
    """
    status = answer.status
    said = f"{who} answered {status}" + (f" ({reason})" if reason else "")
    if taken(status):
        return
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise RateLimited(said, retry_after_s=seconds_of(answer.retry_after, now))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in TRY_AGAIN:
        raise Transient(said, retry_after_s=seconds_of(answer.retry_after, now))
    if gone or status in GONE:
        raise Permanent(said, disable_channel=True)
    if status < HTTPStatus.BAD_REQUEST:
        raise Permanent(f"{said}, and redirects are not followed: enter the final URL")
    raise Permanent(said)


def seconds_of(retry_after: str, now: datetime) -> int | None:
    """The seconds of a Retry-After header, which holds a number or a date; None where it holds neither."""
    if retry_after.isascii() and retry_after.strip().isdigit():
        return int(retry_after.strip()[:9])
    try:
        at = parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError):
        return None
    return max(int((at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds()), 0)
