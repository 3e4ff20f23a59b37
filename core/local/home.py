"""The folder of a box: what is where in it, made with the right modes, checked before anything starts."""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from core.local import postgres

NEEDED_BYTES = 512 * 1024 * 1024
UNFINISHED = "RESTORING"
"""In the data folder for as long as a restore is not complete."""

ELSEWHERE = Path("/var/lib")


class HomeUnusable(Exception):
    """The box cannot keep its files there; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Home:
    """Paths of one box. `data` holds the PostgreSQL clusters; it lies outside where the account that runs them cannot enter `root`."""

    root: Path
    data: Path

    @property
    def run(self) -> Path:
        """Lock, pid files, state of the supervisor."""
        return self.root / "run"

    @property
    def logs(self) -> Path:
        """One log file for each process."""
        return self.root / "logs"

    @property
    def journal(self) -> Path:
        """The ping gateway's journal."""
        return self.root / "journal"

    @property
    def mail(self) -> Path:
        """What the mail catcher caught."""
        return self.root / "mail"

    @property
    def backups(self) -> Path:
        """Dumps taken before an upgrade changes the schema."""
        return self.root / "backups"

    @property
    def is_elsewhere(self) -> bool:
        """Whether the data had to be put outside the home."""
        return not self.data.is_relative_to(self.root)

    def has_data(self) -> bool:
        """Whether a database cluster of any version was ever made here."""
        return any(self.data.glob("postgres-[0-9]*"))


def locate(root: Path) -> Home:
    """Where everything is; makes nothing."""
    inside = root / "data"
    if os.geteuid() != 0 or postgres.enterable_by_others(_existing(root)):
        return Home(root, inside)
    return Home(root, ELSEWHERE / f"uptimemonitor-{hashlib.sha256(str(root).encode()).hexdigest()[:10]}")


def prepare(root: Path, needed_bytes: int = NEEDED_BYTES) -> Home:
    """Make the folders that are missing.

    Raises:
        HomeUnusable: the folder cannot be made or written, or the disk is full.
    """
    home = locate(root)
    try:
        _make(home)
        probe = home.run / "writable"
        probe.touch()
        probe.unlink()
        free = shutil.disk_usage(home.data).free
    except OSError as error:
        raise HomeUnusable(
            f"cannot write to {error.filename or root}: {error.strerror}; set UPTIME_HOME to another folder"
        ) from error
    if free < needed_bytes:
        raise HomeUnusable(
            f"{home.data} has {free // 2**20} MB free, a box needs {needed_bytes // 2**20} MB: make room or set UPTIME_HOME to another disk"
        )
    return home


def _make(home: Home) -> None:
    home.root.mkdir(mode=0o711, parents=True, exist_ok=True)
    home.data.mkdir(mode=0o755, parents=True, exist_ok=True)
    for private in (home.run, home.logs, home.journal, home.mail, home.backups):
        private.mkdir(mode=0o700, exist_ok=True)


def _existing(path: Path) -> Path:
    """The nearest folder that exists already: what will be made below it, we make with modes that fit."""
    return next(folder for folder in (path, *path.parents) if folder.exists())
