"""What runs on one box: every process of the product, and a stand-in for each service that AWS provides."""

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass

from core.local import postgres, valkey
from core.local.home import Home
from core.local.ports import WantedPort
from core.local.postgres import PostgresServer
from core.local.process import BOX_MARKER, HttpReady, LogReady, Spec, TcpReady
from core.local.secrets import BoxSecrets
from core.local.settings import ENVIRONMENT, REGION, BoxSettings
from core.local.wal_archive import Archive
from core.service import commands
from core.service.commands import WORKER_READY, python

LOOPBACK = "127.0.0.1"
EMAIL_FROM = "Uptime Monitor <alerts@uptimemonitor.invalid>"
NOT_INHERITED = ("AWS_", "PG", "GRANIAN_", "CELERY_")
"""Prefixes of variables that would lead a process away from its box: to a real AWS account, to another database."""


@dataclass(frozen=True, slots=True)
class Box:
    """One box, ready to be described as processes. `server` is None when the database is the user's own."""

    settings: BoxSettings
    secrets: BoxSecrets
    home: Home
    server: PostgresServer | None

    @property
    def database_url(self) -> str:
        """Where the product's database is."""
        if self.settings.database_url:
            return self.settings.database_url.reveal()
        assert self.server
        return self.server.dsn()

    @property
    def archive(self) -> Archive | None:
        """Where the log of our own PostgreSQL goes, if anywhere."""
        return Archive(self.settings.archive) if self.server and self.settings.archive else None

    @property
    def redis_url(self) -> str:
        """Where the broker is."""
        return self.settings.redis_url.reveal() if self.settings.redis_url else valkey.url(self.settings.ports.valkey)

    @property
    def aws_url(self) -> str:
        """The AWS stand-in."""
        return f"http://{LOOPBACK}:{self.settings.ports.aws}"

    @property
    def demo_url(self) -> str:
        """The demo target."""
        return f"http://{LOOPBACK}:{self.settings.ports.demo}"

    @property
    def mail_url(self) -> str:
        """Where caught mail is read."""
        return f"http://{LOOPBACK}:{self.settings.ports.mail}"


def open_box(settings: BoxSettings, box_secrets: BoxSecrets, home: Home) -> Box:
    """Find the servers that the box runs itself.

    Raises:
        PostgresUnavailable: no PostgreSQL can be run here, or the data was made by another major version.
    """
    if settings.database_url:
        return Box(settings, box_secrets, home, None)
    server = postgres.locate(home.data, settings.ports.postgres, box_secrets.postgres_password)
    postgres.refuse_other_majors(server)
    return Box(settings, box_secrets, home, server)


def environ(box: Box, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of every process: what was inherited, without what leads elsewhere, and the settings of this box."""
    kept = {name: value for name, value in inherited.items() if not name.startswith(NOT_INHERITED)}
    bypass = ",".join(filter(None, (kept.get("NO_PROXY") or kept.get("no_proxy"), LOOPBACK, "localhost")))
    return {
        **kept,
        BOX_MARKER: box.secrets.box_id,
        "UPTIME_ENV": ENVIRONMENT,
        "UPTIME_HOME": str(box.home.root),
        "DATABASE_URL": box.database_url,
        "REDIS_URL": box.redis_url,
        "SECRET_KEY": box.secrets.secret_key,
        "CHANNEL_VAULT_KEYS": box.secrets.channel_vault_keys,
        "PUBLIC_URL": box.settings.public_url,
        "PING_URL": box.settings.ping_url,
        "PRIVATE_TARGETS": str(box.settings.private_targets).lower(),
        "RECEIPT_TIMEOUT_S": str(box.settings.receipt_timeout_s),
        "EMAIL_TRANSPORT": kept.get("EMAIL_TRANSPORT") or f"smtp://{LOOPBACK}:{box.settings.ports.smtp}",
        "VERIFY_ADDRESSES": kept.get("VERIFY_ADDRESSES") or str(bool(kept.get("EMAIL_TRANSPORT"))).lower(),
        "EMAIL_FROM": kept.get("EMAIL_FROM") or EMAIL_FROM,
        "DRAIN_S": kept.get("DRAIN_S") or "1",
        "DATABASE_CONNECTIONS": kept.get("DATABASE_CONNECTIONS") or "4",
        "WEB_DATABASE_POOL": kept.get("WEB_DATABASE_POOL") or "4",
        "DJANGO_SETTINGS_MODULE": "core.api.settings",
        "PYTHONUNBUFFERED": "1",
        "MALLOC_ARENA_MAX": "2",
        "NO_PROXY": bypass,
        "no_proxy": bypass,
        **_aws_environ(box),
    }


def _aws_environ(box: Box) -> dict[str, str]:
    """Every way in which an SDK could find a real account is closed."""
    return {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": box.aws_url,
        "AWS_ACCESS_KEY_ID": "one-box",
        "AWS_SECRET_ACCESS_KEY": "one-box",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "POWERTOOLS_TRACE_DISABLED": "true",
        "POWERTOOLS_DEV": "false",
    }


def wanted_ports(box: Box) -> list[WantedPort]:
    """The ports that the processes of this box will listen on."""
    public = {box.settings.ports.web, box.settings.ports.gateway}
    return [
        WantedPort(spec.name, box.settings.bind if port in public else LOOPBACK, port)
        for spec in specs(box, {})
        for port in spec.ports
    ]


def specs(box: Box, inherited: Mapping[str, str]) -> list[Spec]:
    """Every process, in the order in which people think of them."""
    env = environ(box, inherited)
    return [*_stores(box, env), *_stand_ins(box, env), *_product(box, env)]


def _stores(box: Box, env: Mapping[str, str]) -> list[Spec]:
    """The database, the broker, and the schema in the database."""
    found = []
    if box.server:
        found.append(_postgres(box.server, box.archive, env))
    if box.settings.redis_url is None:
        port = box.settings.ports.valkey
        found.append(Spec("valkey", valkey.argv(port), TcpReady(LOOPBACK, port), wave=0, ports=(port,), environ=env))
    after, create = (("postgres",), ("--create",)) if box.server else ((), ())
    found.append(Spec("schema", python("core.local.schema", *create), after=after, task=True, environ=env))
    return found


def _postgres(server: PostgresServer, archive: Archive | None, env: Mapping[str, str]) -> Spec:
    def prepare() -> None:
        server.prepare()
        if archive:
            archive.prepare(server)

    return Spec(
        "postgres",
        (*server.argv(), *(archive.options() if archive else ())),
        ready=server.is_ready,
        wave=0,
        ports=(server.port,),
        environ=env,
        prepare=prepare,
        options=server.process_options(),
        stop_signal=signal.SIGINT,
    )


def _stand_ins(box: Box, env: Mapping[str, str]) -> list[Spec]:
    """What AWS is in production, and the demo's other side."""
    ports = box.settings.ports
    host = ("--host", LOOPBACK)
    bind = ("--host", box.settings.bind)
    mail = (*host, "--port", str(ports.smtp), "--http-port", str(ports.mail), "--folder", str(box.home.mail))
    return [
        Spec(
            "aws",
            python("core.local.aws", *host, "--port", str(ports.aws), "--journal", str(box.home.journal)),
            TcpReady(LOOPBACK, ports.aws),
            after=("schema",),
            wave=1,
            ports=(ports.aws,),
            environ=env,
            stop_signal=signal.SIGKILL,  # it keeps nothing, and a polite stop waits for polls that nobody reads any more
        ),
        Spec(
            "mail",
            python("core.local.mail_catcher", *mail),
            TcpReady(LOOPBACK, ports.mail),
            wave=1,
            ports=(ports.smtp, ports.mail),
            environ=env,
        ),
        Spec(
            "demo",
            python("core.local.demo_target", *host, "--port", str(ports.demo)),
            TcpReady(LOOPBACK, ports.demo),
            ports=(ports.demo,),
            environ=env,
        ),
        Spec(
            "gateway",
            python("core.local.gateway", *bind, "--port", str(ports.gateway), "--journal", str(box.home.journal)),
            TcpReady(box.settings.local_host, ports.gateway),
            after=("schema",),
            ports=(ports.gateway,),
            environ=env,
        ),
        Spec(
            "runner",
            python("core.local.lambda_runner"),
            LogReady(box.home.logs / "runner.log", "runner.ready"),
            after=("aws",),
            environ=env,
        ),
    ]


def _product(box: Box, env: Mapping[str, str]) -> list[Spec]:
    """What runs on ECS in production."""
    ports, bind = box.settings.ports, box.settings.bind
    return [
        Spec(
            "web",
            commands.web(host=bind, port=ports.web, workers=1, threads=4),
            HttpReady(box.settings.local_host, ports.web, "/health/"),
            after=("schema", *_broker(box)),
            ports=(ports.web,),
            environ=env,
        ),
        Spec(
            "worker",
            commands.worker("worker@box", "checks,alerts,default", 4),
            HttpReady(LOOPBACK, ports.worker_metrics, "/metrics", WORKER_READY),
            after=("schema", *_broker(box)),
            ports=(ports.worker_metrics,),
            environ={**env, "METRICS_PORT": str(ports.worker_metrics)},
        ),
        Spec(
            "schedule",
            commands.worker("schedule@box", "schedule", 2),
            HttpReady(LOOPBACK, ports.schedule_metrics, "/metrics", WORKER_READY),
            after=("schema", *_broker(box)),
            ports=(ports.schedule_metrics,),
            environ={**env, "METRICS_PORT": str(ports.schedule_metrics)},
        ),
        Spec(
            "beat",
            commands.beat(),
            LogReady(box.home.logs / "beat.log", "beat.ready"),
            after=_broker(box),
            environ=env,
        ),
        Spec(
            "inbox",
            python("core.inbox"),
            TcpReady(LOOPBACK, ports.inbox_metrics),
            after=("aws",),
            ports=(ports.inbox_metrics,),
            environ={**env, "METRICS_PORT": str(ports.inbox_metrics)},
        ),
    ]


def _broker(box: Box) -> tuple[str, ...]:
    return ("valkey",) if box.settings.redis_url is None else ()
