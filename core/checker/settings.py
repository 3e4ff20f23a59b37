"""Settings of the Celery fleet, read once from the environment."""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from core.domain.retention import Retention
from core.env import Env, Secret, SettingError

ALL_TASKS: Final = "all"
WEBSITE_TASKS: Final = "websites"


@dataclass(frozen=True, slots=True)
class CheckerSettings:
    """What a worker, the schedule worker and beat need to know.

    `ca_file` holds the authorities that websites are checked against (PEM), in place of those that ship with us.
    `tasks` says which tasks a worker loads: all, or those of websites, where it takes nothing but checks.
    `name_questions_per_s` bounds what one process asks the name servers, 0 for no limit.
    `max_in_flight` bounds the probes of one process; `lag_limit_s` is how late the probe loop may run before failures that slowness
    can explain stop counting; `drain_s` is how long a stopping worker lets probes finish. `metrics_port` 0 means no metrics.
    Every `canary_ping_s` seconds our own `ping_url` is pinged; 0 for never.
    Of `canary_urls` (`http`, `https` or `tcp://host:port`) and `canary_names`, one that answers is proof that we work.
    `metrics_monitor_limit` bounds the monitors with series of their own in one process, 1 kB each.
    `metrics_namespace` is where CloudWatch puts the length of the queues, which scales the workers.
    """

    database_url: Secret
    redis_url: Secret
    broker_url: Secret
    uptime_env: str
    private_targets: bool
    vault_keys: tuple[str, ...]
    name_servers: tuple[str, ...]
    name_questions_per_s: int
    ca_file: str | None
    canary_urls: tuple[str, ...]
    canary_names: tuple[str, ...]
    ping_url: str | None
    canary_ping_s: int
    tasks: str
    max_in_flight: int
    lag_limit_s: float
    drain_s: float
    database_connections: int
    retention: Retention
    receipt_timeout_s: int
    domain_expiry: bool
    rdap_bootstrap_url: str
    metrics_bind: str
    metrics_port: int
    metrics_monitor_limit: int
    metrics_namespace: str | None

    @classmethod
    def from_env(cls, env: Env) -> "CheckerSettings":
        """Read every setting.

        Raises:
            SettingError: one is missing or malformed.
        """
        env.url("DATABASE_URL", schemes=("postgres", "postgresql"))
        redis_url = env.url("REDIS_URL", schemes=("redis", "rediss"))
        return cls(
            database_url=env.secret("DATABASE_URL"),
            redis_url=Secret(redis_url),
            broker_url=Secret(env.url("BROKER_URL", redis_url, schemes=("redis", "rediss", "sqs"))),
            uptime_env=env.text("UPTIME_ENV", "local"),
            private_targets=env.boolean("PRIVATE_TARGETS", False),
            vault_keys=_vault_keys(env),
            name_servers=env.words("NAME_SERVERS"),
            name_questions_per_s=env.integer("NAME_QUESTIONS_PER_S", 0, high=1_000_000),
            ca_file=_file(env.optional_text("CA_FILE")),
            canary_urls=_canary_urls(
                env.words("CANARY_URLS", "http://www.gstatic.com/generate_204,http://detectportal.firefox.com/success.txt")
            ),
            canary_names=_canaries(env.words("CANARY_NAMES", "www.gstatic.com,detectportal.firefox.com")),
            ping_url=_ping_url(env),
            canary_ping_s=env.integer("CANARY_PING_S", 30, high=3600),
            tasks=_tasks(env.text("WORKER_TASKS", ALL_TASKS)),
            max_in_flight=env.integer("MAX_IN_FLIGHT", 2000, low=1, high=100_000),
            lag_limit_s=env.number("LAG_LIMIT_S", 0.5, low=0.05, high=60),
            drain_s=env.number("DRAIN_S", 2.0, high=60),
            database_connections=env.integer("DATABASE_CONNECTIONS", 8, low=2, high=100),
            retention=Retention(
                days=env.integer("RETENTION_DAYS", 90, low=1, high=3650),
                rollup_days=env.integer("ROLLUP_RETENTION_DAYS", 400, low=32, high=3650),
                failure_days=env.integer("FAILURE_RETENTION_DAYS", 365, low=1, high=3650),
                pings=env.integer("PINGS_KEPT", 100, low=0, high=10_000),
            ),
            receipt_timeout_s=env.integer("RECEIPT_TIMEOUT_S", 300, low=1),
            domain_expiry=env.boolean("DOMAIN_EXPIRY", True),
            rdap_bootstrap_url=env.url("RDAP_BOOTSTRAP_URL", "https://data.iana.org/rdap/dns.json"),
            metrics_bind=env.text("METRICS_BIND", "127.0.0.1"),
            metrics_port=env.integer("METRICS_PORT", 0, high=65_535),
            metrics_monitor_limit=env.integer("METRICS_MONITOR_LIMIT", 5000, high=1_000_000),
            metrics_namespace=env.optional_text("METRICS_NAMESPACE"),
        )


def _ping_url(env: Env) -> str | None:
    """A checker that does not know the public address of pings cannot watch it."""
    return env.url("PING_URL") if env.optional_text("PING_URL") else None


def _tasks(word: str) -> str:
    if word not in (ALL_TASKS, WEBSITE_TASKS):
        raise SettingError(f"WORKER_TASKS must be {ALL_TASKS} or {WEBSITE_TASKS}")
    return word


def _file(path: str | None) -> str | None:
    if path is not None and not Path(path).is_file():
        raise SettingError("CA_FILE is not a file")
    return path


def _canaries(words: tuple[str, ...]) -> tuple[str, ...]:
    return () if words == ("none",) else words


def _canary_urls(words: tuple[str, ...]) -> tuple[str, ...]:
    for word in _canaries(words):
        parts = urlsplit(word)
        if parts.scheme not in ("http", "https", "tcp") or not parts.hostname or (parts.scheme == "tcp" and not _port(parts)):
            raise SettingError("CANARY_URLS is not a list of http://, https:// or tcp://host:port")
    return _canaries(words)


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        return None


def _vault_keys(env: Env) -> tuple[str, ...]:
    """Without keys, websites whose options hold secrets cannot be checked."""
    return tuple(key.strip() for key in env.secret("CHANNEL_VAULT_KEYS", "").reveal().split(",") if key.strip())


@cache
def process_settings() -> CheckerSettings:
    """The settings of this process, read at first use: importing a task reads nothing."""
    return CheckerSettings.from_env(Env(os.environ))
