"""The flush: together, in order, patient while PostgreSQL is away, and never the end of a worker."""

import threading
from collections.abc import Callable, Sequence
from copy import replace
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest

from core.checker.flush import MANY, Flusher
from core.domain.outcomes import Outcome
from core.domain.probes import ProbeRequest
from core.domain.transitions import MonitorRef
from core.domain.website import Policy, WebsiteState
from core.flows.websites import Applied, Finished, Job
from tests.waiting import until
from tests.websites import finished

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def done(number: int) -> Finished:
    monitor = MonitorRef(number, UUID(int=number), UUID(int=0), "website", "shop", "http://x/")
    request = ProbeRequest(number, "http://x/", "GET", 1000, (), True, 5, True)
    return finished(Job(monitor, Policy(60, 10, 3, 1), request, UUID(int=1), NOW, NOW), NOW)


class Store:
    """Remembers batches; `trouble` is raised by the next calls, in turn."""

    def __init__(self, *trouble: Exception) -> None:
        self.trouble = list(trouble)
        self.batches: list[list[int]] = []
        self.committed: list[Applied] = []

    def store(self, results: Sequence[Finished]) -> Applied:
        if self.trouble:
            raise self.trouble.pop(0)
        self.batches.append([item.job.monitor.id for item in results])
        return Applied([UUID(int=len(self.batches))])

    def stored(self) -> list[int]:
        return [number for batch in self.batches for number in batch]


def start(store: Store, committed: Callable[[Applied], None] | None = None) -> Flusher:
    flusher = Flusher(store.store, committed or store.committed.append)
    flusher.start()
    return flusher


def test_what_finishes_together_is_one_transaction() -> None:
    store = Store()
    flusher = start(store)
    for number in range(1, 51):
        flusher.put(done(number))
    until(lambda: store.committed)
    assert store.batches == [list(range(1, 51))]
    assert flusher.stop(1) == 0


def test_a_lone_result_waits_for_no_others() -> None:
    store = Store()
    flusher = start(store)
    flusher.put(done(1))
    until(lambda: store.batches)
    assert store.batches == [[1]]
    flusher.stop(1)


class Pause:
    """In the place of the event that news sets: remembers how long a flush would have waited for some."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.news = threading.Event()
        self.set, self.clear, self.is_set = self.news.set, self.news.clear, self.news.is_set

    def wait(self, timeout: float) -> bool:
        if not self.news.is_set():
            self.waits.append(timeout)
        return True


@pytest.mark.parametrize(
    ("outcome", "failing", "awaited", "waits"),
    [
        (Outcome.UP, False, False, True),
        (Outcome.DOWN, False, False, False),
        (Outcome.UNKNOWN, False, False, False),
        (Outcome.UP, True, False, False),
        (Outcome.UP, False, True, False),
    ],
)
def test_only_what_is_no_news_waits_for_more(outcome: Outcome, failing: bool, awaited: bool, waits: bool) -> None:
    store, pause = Store(), Pause()
    flusher = Flusher(store.store, store.committed.append, lambda _: awaited)
    flusher._pressing = pause  # type: ignore[assignment]  # it has what is used of an event
    item = done(1)
    flusher.put(Finished(replace(item.job, state=WebsiteState(failures=int(failing))), replace(item.result, outcome=outcome)))
    flusher.start()
    until(lambda: store.committed)
    assert bool(pause.waits) is waits
    flusher.stop(1)


def test_many_wait_for_no_more() -> None:
    store, pause = Store(), Pause()
    flusher = Flusher(store.store, store.committed.append)
    flusher._pressing = pause  # type: ignore[assignment]  # likewise
    for number in range(MANY):
        flusher.put(done(number + 1))
    flusher.start()
    until(lambda: store.committed)
    assert not pause.waits
    flusher.stop(1)


def test_what_comes_in_during_a_flush_waits_for_the_next() -> None:
    class Busy(Store):
        def store(self, results: Sequence[Finished]) -> Applied:
            flusher.put(done(len(self.batches) + 2))
            return super().store(results)

    store = Busy()
    flusher = Flusher(store.store, store.committed.append)
    flusher.put(done(1))
    assert flusher._flush()
    assert store.batches == [[1]]


def test_results_wait_in_order_while_postgres_is_away() -> None:
    store = Store(psycopg.OperationalError("gone"), psycopg.InterfaceError("closed"))
    flusher = start(store)
    flusher.put(done(1))
    until(lambda: len(store.trouble) == 1)
    flusher.put(done(2))
    until(lambda: store.committed)
    assert store.stored() == [1, 2]
    flusher.stop(1)


def test_a_mistake_of_ours_costs_its_batch_and_not_the_worker() -> None:
    store = Store(RuntimeError("bug"))
    flusher = start(store)
    flusher.put(done(1))
    until(lambda: not store.trouble)
    flusher.put(done(2))
    until(lambda: store.committed)
    assert store.stored() == [2]
    flusher.stop(1)


def test_trouble_after_the_commit_never_stores_twice() -> None:
    calls = threading.Semaphore(0)

    def fail(_: Applied) -> None:
        calls.release()
        raise RuntimeError("no broker, no metrics")

    store = Store()
    flusher = start(store, fail)
    flusher.put(done(1))
    assert calls.acquire(timeout=10)
    flusher.put(done(2))
    assert calls.acquire(timeout=10)
    assert store.stored() == [1, 2]
    flusher.stop(1)


def test_stopping_stores_what_waits() -> None:
    store = Store()
    flusher = start(store)
    flusher.put(done(1))
    assert flusher.stop(5) == 0
    assert store.stored() == [1]


def test_stopping_gives_up_when_postgres_stays_away() -> None:
    store = Store(*(psycopg.OperationalError("gone") for _ in range(1000)))
    flusher = start(store)
    flusher.put(done(1))
    until(lambda: len(store.trouble) < 1000)
    assert flusher.stop(1.0) == 1
