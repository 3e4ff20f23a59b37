"""Backups against a real cluster: what goes in comes out, nothing is overwritten, a newer backup is refused."""

import os
import shutil
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest
from psycopg import sql

from core.contracts.channel_vault import VaultCipher
from core.env import Env
from core.local import backup, box, home, schema, secrets, supervise
from core.local.backup import BackupRefused, Manifest
from core.local.box import Box
from core.local.settings import BoxSettings
from tests.box import free_port_base, open_folder

USER = """
INSERT INTO account (id, email, password, name, tier, is_active, created_at)
VALUES (gen_random_uuid(), %s, 'x', '', 'free', true, now())
"""


def settings_for(root: Path) -> BoxSettings:
    return BoxSettings.from_env(Env({"UPTIME_HOME": str(root), "UPTIME_PORT_BASE": str(free_port_base())}))


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as opened:
        yield opened


@pytest.fixture(scope="module")
def filled() -> Iterator[BoxSettings]:
    """A box that does not run, with one user and one sealed text."""
    with open_folder() as folder:
        yield fill(folder)


def fill(folder: Path) -> BoxSettings:
    settings = settings_for(folder / "home")
    place = home.prepare(settings.home)
    described = box.open_box(settings, supervise.secrets_for(place, settings), place)
    with backup._database(described) as url:
        bring_up_to_date(described)
        with psycopg.connect(url) as connection:
            connection.execute(USER, ("kept@example.com",))
            sealed = VaultCipher([described.secrets.channel_vault_keys]).seal({"url": "https://example.com/"})
            connection.execute(sql.SQL("COMMENT ON TABLE account IS {}").format(sealed))
    return settings


def bring_up_to_date(described: Box) -> None:
    """As a box does it: in a process of its own."""
    subprocess.run([sys.executable, "-m", "core.local.schema"], env=box.environ(described, os.environ), check=True)


def test_a_backup_comes_back_with_its_secrets(filled: BoxSettings, folder: Path) -> None:
    file = folder / "box.backup"
    manifest = backup.create(filled, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "uptime.0001_initial" in manifest.migrations
    other = settings_for(folder / "home")
    backup.restore(other, file)
    stored = secrets.load(other.home)
    assert stored == secrets.load(filled.home)
    assert stored
    described = box.open_box(other, stored, home.locate(other.home))
    with backup._database(described) as url, psycopg.connect(url) as connection:
        assert connection.execute("SELECT email FROM account").fetchall() == [("kept@example.com",)]
        row = connection.execute("SELECT obj_description('account'::regclass)").fetchone()
        assert row
        assert VaultCipher([stored.channel_vault_keys]).open(row[0]) == {"url": "https://example.com/"}
        assert schema._stored_fingerprint(connection) == schema.fingerprint()


def test_a_backup_never_overwrites_a_file(filled: BoxSettings, folder: Path) -> None:
    file = folder / "box.backup"
    file.write_text("precious")
    with pytest.raises(BackupRefused, match="exists"):
        backup.create(filled, file)
    assert file.read_text() == "precious"


def test_a_box_with_data_is_never_restored_over(filled: BoxSettings, folder: Path) -> None:
    file = folder / "box.backup"
    backup.create(filled, file)
    with pytest.raises(BackupRefused, match="holds a box already"):
        backup.restore(filled, file)


def test_a_backup_of_a_newer_version_is_refused_and_leaves_nothing(filled: BoxSettings, folder: Path) -> None:
    file = folder / "box.backup"
    manifest = backup.create(filled, file)
    newer = repack(file, folder / "newer.backup", [*manifest.migrations, "uptime.9999_tomorrow"])
    other = settings_for(folder / "home")
    with pytest.raises(BackupRefused, match="newer than this one"):
        backup.restore(other, newer)
    assert secrets.load(other.home) is None
    assert not home.locate(other.home).has_data()


def repack(file: Path, target: Path, migrations: list[str]) -> Path:
    folder = target.with_suffix(".folder")
    with tarfile.open(file) as tar:
        tar.extractall(folder, filter="data")
    manifest = msgspec.json.decode((folder / backup.MANIFEST).read_bytes(), type=Manifest)
    (folder / backup.MANIFEST).write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, migrations=migrations)))
    with tarfile.open(target, "w") as tar:
        for one in folder.iterdir():
            tar.add(one, arcname=one.name)
    return target


def test_what_is_no_backup_is_refused(folder: Path) -> None:
    file = folder / "box.backup"
    file.write_bytes(b"a shopping list")
    with pytest.raises(BackupRefused, match="not a backup"):
        backup.restore(settings_for(folder / "home"), file)


def test_a_restore_that_was_cut_short_is_simply_run_again(filled: BoxSettings, folder: Path) -> None:
    file = folder / "box.backup"
    backup.create(filled, file)
    other = settings_for(folder / "home")
    place = home.prepare(other.home)
    (place.data / "postgres-18").mkdir()
    (place.data / home.UNFINISHED).touch()
    with pytest.raises(secrets.SecretsLost, match="run it again"):
        supervise.secrets_for(place, other)
    backup.restore(other, file)
    assert secrets.load(other.home)


def test_an_upgrade_of_a_database_with_data_is_dumped_first(filled: BoxSettings, folder: Path) -> None:
    copy = folder / "copy.backup"
    backup.create(filled, copy)
    other = settings_for(folder / "home")
    backup.restore(other, copy)
    place = home.locate(other.home)
    stored = secrets.load(other.home)
    assert stored
    described = box.open_box(other, stored, place)
    with backup._database(described) as url:
        bring_up_to_date(described)
        assert list(place.backups.iterdir()) == []
        with psycopg.connect(url) as connection:
            connection.execute("COMMENT ON TABLE django_migrations IS 'schema of yesterday'")
        bring_up_to_date(described)
    [dumped] = place.backups.iterdir()
    assert dumped.read_bytes()[:5] == b"PGDMP"
    shutil.rmtree(other.home)
