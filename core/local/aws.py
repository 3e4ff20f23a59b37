"""The AWS stand-in: one process that is either down or complete.

Before its port opens it makes the resources, projects heartbeats and channels from PostgreSQL, and records the pings that the ping
gateway answered and PostgreSQL does not have yet. So a restart never answers 404 for a heartbeat that exists, and never shows the
detector an item that is older than an answered ping. It keeps nothing on the disk.
"""

import argparse
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path

import msgspec
import psycopg
from psycopg_pool import PoolTimeout

from core.adapters.database import Pool, open_pool
from core.contracts.names import Names
from core.env import Env, Secret
from core.flows import edge_sync
from core.local import aws_moto, aws_resources, aws_upkeep, slim_botocore
from core.local.http_listener import HttpListener
from core.local.journal import Entry, read_living
from core.logs import configure, get_logger

BODY_LIMIT = 16 * 1024 * 1024
DATABASE_PAUSE_S = 0.25
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """Settings of the AWS stand-in."""

    names: Names
    region: str
    database_url: Secret
    vault_keys: Secret
    email_from: str | None
    """The sender that SES knows; None where mail does not go through SES."""

    @classmethod
    def from_env(cls, env: Env) -> "AwsSettings":
        """Read the settings.

        Raises:
            SettingError: one is missing or malformed.
        """
        return cls(
            Names(env.text("UPTIME_ENV")),
            env.text("AWS_REGION"),
            env.secret("DATABASE_URL"),
            env.secret("CHANNEL_VAULT_KEYS"),
            env.text("EMAIL_FROM") if env.text("EMAIL_TRANSPORT", "ses") == "ses" else None,
        )


def become_aws() -> None:
    """From here on this process's own AWS clients, too, talk to the moto inside it, and to nothing else."""
    os.environ.pop("AWS_ENDPOINT_URL", None)
    slim_botocore.install()
    aws_moto.install()


def restore(pool: Pool, settings: AwsSettings, journal: Path) -> None:
    """Bring back what the edge must know. The journal is read first: what is settled in it by then, PostgreSQL already shows."""
    living = read_living(journal)
    counts, missing = edge_sync.restore(pool, settings.names, settings.region, living)
    replay(missing)
    _log.info("aws.restored", **asdict(counts), journaled=len(living), replayed=len(missing))


def replay(entries: Sequence[Entry]) -> None:
    """Run journaled pings through the Lambda, in order; what it refuses for good (4xx) is the gateway's to settle."""
    if not entries:
        return
    with _private_port():
        from core.local.ping_lambda import invoke  # noqa: PLC0415  (its clients take their endpoint at import)

        for entry in entries:
            result = invoke(msgspec.json.decode(entry.event))
            if int(result["statusCode"]) >= HTTPStatus.INTERNAL_SERVER_ERROR:
                _log.error("aws.not_replayed", request_id=str(entry.id), status_code=result["statusCode"])


@contextmanager
def _private_port() -> Iterator[None]:
    """A port for the Lambda of this process alone: the public one must not open before all is restored."""
    listener = HttpListener("127.0.0.1", 0, aws_moto.answer, body_limit=BODY_LIMIT)
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,), name="replay", daemon=True)
    thread.start()
    os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{listener.port}"
    try:
        yield
    finally:
        del os.environ["AWS_ENDPOINT_URL"]
        listener.stop()
        listener.server_close()
        thread.join()


def restore_when_possible(settings: AwsSettings, journal: Path) -> None:
    """Restore, again and again while PostgreSQL is away or has no schema yet: an incomplete stand-in must not open."""
    dsn = settings.database_url.reveal()
    while True:
        try:
            psycopg.connect(dsn, connect_timeout=2).close()  # fails at once where a pool would wait and back off
            with open_pool(dsn, application="aws-stand-in", size=1) as pool:
                restore(pool, settings, journal)
            return
        except (psycopg.OperationalError, psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, PoolTimeout) as error:
            _log.info("aws.waiting_for_database", error=str(error))
            time.sleep(DATABASE_PAUSE_S)


def main() -> None:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser(prog="core.local.aws", description="The AWS stand-in of one box.")
    parser.add_argument("--host", default="127.0.0.1", choices=["127.0.0.1", "localhost", "::1"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--journal", type=Path, required=True, help="folder of the ping gateway's journal")
    options = parser.parse_args()
    configure("aws")
    began = time.perf_counter()
    settings = AwsSettings.from_env(Env(os.environ))
    become_aws()
    clients = aws_resources.AwsClients.make(settings.region)
    vault_keys = settings.vault_keys.reveal().split(",")
    aws_resources.create_resources(clients, settings.names, vault_keys=vault_keys, email_from=settings.email_from)
    restore_when_possible(settings, options.journal)
    stop = threading.Event()
    tidy = (stop, settings.region, settings.names)
    threading.Thread(target=aws_upkeep.tidy_until, args=tidy, name="tidy", daemon=True).start()
    listener = HttpListener(options.host, options.port, aws_moto.answer, body_limit=BODY_LIMIT)
    _log.info("aws.ready", port=listener.port, duration_ms=round((time.perf_counter() - began) * 1000))
    listener.serve_until_signal()
    stop.set()


if __name__ == "__main__":
    main()
