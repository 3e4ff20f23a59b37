"""The head of an answer, line by line as libcurl reads it. libcurl itself is lenient: `HTTP/1.1 2000 OK` is status 200 to it."""

import re
from typing import ClassVar, Final, override

_STATUS_LINE: Final = re.compile(rb"HTTP/(1\.[01]|[23]) ([1-9][0-9]{2})(?: .*)?\r?\n?", re.DOTALL)
_VERSIONS: Final = {b"1.0": "1.0", b"1.1": "1.1", b"2": "2", b"3": "3"}
_DELIMITERS: Final = (b"content-length:", b"transfer-encoding:")
_LONGEST_NAME: Final = max(map(len, _DELIMITERS))

ANY_LINE: Final = frozenset(range(256))
MOST_COOKIES: Final = 50
LONGEST_COOKIE: Final = 4096


class Head:
    """What a check needs of the head; each interim answer (1xx) starts it anew. Not `is_delimited`: the body ends with the connection.

    `location` and `cookies` (the values of Set-Cookie) are read of redirects only.
    """

    telling: ClassVar = frozenset(b"HhCcTtLlSs\r\n")
    """First bytes of the lines that say something: the others need not be taken."""

    __slots__ = (
        "bad_status_line",
        "cookies",
        "http_version",
        "is_complete",
        "is_delimited",
        "is_redirect",
        "location",
        "status_code",
    )

    def __init__(self) -> None:
        self.status_code: int | None = None
        self.bad_status_line: bytes | None = None
        self.http_version: str | None = None
        self.location: bytes | None = None
        self.cookies: list[bytes] = []
        self.is_redirect = False
        self.is_complete = False
        self.is_delimited = False

    def take(self, line: bytes) -> bool:
        """Read one line, line end included. Returns whether to go on: the body of a redirect is not waited for, as by browsers."""
        if line.startswith(b"HTTP/"):
            return self._start(line)
        name = line[:_LONGEST_NAME].lower()
        if name.startswith(_DELIMITERS):
            self.is_delimited = True
        elif line in (b"\r\n", b"\n"):
            self.is_complete = True
            return not (self.is_redirect and self.location)
        elif self.is_redirect:
            self._see_where(line)
        return True

    def _see_where(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        match name.lower():
            case b"location":
                self.location = value.strip()
            case b"set-cookie" if len(self.cookies) < MOST_COOKIES and len(value) <= LONGEST_COOKIE:
                self.cookies.append(value.strip())

    def _start(self, line: bytes) -> bool:
        status = _STATUS_LINE.fullmatch(line)
        self.location = None
        self.is_complete = self.is_delimited = False
        if status is None:
            self.bad_status_line = line
            return False
        self.http_version = _VERSIONS[status[1]]
        self.status_code = int(status[2])
        self.is_redirect = 300 <= self.status_code < 400  # noqa: PLR2004  (the 3xx of HTTP)
        return True


class WholeHead(Head):
    """Keeps every header of the last answer. A body `is_layered` when it was encoded more than once: decoding that may cost anything.

    To a check that does not follow redirects, none `is_redirect`: it is an answer, and its body is read.
    """

    telling: ClassVar = ANY_LINE

    __slots__ = ("_follows", "_lines", "is_layered")

    def __init__(self, *, follows: bool) -> None:
        super().__init__()
        self._follows = follows
        self._lines: list[bytes] = []
        self.is_layered = False

    @override
    def take(self, line: bytes) -> bool:
        if line.startswith(b"HTTP/"):
            self._lines = []
        elif b":" in line and not self.is_complete:
            self._lines.append(line)
        was_complete = self.is_complete
        goes_on = super().take(line)
        if self.is_complete and not was_complete:
            self.is_layered = self._encodings() > 1
            return goes_on and not self.is_layered
        return goes_on

    @override
    def _start(self, line: bytes) -> bool:
        goes_on = super()._start(line)
        self.is_redirect = self.is_redirect and self._follows
        return goes_on

    def fields(self) -> list[tuple[str, str]]:
        """Names in lower case, and values."""
        split = (line.decode("latin-1").partition(":") for line in self._lines)
        return [(name.strip().lower(), value.strip()) for name, _, value in split]

    def _encodings(self) -> int:
        codings = (value.split(",") for name, value in self.fields() if name == "content-encoding")
        return sum(coding.strip().lower() not in ("", "identity") for listed in codings for coding in listed)
