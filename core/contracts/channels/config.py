"""What every kind of channel configuration has in common, and what is wrong with one."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, Self, get_args, get_origin

import msgspec

_PATH: Final = re.compile(r" - at `(?:key in )?\$\.?([^`.\[]*)[^`]*`$")
"""Where in the document msgspec found a value of the wrong type."""

_FORMS: Final[dict[Any, str]] = {str: "a text", dict: "an object", tuple: "a list"}


HARMLESS: Final = frozenset(
    {"channel", "language", "method", "other_priority", "parameters", "priority", "region", "severity", "template", "version"}
)
"""Fields that say how something is sent. To whom and with what, all others say."""

SHORTEST_PRIVATE: Final = 6
"""Characters, as `a@b.de` has. What is shorter is found in any sentence."""


class BadConfig(ValueError):
    """A configuration is not usable. `field` names the culprit (empty: the whole), `code` is stable, `message` is for people."""

    def __init__(self, field: str, code: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.code = code
        self.message = message


class ChannelConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One channel's configuration. Each kind is a subclass in a module of its own."""

    def checked(self, *, private_targets: bool) -> Self:
        """As it is kept, if a user may have typed it; `private_targets`: whether private and loopback addresses may be sent to.

        Raises:
            BadConfig: with the field to blame.
        """
        raise NotImplementedError

    def person(self) -> str:
        """The address where it is a person's, who must agree before anything but a question is sent there; else empty."""
        return ""

    def private(self) -> frozenset[str]:
        """The texts in it that nobody else is to read: addresses, URLs, tokens."""
        fields = {name: value for name, value in msgspec.to_builtins(self).items() if name not in HARMLESS}
        return frozenset(text for text in _texts(fields) if len(text) >= SHORTEST_PRIVATE)

    def summary(self) -> str:
        """What may be shown of it: enough to recognise it, nothing to use it with (paths often hold tokens)."""
        raise NotImplementedError


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for one in value.values() for text in _texts(one))
    elif isinstance(value, list | tuple):
        yield from (text for one in value for text in _texts(one))


def convert[C: ChannelConfig](shape: type[C], config: Mapping[str, Any]) -> C:
    """JSON values as a configuration of one kind.

    Raises:
        BadConfig: a field is missing, not known, or of another type.
    """
    fields = {field.name: field for field in msgspec.structs.fields(shape)}
    for name in config:
        if name not in fields:
            raise BadConfig(str(name), "unknown_field", f"is not known; there are {', '.join(fields)}")
    for name, field in fields.items():
        if field.required and name not in config:
            raise BadConfig(name, "required", "is required")
    try:
        return msgspec.convert(dict(config), shape)
    except msgspec.ValidationError as error:
        where = _PATH.search(str(error))
        name = where[1] if where else ""
        raise BadConfig(name, "invalid", f"must be {_form(fields[name].type)}" if name in fields else str(error)) from None


def _form(kind: Any) -> str:
    """What a value of a type is, in words."""
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if origin is Literal:
        return f"one of {', '.join(inner)}"
    each = f", each of it {_form(inner[0])}" if origin is tuple else " of texts" if inner == (str, str) else ""
    return f"{_FORMS[origin]}{each}"
