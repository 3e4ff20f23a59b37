"""Who is being sent to by this process right now: a target that hangs must not hold everybody's turn.

In AWS an execution environment sends one message at a time, and there are many of them. One box has one process with some dozens of slots.
A storm in which one receiver hangs would fill them within the 5 s of a first attempt, long before three timeouts open its breaker.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final
from uuid import UUID

from lambdas.alert_dispatch.errors import Later

CROWD: Final = 16
"""Messages for one channel that may be under way once the oldest of them has been for `PROMPT_S`."""

PROMPT_S: Final = 0.75
"""A target that answers within this time may have as many as there are. Longer than our own slowness makes an answer take."""

COME_BACK_S: Final = 2
"""Short, because a target may be slow for a moment, and so may we."""


class Crowds:
    """What is under way, by channel. Safe to share between threads; `clock` is monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: dict[UUID, dict[object, float]] = {}
        self._lock = Lock()

    @contextmanager
    def join(self, channel_id: UUID) -> Iterator[None]:
        """Be under way to this channel meanwhile.

        Raises:
            Later: too many are, and have been for long.
        """
        ticket, now = object(), self._clock()
        with self._lock:
            began = self._began.setdefault(channel_id, {})
            if len(began) >= CROWD and now - min(began.values()) > PROMPT_S:
                raise Later("many messages for this target are under way and have no answer yet", COME_BACK_S)
            began[ticket] = now
        try:
            yield
        finally:
            with self._lock:
                del began[ticket]
                if not began:
                    del self._began[channel_id]
