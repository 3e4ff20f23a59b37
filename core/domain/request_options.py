"""What a check may send and expect beyond a plain request. One struct: as the API takes it, as it is stored, as the probe reads it."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from math import isfinite
from typing import Annotated, Any, Final, Literal

import msgspec

from core.domain.assertions import Assertion, BadAssertion, check_assertions
from core.domain.dns_records import DnsQuestion, check_question
from core.domain.request_route import BadRoute, Proxy, check_proxy, name_server
from core.domain.urls import BadUrl, normalise

MASK: Final = "********"
"""Stands for a secret in what the API shows; sent back, it means the secret that is stored."""
BODY_LIMIT: Final = 64 * 1024
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_VALUE: Final = re.compile(r"[\x20-\x7e\t]*", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_UNSTORABLE: Final = re.compile(r"[\x00\ud800-\udfff]")
_PATH: Final = re.compile(r" - at `\$\.?(.*)`$")
_OURS: Final = frozenset(
    {"connection", "content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers that say how the message travels: they are the client's."""
_SECRET_WORDS: Final = ("auth", "cookie", "credential", "key", "password", "secret", "session", "signature", "token")


class BadOption(ValueError):
    """An option is not usable. `field` is its path below `options` (empty: the whole), `code` is stable, the message is for people."""

    def __init__(self, field: str, code: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.code = code
        self.message = message


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A header to send. It replaces one that the checker sends by itself, such as User-Agent."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    value: Annotated[str, msgspec.Meta(max_length=4096)]

    @property
    def is_secret(self) -> bool:
        """Whether the value opens doors, going by the name: it is encrypted, and no other host gets to see it."""
        name = self.name.lower()
        return any(word in name for word in _SECRET_WORDS)


class Basic(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="basic"):
    """A user and a password, in UTF-8 (RFC 7617)."""

    username: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    password: Annotated[str, msgspec.Meta(max_length=1000, description=f"A secret: shown as {MASK}.")]


class Digest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="digest"):
    """A user and a password that answer a challenge (RFC 7616): two requests in each check."""

    username: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    password: Annotated[str, msgspec.Meta(max_length=1000, description=f"A secret: shown as {MASK}.")]


class Bearer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="bearer"):
    """A token."""

    token: Annotated[str, msgspec.Meta(min_length=1, max_length=4096, description=f"A secret: shown as {MASK}.")]


class ClientCertificate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the checker shows of itself in the TLS handshake (mTLS), in PEM; intermediate certificates may follow the first."""

    certificate: Annotated[str, msgspec.Meta(min_length=1, max_length=20_000)]
    key: Annotated[str, msgspec.Meta(min_length=1, max_length=10_000, description=f"Not encrypted. A secret: shown as {MASK}.")]


class TcpTalk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is said to a `tcp://` target once it is connected, in UTF-8, and a text that it must answer before it is well."""

    send: Annotated[str, msgspec.Meta(max_length=1024)] = ""
    expect: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


type Auth = Basic | Digest | Bearer


class RequestOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """`connect_timeout_ms` covers connecting and TLS. A check that took longer than `degraded_after_ms` is up, but degraded.

    The answer must be of `http_version`; 2 and 3 are spoken over https only. With `refuse_downgrade` a redirect from https to http is
    down; otherwise it is followed. Names are resolved by `name_server` (an address, with or without a port) in place of the checker's own.

    `connect_to` is a host name or address to connect to in place of the URL's, which stays in the Host header and in TLS. With
    `starttls` a mail server must change to TLS before anything else is said. `core.domain.option_fit` says what fits which kind.
    """

    headers: Annotated[tuple[Header, ...], msgspec.Meta(max_length=20)] = ()
    body: Annotated[str, msgspec.Meta(max_length=BODY_LIMIT)] | None = None
    auth: Auth | None = None
    ip_version: Literal[4, 6] | None = None
    connect_to: Annotated[str, msgspec.Meta(min_length=1, max_length=253)] | None = None
    http_version: Literal["1.1", "2", "3"] | None = None
    name_server: Annotated[str, msgspec.Meta(min_length=1, max_length=60)] | None = None
    proxy: Proxy | None = None
    min_tls_version: Literal["1.2", "1.3"] | None = None
    client_certificate: ClientCertificate | None = None
    connect_timeout_ms: Annotated[int, msgspec.Meta(ge=100, le=60_000)] | None = None
    degraded_after_ms: Annotated[int, msgspec.Meta(ge=1, le=60_000)] | None = None
    refuse_downgrade: bool = False
    assertions: Annotated[tuple[Assertion, ...], msgspec.Meta(max_length=20)] = ()
    starttls: bool = False
    tcp: TcpTalk | None = None
    dns: DnsQuestion | None = None

    @property
    def has_secrets(self) -> bool:
        """Whether anything in it must be encrypted."""
        beside_headers = (self.auth, self.client_certificate, self.proxy and self.proxy.password)
        return any(one is not None for one in beside_headers) or any(header.is_secret for header in self.headers)


def parse_options(given: Any) -> RequestOptions:
    """Check options that a user typed, apart from what depends on other settings.

    Raises:
        BadOption: with the field to blame.
    """
    for path, value in _leaves(given):
        _check_leaf(path, value)
    try:
        options = msgspec.convert(given, RequestOptions)
    except msgspec.ValidationError as error:
        raise _as_bad_option(str(error)) from error
    _check(options)
    return options


@lru_cache(maxsize=4096)
def load_options(text: str) -> RequestOptions:
    """Read options that were checked when they were stored.

    Raises:
        BadOption: they do not fit this version.
    """
    try:
        return msgspec.json.decode(text, type=RequestOptions)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise _as_bad_option(str(error)) from error


def _check(options: RequestOptions) -> None:
    names = [header.name.lower() for header in options.headers]
    for index, header in enumerate(options.headers):
        _check_header(index, header)
        if header.name.lower() in names[:index]:
            raise BadOption(f"headers.{index}.name", "repeated", "is there twice")
    if options.auth is not None:
        _check_auth(options.auth, names)
    if options.connect_to is not None:
        host_to_connect_to(options.connect_to)
    _check_route(options)
    if options.dns is not None and (wrong := check_question(options.dns)):
        raise BadOption(f"dns.{wrong[0]}", "invalid", wrong[1])
    try:
        check_assertions(options.assertions)
    except BadAssertion as bad:
        raise BadOption(f"assertions.{bad.field}", "invalid", str(bad)) from bad


def _check_route(options: RequestOptions) -> None:
    try:
        if options.name_server is not None:
            name_server(options.name_server)
        if options.proxy is not None:
            check_proxy(options.proxy)
    except BadRoute as bad:
        raise BadOption(bad.field, bad.code, bad.message) from bad
    if options.proxy is not None and options.connect_to is not None:
        raise BadOption("connect_to", "contradiction", "a proxy is told the host of the URL")
    if options.proxy is not None and options.http_version == "3":
        raise BadOption("http_version", "contradiction", "HTTP/3 does not go through a proxy")


def host_to_connect_to(text: str) -> str:
    """The host in its one form, as `core.domain.urls` has it.

    Raises:
        BadOption: it is neither a name nor an address.
    """
    if any(character in text for character in "/?#@\\[]"):
        raise BadOption("connect_to", "invalid", "is not a host name or an address; the port is the URL's")
    shown = f"[{text}]" if ":" in text else text
    try:
        return normalise(f"http://{shown}/").host
    except BadUrl as bad:
        raise BadOption("connect_to", "invalid", bad.message) from bad


def _check_header(index: int, header: Header) -> None:
    if not _TOKEN.fullmatch(header.name):
        raise BadOption(f"headers.{index}.name", "character", "is not the name of a header")
    if not _VALUE.fullmatch(header.value):
        raise BadOption(f"headers.{index}.value", "character", "holds a character other than printable ASCII, space and tab")
    name = header.name.lower()
    if name in _OURS or name.startswith("proxy-"):
        raise BadOption(f"headers.{index}.name", "not_settable", "is set by the checker")


def _check_auth(auth: Auth, header_names: list[str]) -> None:
    if "authorization" in header_names:
        raise BadOption("auth", "contradiction", "there is a header Authorization already")
    for name, value in msgspec.to_builtins(auth).items():
        if _CONTROL.search(value):
            raise BadOption(f"auth.{name}", "character", "holds a control character")
    if isinstance(auth, Bearer) and not (_VALUE.fullmatch(auth.token) and " " not in auth.token):
        raise BadOption("auth.token", "character", "holds a character other than printable ASCII")
    if isinstance(auth, Basic) and ":" in auth.username:
        raise BadOption("auth.username", "character", "must not hold a colon")


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every name and value of JSON, with its dotted path."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            here = f"{path}.{name}" if path else str(name)
            yield here, str(name)
            yield from _leaves(inner, here)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}.{index}" if path else str(index))
    else:
        yield path, value


def _check_leaf(path: str, value: Any) -> None:
    if isinstance(value, str) and _UNSTORABLE.search(value):
        raise BadOption(path, "character", "holds NUL or half of a surrogate pair")
    if isinstance(value, float) and not isfinite(value):
        raise BadOption(path, "invalid", "is not a finite number")


def _as_bad_option(text: str) -> BadOption:
    """The place is named as `$.headers[0].name`."""
    place = _PATH.search(text)
    field = re.sub(r"\[(\d+)\]", r".\1", place[1]).lstrip(".") if place else ""
    return BadOption(field, "invalid", _PATH.sub("", text))
