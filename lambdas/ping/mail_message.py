"""What a mail says: subject, text, sender, and whether it only answers another mail. Pure, and total: any bytes are a mail.

The library may raise on what it cannot parse. Then the headers are read alone and the whole mail is the text: no ping is lost to a detail.
"""

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.header import decode_header
from email.message import Message
from email.parser import BytesHeaderParser, BytesParser
from email.policy import Compat32
from email.utils import parseaddr
from typing import Final

from lambdas.ping.request import plain

HEADER_LIMIT: Final = 2000
"""Characters of one header that are looked at: reading its parameters takes the library time by the square of their number."""

HEAD_LIMIT: Final = 65_536
MOST_BOUNDARIES: Final = 20
"""The library compares every line with every boundary around it: a mail of many more is made to keep a parser busy."""

TEXT_TYPES: Final = ("text/plain", "text/html")
CHARSETS: Final = (
    *("ascii", "utf-8", "utf-16", "utf-32", "iso8859", "iso2022", "cp", "koi8", "mac", "tis-620"),
    *("gb", "hz", "big5", "euc", "shift_jis", "johab"),
)
"""How the names of codecs begin that mails may ask for; others are slow on purpose (idna, punycode) or no charsets."""

_BOUNDARY = re.compile(rb"boundary[*\d]*\s*=", re.IGNORECASE)
_FOLD = re.compile(r"[\r\n]+")
_CLIENT = re.compile(r"\[(?:IPv6:)?([0-9A-Fa-f.:]{3,45})\]\)\s+by\s")
"""`from <what it says> (<its name> [<address>]) by inbound-smtp…`: a client can say an address in the first place too."""


class _Bounded(Compat32):
    """The library's old policy, which takes any bytes, with headers of `HEADER_LIMIT` characters."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        """Name and value of a header, as the parser has it."""
        name, value = super().header_source_parse(sourcelines)
        return name, value[:HEADER_LIMIT]


POLICY: Final = _Bounded()


@dataclass(frozen=True, slots=True)
class Content:
    """What is worth knowing of a mail. Texts are UTF-8, or the sender's bytes where they cannot be read as what they say they are.

    `size` is that of the whole text; where the mail was cut within it, one more byte than there is. `is_reply`: it is a bounce, a receipt
    or an automatic answer. `source_ip` is the host that handed the mail to SES.
    """

    subject: bytes
    text: bytes
    size: int
    sender: str
    source_ip: str
    is_reply: bool


def read(raw: bytes, *, whole: bool) -> Content:
    """The content of a mail as it is stored; not `whole` if only its beginning is in `raw`."""
    head = BytesHeaderParser(policy=POLICY).parsebytes(_head(raw))
    text, size = _text(raw, whole=whole)
    return _content(head, text, size)


def from_headers(headers: Sequence[tuple[str, str]]) -> Content:
    """The content of a mail whose headers are all that is left."""
    head = Message(policy=POLICY)
    for name, value in headers:
        head.set_raw(name, value)
    return _content(head, b"", 0)


def _head(raw: bytes) -> bytes:
    """The beginning of a mail, in whole lines."""
    head = raw[:HEAD_LIMIT]
    return head if len(head) < HEAD_LIMIT else head[: head.rfind(b"\n") + 1] or head


def _content(head: Message, text: bytes, size: int) -> Content:
    sender = plain(parseaddr(_header(head, "from"))[1])
    found = _CLIENT.search(_header(head, "received"))
    return Content(_subject(head).encode(), text, size, sender, found[1] if found else "", _is_reply(head, sender))


def _header(head: Message, name: str) -> str:
    """The first header of this name on one line, as it is written; empty if there is none. SES puts its own before those of the sender."""
    for key, value in head.raw_items():
        if key.lower() == name:
            line = _FOLD.sub("", str(value)[:HEADER_LIMIT])
            return line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return ""


def _subject(head: Message) -> str:
    """The subject in readable letters (RFC 2047); as it is written if it is no proper one."""
    written = _header(head, "subject")
    try:
        parts = [
            part if isinstance(part, str) else _unicode(part, charset or "") or part.decode("utf-8", "replace")
            for part, charset in decode_header(written)
        ]
    except Exception:  # noqa: BLE001  (the library raises what it likes on hostile words, and the subject is a detail)
        return plain(written)
    return plain("".join(parts))


def _is_reply(head: Message, sender: str) -> bool:
    """Whether the mail is about another mail and nobody's job sent it: RFC 3834, 3464, and what was usual before them.

    `Auto-Submitted: auto-generated` is what cron writes, and an empty return path what devices send: neither makes a reply by itself.
    """
    if _header(head, "auto-submitted").strip().lower().startswith("auto-replied"):
        return True
    if _header(head, "content-type").strip().lower().startswith("multipart/report"):
        return True
    precedence = _header(head, "precedence").strip().lower()
    if precedence == "auto_reply" or "x-autoreply" in head or "x-autorespond" in head:
        return True
    by_nobody = _header(head, "return-path").strip() == "<>"
    if by_nobody and sender.lower().startswith(("mailer-daemon@", "postmaster@")):
        return True
    answers = "in-reply-to" in head or "references" in head
    return answers and (by_nobody or precedence in {"bulk", "junk"})


def _text(raw: bytes, *, whole: bool) -> tuple[bytes, int]:
    """The first part that is plain text, else the first in HTML, else the mail itself; and its size."""
    if len(_BOUNDARY.findall(raw)) > MOST_BOUNDARIES:
        return raw, len(raw)
    try:
        leaves = [part for part in BytesParser(policy=POLICY).parsebytes(raw).walk() if not part.is_multipart()]
        part = _readable(leaves)
        text = _decoded(part) if part is not None else raw
    except Exception:  # noqa: BLE001  (as above: what cannot be parsed is kept as it came)
        return raw, len(raw)
    return text, len(text) + (not whole and bool(leaves) and part is leaves[-1])


def _readable(leaves: Sequence[Message]) -> Message | None:
    """The part that people read."""
    shown = [part for part in leaves if part.get_content_disposition() != "attachment"]
    texts = [part for kind in TEXT_TYPES for part in shown if part.get_content_type() == kind]
    return next((part for part in texts if _decoded(part).strip()), texts[0] if texts else None)


def _decoded(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return b""
    text = _unicode(payload, part.get_content_charset() or "")
    return payload if text is None else text.encode()


def _unicode(data: bytes, charset: str) -> str | None:
    """The text that these bytes are in a charset; None if they are none."""
    try:
        codec = codecs.lookup(charset)
        return codec.decode(data)[0] if codec.name.startswith(CHARSETS) else None
    except (LookupError, ValueError):
        return None
