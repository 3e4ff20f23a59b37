"""The ping gateway's journal: what was answered is on the disk, whatever dies when.

A folder of segments. A segment is a row of frames: length and CRC-32 of the payload (4 bytes each, big endian), then the payload,
a MessagePack record. A torn or damaged frame ends its segment for a reader: only appends that were never confirmed can be behind it,
because a writer starts a new segment each time it opens the journal and after each failed write.

An entry lives until a `Settled` record names it. Segments are removed oldest first, after what lives in them was copied to the newest
one: so a reader that goes through them in order sees each living entry at least once, and never an entry without its `Settled`.
"""

import os
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import msgspec

from core.logs import get_logger

SEGMENT_LIMIT = 4 * 1024 * 1024
PAYLOAD_LIMIT = 32 * 1024 * 1024
SPARSENESS = 4
"""The journal takes at most this many times the bytes that live in it, and one segment more."""

_HEAD = struct.Struct(">II")
_SUFFIX = ".journal"
_log = get_logger(__name__)


class Entry(msgspec.Struct, frozen=True, tag="entry"):
    """A ping as API Gateway would hand it to the Lambda (`event`, JSON). The journal gives `order`: entries keep it when copied."""

    id: UUID
    heartbeat: UUID
    received_ms: int
    event: bytes
    order: int = 0


class Settled(msgspec.Struct, frozen=True, tag="settled"):
    """These entries need nothing more: the core has stored them, or the answer to them is final."""

    ids: list[UUID]


type Record = Entry | Settled

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry | Settled).decode


class JournalUnavailable(Exception):
    """The disk did not take the record."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is kept in memory about an entry that is not settled; `Journal.read` brings the rest."""

    id: UUID
    heartbeat: UUID
    received_ms: int
    order: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry's record is."""

    segment: int
    offset: int
    size: int


def read_living(folder: Path) -> list[Entry]:
    """Every entry that is not settled, in order of arrival; safe while another process writes.

    A segment that vanishes while we read was copied forward, so the reading starts again.
    """
    while True:
        living: dict[UUID, Entry] = {}
        try:
            for number in _segment_numbers(folder):
                for record, _ in _read_segment(_segment_path(folder, number)):
                    _follow(living, record)
        except FileNotFoundError:
            continue
        return sorted(living.values(), key=lambda entry: entry.order)


def _follow(living: dict[UUID, Entry], record: Record) -> None:
    if isinstance(record, Entry):
        living[record.id] = record
        return
    for settled in record.ids:
        living.pop(settled, None)


def _segment_numbers(folder: Path) -> list[int]:
    return sorted(int(path.stem) for path in folder.glob(f"*{_SUFFIX}"))


def _segment_path(folder: Path, number: int) -> Path:
    return folder / f"{number:012d}{_SUFFIX}"


def _read_segment(path: Path) -> Iterator[tuple[Record, tuple[int, int]]]:
    """Records with the offset and size of their payload, up to the first frame that is not whole."""
    with path.open("rb") as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            size, checksum = _HEAD.unpack(head)
            payload = file.read(size) if size <= PAYLOAD_LIMIT else b""
            if len(payload) < size or zlib.crc32(payload) != checksum:
                _log.warning("journal.torn", segment=path.name, offset=file.tell())
                return
            yield _decode(payload), (file.tell() - size, size)


class Journal:
    """The only writer of a folder. Thread-safe; one fsync serves every thread that waits for one."""

    def __init__(self, folder: Path, segment_limit: int = SEGMENT_LIMIT) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._segment_limit = segment_limit
        self._places: dict[UUID, Place] = {}
        self._living: dict[UUID, Waiting] = {}
        self._sizes: dict[int, int] = {}
        self._file: BinaryIO | None = None
        self._next_order = 0
        self._turn = threading.Condition()
        self._shrinking = threading.Lock()
        self._waiting: list[Record] = []
        self._next_ticket = 0
        self._flushed = 0
        self._flushing = False
        self._failures: dict[int, OSError] = {}
        for number in _segment_numbers(folder):
            self._load(number)

    def _load(self, number: int) -> None:
        path = _segment_path(self._folder, number)
        self._sizes[number] = path.stat().st_size
        for record, (offset, size) in _read_segment(path):
            self._remember(record, number, offset, size)

    def _remember(self, record: Record, segment: int, offset: int, size: int) -> None:
        if isinstance(record, Entry):
            self._places[record.id] = Place(segment, offset, size)
            self._living[record.id] = Waiting(record.id, record.heartbeat, record.received_ms, record.order)
            self._next_order = max(self._next_order, record.order + 1)
            return
        for settled in record.ids:
            self._places.pop(settled, None)
            self._living.pop(settled, None)

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        with self._turn:
            return sum(self._sizes.values())

    def living(self) -> list[Waiting]:
        """The entries that are not settled, in order of arrival."""
        with self._turn:
            return sorted(self._living.values(), key=lambda waiting: waiting.order)

    def read(self, entry_id: UUID) -> Entry | None:
        """The entry, or None if it is settled."""
        with self._turn:
            place = self._places.get(entry_id)
            if place is None:
                return None
            with _segment_path(self._folder, place.segment).open("rb") as file:
                file.seek(place.offset)
                record = _decode(file.read(place.size))
        assert isinstance(record, Entry)
        return record

    def append(self, entry: Entry) -> None:
        """Return once the entry is on the disk.

        Raises:
            JournalUnavailable: the disk is full or broken.
        """
        with self._turn:
            entry = msgspec.structs.replace(entry, order=self._next_order)
            self._next_order += 1
            self._write(entry)

    def settle(self, ids: Sequence[UUID]) -> None:
        """Forget entries, and give back the disk where that pays.

        Raises:
            JournalUnavailable: the disk is full or broken; the entries live on.
        """
        with self._shrinking:
            with self._turn:
                if known := [entry_id for entry_id in ids if entry_id in self._places]:
                    self._write(Settled(known))
            self._shrink()

    def close(self) -> None:
        """Close the current segment. What was confirmed is on the disk already."""
        with self._turn:
            if self._file:
                self._file.close()
                self._file = None

    def _write(self, record: Record) -> None:
        """Wait for the record's flush; the first thread that finds none under way flushes for all who wait. Called with the lock."""
        ticket = self._next_ticket
        self._next_ticket += 1
        self._waiting.append(record)
        while self._flushed <= ticket:
            if self._flushing:
                self._turn.wait()
            else:
                self._flush_waiting()
        if failure := self._failures.pop(ticket, None):
            raise JournalUnavailable(f"{self._folder}: {failure.strerror}") from failure

    def _flush_waiting(self) -> None:
        batch, self._waiting = self._waiting, []
        payloads = [_encode(record) for record in batch]
        self._flushing = True
        try:
            file, segment = self._open_segment()
            self._unlocked_flush(file, payloads)
        except OSError as failure:
            self._failures.update(dict.fromkeys(range(self._flushed, self._flushed + len(batch)), failure))
            self._abandon_segment()
        else:
            for record, payload in zip(batch, payloads, strict=True):
                self._remember(record, segment, self._sizes[segment] + _HEAD.size, len(payload))
                self._sizes[segment] += _HEAD.size + len(payload)
        finally:
            self._flushing = False
            self._flushed += len(batch)
            self._turn.notify_all()

    def _unlocked_flush(self, file: BinaryIO, payloads: Sequence[bytes]) -> None:
        """Let others queue up for the next flush while the disk works."""
        data = memoryview(b"".join(_HEAD.pack(len(payload), zlib.crc32(payload)) + payload for payload in payloads))
        self._turn.release()
        try:
            while data:
                data = data[file.write(data) :]
            os.fdatasync(file.fileno())
        finally:
            self._turn.acquire()

    def _open_segment(self) -> tuple[BinaryIO, int]:
        newest = max(self._sizes, default=0)
        if self._file and self._sizes[newest] < self._segment_limit:
            return self._file, newest
        self.close()
        number = newest + 1
        self._file = _segment_path(self._folder, number).open("xb", buffering=0)
        self._sizes[number] = 0
        _sync_folder(self._folder)
        return self._file, number

    def _abandon_segment(self) -> None:
        """After a failed write nobody knows what the file holds: cut it back to what was confirmed and go on in a new one."""
        if self._file:
            try:
                os.ftruncate(self._file.fileno(), self._sizes[max(self._sizes)])
            except OSError as error:
                _log.warning("journal.not_truncated", error=str(error))
            self.close()

    def _shrink(self) -> None:
        """Remove the oldest segments while too little lives; what lives in them is written again at the end."""
        while True:
            with self._turn:
                living = sum(place.size for place in self._places.values())
                oldest, newest = min(self._sizes, default=0), max(self._sizes, default=0)
                if oldest == newest or sum(self._sizes.values()) <= SPARSENESS * living + self._segment_limit:
                    return
                for entry_id in [key for key, place in self._places.items() if place.segment == oldest]:
                    if entry := self.read(entry_id):
                        self._write(entry)
                _segment_path(self._folder, oldest).unlink()
                del self._sizes[oldest]


def _sync_folder(folder: Path) -> None:
    """Make a new file's name durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
