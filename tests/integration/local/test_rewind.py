"""A box is taken back to just before a deletion: by a copy of its cluster and the log since, against a real PostgreSQL."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import psycopg
import pytest

from core.env import Env
from core.local import box, home, supervise
from core.local.box import Box
from core.local.lock import AlreadyRunning, BoxLock
from core.local.postgres import PostgresUnavailable, refuse_other_majors
from core.local.rewind import RewindRefused, rewind
from core.local.settings import BoxSettings
from core.local.wal_archive import BASES_KEPT, Archive, ArchiveUnusable
from tests.box import free_port_base, open_folder
from tests.waiting import until


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with open_folder() as opened:
        yield opened


@pytest.fixture(scope="module")
def settings(folder: Path) -> BoxSettings:
    """A box with an archive whose name wants quoting."""
    base = str(free_port_base())
    environ = {"UPTIME_HOME": str(folder / "home"), "UPTIME_ARCHIVE": str(folder / "the archive"), "UPTIME_PORT_BASE": base}
    return BoxSettings.from_env(Env(environ))


def opened(settings: BoxSettings) -> Box:
    place = home.prepare(settings.home)
    return box.open_box(settings, supervise.secrets_for(place, settings), place)


@contextmanager
def running(described: Box) -> Iterator[psycopg.Connection]:
    """Its server as a box runs it, and a connection to it."""
    assert described.server
    [spec] = [one for one in box.specs(described, os.environ) if one.name == "postgres"]
    assert spec.prepare
    spec.prepare()
    process = subprocess.Popen(
        spec.argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **described.server.process_options()
    )
    try:
        described.server.wait_ready()
        described.server.create_database()
        with psycopg.connect(described.database_url, autocommit=True) as connection:
            yield connection
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def moment(connection: psycopg.Connection) -> datetime:
    """The server's own time, strictly after all that was committed before and before all that will be."""
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row
    found: datetime = row[0]
    return found


def words(connection: psycopg.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT word FROM kept ORDER BY word")]


@pytest.fixture(scope="module")
def deleted_at(settings: BoxSettings) -> datetime:
    """A box that was copied, changed, and lost everything by mistake; what it did since has not filled a segment. Returns when."""
    described = opened(settings)
    assert described.server
    assert described.archive
    with running(described) as connection:
        connection.execute("CREATE TABLE kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('before the copy')")
        described.archive.make_base(described.server)
        connection.execute("INSERT INTO kept VALUES ('after the copy')")
        connection.execute("SELECT pg_sleep(1.1)")  # names of copies have whole seconds
        at = moment(connection)
        connection.execute("DELETE FROM kept")
    return at


def test_what_was_deleted_is_back_and_what_was_there_is_kept(settings: BoxSettings, deleted_at: datetime) -> None:
    done = rewind(settings, deleted_at)
    assert done.reached is not None
    assert done.reached < deleted_at
    described = opened(settings)
    assert described.server
    assert (done.kept / "PG_VERSION").exists()
    assert done.kept.parent == described.server.data.parent
    with running(described) as connection:
        assert words(connection) == ["after the copy", "before the copy"]
        connection.execute("INSERT INTO kept VALUES ('after the rewind')")
        connection.execute("SELECT pg_switch_wal()")
        second = moment(connection)
        connection.execute("DROP TABLE kept")
    rewind(settings, second)  # follows the branch of the first one, from the copy before it
    with running(opened(settings)) as connection:
        assert words(connection) == ["after the copy", "after the rewind", "before the copy"]


def test_a_moment_that_cannot_be_reached_changes_nothing(settings: BoxSettings, deleted_at: datetime) -> None:
    described = opened(settings)
    assert described.server
    before = sorted(described.home.data.iterdir())
    with pytest.raises(RewindRefused, match="no copy is old enough: the first is of"):
        rewind(settings, deleted_at - timedelta(days=1))
    with pytest.raises(RewindRefused, match="nothing has changed since that moment"):
        rewind(settings, datetime.now(UTC) + timedelta(days=1))
    assert sorted(described.home.data.iterdir()) == before


def test_a_running_box_is_left_alone(settings: BoxSettings, deleted_at: datetime) -> None:
    held = BoxLock.take(home.locate(settings.home).run)
    try:
        with pytest.raises(AlreadyRunning):
            rewind(settings, deleted_at)
    finally:
        held.release()


@pytest.mark.usefixtures("deleted_at")
def test_a_rewind_that_was_cut_off_starts_no_empty_server(settings: BoxSettings) -> None:
    server = opened(settings).server
    assert server
    aside = server.data.with_name(f"{server.data.name}.before-rewind-20261128T190000Z")
    server.data.rename(aside)
    try:
        with pytest.raises(PostgresUnavailable, match="a rewind did not come to its end"):
            refuse_other_majors(server)
    finally:
        aside.rename(server.data)


def are_noted(archive: Archive, copies: int) -> bool:
    """Whether the archive has the notes of so many copies, which PostgreSQL hands over a moment after each."""
    return len([*archive.wal.glob("*.backup.gz")]) >= copies


@pytest.mark.usefixtures("deleted_at")
def test_old_copies_go_with_the_log_that_only_they_need(settings: BoxSettings) -> None:
    described = opened(settings)
    archive, server = described.archive, described.server
    assert archive
    assert server
    with running(described):
        for number in range(BASES_KEPT + 1):
            until(partial(are_noted, archive, number + 1))
            until(lambda: datetime.now(UTC) > max(archive.bases()))
            archive.make_base(server)
        segments = sorted(path.name for path in archive.wal.glob("*.gz") if "." not in path.name.removesuffix(".gz"))
    assert len(archive.bases()) == BASES_KEPT
    assert segments[0][8:24] > "0000000000000002"


def test_a_box_without_an_archive_cannot_be_rewound(folder: Path) -> None:
    environ = {"UPTIME_HOME": str(folder / "other"), "UPTIME_PORT_BASE": str(free_port_base())}
    other = BoxSettings.from_env(Env(environ))
    with pytest.raises(RewindRefused, match="holds no box"):
        rewind(other, datetime.now(UTC))
    opened(other)
    with pytest.raises(RewindRefused, match="UPTIME_ARCHIVE"):
        rewind(other, datetime.now(UTC))


def test_a_name_that_no_command_can_hold_is_refused(settings: BoxSettings, folder: Path) -> None:
    server = opened(settings).server
    assert server
    with pytest.raises(ArchiveUnusable, match="without quotes"):
        Archive(folder / "100%").prepare(server)
