"""What is in the way of a start is told in words, and nothing is left running."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.env import Env, SettingError
from core.local import home, lock, secrets
from core.local.home import HomeUnusable
from core.local.settings import BoxSettings
from tests.box import command, environ_of, free_port_base, open_folder

HOLD_LOCK = """
import sys, time
from pathlib import Path
from core.local.lock import BoxLock
held = BoxLock.take(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for a home, as a user would choose one."""
    with open_folder() as opened:
        yield opened


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A base whose port for the web somebody has."""
    base = free_port_base()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", base))
        listener.listen()
        yield base


def test_a_taken_port_is_named_with_its_setting_and_its_holder(folder: Path, taken_port: int) -> None:
    done = command(environ_of(folder / "home", taken_port), "up")
    assert done.returncode == 1
    assert f"port {taken_port}, wanted by web" in done.stderr
    assert f"UPTIME_PORT_BASE={taken_port}" in done.stderr
    assert f"process {os.getpid()} " in done.stderr
    assert not lock.is_held(folder / "home" / "run")


def test_a_home_that_cannot_be_made_is_named(folder: Path) -> None:
    (folder / "file").write_text("in the way")
    done = command(environ_of(folder / "file" / "home", free_port_base()), "up")
    assert done.returncode == 1
    assert str(folder / "file") in done.stderr
    assert "UPTIME_HOME" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_told(folder: Path) -> None:
    with pytest.raises(HomeUnusable, match="MB free"):
        home.prepare(folder / "home", needed_bytes=2**60)


def test_data_without_its_secrets_is_not_opened(folder: Path) -> None:
    place = home.prepare(folder / "home")
    (place.data / "postgres-18").mkdir()
    done = command(environ_of(place.root, free_port_base()), "up")
    assert done.returncode == 1
    assert "secrets.json is missing" in done.stderr
    assert secrets.load(place.root) is None


def test_data_of_another_major_version_is_not_passed_over(folder: Path) -> None:
    place = home.prepare(folder / "home")
    secrets.create(place.root)
    (place.data / "postgres-12").mkdir()
    done = command(environ_of(place.root, free_port_base()), "up")
    assert done.returncode == 1
    assert "holds data of PostgreSQL 12" in done.stderr
    assert "uptimemonitor restore" in done.stderr


def test_a_malformed_setting_is_named(folder: Path) -> None:
    done = command({**environ_of(folder / "home", 8000), "UPTIME_PORT_BASE": "eighty"}, "status")
    assert done.returncode == 1
    assert "UPTIME_PORT_BASE must be a whole number" in done.stderr


def test_a_relative_home_is_refused() -> None:
    with pytest.raises(SettingError, match="UPTIME_HOME"):
        BoxSettings.from_env(Env({"UPTIME_HOME": "var"}))


@pytest.mark.parametrize(("bind", "shown"), [("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("10.1.2.3", "10.1.2.3")])
def test_the_urls_follow_the_bind_address(bind: str, shown: str) -> None:
    settings = BoxSettings.from_env(Env({"BIND": bind, "UPTIME_PORT_BASE": "9000"}))
    assert (settings.public_url, settings.ping_url) == (f"http://{shown}:9000", f"http://{shown}:9001")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as somebody else")
def test_the_data_moves_out_of_a_home_that_the_account_cannot_enter(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    place = home.locate(closed / "home")
    assert place.is_elsewhere
    assert place == home.locate(closed / "home")
    assert place.data != home.locate(closed / "other").data


def test_a_stale_lock_is_no_lock(folder: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD_LOCK, str(folder)], stdout=subprocess.PIPE)
    assert holder.stdout
    assert holder.stdout.readline() == b"held\n"
    assert lock.is_held(folder)
    with pytest.raises(lock.AlreadyRunning):
        lock.BoxLock.take(folder)
    holder.kill()
    holder.communicate()
    assert not lock.is_held(folder)
    lock.BoxLock.take(folder).release()


def test_wiping_leaves_what_is_not_the_boxs(folder: Path) -> None:
    place = home.prepare(folder / "home")
    secrets.create(place.root)
    (place.root / "thesis.txt").write_text("mine")
    done = command(environ_of(place.root, free_port_base()), "wipe", "--yes")
    assert done.returncode == 0
    assert [path.name for path in place.root.iterdir()] == ["thesis.txt"]


def test_wiping_wants_a_yes(folder: Path) -> None:
    place = home.prepare(folder / "home")
    assert command(environ_of(place.root, free_port_base()), "wipe").returncode == 2
    assert place.run.exists()
