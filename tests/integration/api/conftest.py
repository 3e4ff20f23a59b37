"""The API in this process against a fresh database, with fakes for the edge and the broker."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, cast
from uuid import UUID, uuid4

import psycopg
import pytest
import redis
from django.conf import settings
from django.core.cache import cache, caches
from django.db import connection, connections, transaction
from psycopg.conninfo import conninfo_to_dict
from rest_framework.test import APIClient

import tests.integration.api.ready  # noqa: F401  (first: models cannot be imported before Django is set up)
from core.adapters.channel_vault import VaultUnreachable
from core.adapters.heartbeat_table import EdgeUnreachable
from core.adapters.ping_names import Named, PingKey, SlugTaken
from core.api import edge
from core.api.accounts.models import User, Workspace
from core.api.accounts.services import user_log_in
from core.api.bootstrap import ensure_demo_user
from core.api.monitors import targets
from core.contracts.check_reports import CheckReport
from core.domain.heartbeat_watch import EdgeOptions
from core.local.postgres import PostgresServer
from tests.conftest import TEMPLATE
from tests.reports import good_report

PASSWORD = "correct horse battery"


@dataclass
class FakeHeartbeatTable:
    """Heartbeat items at the edge, in memory."""

    items: dict[UUID, UUID] = field(default_factory=dict)
    options: dict[UUID, EdgeOptions] = field(default_factory=dict)
    bodies: dict[UUID, bytes] = field(default_factory=dict)
    reachable: bool = True

    def provision(self, monitor_uid: UUID, workspace_id: UUID, options: EdgeOptions) -> None:
        self._reach()
        self.items[monitor_uid] = workspace_id
        self.options[monitor_uid] = options

    def set_options(self, monitor_uid: UUID, options: EdgeOptions) -> None:
        self._reach()
        self.options[monitor_uid] = options

    def remove(self, monitor_uid: UUID) -> None:
        self._reach()
        self.items.pop(monitor_uid, None)

    def body(self, _monitor_uid: UUID, ping_id: UUID, _large: object) -> bytes | None:
        self._reach()
        return self.bodies.get(ping_id)

    def _reach(self) -> None:
        if not self.reachable:
            raise EdgeUnreachable("no route to the edge")


@dataclass
class FakePingNames:
    """Slugs and ping keys at the edge, in memory."""

    slugs: dict[tuple[UUID, str], UUID] = field(default_factory=dict)
    keys: dict[str, PingKey] = field(default_factory=dict)
    reachable: bool = True

    def take(self, workspace_id: UUID, slug: str, uid: UUID) -> None:
        self._reach()
        if self.slugs.setdefault((workspace_id, slug), uid) != uid:
            raise SlugTaken(slug)

    def release(self, name: Named) -> None:
        self._reach()
        if self.slugs.get((name.workspace_id, name.slug)) == name.heartbeat_id:
            del self.slugs[name.workspace_id, name.slug]

    def show(self, key: PingKey) -> None:
        self._reach()
        self.keys[key.key] = key

    def forget(self, key: str) -> None:
        self._reach()
        self.keys.pop(key, None)

    def _reach(self) -> None:
        if not self.reachable:
            raise EdgeUnreachable("no route to the edge")


@dataclass
class FakeVault:
    """Versions of channels at the edge, in memory."""

    versions: dict[tuple[UUID, int], str] = field(default_factory=dict)
    reachable: bool = True

    def project(self, channel_id: UUID, version: int, _kind: str, _workspace_id: UUID, ciphertext: str) -> None:
        self._reach()
        self.versions[channel_id, version] = ciphertext

    def remove(self, channel_id: UUID) -> None:
        self._reach()
        self.versions = {key: value for key, value in self.versions.items() if key[0] != channel_id}

    def _reach(self) -> None:
        if not self.reachable:
            raise VaultUnreachable("no route to the edge")


@dataclass
class FakeTaskQueue:
    """Tasks that were sent, in order."""

    sent: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)
    looks: int = 0

    def look_soon(self) -> bool:
        self.looks += 1
        return True

    def send(self, task_name: str, *args: Any, expires_s: float | None = None) -> bool:
        self.sent.append((task_name, args))
        return True

    def kick_alerts(self, alert_ids: list[UUID]) -> None:
        for alert_id in alert_ids:
            self.send("handle_alert", str(alert_id))


@dataclass
class FakeCheckReports:
    """Checks that somebody waits for: `answers` come one for each look, None for one in vain; then they are all well."""

    answers: list[CheckReport | None] = field(default_factory=list)
    asked: dict[UUID, UUID] = field(default_factory=dict)
    silent: bool = False
    reachable: bool = True

    def ask(self, website: UUID) -> UUID:
        if not self.reachable:
            raise redis.ConnectionError("no route to Redis")
        check_id = uuid4()
        self.asked[check_id] = website
        return check_id

    def wait(self, check_id: UUID, timeout_s: float) -> CheckReport | None:
        assert timeout_s > 0
        if self.silent:
            time.sleep(timeout_s)
            return None
        return self.answers.pop(0) if self.answers else good_report(self.asked[check_id])

    def find(self, website: UUID, check_id: UUID) -> CheckReport | None:
        if self.asked[check_id] != website:
            raise KeyError(check_id)
        return self.answers.pop(0) if self.answers else good_report(website)


@dataclass
class Edge:
    """The systems beside the database."""

    heartbeats: FakeHeartbeatTable
    names: FakePingNames
    vault: FakeVault
    tasks: FakeTaskQueue
    checks: FakeCheckReports


@dataclass
class Caller:
    """Somebody with an account, and a client that is logged in."""

    user: User
    workspace: Workspace
    client: APIClient


@contextmanager
def django_on(url: str) -> Iterator[None]:
    """Django with its connections to this database."""
    given = conninfo_to_dict(url)
    settings_dict = connections["default"].settings_dict
    before = dict(settings_dict)
    for django_name, name in {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}.items():
        settings_dict[django_name] = str(given[name])
    try:
        yield
    finally:
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]  # of the PostgreSQL backend
        settings_dict.update(before)


@pytest.fixture(scope="module")
def shared_database(postgres_server: PostgresServer) -> Iterator[None]:
    """Django on one database for a module; making one for each test takes longer than the test."""
    name = f"api_{secrets.token_hex(6)}"
    with psycopg.connect(postgres_server.dsn("postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        with django_on(postgres_server.dsn(name)):
            yield
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(shared_database: None, settings_change: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty database: what a test writes is rolled back."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture
def committed_database(database_url: str, settings_change: pytest.MonkeyPatch) -> Iterator[str]:
    """A database of the test's own, for tests that look at it from a second connection."""
    with django_on(database_url):
        yield database_url


@pytest.fixture
def settings_change(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """To change Django settings for one test; passwords are hashed cheaply in all of them."""
    monkeypatch.setattr(settings, "PASSWORD_HASHERS", ["django.contrib.auth.hashers.MD5PasswordHasher"])
    return monkeypatch


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[str, ...]]:
    """What names resolve to where a URL is judged; others have no address."""
    known: dict[str, tuple[str, ...]] = {"shop.test": ("93.184.216.34",)}

    def resolve(host: str, _timeout_s: float) -> tuple[IPv4Address | IPv6Address, ...]:
        return tuple(ip_address(text) for text in known.get(host, ()))

    for judge in (targets.accepted_url, targets.accepted_host):
        monkeypatch.setitem(cast("dict[str, Any]", judge.__kwdefaults__), "resolve", resolve)
    return known


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Edge:
    """Fakes in the place of the edge and the broker."""
    fakes = Edge(FakeHeartbeatTable(), FakePingNames(), FakeVault(), FakeTaskQueue(), FakeCheckReports())
    monkeypatch.setattr(edge, "heartbeat_table", lambda: fakes.heartbeats)
    monkeypatch.setattr(edge, "ping_names", lambda: fakes.names)
    monkeypatch.setattr(edge, "channel_vault", lambda: fakes.vault)
    monkeypatch.setattr(edge, "task_queue", lambda: fakes.tasks)
    monkeypatch.setattr(edge, "check_reports", lambda: fakes.checks)
    return fakes


@pytest.fixture
def redis_cache(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Django's cache on a real server, empty."""
    monkeypatch.setitem(caches.settings["default"], "LOCATION", valkey_url)
    caches["default"].close()
    del caches["default"]
    cache.clear()
    yield
    cache.close()
    del caches["default"]


@pytest.fixture
def anonymous(database: None, outside: Edge) -> APIClient:
    """A caller without credentials."""
    return APIClient()


@pytest.fixture
def alice(database: None, outside: Edge) -> Caller:
    """An owner."""
    return make_caller("alice@example.com")


@pytest.fixture
def bob(database: None, outside: Edge) -> Caller:
    """An owner of another workspace."""
    return make_caller("bob@example.com")


def make_caller(email: str) -> Caller:
    """A new account, logged in."""
    user, workspace = ensure_demo_user(email, PASSWORD, email.partition("@")[0])
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {user_log_in(email=email, password=PASSWORD).access}")
    return Caller(user, workspace, client)
