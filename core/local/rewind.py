"""Take the database of one box back to a moment: a base backup, and its log since, replayed up to there.

What was there is moved aside and kept. Nothing of it is touched before the rewound cluster has come up at the moment that was asked for;
if the exchange of the two is interrupted, no server starts until it is done.
"""

import os
import re
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psycopg

from core.local import box, home, secrets, stale, supervise
from core.local.box import Box
from core.local.lock import BoxLock
from core.local.postgres import BEFORE_REWIND, PostgresServer
from core.local.settings import BoxSettings
from core.local.wal_archive import STAMP, Archive

RECOVERY_S: Final = 1500.0
"""Longer would be longer than anybody may be without the database."""

SEGMENT: Final = re.compile(r"[0-9A-F]{24}|[0-9A-F]{8}\.history")


class RewindRefused(Exception):
    """The database cannot be taken back to that moment; nothing was changed. The message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Rewound:
    """`reached` is the time of the last change that is still there; `kept` is where everything is as it was before."""

    reached: datetime | None
    kept: Path


def rewind(settings: BoxSettings, until: datetime) -> Rewound:
    """Take the database of a box that does not run back to the moment `until`: changes that were committed then or later are undone.

    Raises:
        RewindRefused: see there.
        AlreadyRunning: the box runs.
    """
    described = _box(settings)
    held = BoxLock.take(described.home.run)
    try:
        supervise.clear_the_way(described, only="postgres")
        return _rewind(described, until)
    finally:
        held.release()


def make_base(settings: BoxSettings) -> Path:
    """Copy the cluster of a running box into its archive; returns the folder.

    Raises:
        RewindRefused: the box has no archive.
        ArchiveUnusable: it could not be copied.
    """
    described = _box(settings)
    assert described.server
    return _archive(described).make_base(described.server)


def _box(settings: BoxSettings) -> Box:
    place = home.locate(settings.home)
    stored = secrets.load(place.root)
    if stored is None:
        raise RewindRefused(f"{place.root} holds no box")
    described = box.open_box(settings, stored, place)
    if described.server is None or described.archive is None:
        raise RewindRefused("only a box with a database of its own and with UPTIME_ARCHIVE can be rewound")
    return described


def _archive(described: Box) -> Archive:
    assert described.archive
    return described.archive


def _rewind(described: Box, until: datetime) -> Rewound:
    archive, server = _archive(described), described.server
    assert server
    base = next((path for usable_from, path in reversed(archive.bases().items()) if usable_from <= until), None)
    if base is None:
        oldest = min(archive.bases(), default=None)
        raise RewindRefused(
            f"no copy is old enough: {f'the first is of {oldest:%Y-%m-%dT%H:%M:%SZ}' if oldest else 'there is none'}"
        )
    scratch = described.home.data / "rewinding"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o755)
    try:
        recovering = replace(server, home=scratch)
        _lay_out(recovering, base, server.data)
        reached = _recover(described, recovering, archive, until)
        kept = server.data.with_name(f"{server.data.name}{BEFORE_REWIND}{datetime.now(UTC):{STAMP}}")
        server.data.rename(kept)
        recovering.data.rename(server.data)
    finally:
        shutil.rmtree(scratch)
    return Rewound(reached, kept)


def _lay_out(server: PostgresServer, base: Path, former: Path) -> None:
    """Unpack a copy, with the newest part of the log, which the archive does not have yet."""
    server.data.mkdir(mode=0o700)
    for name, folder in (("base.tar.gz", server.data), ("pg_wal.tar.gz", server.data / "pg_wal")):
        with tarfile.open(base / name) as tar:
            tar.extractall(folder, filter="data")
    for segment in former.glob("pg_wal/*"):
        if SEGMENT.fullmatch(segment.name):
            shutil.copy2(segment, server.data / "pg_wal" / segment.name)
    (server.data / "recovery.signal").touch()
    for path in (server.data, *server.data.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
        if server.run_as:
            os.chown(path, server.run_as.pw_uid, server.run_as.pw_gid)


def _recover(described: Box, server: PostgresServer, archive: Archive, until: datetime) -> datetime | None:
    """Have the copy replay the log; returns the time of the last change that it replayed."""
    log = described.home.logs / "rewind.log"
    target = {
        "restore_command": archive.restore_command(),
        "recovery_target_time": until.isoformat(),
        "recovery_target_inclusive": "off",
        "recovery_target_action": "promote",
        "log_min_messages": "log",
    }
    options = [part for name, value in target.items() for part in ("-c", f"{name}={value}")]
    with _serving(described, [*server.argv(), *archive.options(), *options], server, log) as process:
        _wait_for_promotion(server, process, log)
    found = re.findall(
        r"last completed transaction was at log time (.+)$", log.read_text(encoding="utf-8", errors="replace"), re.MULTILINE
    )
    return datetime.strptime(found[-1], "%Y-%m-%d %H:%M:%S.%f+00").replace(tzinfo=UTC) if found else None


@contextmanager
def _serving(described: Box, argv: list[str], server: PostgresServer, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=output, **server.process_options())
    stale.remember(described.home.run, "postgres", process.pid, signal.SIGINT)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        stale.forget(described.home.run, "postgres")


def _wait_for_promotion(server: PostgresServer, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + RECOVERY_S
    while not _is_promoted(server):
        if process.poll() is not None:
            raise RewindRefused(_why(log))
        if time.monotonic() > give_up:
            raise RewindRefused(f"recovery takes longer than {RECOVERY_S:.0f} s; {log} shows how far it came")
        time.sleep(0.1)


def _is_promoted(server: PostgresServer) -> bool:
    try:
        with psycopg.connect(server.dsn("postgres"), connect_timeout=2) as connection:
            return connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)
    except psycopg.OperationalError:
        return False


def _why(log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace")
    if "recovery ended before configured recovery target was reached" in text:
        return "nothing has changed since that moment, or the log does not reach it: there is nothing to undo"
    fatal = [line for line in text.splitlines() if "FATAL" in line or "PANIC" in line]
    return f"PostgreSQL gave up: {fatal[-1] if fatal else 'no reason given'} ({log})"
