"""URLs of websites, brought into one form. Creation in the API and every hop of a check read them here, so they cannot disagree.

Hosts are read as browsers read them (WHATWG URL Standard): percent-decoded, mapped by UTS 46, and whatever ends in a number is an
IPv4 address, so that `http://0x7f.1/` is known to be 127.0.0.1 before anybody connects.
"""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

import idna
import msgspec

LENGTH_LIMIT: Final = 2048
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_HOST_LIMIT = 253
_PORT_LIMIT = 65_535
_V4_PARTS = 4
_V4_PART_LIMIT = 255

_UNWANTED = re.compile(r"[\x00-\x20\x7f-\xa0\s\ud800-\udfff]")
_AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]*))?", re.ASCII)
_LABEL = re.compile(r"[a-z0-9_-]{1,63}", re.ASCII)
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+", re.ASCII)
_PATH = r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*"
_NAME = r"(?:(?!xn--)[a-z0-9_-]{1,63}\.)*(?!xn--)[a-z][a-z0-9_-]{0,62}"
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_PLAIN = re.compile(
    rf"(https?)://({_NAME}|{_BYTE}(?:\.{_BYTE}){{3}})(?::([1-9][0-9]{{0,4}}))?{_PATH}(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]+)?",
    re.ASCII,
)
"""URLs that are in their one form already: most of them, and much cheaper to recognise than to make."""
_WHOLE = re.compile("https?://", re.ASCII | re.IGNORECASE)
_KEPT_IN_PATHS = "/%:=&?~+!$,;'@()*[]"
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
_ACE = "xn--"


class BadUrl(ValueError):
    """A URL that is not checked. `code` is one of length, character, scheme, userinfo, host, port; `message` is for the user."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class NormalisedUrl(msgspec.Struct, frozen=True, gc=False):
    """`url` is ASCII, without userinfo and fragment; `host` is a lower-case name or an address without brackets."""

    url: str
    scheme: str
    host: str
    port: int


def normalise(url: str) -> NormalisedUrl:
    """Bring a URL into its one form.

    Raises:
        BadUrl: not http(s), or not a URL that can be checked.
    """
    return _as_it_is(url) or _rebuilt(split_url(url))


def _as_it_is(url: str) -> NormalisedUrl | None:
    plain = _PLAIN.fullmatch(url)
    if plain is None or len(url) > LENGTH_LIMIT:
        return None
    scheme, host, port_text = plain.groups()
    default_port = DEFAULT_PORTS[scheme]
    port = int(port_text or default_port)
    if len(host) > _HOST_LIMIT or port > _PORT_LIMIT or (port_text and port == default_port):
        return None
    return NormalisedUrl(url, scheme, host, port)


def _rebuilt(parts: SplitResult) -> NormalisedUrl:
    if parts.scheme not in DEFAULT_PORTS:
        raise BadUrl("scheme", "the URL must begin with http:// or https://")
    host, given_port = read_authority(parts.netloc)
    return build_url(parts, host, given_port, DEFAULT_PORTS[parts.scheme])


def build_url(parts: SplitResult, host: str, given_port: int | None, default_port: int) -> NormalisedUrl:
    """The one form of a URL with a path.

    Raises:
        BadUrl: it has grown too long.
    """
    port = default_port if given_port is None else given_port
    shown_host = f"[{host}]" if ":" in host else host
    shown_port = "" if port == default_port else f":{port}"
    query = f"?{quote(parts.query, safe=_KEPT_IN_PATHS)}" if parts.query else ""
    whole = f"{parts.scheme}://{shown_host}{shown_port}{quote(parts.path or '/', safe=_KEPT_IN_PATHS)}{query}"
    if len(whole) > LENGTH_LIMIT:
        raise BadUrl("length", f"the URL is longer than {LENGTH_LIMIT} characters when encoded")
    return NormalisedUrl(whole, parts.scheme, host, port)


def literal_address(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a normalised host is, or None if it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def resolve_location(base: str, location: bytes) -> str:
    """The URL that a `Location` header means, to be normalised like any other. Spaces and other raw bytes are percent-encoded.

    Raises:
        BadUrl: the header does not hold a URL.
    """
    text = quote(location, safe=_PRINTABLE)
    if _WHOLE.match(text):  # urljoin would take `http://` for a relative URL
        return text
    try:
        return urljoin(base, text)
    except ValueError as error:
        raise BadUrl("host", f"the URL has no valid host: {error}") from error


def split_url(url: str) -> SplitResult:
    """The parts of a URL of any scheme, which is in lower case then.

    Raises:
        BadUrl: too long, not a URL, or with a user or password.
    """
    if len(url) > LENGTH_LIMIT:
        raise BadUrl("length", f"the URL is longer than {LENGTH_LIMIT} characters")
    if _UNWANTED.search(url):
        raise BadUrl("character", "the URL contains whitespace or control characters")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise BadUrl("host", f"the URL has no valid host: {error}") from error
    if "@" in parts.netloc:
        raise BadUrl("userinfo", "the URL must not contain a user name or password: use the authentication options")
    return parts


def read_authority(netloc: str) -> tuple[str, int | None]:
    """Host and port; the port is None where there is none.

    Raises:
        BadUrl: one of them is not usable.
    """
    match = _AUTHORITY.fullmatch(netloc)
    if match is None:
        raise BadUrl("host", "the URL has no valid host and port")
    port = int(match[2]) if match[2] else None
    if port is not None and not 0 < port <= _PORT_LIMIT:
        raise BadUrl("port", f"the port must be between 1 and {_PORT_LIMIT}")
    raw_host = match[1]
    if raw_host.startswith("["):
        return _v6(raw_host[1:-1]), port
    return _name_or_v4(raw_host), port


def _v6(text: str) -> str:
    if "%" in text:
        raise BadUrl("host", "an IPv6 address must not name a network interface")
    try:
        return str(IPv6Address(text))
    except AddressValueError as error:
        raise BadUrl("host", f"not an IPv6 address: {text}") from error


def _name_or_v4(raw_host: str) -> str:
    try:
        name = idna.uts46_remap(unquote(raw_host, errors="strict"), std3_rules=False, transitional=False)
    except (idna.IDNAError, UnicodeError) as error:
        raise BadUrl("host", f"not a host name: {raw_host}") from error
    labels = name.removesuffix(".").split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return str(_v4(labels))
    host = ".".join(_label(label, raw_host) for label in labels)
    if len(host) > _HOST_LIMIT:
        raise BadUrl("host", f"the host name is longer than {_HOST_LIMIT} characters")
    return host


def _label(label: str, raw_host: str) -> str:
    """One label as it travels in DNS. Names that IDNA 2008 left out but browsers resolve (symbols) stay possible."""
    ascii_label = label if label.isascii() else _ACE + label.encode("punycode").decode()
    if not _LABEL.fullmatch(ascii_label) or not _is_sound(ascii_label):
        raise BadUrl("host", f"not a host name: {raw_host}" if raw_host else "the URL has no host")
    return ascii_label


def _is_sound(ascii_label: str) -> bool:
    """Whether a punycode label decodes to something that encodes to itself; other labels are taken as they are."""
    if not ascii_label.startswith(_ACE):
        return True
    try:
        decoded = ascii_label.removeprefix(_ACE).encode().decode("punycode")
        mapped = idna.uts46_remap(decoded, std3_rules=False, transitional=False)
        return not mapped.isascii() and _ACE + mapped.encode("punycode").decode() == ascii_label
    except (idna.IDNAError, UnicodeError):
        return False


def _v4(labels: list[str]) -> IPv4Address:
    """Decimal, octal, hexadecimal and short forms (the IPv4 parser of the URL Standard): the last part fills what is left."""
    numbers = [_number(label) for label in labels]
    *head, last = numbers
    if len(numbers) > _V4_PARTS or any(number > _V4_PART_LIMIT for number in head) or last >= 256 ** (5 - len(numbers)):
        raise BadUrl("host", f"not an IPv4 address: {'.'.join(labels)}")
    return IPv4Address(last + sum(number << (24 - 8 * place) for place, number in enumerate(head)))


def _number(label: str) -> int:
    if not _NUMBER.fullmatch(label):
        raise BadUrl("host", f"not an IPv4 address: a name must not end in a number, and {label!r} is none")
    try:
        if label.startswith("0x"):
            return int(label[2:] or "0", 16)
        return int(label, 8 if label.startswith("0") and label != "0" else 10)
    except ValueError as error:
        raise BadUrl("host", f"not an IPv4 address: {label!r} is not a number") from error
