"""One request and its answer over HTTP/1.1: the bytes to send, and the reading of what comes back, with llhttp (httptools).

For those who open their own sockets and send so many small requests that their CPU counts (ADR 168). The other side may say anything:
what is no answer is `NotHttp`, and nothing is read beyond what was asked for.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

HEAD_LIMIT: Final = 64 * 1024
"""Of what comes before the body, answers that only announce another one included, and between or after its chunks."""
PIECE: Final = 64 * 1024

FINAL: Final = 200
SENT_WITHOUT_BODY: Final = frozenset({"GET", "DELETE"})

_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class NotHttp(Exception):
    """What came is no answer of HTTP/1.1, or it ended too early."""


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of an answer. Names of `fields` are in lower case, the values of one that is repeated are joined by commas.

    `keeps`: the connection outlives the answer. `open_ended`: the body ends with the connection.
    """

    status: int
    fields: Mapping[str, str]
    keeps: bool
    open_ended: bool


def request(method: str, target: str, fields: Mapping[str, str], body: bytes) -> bytes:
    """The bytes of a request. `fields` have `Host`; how long the body is, is added.

    Raises:
        ValueError: something in the head would not stay on its line, or is not Latin-1.
    """
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    if body or method not in SENT_WITHOUT_BODY:
        lines.append(f"Content-Length: {len(body)}")
    if any(_CONTROL.search(line) for line in lines):
        raise ValueError("a control character in the head of a request")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Incoming:
    """What comes over a connection, read as one answer to a request (not HEAD): its head, and then its body.

    `receive` waits for the next bytes, at most so many; none are the end of the connection.
    """

    def __init__(self, receive: Callable[[int], bytes]) -> None:
        self._receive = receive
        self._answer = _Answer()
        self._trouble: HttpParserError | None = None

    def head(self) -> Head:
        """The head of the answer; those that come before it are read over.

        Raises:
            NotHttp: what comes is none.
        """
        read = 0
        while not (head := self._answer.head):
            if self._trouble:
                raise NotHttp(f"the answer is not HTTP/1.1: {self._trouble}") from self._trouble
            if read > HEAD_LIMIT:
                raise NotHttp("the head of the answer has no end")
            read += self._read()
        return head

    def body(self, head: Head) -> Iterator[bytes]:
        """The body, in pieces as they come.

        Raises:
            NotHttp: it is cut short, or its end cannot be told.
        """
        between = 0
        while True:
            pieces, self._answer.pieces = self._answer.pieces, []
            between = 0 if pieces else between
            yield from pieces
            if self._answer.complete:
                return
            if self._trouble:
                raise NotHttp(f"the body of the answer is not HTTP/1.1: {self._trouble}") from self._trouble
            if between > HEAD_LIMIT:
                raise NotHttp("what frames the body has no end")
            read = self._read(may_end=head.open_ended)
            if not read:
                return
            between += read

    @property
    def over(self) -> bool:
        """Whether the answer has been read and nothing came beyond it."""
        return self._answer.complete and not self._answer.beyond and not self._trouble

    def _read(self, *, may_end: bool = False) -> int:
        more = self._receive(PIECE)
        if not more and not may_end:
            raise NotHttp("the connection was closed before the answer had come")
        try:
            self._answer.parser.feed_data(more)
        except HttpParserUpgrade as error:
            raise NotHttp("the answer speaks another protocol, and nobody asked for one") from error
        except HttpParserError as error:  # what came before it may be all that is asked for
            self._trouble = error
        return len(more)


class _Answer:
    """What the parser has found so far; it calls the methods that begin with `on`."""

    def __init__(self) -> None:
        self.head: Head | None = None
        self.pieces: list[bytes] = []
        self.complete = False
        self.beyond = False
        self._fields: dict[str, str] = {}
        self.parser = HttpResponseParser(self)
        # Lines that are folded or end as Unix's do were always read, and a message that was taken must not be sent again over them. What is
        # dangerous is to differ about them with somebody else on the same connection; here nobody else reads what comes.
        self.parser.set_dangerous_leniencies(lenient_headers=True, lenient_optional_cr_before_lf=True)

    def on_message_begin(self) -> None:
        self.beyond = self.complete
        self._fields = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head:
            return  # a trailer
        key, text = name.decode("latin-1").lower(), value.decode("latin-1").strip()
        self._fields[key] = f"{self._fields[key]}, {text}" if key in self._fields else text

    def on_headers_complete(self) -> None:
        status = self.parser.get_status_code()
        if status >= FINAL and not self.head:
            framed = "content-length" in self._fields or self._fields.get("transfer-encoding", "").lower().endswith("chunked")
            self.head = Head(status, self._fields, self.parser.should_keep_alive(), open_ended=not framed)

    def on_body(self, piece: bytes) -> None:
        if not self.complete:
            self.pieces.append(piece)

    def on_message_complete(self) -> None:
        self.complete = self.head is not None
