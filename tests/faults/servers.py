"""A PostgreSQL and a Valkey of the test's own, which may be lost and come back."""

import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from core.local import postgres, valkey
from core.local.postgres import PostgresServer
from tests.conftest import _migrate, free_port


class Database:
    """A PostgreSQL of the test's own, which may be killed and started again."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.server.argv(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self.server.process_options()
        )
        self.server.wait_ready()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        if self.process:
            self.process.send_signal(how)
            self.process.wait(30)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.server.dsn(), options="-c timezone=UTC") as connection:
            return connection.execute(query).fetchall()

    def checks(self) -> int:
        return int(self.ask("SELECT count(*) FROM check_result")[0][0])


class Broker:
    """A Valkey of the test's own, on a port that it keeps."""

    def __init__(self) -> None:
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(valkey.argv(self.port), stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait(10)


@contextmanager
def running_database(home: Path) -> Iterator[Database]:
    """A migrated one, with its data in a folder that other accounts may enter."""
    home.chmod(0o755)
    held = Database(postgres.locate(home, free_port(), secrets.token_hex(8)))
    held.server.prepare()
    held.start()
    try:
        held.server.create_database()
        _migrate(held.server.dsn())
        yield held
    finally:
        held.stop(signal.SIGQUIT)


@pytest.fixture
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("postgres")
    for folder in (home, *home.parents):
        if not folder.stat().st_mode & 0o001 and folder.owner() == Path.home().owner():
            folder.chmod(folder.stat().st_mode | 0o011)
    with running_database(home) as held:
        yield held


@pytest.fixture
def broker() -> Iterator[Broker]:
    held = Broker()
    held.start()
    yield held
    held.kill()
