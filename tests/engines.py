"""Probe engines for tests: they answer what they are told to, when they are told to."""

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from core.domain.outcomes import Outcome, Reason
from core.domain.probes import ProbeRequest, ProbeResult


def result(outcome: Outcome = Outcome.UP, reason: Reason = Reason.OK, **found: object) -> ProbeResult:
    """A result that started now."""
    return ProbeResult(outcome=outcome, reason=reason, started_at=datetime.now(UTC), **found)  # type: ignore[arg-type]  # tests pass what fits


class FakeEngine:
    """Answers with `answer(request)` after `delay_s`, or, with a `gate`, when the gate opens. Counts what runs."""

    def __init__(
        self,
        answer: Callable[[ProbeRequest], ProbeResult] = lambda _: result(),
        *,
        delay_s: float = 0.0,
        gate: threading.Event | None = None,
    ) -> None:
        self.answer = answer
        self.delay_s = delay_s
        self.gate = gate
        self.started: list[tuple[int, float]] = []
        self.running = 0
        self.most_running = 0
        self.closed = False

    async def probe(self, request: ProbeRequest) -> ProbeResult:
        """Pretend."""
        self.started.append((request.monitor_id, time.time()))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(self.delay_s)
            while self.gate and not self.gate.is_set():
                if self.closed:
                    return result(Outcome.UNKNOWN, Reason.SHUTTING_DOWN)
                await asyncio.sleep(0.005)
            return self.answer(request)
        finally:
            self.running -= 1

    async def close(self) -> None:
        """End what waits at the gate."""
        self.closed = True
