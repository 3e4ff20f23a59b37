"""Real servers for the tests: one PostgreSQL and one Valkey for each test process, a fresh database for each test."""

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import psycopg
import pytest

import tests.environment  # noqa: F401  (first: it sets what the product reads at import)
from core.local import postgres, valkey
from core.local.postgres import PostgresServer
from tests.aws_stand_in import aws, aws_endpoint

__all__ = ["aws", "aws_endpoint"]  # fixtures from their own module

TEMPLATE = "migrated"

hypothesis.settings.register_profile("house", deadline=None)  # a shared machine is no judge of its own speed
hypothesis.settings.load_profile("house")


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A running PostgreSQL with a migrated template database."""
    with tempfile.TemporaryDirectory(prefix="uptimemonitor-test-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        server = postgres.locate(home, free_port(), secrets.token_hex(8))
        server.prepare()
        process = subprocess.Popen(
            [*server.argv(), "-c", "fsync=off", "-c", "synchronous_commit=off"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **server.process_options(),
        )
        try:
            server.wait_ready()
            server.create_database(TEMPLATE)
            _migrate(server.dsn(TEMPLATE))
            yield server
        finally:
            process.send_signal(2)
            process.wait(20)


def _migrate(dsn: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "django", "migrate", "--verbosity", "0"],
        env={**os.environ, "DATABASE_URL": dsn},
        check=True,
    )


@pytest.fixture
def database_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A fresh, migrated database with partitions for the days around now."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(postgres_server.dsn("postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        yield postgres_server.dsn(name)
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    """A connection to a fresh database, in a transaction of the test's own."""
    with psycopg.connect(database_url, options="-c timezone=UTC") as opened:
        yield opened


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """A running, empty Valkey."""
    port = free_port()
    process = subprocess.Popen(valkey.argv(port), stdout=subprocess.DEVNULL)
    try:
        _wait_for_port(port)
        yield valkey.url(port)
    finally:
        process.terminate()
        process.wait(10)


def _wait_for_port(port: int, timeout_s: float = 10.0) -> None:
    """Return once something listens there."""
    give_up = time.monotonic() + timeout_s
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.01)
