"""How many pings of one heartbeat are recorded in a minute. Pure.

Sequences count the pings, so a window needs no counter: it is the time at which it opened and the sequence of the ping that opened it.
"""

import math
from typing import Final

from lambdas.ping.item import Item
from lambdas.ping.request import Ping

WINDOW_MS: Final = 60_000
NEWS_FACTOR: Final = 4
"""Pings that change the verdict have so many times the limit: a failure among many successes must not be lost."""


def opens_window(item: Item, ping: Ping) -> bool:
    """Whether the last window is over."""
    return ping.pinged_at - item.window_at >= WINDOW_MS


def wait_s(item: Item, ping: Ping, limit: int) -> int | None:
    """Seconds to wait where this ping is one too many; None where it is not. A `limit` of 0 is none."""
    if not limit or opens_window(item, ping):
        return None
    earlier = item.sequence - item.window_sequence
    if earlier < (NEWS_FACTOR * limit if _is_news(item, ping) else limit):
        return None
    return max(1, math.ceil((item.window_at + WINDOW_MS - ping.pinged_at) / 1000))


def _is_news(item: Item, ping: Ping) -> bool:
    if ping.kind == "fail":
        return item.fail_sequence <= item.success_sequence
    return ping.kind == "success" and item.success_sequence <= item.fail_sequence
