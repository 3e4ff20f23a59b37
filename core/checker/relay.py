"""One relay of the outbox at a time in each process.

A storm of alerts has a task for each; if every one of them relayed, each would hold a database connection for the time of a PutEvents call.
So whoever comes while a relay runs leaves a note, and the runner goes once more: its calls are full batches instead of single events.
"""

import threading
from collections.abc import Callable


class RelayOnce:
    """Runs `relay` for whoever asks, never twice at the same time."""

    def __init__(self, relay: Callable[[], object]) -> None:
        self._relay = relay
        self._lock = threading.Lock()
        self._running = False
        self._wanted = False

    def __call__(self) -> None:
        """See to it that a relay begins after now. It may run in another thread, and then this returns at once.

        Raises:
            Exception: what `relay` raises, in the thread that runs it; what others asked for is left to the sweep.
        """
        with self._lock:
            self._wanted = True
            if self._running:
                return
            self._running = True
        try:
            while self._take():
                self._relay()
        except BaseException:
            with self._lock:
                self._running = False
            raise

    def _take(self) -> bool:
        """Whether somebody wants a relay; if nobody does, the run is over."""
        with self._lock:
            wanted, self._wanted = self._wanted, False
            self._running = wanted
            return wanted
