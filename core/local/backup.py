"""Backups of one box: the database and the secrets that belong to it, in one file that only its owner can read.

The file is a tar of `manifest.json`, `secrets.json` and `database.dump` (PostgreSQL's custom format). What the edge keeps is not in
it: its projections are rebuilt from the database at every start. A backup of an older version is restored as it is and migrated
by the next start; one of a newer version is refused.
"""

import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psycopg

from core.local import box, dump, home, launcher, lock, schema, secrets, stale, supervise
from core.local.box import Box
from core.local.home import UNFINISHED, Home
from core.local.lock import BoxLock
from core.local.settings import CHECKOUT, BoxSettings

FORMAT = 1
MANIFEST, SECRETS, DATABASE = "manifest.json", secrets.FILE, "database.dump"


class BackupRefused(Exception):
    """The backup or the restore would do harm or make no sense; the message says why and what to do."""


class Manifest(msgspec.Struct, kw_only=True):
    """What is in a backup. `migrations` are those that its database has seen."""

    format: int
    version: str
    made_at: datetime
    postgres: str
    migrations: list[str]


def create(settings: BoxSettings, file: Path) -> Manifest:
    """Write a backup, whether or not the box runs.

    Raises:
        BackupRefused: there is nothing to back up, or the file exists.
    """
    if file.exists() or not file.absolute().parent.is_dir():
        raise BackupRefused(
            f"{file} exists: choose another name" if file.exists() else f"there is no folder {file.absolute().parent}"
        )
    place = home.locate(settings.home)
    stored = secrets.load(place.root)
    if stored is None:
        raise BackupRefused(f"{place.root} holds no box")
    described = box.open_box(settings, stored, place)
    with _database(described) as url, tempfile.TemporaryDirectory(dir=file.parent, prefix=".backup-") as folder:
        manifest = _manifest(url)
        dump.dump(url, Path(folder) / DATABASE)
        (Path(folder) / MANIFEST).write_bytes(msgspec.json.encode(manifest))
        secrets.store(Path(folder), stored)
        _pack(Path(folder), file)
    return manifest


def restore(settings: BoxSettings, file: Path) -> Manifest:
    """Read a backup into a home (and, where the database is the user's own, a database) that is empty.

    Raises:
        BackupRefused: there is data already, or the backup is damaged or of a newer version.
    """
    place = home.prepare(settings.home)
    if lock.is_held(place.run):
        raise BackupRefused("the box is running: stop it first (`make down`)")
    _clear_unfinished(place)
    if place.has_data() or secrets.load(place.root):
        raise BackupRefused(
            f"{place.root} holds a box already: restore into another UPTIME_HOME, or `uptimemonitor wipe --yes` it first"
        )
    with tempfile.TemporaryDirectory(dir=place.root, prefix=".restore-") as folder:
        manifest = _unpack(file, Path(folder))
        stored = secrets.load(Path(folder))
        assert stored
        described = box.open_box(settings, stored, place)
        (place.data / UNFINISHED).touch()
        try:
            with _database(described) as url:
                _require_empty(url)
                dump.restore(url, Path(folder) / DATABASE)
        except BaseException:
            _clear_unfinished(place)
            raise
        secrets.store(place.root, stored)
        (place.data / UNFINISHED).unlink()
    return manifest


def _clear_unfinished(place: Home) -> None:
    """Delete what a restore that did not come to its end has left: before it, there was nothing."""
    if (place.data / UNFINISHED).exists():
        (place.root / secrets.FILE).unlink(missing_ok=True)
        for cluster in place.data.glob("postgres-[0-9]*"):
            shutil.rmtree(cluster)
        (place.data / UNFINISHED).unlink()


def _manifest(url: str) -> Manifest:
    with psycopg.connect(url) as connection:
        known = connection.execute("SELECT to_regclass('django_migrations')").fetchone()
        if not known or known[0] is None:
            raise BackupRefused("the database is empty")
        migrations = [f"{app}.{name}" for app, name in connection.execute("SELECT app, name FROM django_migrations ORDER BY id")]
        server = connection.info.parameter_status("server_version") or ""
    version = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    return Manifest(format=FORMAT, version=version, made_at=datetime.now(UTC), postgres=server, migrations=migrations)


def _pack(folder: Path, file: Path) -> None:
    partial = folder / "packed"
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "wb") as output, tarfile.open(fileobj=output, mode="w") as tar:
        for name in (MANIFEST, SECRETS, DATABASE):
            tar.add(folder / name, arcname=name)
    with partial.open("rb") as packed:
        os.fsync(packed.fileno())
    partial.rename(file)


def _unpack(file: Path, folder: Path) -> Manifest:
    try:
        with tarfile.open(file) as tar:
            for name in (MANIFEST, SECRETS, DATABASE):
                tar.extract(name, folder, filter="data")
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, tarfile.TarError, KeyError, msgspec.DecodeError) as error:
        raise BackupRefused(f"{file} is not a backup of this program: {error}") from error
    newer = sorted({name for name in manifest.migrations if name.startswith("uptime.")} - schema.known_migrations())
    if manifest.format > FORMAT or newer:
        raise BackupRefused(f"{file} was made by version {manifest.version}, which is newer than this one: upgrade first")
    return manifest


def _require_empty(url: str) -> None:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace").fetchone()
    if row and row[0]:
        raise BackupRefused("DATABASE_URL names a database that is not empty")


@contextmanager
def _database(described: Box) -> Iterator[str]:
    """URL of the box's database; where the box does not run, its server runs for as long as this takes."""
    if described.server is None or launcher.running(described.settings):
        yield described.database_url
        return
    held = BoxLock.take(described.home.run)
    try:
        supervise.clear_the_way(described, only="postgres")
        with _serving(described):
            schema.create_database(described.database_url)
            yield described.database_url
    finally:
        held.release()


@contextmanager
def _serving(described: Box) -> Iterator[None]:
    server = described.server
    assert server
    server.prepare()
    process = subprocess.Popen(server.argv(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **server.process_options())
    stale.remember(described.home.run, "postgres", process.pid, signal.SIGINT)
    try:
        server.wait_ready()
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        stale.forget(described.home.run, "postgres")
