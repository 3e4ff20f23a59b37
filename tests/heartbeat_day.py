"""A day of many heartbeats in accelerated time, with the truth beside it.

The real ping handler, inbox, sweeps, canary and detector run on a real PostgreSQL; DynamoDB, bus and queue are in memory, and there is no
clock but that of the day. Jobs are jittered, late, silent, failing and hanging by a script that is drawn beforehand; pings are sent
twice, overtake each other and get lost on the bus; the edge and the core are stopped. What must be told follows from the script alone.
"""

import heapq
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Event
from typing import Any, Final, Literal
from uuid import UUID, uuid4

from core.adapters.database import Pool
from core.adapters.ping_canary import NOBODY
from core.adapters.queues import SqsQueue
from core.adapters.store.outbox import OutboxEvent
from core.flows.edge_watch import EdgeWatcher
from core.flows.heartbeat_metrics import HeartbeatSeries
from core.flows.heartbeats import sweep_pending
from core.flows.silence import Detector
from core.flows.upkeep import make_ahead
from core.inbox.consumer import Consumer
from core.inbox.handlers import PingHandler
from tests.fake_dynamodb import FakeDynamoDb, FakeEdgeTable
from tests.fakes import FakeEvents, FakeMessage, FakeQueue, FakeSqs
from tests.heartbeats import make_heartbeat
from tests.ping_in_memory import ping_service

BEGAN: Final = datetime(2026, 11, 23, tzinfo=UTC)
TICK_S: Final = 10.0
CANARY_S: Final = 30.0
CLEAR_S: Final = 240.0
"""What must be told keeps so far away from stops of ours: a canary's interval, and the time to catch up."""

PERIODS_S: Final = (300, 600, 900, 1800, 3600, 7200, 21_600)
REQUEST: Final = "0190f5c2-{:04x}-7000-8000-{:012x}"

POISON: Final = ("{", '{"detail-type": "HeartbeatPinged", "detail": {}}', "null")
TOLD: Final = """
SELECT m.uid, a.alert_type, a.facts->'incident'->>'reason'
FROM alert a JOIN monitor m ON m.id = a.monitor_id JOIN incident i ON i.id = a.incident_id
ORDER BY i.began_at, a.sequence
"""

SCHEDULE: Final = """
UPDATE heartbeat SET schedule_kind = %s, schedule = %s, time_zone = 'UTC' WHERE monitor_id = (SELECT id FROM monitor WHERE uid = %s)
"""

type Kind = Literal["plain", "exit", "run"]
type Calendar = Literal["period", "cron", "oncalendar"]
type Deed = Literal["ok", "late", "missed", "failed", "hung"]
type Told = tuple[str, str]
type Span = tuple[float, float]

RECOVERED: Final[Told] = ("recovered", "")


@dataclass(frozen=True)
class Sent:
    """One request of a job, at `at` seconds of the day. `action` None is success."""

    at: float
    action: str | None


@dataclass(frozen=True)
class Stops:
    """When the edge and the core do not run."""

    edge: list[Span]
    core: list[Span]


@dataclass
class Job:
    """A job with its grid of slots and what it does in each."""

    kind: Kind
    calendar: Calendar
    period_s: int
    grace_s: int
    phase_s: float
    slots: list[float]
    deeds: list[Deed]
    sends: list[Sent]
    uid: UUID = field(default_factory=uuid4)

    def truth(self, stops: Stops, end: float) -> list[Told]:
        """What must be told until `end`, from what was sent and what reached the edge: `down` or `recovered`, and why."""
        told: list[Told] = []
        last, began = None, None
        reached = [send for send in self.sends if send.at < end and not _within(stops.edge, send.at)]
        for send in [*reached, Sent(end, "end")]:
            down = told[-1:] not in ([], [RECOVERED])
            due = None if down else self._due(last, began)
            if due is not None and due < send.at and not self._lost(stops, last, began, due) and _seen(stops.core, due, send.at):
                told.append(("down", "missed"))
                down = True
            if send.action in (None, "0"):
                told += [RECOVERED] if down else []
                last, began = send.at, None
            elif send.action == "start":
                began = None if down else send.at
            elif send.action != "end":
                told += [] if down else [("down", "failed")]
                began = None
        return told

    def _lost(self, stops: Stops, last: float | None, began: float | None, due: float) -> bool:
        """Whether a ping that the deadline waited for met a stop of the edge."""
        since = min(at for at in (last, began, due) if at is not None)
        return any(since < send.at <= due and _within(stops.edge, send.at) for send in self.sends)

    @property
    def schedule(self) -> str:
        """The words of its calendar: every so many minutes of an hour, beginning with that of its phase."""
        first, every = int(self.phase_s // 60), self.period_s // 60
        return {"period": "", "cron": f"{first}-59/{every} * * * *", "oncalendar": f"*-*-* *:{first:02d}/{every}:00"}[
            self.calendar
        ]

    def _due(self, last: float | None, began: float | None) -> float | None:
        latest = None if last is None else self._expected(last) + self.grace_s
        if began is not None:
            return min(began, latest if latest is not None else began) + self.grace_s
        return latest

    def _expected(self, last: float) -> float:
        """When the ping after one at `last` is due: a period later, or at the next slot that it is not the early ping of."""
        if self.calendar == "period":
            return last + self.period_s
        slots = count(self.phase_s, self.period_s)
        return next(slot for slot in slots if slot - last > min(60.0, 0.1 * self.period_s))


@dataclass
class Script:
    """What happens in a day of `length` seconds."""

    seed: int
    length: float
    jobs: list[Job]
    stops: Stops

    def truth(self) -> dict[UUID, list[Told]]:
        """What must be told of each heartbeat."""
        return {job.uid: job.truth(self.stops, self.length) for job in self.jobs}


def draw(seed: int, *, hours: float, heartbeats: int) -> Script:
    """A script: stops first, then jobs whose misdeeds can be told apart from the stops."""
    dice = random.Random(seed)
    length = hours * 3600
    edge_down = _stops(dice, length, shortest=120, longest=1500, every=length / 6)
    core_down = _stops(dice, length, shortest=120, longest=2400, every=length / 8)
    stops = Stops(edge_down, core_down)
    jobs = [_job(dice, length, stops, dice.choice(("plain", "exit", "run"))) for _ in range(heartbeats)]
    return Script(seed, length, jobs, stops)


def _stops(dice: random.Random, length: float, *, shortest: float, longest: float, every: float) -> list[Span]:
    spans: list[Span] = []
    at = 1200 + dice.expovariate(1 / every)
    while at + longest < length - 1200:
        end = at + dice.uniform(shortest, longest)
        spans.append((at, end))
        at = end + 900 + dice.expovariate(1 / every)
    return spans


def _job(dice: random.Random, length: float, stops: Stops, kind: Kind) -> Job:
    calendar: Calendar = dice.choice(("period", "cron", "oncalendar"))
    period_s = dice.choice(PERIODS_S if calendar == "period" else [period for period in PERIODS_S if period <= 3600])
    grace_s = max(60, period_s // 5)
    phase_s = dice.uniform(0, period_s) if calendar == "period" else 60.0 * dice.randrange(period_s // 60)
    slots = [phase_s + n * period_s for n in range(int((length - phase_s) // period_s) + 3)]
    job = Job(kind, calendar, period_s, grace_s, phase_s, slots, ["ok"] * len(slots), [])
    previous = 0
    for n in range(2, len(slots) - 1):
        deed = _deed(dice, kind)
        if deed != "ok" and n > previous + 2 and slots[n + 1] + CLEAR_S < length and _can_be_told(job, n, deed, stops):
            job.deeds[n], previous = deed, n
    job.sends = sorted((send for n in range(len(slots)) for send in _sends(dice, job, n)), key=lambda send: send.at)
    return job


def _deed(dice: random.Random, kind: Kind) -> Deed:
    deeds: dict[Deed, float] = {"ok": 0.95, "late": 0.01, "missed": 0.01}
    deeds |= {"failed": 0.02} if kind == "exit" else {"hung": 0.01} if kind == "run" else {}
    return dice.choices(list(deeds), list(deeds.values()))[0]


def _can_be_told(job: Job, n: int, deed: Deed, stops: Stops) -> bool:
    """No stop of the edge from the slot before to the slot after; and the core clearly runs when it matters."""
    slot, after = job.slots[n], job.slots[n + 1]
    if _meets(stops.edge, job.slots[n - 1] - CLEAR_S, after + CLEAR_S):
        return False
    if deed == "late" or after - slot < 8 * CLEAR_S:
        return not _meets(stops.core, slot - CLEAR_S, after + CLEAR_S)
    return not _meets(stops.core, after - 3 * CLEAR_S, after + CLEAR_S)  # it may be away at the deadline, not until the next ping


def _sends(dice: random.Random, job: Job, n: int) -> Iterator[Sent]:
    """The pings of a slot. Jitter is so small that two of them never add up to the grace."""
    jitter = min(15.0, 0.04 * job.period_s)
    at, deed = job.slots[n] + dice.uniform(-jitter, jitter), job.deeds[n]
    if deed == "missed":
        return
    if deed == "late":
        at = job.slots[n] + 1.35 * job.grace_s + 2 * jitter + dice.uniform(45, 90)
    if job.kind == "run":
        yield Sent(at, "start")
        if deed != "hung":
            yield Sent(at + dice.uniform(5, 0.3 * job.grace_s), None)
    elif deed == "failed":
        yield Sent(at, dice.choice(("fail", "1", "255")))
    else:
        yield Sent(at, "0" if job.kind == "exit" else None)


def _meets(spans: Iterable[Span], begin: float, end: float) -> bool:
    return any(down < end and begin < up for down, up in spans)


def _within(spans: Iterable[Span], at: float) -> bool:
    return any(begin <= at < end for begin, end in spans)


def _seen(core_down: Sequence[Span], due: float, until: float) -> bool:
    """Whether the core runs, and has caught up, at some time between a deadline and the ping after it."""
    at = due + 15
    for begin, end in core_down:
        if begin - 15 < at < end + CLEAR_S:
            at = end + CLEAR_S
    return at < until


class ShufflingQueue(FakeQueue):
    """Messages take a while, and a different one each; some come twice. Nobody waits in a day without a clock."""

    def __init__(self, dice: random.Random, now: "Day") -> None:
        super().__init__(visibility_s=60, max_receive_count=5, clock=lambda: now.at)
        self._dice = dice
        self.taken = 0

    def send(self, body: str) -> str:
        """Add it, once or twice."""
        sent = ""
        for _ in range(2 if self._dice.random() < 0.02 else 1):
            sent = super().send(body)
            with self._changed:
                self._show_at(self._messages[sent], self._clock() + self._dice.expovariate(1 / 1.5))
        return sent

    def receive(self, limit: int = 10, wait_s: float = 0.0) -> list[FakeMessage]:
        """What is visible now."""
        messages = super().receive(limit)
        self.taken += len(messages)
        return messages

    def delete(self, receipts: Sequence[str]) -> None:
        """Now and then the consumer dies before it deletes."""
        if self._dice.random() > 0.01:
            super().delete(receipts)


class LossyEvents(FakeEvents):
    """A bus that refuses a part of what it gets."""

    def __init__(self, dice: random.Random, queue: FakeQueue, refused: float = 0.02) -> None:
        super().__init__({"HeartbeatPinged": queue})
        self._dice = dice
        self._share = refused
        self.refused = 0

    def put_events(self, **asked: Any) -> dict[str, Any]:
        """See `FakeEvents`."""
        if self._dice.random() < self._share:
            self.refused += 1
            return {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]}
        return super().put_events(**asked)

    def publish(self, batch: Sequence[OutboxEvent]) -> list[bool]:
        """As the sweep sees the bus."""
        entries = ({"Source": "x", "DetailType": event.detail_type, "Detail": event.detail} for event in batch)
        return ["EventId" in self.put_events(Entries=[entry])["Entries"][0] for entry in entries]


class NoKicks:
    """Nobody routes alerts here."""

    def kick_alerts(self, alert_ids: Sequence[UUID]) -> None:
        """Nothing."""


@dataclass
class Day:
    """The world of a script. `at` is the time, in seconds of the day."""

    script: Script
    pool: Pool
    at: float = 0.0
    answered: set[str] = field(default_factory=set)
    figures: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.script.seed + 1)
        self.dynamodb = FakeDynamoDb(self._trouble)
        self.table = FakeEdgeTable(self.dynamodb)
        self.queue = ShufflingQueue(self._dice, self)
        self._events = LossyEvents(self._dice, self.queue)
        self._service = ping_service(self.dynamodb, self._events, pause=lambda _: None)
        handler = PingHandler(self.pool, self.table, NoKicks(), HeartbeatSeries(), lambda: self.now)
        sqs = SqsQueue(FakeSqs({"pings": self.queue}), "pings")  # type: ignore[arg-type]  # the calls that are made
        self._consumer = Consumer(sqs, handler, Event())
        self._watcher = EdgeWatcher(self.pool, self.table, self, timedelta(seconds=CANARY_S), lambda: self.now)
        self._detector = Detector(self.pool, self.table, self._watcher)
        self._requests = count(1)

    @property
    def now(self) -> datetime:
        """The time."""
        return BEGAN + timedelta(seconds=self.at)

    def live(self) -> None:
        """The whole day; then nobody pings any more, and what is under way comes to its end."""
        self._set_up()
        sends = [
            (send.at, number, job.uid, send.action or "") for number, job in enumerate(self.script.jobs) for send in job.sends
        ]
        heapq.heapify(sends)
        for poison in POISON:
            self.queue.send(poison)
        for tick in range(1, int(self.script.length // TICK_S) + 1):
            until = tick * TICK_S
            while sends and sends[0][0] <= until:
                self.at, _, uid, action = heapq.heappop(sends)
                self._ping(uid, action or None)
            self.at = until
            if not _within(self.script.stops.core, until):
                self._core(tick)
        for _ in range(60):
            self.at += CANARY_S
            self._consume_all()
            sweep_pending(self.table, self._events, self.now)
        self.figures["refused_by_the_bus"] = self._events.refused

    def told(self) -> dict[UUID, list[Told]]:
        """What the product has told of each heartbeat, in the order in which people read it."""
        found: dict[UUID, list[Told]] = {job.uid: [] for job in self.script.jobs}
        with self.pool.connection() as connection:
            rows = connection.execute(TOLD).fetchall()
        for uid, alert_type, reason in rows:
            found[uid].append((alert_type, "" if alert_type == "recovered" else reason.removeprefix("heartbeat_")))
        return found

    def unsettled(self) -> int:
        """How many pings are still marked as not stored."""
        return len(self.table.pending(self.now, timedelta(0), limit=10**6, resting=True))

    def stored(self) -> set[str]:
        """The ids of all pings in PostgreSQL."""
        with self.pool.connection() as connection:
            return {str(row[0]) for row in connection.execute("SELECT id FROM ping").fetchall()}

    def is_well(self, canary_id: UUID) -> bool:
        """The canary of the core: a ping like any other."""
        self.table.provision(canary_id, NOBODY)
        self.figures["canaries"] += 1
        return self._ping(canary_id, None)

    def _set_up(self) -> None:
        with self.pool.connection() as connection:
            make_ahead(connection, BEGAN + timedelta(days=1))
            for number, job in enumerate(self.script.jobs):
                job.uid = make_heartbeat(connection, BEGAN, str(number), period_s=job.period_s, grace_s=job.grace_s)
                if job.calendar != "period":
                    connection.execute(SCHEDULE, (job.calendar, job.schedule, job.uid))
                self.table.provision(job.uid, NOBODY)
        self._uids = {job.uid for job in self.script.jobs}

    def _core(self, tick: int) -> None:
        self._consume_all()
        self._detector.judge_due(self.now)
        if tick % round(CANARY_S / TICK_S) == 0:
            self._watcher.look()
            self.figures["swept"] += sweep_pending(self.table, self._events, self.now)

    def _consume_all(self) -> None:
        before = -1
        while self.queue.taken > before:
            before = self.queue.taken
            self._consumer.turn()

    def _ping(self, uid: UUID, action: str | None) -> bool:
        """One request, now and then sent twice because its answer was lost. Whether it was answered with 200."""
        if _within(self.script.stops.edge, self.at):
            self.figures["lost"] += 1
            return False
        request_id = REQUEST.format(self._dice.getrandbits(16), next(self._requests))
        event = {
            "requestContext": {
                "requestId": request_id,
                "requestTimeEpoch": int(self.now.timestamp() * 1000),
                "httpMethod": "GET",
                "identity": {"sourceIp": "203.0.113.9"},
            },
            "headers": {"User-Agent": "day"},
            "body": None,
        }
        answers = [self._service.answer(event, str(uid), action).status for _ in range(2 if self._dice.random() < 0.02 else 1)]
        assert set(answers) == {200}, answers
        if uid in self._uids:
            self.figures["pings"] += 1
            self.answered.add(request_id)
        return True

    def _trouble(self, _: str) -> str | None:
        return "ThrottlingException" if self._dice.random() < 0.01 else None
