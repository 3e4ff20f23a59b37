"""Checks of one host in line: a few are open at once, and the others follow as those end, or step by step.

Websites of a host are spread over their interval, until we were away: then all of them are overdue. A server's queue of connections may be
as short as five, and what does not fit into it is dropped without a word: to start them together would be an outage of our own making.
"""

from collections import deque
from typing import Final

from core.flows.websites import Job

OPEN_AT_ONCE: Final = 4
"""Checks of one host that begin without waiting for each other."""

STEP_S: Final = 0.1
"""How often one more begins where those that are open do not end."""

STEPS: Final = 10
"""Of a longer line this part begins at each step: twenty wait two seconds at most, ten times as many two and a half more."""

type Waiting = tuple[Job, float]
"""A job and the last moment to start it, as in the agenda."""


def host_of(job: Job) -> str:
    """Who shares a line: the host and port of the URL, as they are written there."""
    return job.request.url.split("/", 3)[2]


class HostLines:
    """Who may begin now. Everybody who may is `left` when the check has ended, or will not begin after all."""

    def __init__(self) -> None:
        self._open: dict[str, int] = {}
        self._lines: dict[str, deque[Waiting]] = {}
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def enter(self, item: Waiting) -> bool:
        """Whether it begins now; else it is in line."""
        host = host_of(item[0])
        already = self._open.get(host, 0)
        if already < OPEN_AT_ONCE:
            self._open[host] = already + 1
            return True
        self._lines.setdefault(host, deque()).append(item)
        self._waiting += 1
        return False

    def hurry(self, job: Job) -> None:
        """It begins now, whoever is in line."""
        host = host_of(job)
        self._open[host] = self._open.get(host, 0) + 1

    def leave(self, job: Job) -> Waiting | None:
        """A check that was allowed to begin has ended: who follows it."""
        host = host_of(job)
        still = self._open[host] - 1
        if still:
            self._open[host] = still
        else:
            del self._open[host]
        return self._next(host) if still < OPEN_AT_ONCE and host in self._lines else None

    def step(self) -> list[Waiting]:
        """Who begins although others have not ended: a host that hangs, or that is slow, holds nobody up for long."""
        return [self._next(host) for host, line in list(self._lines.items()) for _ in range(max(len(line) // STEPS, 1))]

    def clear(self) -> list[Waiting]:
        """Everybody in line, who is in none afterwards."""
        waiting = [item for line in self._lines.values() for item in line]
        self._lines.clear()
        self._waiting = 0
        return waiting

    def _next(self, host: str) -> Waiting:
        line = self._lines[host]
        item = line.popleft()
        if not line:
            del self._lines[host]
        self._waiting -= 1
        self._open[host] = self._open.get(host, 0) + 1
        return item
