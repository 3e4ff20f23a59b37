"""One relay at a time, and nobody's wish is forgotten."""

import threading

import pytest

from core.checker.relay import RelayOnce


class SlowRelay:
    """Counts its runs and holds the first one until told."""

    def __init__(self) -> None:
        self.runs = 0
        self.side_by_side = 0
        self.entered = threading.Event()
        self.go_on = threading.Event()

    def __call__(self) -> None:
        self.runs += 1
        self.side_by_side += 1
        assert self.side_by_side == 1
        self.entered.set()
        assert self.go_on.wait(10)
        self.side_by_side -= 1


def test_whoever_comes_during_a_relay_gets_one_more_in_all() -> None:
    slow = SlowRelay()
    relay = RelayOnce(slow)
    first = threading.Thread(target=relay)
    first.start()
    assert slow.entered.wait(10)
    for _ in range(5):
        relay()
    assert slow.runs == 1
    slow.go_on.set()
    first.join(10)
    assert slow.runs == 2
    relay()
    assert slow.runs == 3


def test_many_threads_never_relay_side_by_side_and_the_last_wish_is_fulfilled() -> None:
    pending: list[int] = []
    relayed: list[int] = []
    running = threading.Lock()

    def drain() -> None:
        assert running.acquire(blocking=False)
        while pending:
            relayed.append(pending.pop())
        running.release()

    relay = RelayOnce(drain)

    def work(numbers: range) -> None:
        for number in numbers:
            pending.append(number)
            relay()

    threads = [threading.Thread(target=work, args=(range(start, start + 200),)) for start in range(0, 1600, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(relayed) == list(range(1600))


def test_a_failed_relay_raises_and_does_not_block_the_next() -> None:
    outcomes = [ConnectionError("no database"), None]

    def fail_once() -> None:
        outcome = outcomes.pop(0)
        if outcome:
            raise outcome

    relay = RelayOnce(fail_once)
    with pytest.raises(ConnectionError):
        relay()
    relay()
    assert outcomes == []
