"""The canned answers are answers to the SDKs: everything that is measured against them goes through."""

import json
import subprocess
import sys
from uuid import uuid4

import boto3
import pytest

from core.contracts.events import HeartbeatPinged, decode
from tests.perf.canned_aws import CannedAws, in_thread
from tests.perf.machine import Meter, invoke
from tests.perf.settings import SETTINGS
from tests.receivers import webhook_endpoint

REGION = SETTINGS["AWS_REGION"]


def test_a_ping_is_recorded_and_an_alert_sent_with_the_real_sdk() -> None:
    with in_thread(CannedAws()) as endpoint, webhook_endpoint() as webhook:
        assert invoke("ping", endpoint, 3, str(uuid4()))["cpu_ms"] > 0
        assert invoke("alert", endpoint, 3, webhook.url())["cpu_ms"] > 0
        assert (
            len({json.loads(received.body)["data"]["delivery_id"] for received in webhook.received}) == len(webhook.received) > 3
        )


def test_the_queue_hands_out_pings() -> None:
    with in_thread(CannedAws()) as endpoint:
        sqs = boto3.client("sqs", region_name=REGION, endpoint_url=endpoint)
        url = sqs.get_queue_url(QueueName="pings")["QueueUrl"]
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert len(messages) == 10
    assert decode(HeartbeatPinged, json.dumps(json.loads(messages[0]["Body"])["detail"])).data.kind


def test_a_failed_call_is_no_figure() -> None:
    """Nothing listens: the handler says 503, and a benchmark must not take that for a fast ping."""
    with pytest.raises(subprocess.CalledProcessError):
        invoke("ping", "http://127.0.0.1:1", 1, str(uuid4()))


def test_the_meter_counts_children_that_ended() -> None:
    burn = "import time\nwhile time.process_time() < 0.2: pass"
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}]); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        meter = Meter({"child": process.pid})
        process.stdout.readline()
        assert meter.spent()["child"] >= 0.15
        process.stdin.write("\n")
        process.stdin.close()
