"""The ping gateway: what API Gateway is on AWS, with a journal, because the AWS stand-in of one box keeps nothing on the disk.

Each ping is on the disk before it is answered. When the stand-in is away the answer is `OK` with `Ping-Warning: queued`, and the ping
is run as soon as the stand-in is back.
"""

import argparse
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import msgspec

from core.adapters.database import open_pool
from core.env import Env, Secret
from core.local import ping_lambda
from core.local.api_gateway import (
    LAMBDA_FAILED,
    NO_ROUTE,
    PAYLOAD_LIMIT,
    TOO_LARGE,
    Event,
    find_route,
    proxy_event,
    to_response,
)
from core.local.http_listener import HttpListener, Request, Response
from core.local.journal import Entry, Journal, JournalUnavailable
from core.local.ping_runner import PATIENCE_S, PingRunner
from core.local.reconciler import Reconciler
from core.logs import configure, get_logger

QUEUED = Response(
    HTTPStatus.OK,
    b"OK",
    (("Content-Type", "text/plain; charset=utf-8"), ("Access-Control-Allow-Origin", "*"), ("Ping-Warning", "queued")),
)
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Settings of the ping gateway."""

    database_url: Secret
    aws_url: str

    @classmethod
    def from_env(cls, env: Env) -> "GatewaySettings":
        """Read the settings.

        Raises:
            SettingError: one is missing or malformed.
        """
        return cls(env.secret("DATABASE_URL"), env.url("AWS_ENDPOINT_URL"))


class Gateway:
    """Answers HTTP requests as API Gateway does for the ping Lambda. `now_ms` gives the time in epoch milliseconds."""

    def __init__(self, journal: Journal, runner: PingRunner, now_ms: Callable[[], int]) -> None:
        self._journal = journal
        self._runner = runner
        self._now_ms = now_ms

    def answer(self, request: Request) -> Response:
        """One request."""
        route = find_route(ping_lambda.ROUTES, request.method, request.path)
        if route is None:
            return NO_ROUTE
        request_id, now_ms = uuid4(), self._now_ms()
        event = proxy_event(request, route, request_id, now_ms, binary=ping_lambda.IS_BINARY)
        payload = msgspec.json.encode(event)
        if len(payload) > PAYLOAD_LIMIT:
            return TOO_LARGE
        heartbeat = ping_lambda.pinged(request.method, route.parameters)
        if heartbeat is None:
            return self._answer_unjournaled(event, request_id)
        return self._answer_ping(Entry(request_id, heartbeat, now_ms, payload), event)

    def _answer_ping(self, entry: Entry, event: Event) -> Response:
        try:
            self._journal.append(entry)
        except JournalUnavailable as error:
            _log.error("journal.unavailable", error=str(error), request_id=str(entry.id))
            return self._answer_unjournaled(event, entry.id)
        result = self._runner.run(entry)
        return QUEUED if result is None else to_response(result, entry.id)

    def _answer_unjournaled(self, event: Event, request_id: UUID) -> Response:
        result = self._runner.run_unsafe(event)
        return LAMBDA_FAILED if result is None else to_response(result, request_id)


def reachable(url: str) -> bool:
    """Whether something listens at a URL's host and port."""
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=1):
            return True
    except OSError:
        return False


def main() -> None:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser(prog="core.local.gateway", description="The ping gateway of one box.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--journal", type=Path, required=True, help="folder of the journal")
    parser.add_argument("--patience", type=float, default=PATIENCE_S, help="seconds that a client waits for the Lambda")
    options = parser.parse_args()
    configure("ping-gateway")
    settings = GatewaySettings.from_env(Env(os.environ))
    journal = Journal(options.journal)
    runner = PingRunner(ping_lambda.invoke, journal, lambda: reachable(settings.aws_url), patience_s=options.patience)
    runner.requeue(journal.living())
    reconciler = Reconciler(
        journal, runner, open_pool(settings.database_url.reveal(), application="ping-gateway", size=1), lambda: datetime.now(UTC)
    )
    gateway = Gateway(journal, runner, lambda: time.time_ns() // 1_000_000)
    listener = HttpListener(options.host, options.port, gateway.answer, body_limit=PAYLOAD_LIMIT)
    stop = threading.Event()
    for work in (runner.retry_until, reconciler.run_until):
        threading.Thread(target=work, args=(stop,), name=work.__qualname__, daemon=True).start()
    _log.info("gateway.ready", port=listener.port, waiting=len(runner.waiting()))
    listener.serve_until_signal()
    stop.set()
    runner.close()
    journal.close()
    os._exit(0)  # a Lambda call that hangs must not hold the exit: its ping is in the journal


if __name__ == "__main__":
    main()
