"""The archive of one box: base backups of its PostgreSQL cluster, and its log since, so that it can be rewound (`core.local.rewind`).

    base-20261128T190000Z/   what `pg_basebackup` wrote, named by the moment from which it can be used
    wal/                     segments of the log, packed, as PostgreSQL hands them over

The server runs the two commands through a shell, under its own account. A segment is there whole or not at all; one that comes again,
because the server died before it had noted the success, must be the same.
"""

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from core.local.postgres import DATABASE, SUPERUSER, PostgresServer, enterable_by_others

STAMP: Final = "%Y%m%dT%H%M%SZ"
SWITCH_S: Final = 300
"""A segment that is not full is handed over after so long: what the loss of the disk costs."""

BASES_KEPT: Final = 2
RESERVED: Final = frozenset("%'\"\\\n")


class ArchiveUnusable(Exception):
    """The archive cannot be used as it is; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive below `folder`, which should lie on another disk than the box."""

    folder: Path

    @property
    def wal(self) -> Path:
        """The segments."""
        return self.folder / "wal"

    def prepare(self, server: PostgresServer) -> None:
        """Make the folders, those of the segments for the account that runs the server.

        Raises:
            ArchiveUnusable: they cannot be made, or their names cannot be part of a command.
        """
        if RESERVED & set(str(self.folder)):
            raise ArchiveUnusable(f"UPTIME_ARCHIVE must be without quotes, backslashes and percent signs: {self.folder}")
        try:
            self.folder.mkdir(mode=0o711, parents=True, exist_ok=True)
            self.wal.mkdir(mode=0o700, exist_ok=True)
            if server.run_as:
                os.chown(self.wal, server.run_as.pw_uid, server.run_as.pw_gid)
            if server.run_as and not enterable_by_others(self.folder):
                raise ArchiveUnusable(
                    f"{server.run_as.pw_name}, which runs PostgreSQL, cannot enter {self.folder}: set UPTIME_ARCHIVE to another folder"
                )
        except OSError as error:
            raise ArchiveUnusable(
                f"cannot write to {self.folder}: {error.strerror}; set UPTIME_ARCHIVE to another folder"
            ) from error

    def options(self) -> tuple[str, ...]:
        """Options of a server that hands its log over."""
        kept = f"{shlex.quote(str(self.wal))}/%f.gz"
        again = f"gzip -dc {kept} | cmp -s - %p"
        first = f"gzip < %p > {kept}.part && sync {kept}.part && mv {kept}.part {kept}"
        command = f"if test -f {kept}; then {again}; else {first}; fi"
        settings = {"archive_mode": "on", "archive_command": command, "archive_timeout": f"{SWITCH_S}"}
        return tuple(part for name, value in settings.items() for part in ("-c", f"{name}={value}"))

    def restore_command(self) -> str:
        """How a server that recovers gets a segment."""
        return f"gzip -dc {shlex.quote(str(self.wal))}/%f.gz > %p"

    def make_base(self, server: PostgresServer) -> Path:
        """Copy the running cluster; returns the folder. What only older copies need is deleted.

        Raises:
            ArchiveUnusable: the server or the disk does not allow it; there is no new copy then.
        """
        partial = self.folder / "base.partial"
        shutil.rmtree(partial, ignore_errors=True)
        address = f"host=127.0.0.1 port={server.port} user={SUPERUSER} dbname={DATABASE}"
        done = subprocess.run(
            [str(server.binaries / "pg_basebackup"), "-d", address, "-D", str(partial), "-Ft", "-z", "-c", "fast", "-w"],
            env={**os.environ, "PGPASSWORD": server.password},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ArchiveUnusable(f"pg_basebackup failed: {done.stderr.strip()}")
        base = self.folder / f"base-{datetime.now(UTC) + timedelta(seconds=1):{STAMP}}"  # names have whole seconds
        partial.rename(base)
        self._forget_old(server)
        return base

    def bases(self) -> dict[datetime, Path]:
        """The copies by the moment from which they can be used, oldest first."""
        found = {datetime.strptime(path.name, f"base-{STAMP}").replace(tzinfo=UTC): path for path in self.folder.glob("base-*Z")}
        return dict(sorted(found.items()))

    def _forget_old(self, server: PostgresServer) -> None:
        for base in [*self.bases().values()][:-BASES_KEPT]:
            shutil.rmtree(base)
        markers = sorted(
            path.name.removesuffix(".gz") for path in self.wal.glob("*.backup.gz")
        )  # one for each copy, by its first segment
        if len(markers) > BASES_KEPT:
            clean = [str(server.binaries / "pg_archivecleanup"), "-x", ".gz", str(self.wal), markers[-BASES_KEPT]]
            subprocess.run(clean, check=True, capture_output=True, **server.process_options())
