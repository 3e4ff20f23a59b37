"""CPU of a Lambda handler with the real SDK, in milliseconds a call: `python -m tests.perf.invoke ping|alert ENDPOINT COUNT TARGET`.

A process of its own, because clients take their endpoint when a handler is imported; so nothing of the tests, which have an environment of
their own, is imported here. TARGET is a heartbeat's id or a webhook's URL. What a handler logs goes nowhere, but costs what it
costs. In turn with the handler a bare PutEvents is measured: what a machine makes of one SDK call, it makes of all.
"""

import base64
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

import botocore.session
import msgspec

from core.contracts import channel_vault
from core.contracts.channel_vault import ChannelVersion, VaultCipher
from core.contracts.channels.registry import parse_config
from core.contracts.event_examples import DATA
from core.contracts.events import AlertRequested, Detail, Metadata
from core.contracts.names import Names
from core.local.api_gateway import Route, proxy_event
from core.local.http_listener import Request
from core.local.lambda_context import LambdaContext
from core.local.lambda_runner import sqs_event

WARM_UP = 20
ROUNDS = 5
REGION = "eu-west-1"
SECRET = "whsec_" + base64.b64encode(bytes(24)).decode()


def ping_call(heartbeat: str) -> Callable[[], bool]:
    """One GET of a heartbeat's URL; whether it was recorded."""
    from core.local.ping_lambda import invoke  # noqa: PLC0415  (its clients are made at import)

    headers = (("Host", "ping.example.com"), ("User-Agent", "curl/8.5.0"), ("Accept", "*/*"))
    request = Request("GET", f"/api/ping/{heartbeat}/", headers, b"", "203.0.113.9")
    route = Route("/ping/{token}", {"token": heartbeat})

    def call() -> bool:
        event = proxy_event(request, route, uuid4(), int(time.time() * 1000), binary=True)
        return int(invoke(event)["statusCode"]) == HTTPStatus.OK

    return call


def alert_call(webhook: str) -> Callable[[], bool]:
    """One alert to a webhook; whether its message may be deleted."""
    names = Names(os.environ["UPTIME_ENV"])
    channel_vault.bind_table(names.channel_vault_table, REGION)
    channel, config = uuid4(), parse_config("webhook", {"url": webhook, "secret": SECRET}, private_targets=True)
    sealed = VaultCipher([os.environ["CHANNEL_VAULT_KEYS"]]).seal(msgspec.to_builtins(config))
    ChannelVersion(str(channel), 1, kind="webhook", workspace_id=str(uuid4()), ciphertext=sealed).save()
    from lambdas.alert_dispatch.handler import handler  # noqa: PLC0415  (likewise)

    def call() -> bool:
        body = {"detail-type": "AlertRequested", "detail": msgspec.to_builtins(_request(channel))}
        message = {
            "MessageId": str(uuid4()),
            "ReceiptHandle": "r",
            "Body": json.dumps(body),
            "Attributes": {"ApproximateReceiveCount": "1"},
        }
        context: Any = LambdaContext("alert_dispatch", str(uuid4()), REGION, 30.0)
        return not handler(sqs_event(message, names.alerts_queue, REGION), context)["batchItemFailures"]

    return call


def sdk_call() -> Callable[[], bool]:
    """One PutEvents with botocore."""
    events: Any = botocore.session.get_session().create_client("events", region_name=REGION)
    entry = {
        "Source": "bench",
        "DetailType": "HeartbeatPinged",
        "Detail": json.dumps({"a": "b" * 600}),
        "EventBusName": Names(os.environ["UPTIME_ENV"]).bus,
    }
    return lambda: not events.put_events(Entries=[entry])["FailedEntryCount"]


def _request(channel: UUID) -> Detail[AlertRequested]:
    """A request for this channel, of a delivery and an incident of its own."""
    example = next(data for data in DATA if isinstance(data, AlertRequested))
    data = msgspec.structs.replace(
        example, delivery_id=uuid4(), order_key=uuid4(), channel_id=channel, channel_kind="webhook", config_version=1
    )
    metadata = Metadata(event_id=uuid4(), occurred_at=datetime.now(UTC), workspace_id=uuid4(), correlation_id=data.order_key)
    return Detail(metadata=metadata, data=data)


def measure(call: Callable[[], bool], reference: Callable[[], bool], count: int) -> dict[str, float]:
    """Milliseconds of a warm call, and CPU of a call of `reference` (`sdk_cpu_ms`); medians of rounds.

    Raises:
        RuntimeError: a call failed.
    """
    for one in (call, reference):
        _round(one, WARM_UP)
    rounds = [(_round(call, max(count // ROUNDS, 1)), _round(reference, max(count // ROUNDS, 1))) for _ in range(ROUNDS)]
    return {
        "cpu_ms": statistics.median(handler.cpu_ms for handler, _ in rounds),
        "wall_ms": statistics.median(handler.wall_ms for handler, _ in rounds),
        "sdk_cpu_ms": statistics.median(sdk.cpu_ms for _, sdk in rounds),
    }


@dataclass(frozen=True)
class Round:
    """Milliseconds of a call."""

    cpu_ms: float
    wall_ms: float


def _round(call: Callable[[], bool], count: int) -> Round:
    wall, cpu = time.perf_counter(), time.process_time()
    done = [call() for _ in range(count)]
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if not all(done):
        raise RuntimeError(f"{done.count(False)} of {count} calls failed")
    return Round(1000 * cpu / count, 1000 * wall / count)


def main(kind: str, endpoint: str, count: str, target: str) -> None:
    """Measure with a silent standard output, then print the figures."""
    figures_to = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.environ["AWS_ENDPOINT_URL"] = endpoint
    make = {"ping": ping_call, "alert": alert_call}[kind]
    print(json.dumps(measure(make(target), sdk_call(), int(count))), file=figures_to, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
