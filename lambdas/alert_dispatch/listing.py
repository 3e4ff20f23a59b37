"""The lines of a message that tells of many things: as many as there is room for, and how many others there are. Pure."""

from collections.abc import Callable, Sequence
from typing import Final

from lambdas.alert_dispatch.fitting import fit, utf16_units

LINE_LIMIT: Final = 200
ROOM_FOR_MORE: Final = 30


def listing(lines: Sequence[str], others: int, room: int, *, size: Callable[[str], int] = utf16_units) -> list[str]:
    """Lines that fit into `room`, counted with one line break each, and one that counts all the others, if there are any.

    `size` measures a line as it will be written, escapes included.
    """
    shown: list[str] = []
    left = room - ROOM_FOR_MORE
    for line in lines:
        short = fit(line, LINE_LIMIT)
        left -= size(short) + 1
        if left < 0:
            break
        shown.append(short)
    more = len(lines) - len(shown) + others
    return [*shown, f"… and {more} more"] if more else shown
