"""Between the probes and the flush: failures wait a moment, and where they come in a burst, until canaries were asked whose they are.

Nothing waits where no canary has ever been well: a box without a way out judges its targets by themselves.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from copy import replace
from dataclasses import dataclass
from typing import Final, Protocol

from core.checker.operator_alert import OperatorAlert
from core.domain.outcomes import Outcome, Reason
from core.domain.own_trouble import NAME_FAILURES, RecentResults, Spell, Trouble, are_liars, canaries_fail, excused
from core.flows.websites import Finished
from core.logs import get_logger

log = get_logger(__name__)

HOLD_S: Final = 0.25
"""How long a failure waits for others, to be seen as a burst together."""

IDLE_ROUND_S: Final = 60.0
TROUBLE_ROUND_S: Final = 2.0
MOST_HELD: Final = 20_000
_OURS: Final = {trouble.reason: trouble for trouble in Trouble}
"""What is plainly ours needs no canary to be judged, but what fails after it does."""

STOPPING: Final = "the checker is stopping"


class Canary(Protocol):
    """Something that works whenever we do. `is_well` answers within two seconds or so and never raises."""

    name: str

    async def is_well(self) -> bool:
        """Ask it now."""
        ...


async def _nothing() -> None: ...


@dataclass(frozen=True, slots=True)
class Aviary:
    """All canaries of a process. `close` releases what they use."""

    network: Sequence[Canary] = ()
    resolver: Sequence[Canary] = ()
    close: Callable[[], Awaitable[None]] = _nothing


@dataclass(slots=True)
class _Group:
    """Canaries of one kind. Those in `armed` have been well once; the counts are of results since they all fail."""

    canaries: Sequence[Canary]
    armed: set[str]
    spell: Spell
    failing_since: float | None = None
    up: int = 0
    failed: int = 0


class OwnTroubleWatch:
    """Passes results on to `deliver`, failures as soon as it is known whose they are. Lives on one event loop."""

    def __init__(self, aviary: Aviary, deliver: Callable[[Finished], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._aviary = aviary
        self._deliver = deliver
        self._groups = {
            Trouble.NETWORK: _Group(aviary.network, set(), Spell()),
            Trouble.RESOLVER: _Group(aviary.resolver, set(), Spell()),
        }
        self._recent = RecentResults()
        self._alert = OperatorAlert()
        self._held: list[tuple[Finished, float]] = []
        self._doubts: set[Trouble] = set()
        self._judging: asyncio.Task[None] | None = None
        self._closed = False
        self._hurry = asyncio.Event()
        self._patrol = self._loop.create_task(self._walk())

    def take(self, done: Finished, began_at: float) -> None:
        """A check that began at `began_at` (of the loop's clock) has ended."""
        now = self._loop.time()
        failed = done.result.outcome is Outcome.DOWN
        if not done.job.failing and done.result.outcome is not Outcome.UNKNOWN:
            self._count(now, failed=failed)
        if not failed or not self._is_armed():
            self._pass(done)
            if done.result.reason in _OURS:
                self._doubt(_OURS[done.result.reason])
        elif self._closed:
            self._pass(_not_counted(done, Reason.SHUTTING_DOWN, STOPPING))
        elif len(self._held) >= MOST_HELD:
            self._pass(_not_counted(done, Reason.OVERLOADED, "too many failures at once to judge them"))
        else:
            self._held.append((done, began_at))
            is_name = done.result.reason in NAME_FAILURES
            self._doubt(
                *([Trouble.RESOLVER] if is_name else []), *([Trouble.NETWORK] if is_name or self._recent.is_burst else [])
            )

    async def close(self) -> None:
        """Give up asking; what still waits, or comes later, does not count."""
        self._closed = True
        for task in (self._patrol, self._judging):
            if task is not None:
                task.cancel()
        held, self._held = self._held, []
        for done, _ in held:
            self._pass(_not_counted(done, Reason.SHUTTING_DOWN, STOPPING))
        await self._aviary.close()

    def _pass(self, done: Finished) -> None:
        self._alert.see(done.result, self._loop.time())
        self._deliver(done)

    def _count(self, now: float, *, failed: bool) -> None:
        self._recent.add(now, failed=failed)
        for group in self._groups.values():
            group.up += not failed
            group.failed += failed

    def _is_armed(self) -> bool:
        return any(group.armed for group in self._groups.values())

    def _doubt(self, *troubles: Trouble) -> None:
        """Have what is held judged soon, after the canaries of these kinds were asked."""
        self._doubts.update(troubles)
        if not self._closed and (self._judging is None or self._judging.done()):
            self._judging = self._loop.create_task(self._judge())

    async def _judge(self) -> None:
        await asyncio.sleep(HOLD_S)
        while self._held or self._doubts:
            waiting = len(self._held)
            doubts, self._doubts = self._doubts, set()
            await asyncio.gather(*(self._suspect(trouble) for trouble in doubts))
            judged, self._held = self._held[:waiting], self._held[waiting:]
            network, resolver = (self._groups[trouble].spell for trouble in (Trouble.NETWORK, Trouble.RESOLVER))
            for done, began_at in judged:
                self._pass(replace(done, result=excused(done.result, began_at, network, resolver)))

    async def _suspect(self, trouble: Trouble) -> None:
        """Ask the canaries, unless they are known to fail: then the patrol asks them all the time."""
        group = self._groups[trouble]
        if group.spell.active or not await self._fail(group):
            return
        group.spell = group.spell.began()
        log.warning("own_trouble.canaries_fail", trouble=trouble, canaries=sorted(group.armed), failures_held=len(self._held))
        self._hurry.set()

    async def _walk(self) -> None:
        while True:
            for trouble, group in self._groups.items():
                await self._visit(trouble, group)
            self._alert.look(self._loop.time())
            self._hurry.clear()
            in_trouble = any(group.spell.active for group in self._groups.values())
            try:
                async with asyncio.timeout(TROUBLE_ROUND_S if in_trouble else IDLE_ROUND_S):
                    await self._hurry.wait()
            except TimeoutError:
                continue

    async def _visit(self, trouble: Trouble, group: _Group) -> None:
        """Arm, end a trouble, or stop listening to canaries that the websites contradict."""
        if await self._fail(group):
            now = self._loop.time()
            assert group.failing_since is not None, "they fail"
            if not are_liars(now - group.failing_since, up=group.up, failed=group.failed):
                return
            log.error("own_trouble.canaries_not_believed", trouble=trouble, canaries=sorted(group.armed))
            group.armed.clear()
            group.failing_since = None
        if group.spell.active:
            group.spell = group.spell.ended(self._loop.time())
            log.warning("own_trouble.canaries_well", trouble=trouble)

    async def _fail(self, group: _Group) -> bool:
        """Whether the armed canaries of a group all fail now. Arms those that are well."""
        if not group.canaries:
            return False
        well = await asyncio.gather(*(_ask(canary) for canary in group.canaries))
        group.armed.update(canary.name for canary, is_well in zip(group.canaries, well, strict=True) if is_well)
        fail = canaries_fail(is_well for canary, is_well in zip(group.canaries, well, strict=True) if canary.name in group.armed)
        if not fail:
            group.failing_since = None
        elif group.failing_since is None:
            group.failing_since, group.up, group.failed = self._loop.time(), 0, 0
        return fail


async def _ask(canary: Canary) -> bool:
    try:
        return await canary.is_well()
    except Exception:
        log.exception("own_trouble.canary_broke", canary=canary.name)
        return False


def _not_counted(done: Finished, reason: Reason, why: str) -> Finished:
    detail = f"{why}, so this does not count: {done.result.detail or done.result.reason.label}"
    return replace(done, result=replace(done.result, outcome=Outcome.UNKNOWN, reason=reason, detail=detail))
