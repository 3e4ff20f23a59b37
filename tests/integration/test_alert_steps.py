"""The list of steps at which `make test-faults` kills is complete: nothing on an alert's way takes effect twice without a step between."""

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID

import botocore.client
import celery
import msgspec
import psycopg
import pytest

from core.adapters.channel_vault import ChannelVault
from core.adapters.queues import SqsQueue, sqs_client
from core.checker.edge import event_bus, relay
from core.checker.runtime import runtime, shut_down
from core.checker.settings import process_settings
from core.checker.tasks.alerts import handle_alert
from core.contracts.channel_vault import VaultCipher
from core.contracts.channels.registry import parse_config
from core.domain.outcomes import Outcome
from core.flows import websites
from core.flows.requests import RECEIPT_TIMEOUT
from core.inbox.consumer import Consumer
from core.inbox.handlers import ReceiptHandler
from core.local.lambda_runner import LambdaRunner
from lambdas.alert_dispatch import handler as dispatch_handler
from lambdas.alert_dispatch.posting import Poster
from lambdas.alert_dispatch.signed import SignedClient
from tests.aws_stand_in import REGION, AwsStandIn
from tests.dispatching import VAULT_KEY, Dispatch, dispatch_environment
from tests.faults import failpoints
from tests.faults.failpoints import STEPS, note, wrapped
from tests.integration.test_alert_flow import make_channel
from tests.receivers import WebhookEndpoint, webhook_endpoint
from tests.unit.test_channels import SECRET
from tests.waiting import until
from tests.websites import finished, make_website, make_workspace

EFFECT = "> "
READS = ("Get", "List", "Describe", "Receive", "Query", "Scan")
MODULES = {step.module for step in STEPS}


def after(call: Callable[..., Any], effect: Callable[[tuple[Any, ...]], str | None]) -> Callable[..., Any]:
    """Note what took effect once `call` has returned."""

    def noted(*arguments: Any, **named: Any) -> Any:
        result = call(*arguments, **named)
        if what := effect(arguments):
            note(f"{EFFECT}{what}")
        return result

    return noted


def written_to_aws(arguments: tuple[Any, ...]) -> str | None:
    return None if arguments[1].startswith(READS) else str(arguments[1])


def committed(arguments: tuple[Any, ...]) -> str | None:
    return "commit" if arguments[1] is None else None


@contextmanager
def effects_noted() -> Iterator[None]:
    """Whatever can be seen from outside this process: commits, tasks, calls of AWS that change something, messages to receivers."""
    with ExitStack() as patches:
        for owner, attribute, effect in (
            (psycopg.Transaction, "__exit__", committed),
            (celery.Celery, "send_task", lambda arguments: arguments[1] if arguments[1] == "handle_alert" else None),
            (botocore.client.BaseClient, "_make_api_call", written_to_aws),
            (SignedClient, "_call", written_to_aws),
            (Poster, "_send", lambda _: "message"),
        ):
            patches.enter_context(patch.object(owner, attribute, after(getattr(owner, attribute), effect)))
        yield


@pytest.fixture
def hook() -> Iterator[WebhookEndpoint]:
    with webhook_endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def dispatch(aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dispatch]:
    with dispatch_environment(aws, monkeypatch) as running:
        yield running


@pytest.fixture
def checker(database_url: str, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The runtime of a worker in this process, and where its trace is."""
    for name, value in {"DATABASE_URL": database_url, "REDIS_URL": valkey_url, failpoints.FOLDER: str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    caches = (process_settings, event_bus, relay)
    for cached in caches:
        cached.cache_clear()
    yield
    shut_down()
    for cached in caches:
        cached.cache_clear()


def watched_with_a_channel(connection: psycopg.Connection, dispatch: Dispatch, hook: WebhookEndpoint) -> UUID:
    """A website that one failure brings down, and a channel that knows where to go; the website's public id."""
    now = datetime.now(UTC)
    workspace = make_workspace(connection, now)
    monitor_id = make_website(connection, workspace, now, failure_threshold=1)
    channel_id = make_channel(connection, workspace)
    row = connection.execute("SELECT uid FROM monitor WHERE id = %s", (monitor_id,)).fetchone()
    connection.commit()
    config = msgspec.to_builtins(parse_config("webhook", {"url": hook.url(), "secret": SECRET}, private_targets=True))
    vault = ChannelVault(dispatch.aws.names, dispatch.aws.region)
    vault.project(channel_id, 1, "webhook", workspace, VaultCipher([VAULT_KEY]).seal(config))
    assert row
    uid: UUID = row[0]
    return uid


def goes_down(connection: psycopg.Connection, website: UUID) -> list[UUID]:
    """As the flush of a worker has it: store the result of a check, and what follows after the commit."""
    now = datetime.now(UTC)
    claim = websites.claim_now(connection, website, now)
    [job], _ = websites.load(connection, claim, now, open_sealed=lambda _: pytest.fail("nothing is sealed"))
    connection.commit()
    _trace().unlink(missing_ok=True)
    applied = runtime()._store([finished(job, now, Outcome.DOWN)])
    runtime()._committed(applied)
    return list(applied.alert_ids)


def _trace() -> Path:
    return Path(os.environ[failpoints.FOLDER]) / failpoints.TRACE


def dispatched(aws: AwsStandIn) -> None:
    """One message through the event source mapping of one box."""
    stop = threading.Event()
    runner = LambdaRunner(dispatch_handler.handler, sqs_client(REGION), aws.names.alerts_queue, REGION)
    with patch("core.local.lambda_runner.LONG_POLL_S", 1):
        polling = threading.Thread(target=runner.run_until, args=(stop,), daemon=True)
        polling.start()
        try:
            until(lambda: f"{EFFECT}DeleteMessage" in _trace().read_text())
        finally:
            stop.set()
            polling.join()


def test_between_any_two_effects_there_is_a_step(
    connection: psycopg.Connection, checker: None, dispatch: Dispatch, hook: WebhookEndpoint, tmp_path: Path
) -> None:
    website = watched_with_a_channel(connection, dispatch, hook)
    with effects_noted(), wrapped(*MODULES):
        for alert_id in goes_down(connection, website):
            handle_alert(str(alert_id))
        dispatched(dispatch.aws)
        receipts = SqsQueue(sqs_client(REGION), dispatch.aws.names.receipts_queue)
        Consumer(receipts, ReceiptHandler(runtime().pool, RECEIPT_TIMEOUT, runtime().queue), threading.Event()).turn()

    way = (tmp_path / failpoints.TRACE).read_text().splitlines()
    assert [line for line in way if not line.startswith(EFFECT)] == [step.name for step in STEPS], "\n".join(way)
    assert [pair for pair in itertools.pairwise(way) if all(line.startswith(EFFECT) for line in pair)] == []
    assert sum(line.startswith(EFFECT) for line in way) >= 12
    assert len(hook.received) == 1
    assert connection.execute("SELECT state FROM delivery").fetchall() == [("delivered",)]
