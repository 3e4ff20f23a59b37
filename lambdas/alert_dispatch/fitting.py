"""Cuts text to what a service takes, counted as the service counts, without cutting through an escape. Pure."""

from collections.abc import Callable
from typing import Final

CUT: Final = "…"
WIDE: Final = 0xFFFF


def utf16_units(text: str) -> int:
    """Length as JavaScript and Telegram count it; never less than the number of characters."""
    return len(text) + sum(ord(char) > WIDE for char in text)


def utf8_bytes(text: str) -> int:
    """Length in bytes."""
    return len(text.encode())


def as_it_is(char: str) -> str:
    """No escape."""
    return char


def fit(text: str, limit: int, *, escape: Callable[[str], str] = as_it_is, size: Callable[[str], int] = utf16_units) -> str:
    """The escaped text, cut to `limit` where it is longer; a cut shows as an ellipsis.

    Args:
        text: what somebody wrote.
        limit: the most that the result may measure by `size`; at least the size of the ellipsis.
        escape: of one character.
        size: of a piece of the result.
    """
    # Each piece measures at least 1, so one more than `limit` is enough to be too many.
    pieces = [escape(char) for char in text[: limit + 1]]
    if sum(map(size, pieces)) <= limit:
        return "".join(pieces)
    room = limit - size(CUT)
    kept = 0
    for piece in pieces:
        room -= size(piece)
        if room < 0:
            break
        kept += 1
    return "".join(pieces[:kept]) + CUT
