"""Dumps of the database in PostgreSQL's custom format, by the server's own tools."""

import os
import subprocess
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from core.local import postgres


class DumpFailed(Exception):
    """pg_dump or pg_restore said no; the message is theirs."""


def dump(url: str, target: Path) -> None:
    """Write all of the database to `target`: whole, or not at all; readable by its owner only."""
    partial = target.with_name(target.name + ".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        _run("pg_dump", url, "--format=custom", "--no-owner", "--no-privileges", output=file.fileno())
        os.fsync(file.fileno())
    partial.rename(target)


def restore(url: str, source: Path) -> None:
    """Read a dump into an empty database, in one transaction: all of it or nothing."""
    _run("pg_restore", url, "--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error", str(source))


def _run(program: str, url: str, *arguments: str, output: int = subprocess.DEVNULL) -> None:
    """The password goes through the environment: command lines are public."""
    parameters = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    password = parameters.pop("password", "")
    done = subprocess.run(
        [str(postgres.find_binaries() / program), *arguments, f"--dbname={make_conninfo(**parameters)}"],
        env={**os.environ, "PGPASSWORD": password},
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise DumpFailed(f"{program} failed: {done.stderr.strip()}")
