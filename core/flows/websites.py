"""From due websites to judged results: claim, load, apply.

Invariant of `apply_results`: a result counts once, and only if nobody else took the website over meanwhile (its lease) and nobody
edited it (its config version). Result, state, next check, incident, alert and event are one transaction.
"""

import random
from collections.abc import Callable, Sequence
from copy import replace
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from sys import intern
from typing import Final
from uuid import UUID

import msgspec
import psycopg
from uuid_utils.compat import uuid7

from core.adapters.database import Connection
from core.adapters.store import websites as store
from core.adapters.store.websites import CheckRow, ConfigRow
from core.domain import website
from core.domain.outcomes import MonitorState, Outcome, Reason
from core.domain.own_trouble import missed_window
from core.domain.probes import BadStatusRange, ProbeRequest, ProbeResult, StatusRanges, parse_accepted_status
from core.domain.request_options import BadOption, RequestOptions, load_options
from core.domain.transitions import MonitorRef
from core.domain.website import Check, Policy, Step, WebsiteState
from core.flows.certificates import record_chains
from core.flows.incidents import record_transitions
from core.flows.notices import record_notices
from core.logs import get_logger

log = get_logger(__name__)

LEASE_MARGIN: Final = timedelta(seconds=6)
"""How long a lease outlives the check: time to travel through the queue, to be flushed, and for a slow moment of ours."""

SPOILT: Final = (psycopg.DataError, psycopg.IntegrityError, UnicodeError)
"""Errors that lie in the data: trying again cannot help, leaving the culprit out can."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Websites under one lease, the longest due first."""

    lease_id: UUID
    ids: list[int]


class Job(msgspec.Struct, frozen=True, gc=False):
    """One check to make at `due_at`; its result counts while the lease is ours, which is certain until `leased_until`.

    `state` is what was remembered when it was loaded. Nobody changes that without ending the lease, so it is still true when the
    result counts.
    """

    monitor: MonitorRef
    policy: Policy
    request: ProbeRequest
    lease_id: UUID
    due_at: datetime
    leased_until: datetime
    state: WebsiteState = WebsiteState()

    @property
    def failing(self) -> bool:
        """Whether the latest check that counted had failed."""
        return self.state.failures > 0


class Finished(msgspec.Struct, frozen=True, gc=False):
    """A job and what its probe found."""

    job: Job
    result: ProbeResult


@dataclass(slots=True)
class Applied:
    """What `apply_results` did. After the commit: kick `alert_ids`, count `judged` and `missed`, the monitors with a gap before this check.

    `stale` results were too late to count.
    """

    alert_ids: list[UUID] = field(default_factory=list)
    judged: list[tuple[Finished, Step]] = field(default_factory=list)
    missed: list[MonitorRef] = field(default_factory=list)
    stale: int = 0

    def add(self, other: "Applied") -> None:
        """Take over what another transaction did."""
        self.alert_ids += other.alert_ids
        self.judged += other.judged
        self.missed += other.missed
        self.stale += other.stale


def claim_due(
    connection: Connection, now: datetime, *, horizon: timedelta, limit: int, margin: timedelta = LEASE_MARGIN
) -> Claim:
    """Take what is due before `now + horizon` and in nobody's hands, in one statement; the caller commits, then sends the ids."""
    lease_id = uuid7()
    return Claim(lease_id, store.claim_due(connection, lease_id=lease_id, now=now, horizon=horizon, limit=limit, margin=margin))


def claim_now(connection: Connection, uid: UUID, now: datetime, *, margin: timedelta = LEASE_MARGIN) -> Claim:
    """Take one website for an immediate check; empty when it is paused, gone or being checked already."""
    lease_id = uuid7()
    claimed = store.claim_now(connection, uid=uid, lease_id=lease_id, now=now, margin=margin)
    return Claim(lease_id, [] if claimed is None else [claimed])


def hand_back(connection: Connection, lease_id: UUID, ids: Sequence[int]) -> None:
    """End a lease on websites that will not be checked under it: they are due again at once."""
    store.release(connection, lease_id=lease_id, ids=ids)


def no_seal(_ciphertext: str) -> RequestOptions:
    """For who holds no keys: every sealed option is unreadable."""
    raise BadOption("", "unreadable", "there are no keys to open it with")


def realign(connection: Connection, now: datetime, jump_s: float, *, margin: timedelta = LEASE_MARGIN) -> int:
    """The wall clock was set by `jump_s` seconds: neither check all at once nor nothing for as long; returns how many were moved."""
    return store.realign(connection, now=now, jump_s=jump_s, margin=margin)


def load(
    connection: Connection,
    claim: Claim,
    now: datetime,
    *,
    margin: timedelta = LEASE_MARGIN,
    open_sealed: Callable[[str], RequestOptions] = no_seal,
) -> tuple[list[Job], list[Finished]]:
    """Jobs of the websites that are still ours, and results for those whose settings nobody can read.

    What was taken over, paused, deleted or flushed meanwhile is left out.
    """
    rows = store.load(connection, ids=claim.ids, lease_id=claim.lease_id, now=now, margin=margin)
    if short := [row.monitor_id for row in rows if row.is_short]:
        ends = store.renew(connection, ids=short, lease_id=claim.lease_id, now=now, margin=margin)
        rows = [replace(row, leased_until=ends.get(row.monitor_id, row.leased_until)) for row in rows]
    jobs: list[Job] = []
    spoilt: list[Finished] = []
    for row in rows:
        try:
            job = _job(row, claim.lease_id, parse_accepted_status(row.accepted_status))
            jobs.append(_with_options(job, row, open_sealed))
        except (BadStatusRange, BadOption) as error:
            log.warning("websites.unreadable", monitor_id=str(row.uid), error=str(error))
            spoilt.append(Finished(_job(row, claim.lease_id, ()), internal_trouble(now, "its settings cannot be read")))
    return jobs, spoilt


def apply_results(
    connection: Connection,
    results: Sequence[Finished],
    now: datetime,
    draw: Callable[[], float] = random.random,
) -> Applied:
    """Judge and store results in one transaction of its own; where the data breaks it, in halves, so that one culprit costs nobody else.

    A culprit that cannot be stored becomes `UNKNOWN`/`INTERNAL`. `draw` gives random numbers in `[0, 1)` for the jitter of retries.

    Raises:
        psycopg.OperationalError: PostgreSQL is away; nothing of the transaction under way was stored.
    """
    try:
        with connection.transaction():
            return _apply(connection, results, now, draw)
    except SPOILT as error:
        if len(results) > 1:
            middle = len(results) // 2
            applied = apply_results(connection, results[:middle], now, draw)
            applied.add(apply_results(connection, results[middle:], now, draw))
            return applied
        return _apply_culprit(connection, results[0], error, now, draw)


def _apply_culprit(
    connection: Connection, culprit: Finished, error: Exception, now: datetime, draw: Callable[[], float]
) -> Applied:
    log.error("flush.poison", monitor_id=str(culprit.job.monitor.uid), error=ascii(str(error)))
    harmless = internal_trouble(culprit.result.started_at, "the result could not be stored")
    with connection.transaction():
        return _apply(connection, [replace(culprit, result=harmless)], now, draw)


def _apply(connection: Connection, results: Sequence[Finished], now: datetime, draw: Callable[[], float]) -> Applied:
    once = {done.job.monitor.id: done for done in reversed(results)}
    if len(once) < len(results):
        once = _under_latest_lease(results)
    judged = [(done, _judge(done, now, draw())) for _, done in sorted(once.items())]
    saved = store.save_checks(connection, [_check_row(done, step) for done, step in judged])
    if not saved:
        return Applied(stale=len(results))
    if len(saved) < len(judged):
        judged = [(done, step) for done, step in judged if done.job.monitor.id in saved]
    gaps = [(done.job.monitor, gap) for done, _ in judged if (gap := _gap(done))]
    if gaps:
        since = [(monitor.id, gap) for monitor, gap in gaps]
        store.save_gaps(connection, since, outcome=Outcome.UNKNOWN, reason=Reason.MISSED_WINDOW)
    if seen := {done.job.monitor.id: done.result.certificate for done, _ in judged if done.result.certificate is not None}:
        record_chains(connection, seen, now)
    alert_ids = record_transitions(connection, [step.transition for _, step in judged if step.transition], now)
    alert_ids += record_notices(connection, [step.notice for _, step in judged if step.notice], now)
    return Applied(alert_ids, judged, [monitor for monitor, _ in gaps], stale=len(results) - len(judged))


def _under_latest_lease(results: Sequence[Finished]) -> dict[int, Finished]:
    """One result for each website: the first under its latest lease. Those under older ones are void; leases grow with time (UUIDv7)."""
    latest: dict[int, Finished] = {}
    for done in results:
        known = latest.get(done.job.monitor.id)
        if known is None or done.job.lease_id > known.job.lease_id:
            latest[done.job.monitor.id] = done
    return latest


def _judge(done: Finished, now: datetime, jitter: float) -> Step:
    result = done.result
    check = Check(result.started_at, result.outcome, result.reason, result.detail)
    return website.step(done.job.monitor, done.job.state, check, done.job.policy, now=now, jitter=jitter)


def _job(row: ConfigRow, lease_id: UUID, accepted: StatusRanges) -> Job:
    return Job(
        monitor=MonitorRef(row.monitor_id, row.uid, _workspace(row.workspace_id), "website", row.name, row.url),
        policy=_policy(row.interval_s, row.retry_interval_s, row.failure_threshold, row.recovery_threshold),
        request=ProbeRequest(
            monitor_id=row.monitor_id,
            url=row.url,
            method=intern(row.method),
            timeout_ms=row.timeout_ms,
            accepted_status=accepted,
            follow_redirects=row.follow_redirects,
            max_redirects=row.max_redirects,
            verify_tls=row.verify_tls,
        ),
        lease_id=lease_id,
        due_at=row.due_at,
        leased_until=row.leased_until,
        state=WebsiteState(
            MonitorState(row.state),
            row.failures,
            row.successes,
            row.first_failure_at,
            row.unknown_since,
            row.last_checked_at,
            row.changed_at,
        ),
    )


@lru_cache(maxsize=1024)
def _workspace(uid: UUID) -> UUID:
    """One object for all websites of a workspace: thousands of jobs wait in a worker."""
    return uid


@lru_cache(maxsize=256)
def _policy(interval_s: int, retry_interval_s: int, failure_threshold: int, recovery_threshold: int) -> Policy:
    """One for all websites that are judged alike."""
    return Policy(interval_s, retry_interval_s, failure_threshold, recovery_threshold)


def _with_options(job: Job, row: ConfigRow, open_sealed: Callable[[str], RequestOptions]) -> Job:
    if row.options is None:
        return job
    options = load_options(row.options) if row.sealed_options is None else open_sealed(row.sealed_options)
    return replace(job, request=replace(job.request, options=options))


def internal_trouble(at: datetime, detail: str, reason: Reason = Reason.INTERNAL) -> ProbeResult:
    """A result that says nothing about the target, only that we could not tell."""
    return ProbeResult(outcome=Outcome.UNKNOWN, reason=reason, detail=detail, started_at=at)


def _gap(done: Finished) -> datetime | None:
    return missed_window(done.job.due_at, done.result.started_at, done.job.policy.interval_s)


def _check_row(done: Finished, step: Step) -> CheckRow:
    job, found, state = done.job, done.result, step.state
    return CheckRow(
        job.monitor.id,
        job.lease_id,
        state.state,
        state.failures,
        state.successes,
        state.first_failure_at,
        state.unknown_since,
        None if state.changed_at == job.state.changed_at else state.changed_at,
        step.next_check_at,
        found.certificate_not_after,
        found.started_at,
        found.outcome,
        found.reason,
        found.status_code,
        found.total_us,
        found.dns_us,
        found.connect_us,
        found.tls_us,
        found.first_byte_us,
    )
