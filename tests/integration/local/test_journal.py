"""The journal on a real disk: what was confirmed is read back, whatever was cut off where."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from core.local.journal import SEGMENT_LIMIT, Entry, Journal, JournalUnavailable, read_living

HEARTBEAT = UUID(int=7)
APPENDER = """
import sys, threading
from pathlib import Path
from uuid import UUID, uuid4
from core.local.journal import SEGMENT_LIMIT, Entry, Journal

journal = Journal(Path(sys.argv[1]), segment_limit=20_000)
turn = threading.Lock()

def work():
    while True:
        entry = Entry(uuid4(), UUID(int=7), 1, b"x" * 500)
        journal.append(entry)
        with turn:
            sys.stdout.write(f"{entry.id}\\n")
            sys.stdout.flush()

for _ in range(4):
    threading.Thread(target=work).start()
"""


type Opener = Callable[..., Journal]


@pytest.fixture
def open_journal(tmp_path: Path) -> Iterator[Opener]:
    """Opens the journal of the test's folder, as often as wanted: an earlier one counts as killed."""
    opened: list[Journal] = []

    def open_one(segment_limit: int = SEGMENT_LIMIT) -> Journal:
        opened.append(Journal(tmp_path, segment_limit))
        return opened[-1]

    yield open_one
    for journal in opened:
        journal.close()


def entry(size: int = 20, heartbeat: UUID = HEARTBEAT) -> Entry:
    return Entry(uuid4(), heartbeat, 1_700_000_000_000, os.urandom(size))


def fill(journal: Journal, count: int, size: int = 20) -> list[Entry]:
    entries = [entry(size) for _ in range(count)]
    for added in entries:
        journal.append(added)
    return entries


def ids(entries: list[Entry]) -> list[UUID]:
    return [entry.id for entry in entries]


def test_entries_come_back_in_order_of_arrival_after_a_restart(open_journal: Opener, tmp_path: Path) -> None:
    entries = fill(open_journal(), 5)
    journal = open_journal()
    assert [waiting.id for waiting in journal.living()] == ids(entries)
    assert [found.event for found in read_living(tmp_path)] == [added.event for added in entries]


def test_a_settled_entry_is_gone_for_good(open_journal: Opener, tmp_path: Path) -> None:
    journal = open_journal()
    first, second, third = fill(journal, 3)
    journal.settle([second.id, uuid4()])
    assert journal.read(second.id) is None
    assert ids(read_living(tmp_path)) == [first.id, third.id]
    assert [waiting.id for waiting in open_journal().living()] == [first.id, third.id]


def test_a_segment_cut_at_any_byte_gives_back_what_was_whole(open_journal: Opener, tmp_path: Path) -> None:
    entries = fill(open_journal(), 3, size=8)
    [segment] = tmp_path.glob("*.journal")
    content = segment.read_bytes()
    frame = len(content) // 3
    for cut in range(len(content)):
        segment.write_bytes(content[:cut])
        assert ids(read_living(tmp_path)) == ids(entries[: cut // frame]), f"cut at {cut}"


def test_garbage_behind_the_last_frame_is_ignored_and_appends_go_on(open_journal: Opener, tmp_path: Path) -> None:
    entries = fill(open_journal(), 2)
    [segment] = tmp_path.glob("*.journal")
    with segment.open("ab") as file:
        file.write(os.urandom(100))
    journal = open_journal()
    entries += fill(journal, 2)
    assert ids(read_living(tmp_path)) == ids(entries)


def test_a_flipped_bit_never_comes_back_as_an_entry(open_journal: Opener, tmp_path: Path) -> None:
    entries = fill(open_journal(), 3)
    [segment] = tmp_path.glob("*.journal")
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)
    assert ids(read_living(tmp_path)) == ids(entries[:1])


def test_the_journal_stays_small_while_entries_are_settled_and_keeps_the_one_that_is_not(
    open_journal: Opener, tmp_path: Path
) -> None:
    journal = open_journal(10_000)
    stuck = fill(journal, 1)
    for _ in range(100):
        batch = fill(journal, 10, size=200)
        journal.settle(ids(batch))
        assert journal.size < 40_000
    assert journal.size == sum(path.stat().st_size for path in tmp_path.glob("*.journal"))
    assert ids(read_living(tmp_path)) == ids(stuck)
    assert open_journal().read(stuck[0].id) == stuck[0]


def test_entries_keep_their_order_when_they_are_copied_forward(open_journal: Opener, tmp_path: Path) -> None:
    journal = open_journal(2_000)
    kept: list[Entry] = []
    for _ in range(30):
        kept += fill(journal, 1, size=5)
        journal.settle(ids(fill(journal, 10, size=200)))
    assert ids(read_living(tmp_path)) == ids(kept)
    assert [waiting.id for waiting in open_journal().living()] == ids(kept)


def test_many_threads_share_one_flush(open_journal: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushes = 0
    go = threading.Event()

    def slow_flush(_handle: int) -> None:
        nonlocal flushes
        flushes += 1
        go.wait(10)

    monkeypatch.setattr(os, "fdatasync", slow_flush)
    journal = open_journal()
    threads = [threading.Thread(target=journal.append, args=(entry(),)) for _ in range(20)]
    for thread in threads:
        thread.start()
    while len(journal._waiting) < 19:
        assert any(thread.is_alive() for thread in threads)
    go.set()
    for thread in threads:
        thread.join(10)
    assert flushes == 2, "the first flush, and one for the nineteen that came meanwhile"
    assert len(journal.living()) == 20


def test_a_full_disk_is_told_to_everyone_who_waited_and_the_next_append_works(
    open_journal: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = open_journal()
    before = fill(journal, 1)

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", full)
        with pytest.raises(JournalUnavailable, match="No space"):
            journal.append(entry())
    after = fill(journal, 1)
    assert ids(read_living(tmp_path)) == ids(before + after)


@pytest.mark.parametrize("round_", range(3))
def test_kill_9_loses_nothing_that_was_confirmed(open_journal: Opener, tmp_path: Path, round_: int) -> None:
    """The appender prints an id only after `append` returned; whatever it printed must be there."""
    process = subprocess.Popen([sys.executable, "-c", APPENDER, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout
    confirmed: list[UUID] = []
    wanted = random.Random(round_).randint(50, 400)
    try:
        while len(confirmed) < wanted:
            confirmed.append(UUID(process.stdout.readline().decode().strip()))
    finally:
        os.kill(process.pid, signal.SIGKILL)
    rest = process.stdout.read().decode().split("\n")[:-1]
    process.stdout.close()
    process.wait(10)
    confirmed += [UUID(line) for line in rest]
    found = set(ids(read_living(tmp_path)))
    assert set(confirmed) <= found
    assert {waiting.id for waiting in open_journal().living()} == found


def test_a_reader_sees_every_living_entry_while_the_writer_shrinks(open_journal: Opener, tmp_path: Path) -> None:
    journal = open_journal(3_000)
    stuck = set(ids(fill(journal, 5)))
    done = threading.Event()

    def churn() -> None:
        while not done.is_set():
            journal.settle(ids(fill(journal, 5, size=200)))

    writer = threading.Thread(target=churn)
    writer.start()
    try:
        for _ in range(200):
            assert stuck <= set(ids(read_living(tmp_path)))
    finally:
        done.set()
        writer.join(10)
