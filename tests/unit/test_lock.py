"""The lock of a home: one holder, and any number of others who only look."""

import threading
from pathlib import Path

import pytest

from core.local.lock import AlreadyRunning, BoxLock, holder, is_held


def look(run: Path, stop: threading.Event, seen: list[bool]) -> None:
    while not stop.is_set():
        seen.append(is_held(run))


def test_there_is_one_holder(tmp_path: Path) -> None:
    held = BoxLock.take(tmp_path)
    assert is_held(tmp_path)
    assert holder(tmp_path) > 0
    with pytest.raises(AlreadyRunning):
        BoxLock.take(tmp_path)
    held.release()
    assert not is_held(tmp_path)


def test_a_home_without_a_lock_is_free(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "nothing")


def test_those_who_look_are_no_holders_and_keep_nobody_out(tmp_path: Path) -> None:
    BoxLock.take(tmp_path).release()
    stop, seen = threading.Event(), list[bool]()
    crowd = [threading.Thread(target=look, args=(tmp_path, stop, seen)) for _ in range(4)]
    for one in crowd:
        one.start()
    try:
        while len(seen) < 2000:
            assert all(one.is_alive() for one in crowd)
        assert not any(seen)
        held = BoxLock.take(tmp_path)
    finally:
        stop.set()
        for one in crowd:
            one.join()
    held.release()
