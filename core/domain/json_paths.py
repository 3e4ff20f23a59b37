"""Paths into JSON documents: names, indexes and wildcards of JSONPath (RFC 9535), and nothing that could take long.

`..`, filters and unions are left out: nested, they visit a document many times over, and whoever writes a path chooses the document
too. What is left visits each value at most once.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import msgspec

_SEGMENT: Final = re.compile(
    r"""\.([^\W\d][\w-]*)            # .name
    |(\.\*|\[\*\])                   # .* or [*]
    |\[(0|-?[1-9][0-9]{0,8})\]       # [0], [-1]
    |\['((?:[^'\\]|\\['\\])*)'\]     # ['any name']
    |\["((?:[^"\\]|\\["\\])*)"\]     # ["any name"]
    """,
    re.VERBOSE,
)
_ESCAPED: Final = re.compile(r"\\(.)")


VALUES_LIMIT: Final = 10_000


class TooManyValues(Exception):
    """The path leads to more values than are looked at."""


class BadPath(ValueError):
    """The path cannot be read; the message says where."""


class Everything:
    """Selects all members of an object, all elements of an array."""


type Selector = str | int | Everything


def parse_path(path: str) -> tuple[Selector, ...]:
    """The selectors of a path such as `$.items[0]['unit price']` or `$.services[*].state`.

    Raises:
        BadPath: with the part that cannot be read.
    """
    if not path.startswith("$"):
        raise BadPath("must begin with $")
    selectors: list[Selector] = []
    at = 1
    while at < len(path):
        found = _SEGMENT.match(path, at)
        if found is None:
            raise BadPath(f"cannot be read from {path[at : at + 20]!r} on: only .name, ['name'], [0] and [*] are known")
        selectors.append(_selector(found))
        at = found.end()
    return tuple(selectors)


def _selector(found: re.Match[str]) -> Selector:
    name, everything, index, *quoted = found.groups()
    if everything:
        return Everything()
    if index is not None:
        return int(index)
    return name or _ESCAPED.sub(r"\1", next(text for text in quoted if text is not None))


def values_at(document: Any, selectors: tuple[Selector, ...]) -> list[Any]:
    """Every value that the selectors lead to, in order.

    Raises:
        TooManyValues: more than `VALUES_LIMIT`, at the end or on the way.
    """
    values = [document]
    for selector in selectors:
        found = (inner for value in values for inner in _select(value, selector))
        values = list(islice(found, VALUES_LIMIT + 1))
        if len(values) > VALUES_LIMIT:
            raise TooManyValues
    return values


def _select(value: Any, selector: Selector) -> Iterator[Any]:
    match selector, value:
        case Everything(), dict():
            yield from value.values()
        case Everything(), list():
            yield from value
        case str(), dict() if selector in value:
            yield value[selector]
        case int(), list() if -len(value) <= selector < len(value):
            yield value[selector]


def read_json(body: bytes) -> Any:
    """A JSON document.

    Raises:
        ValueError: it is none, or too deeply nested.
    """
    try:
        return msgspec.json.decode(body)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error
