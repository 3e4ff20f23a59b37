"""What the records of a name must be like. Values have one form each, so that `Mail.Example.com.` and `mail.example.com` are the same."""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Final, Literal

import msgspec

from core.domain.outcomes import Reason
from core.domain.urls import BadUrl, literal_address, normalise, read_authority

type RecordType = Literal["A", "AAAA", "CNAME", "MX", "TXT", "NS"]

NAME_SERVER_PORT: Final = 53
_MX: Final = re.compile(r"(?:([0-9]{1,5})\s+)?(\S+)", re.ASCII)
_PRIORITY_LIMIT: Final = 65_535
_SHOWN: Final = 5
_SHOWN_LENGTH: Final = 100


class BadRecord(ValueError):
    """A value that no record of its type can have; the message is for people."""


class DnsQuestion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked about the name in a `dns://` URL. Without `values` any record of the type will do.

    `match` says of `values`: `all` must be among the records, the records must be `exactly` those, or `any` of them is enough.
    `server` is asked instead of our own name servers: a name or an address, with a port after a colon where it is not 53. It is what is
    checked, unlike the option `name_server`, by which other kinds of check find their way to their targets.
    """

    record_type: RecordType = "A"
    values: Annotated[
        tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=1000)], ...],
        msgspec.Meta(max_length=20, description="MX as `10 mail.example.com`, or without the number for any priority."),
    ] = ()
    match: Literal["all", "exactly", "any"] = "all"
    server: Annotated[str, msgspec.Meta(min_length=1, max_length=260)] | None = None


def check_question(question: DnsQuestion) -> tuple[str, str] | None:
    """The member that is not usable and why, or None."""
    for index, value in enumerate(question.values):
        try:
            one_form(question.record_type, value)
        except BadRecord as bad:
            return f"values.{index}", str(bad)
    if question.server is not None:
        try:
            read_server(question.server)
        except BadUrl as bad:
            return "server", bad.message
    return None


def read_server(text: str) -> tuple[str, int]:
    """Host and port of a name server.

    Raises:
        BadUrl: it is neither a name nor an address, with or without a port.
    """
    if any(character in text for character in "/?#@\\ "):
        raise BadUrl("host", "is not the name or address of a name server")
    is_bare_v6 = text.count(":") > 1 and not text.startswith("[")
    host, port = read_authority(f"[{text}]" if is_bare_v6 else text)
    return host, port or NAME_SERVER_PORT


def one_form(record_type: str, value: str) -> str:
    """A value as records are compared.

    Raises:
        BadRecord: it cannot be the value of such a record.
    """
    match record_type:
        case "A":
            return _address(IPv4Address, "IPv4", value)
        case "AAAA":
            return _address(IPv6Address, "IPv6", value)
        case "TXT":
            return value
        case "MX":
            return _mail_exchange(value)
    return _name(value)


def found_form(record_type: str, value: str) -> str:
    """The one form of a value that a name server told, which need not make sense."""
    try:
        return one_form(record_type, value)
    except BadRecord:
        return value.lower().removesuffix(".")


def broken_expectation(name: str, question: DnsQuestion, found: Sequence[str]) -> tuple[Reason, str] | None:
    """Why the records `found`, each in its one form, are not those that were expected; None if they are."""
    expected = [one_form(question.record_type, value) for value in question.values]
    missing = [value for value in expected if not any(_same(question.record_type, value, one) for one in found)]
    surplus = [one for one in found if not any(_same(question.record_type, value, one) for value in expected)]
    wrong = {
        "all": bool(missing),
        "exactly": bool(missing or surplus),
        "any": len(missing) == len(expected),
    }
    if not expected or not wrong[question.match]:
        return None
    words = {"all": "", "exactly": "exactly ", "any": "one of "}[question.match]
    return (
        Reason.ASSERTION_DNS,
        f"{question.record_type} of {name} is {_shown(found)}, expected: {words}{_shown(expected)}",
    )


def _same(record_type: str, expected: str, found: str) -> bool:
    """An MX without a priority stands for any priority."""
    return expected == found or (record_type == "MX" and found.endswith(f" {expected}"))


def _address(kind: type[IPv4Address] | type[IPv6Address], words: str, value: str) -> str:
    try:
        return str(kind(value.strip()))
    except ValueError as error:
        raise BadRecord(f"is not an {words} address") from error


def _mail_exchange(value: str) -> str:
    found = _MX.fullmatch(value.strip())
    if found is None or int(found[1] or 0) > _PRIORITY_LIMIT:
        raise BadRecord("is not a mail server such as `10 mail.example.com`")
    host = _name(found[2])
    return host if found[1] is None else f"{int(found[1])} {host}"


def _name(value: str) -> str:
    """As names in URLs; the root, which says that there is no such server (RFC 7505), is a dot."""
    value = value.strip()
    if value == ".":
        return value
    if any(character in value for character in ":/?#@[]\\"):
        raise BadRecord("is not a host name")
    try:
        host = normalise(f"http://{value}/").host
    except BadUrl as bad:
        raise BadRecord(f"is not a host name: {bad.message}") from bad
    if literal_address(host) is not None:
        raise BadRecord("is an address, not a host name")
    return host


def _shown(values: Sequence[str]) -> str:
    shown = [value if len(value) <= _SHOWN_LENGTH else f"{value[:_SHOWN_LENGTH]}…" for value in values[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else "")
