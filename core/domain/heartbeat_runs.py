"""Runs of a job that have started and not ended: all of them, told apart by the run id that the job sends (`rid`).

Starts and ends are known by their sequences, so they can arrive in any order. An end with a run id ends that run. One without ends every
run that started before it, as nobody can tell which was meant.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

WITHOUT_ID: Final = ""
"""The key of the run of a job that sends no run ids; a start of such a job replaces the one before."""

MOST_OPEN: Final = 100
"""Runs of one heartbeat that are kept; of more, those that started last."""

MOST_ENDED: Final = 16
"""Ends that overtook their starts and are remembered for them; the last ones."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run under way: when it started, and the sequence of that ping."""

    sequence: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Runs:
    """`open` by run id; `ended` holds the sequences of ends that came before their starts."""

    open: Mapping[str, Run] = field(default_factory=dict)
    ended: Mapping[str, int] = field(default_factory=dict)

    def started(self, rid: str, run: Run, ended_by: int) -> "Runs":
        """With a start; `ended_by` is the highest sequence of an end without a run id, which ended what started before."""
        if rid in self.ended and self.ended[rid] > run.sequence:
            return replace(self, ended={key: end for key, end in self.ended.items() if key != rid})
        known = self.open.get(rid)
        if run.sequence < ended_by or (known and known.sequence > run.sequence):
            return self
        return replace(self, open=_last(MOST_OPEN, {**self.open, rid: run}))

    def ended_all(self, sequence: int) -> "Runs":
        """With an end without a run id."""
        if not self.open:
            return self
        return replace(self, open={key: run for key, run in self.open.items() if run.sequence > sequence})

    def ended_one(self, rid: str, sequence: int) -> "Runs":
        """With an end of that run."""
        run = self.open.get(rid)
        if run and run.sequence < sequence:
            return self.without(rid)
        if run:  # the run id is used again, and this end belongs to an earlier run
            return self
        return self.overtaken(rid, sequence)

    def overtaken(self, rid: str, sequence: int) -> "Runs":
        """With the memory that a run is over whose start, of a lower sequence, is still to come."""
        ended = {**self.ended, rid: max(sequence, self.ended.get(rid, 0))}
        return replace(self, ended=dict(sorted(ended.items(), key=lambda end: end[1])[-MOST_ENDED:]))

    def without(self, rid: str) -> "Runs":
        """Without that run."""
        return replace(self, open={key: run for key, run in self.open.items() if key != rid})


NO_RUNS: Final = Runs()


def _last(most: int, runs: Mapping[str, Run]) -> Mapping[str, Run]:
    if len(runs) <= most:
        return runs
    return dict(sorted(runs.items(), key=lambda item: item[1].sequence)[-most:])
