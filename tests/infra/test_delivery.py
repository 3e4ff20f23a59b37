"""The steps of a deployment, against an ECS and an ECR that keep to what the API describes, and real HTTP servers."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from cdk.delivery import __main__ as delivery
from cdk.delivery import images, web
from cdk.delivery.ecs import MIGRATION_S, PAUSE_S, SERVICES, Cluster, DeliveryFailed
from tests.conftest import free_port
from tests.services import Reply, always, service

NETWORK = {"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED"}}
PROVIDERS = [{"capacityProvider": "staging-capacity", "weight": 1}]


@dataclass
class Ecs:
    """A cluster whose rollouts take some questions and end as `outcomes` says; `journal` has every change that was asked for."""

    outcomes: dict[str, str] = field(default_factory=dict)
    exit_code: int | None = 0
    placed: bool = True
    ends: bool = True
    journal: list[str] = field(default_factory=list)
    ran: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)

    def describe_services(self, *, cluster: str, services: list[str]) -> dict[str, Any]:
        assert cluster == "staging-uptimemonitor-cluster"
        (name,) = services
        self.asked[name] = self.asked.get(name, 0) + 1
        return {"services": [self._service(name)], "failures": []}

    def update_service(self, *, cluster: str, service: str, forceNewDeployment: bool) -> dict[str, Any]:  # noqa: N803  (the name that the API has)
        assert forceNewDeployment
        assert cluster == "staging-uptimemonitor-cluster"
        self.journal.append(f"update {service}")
        self.asked[service] = 0
        return {"service": self._service(service)}

    def run_task(self, **given: Any) -> dict[str, Any]:
        self.journal.append(f"run {given['taskDefinition']}")
        self.ran = given
        return (
            {"tasks": [{"taskArn": "arn:task"}], "failures": []}
            if self.placed
            else {"tasks": [], "failures": [{"reason": "RESOURCE:ENI"}]}
        )

    def describe_tasks(self, *, cluster: str, tasks: list[str]) -> dict[str, Any]:
        assert tasks == ["arn:task"]
        self.asked["task"] = self.asked.get("task", 0) + 1
        status = "STOPPED" if self.ends and self.asked["task"] > 2 else "RUNNING"
        return {
            "tasks": [
                {
                    "lastStatus": status,
                    "stoppedReason": "Essential container exited",
                    "containers": [{"exitCode": self.exit_code}],
                }
            ]
        }

    def _service(self, name: str) -> dict[str, Any]:
        outcome = self.outcomes.get(name.removeprefix("staging-uptimemonitor-"), "COMPLETED")
        state = outcome if self.asked.get(name, 0) > 2 else "IN_PROGRESS"
        ours = {
            "id": f"new-{name}",
            "status": "PRIMARY",
            "rolloutState": state,
            "rolloutStateReason": "circuit breaker: tasks failed to start",
        }
        old = {"id": f"old-{name}", "status": "ACTIVE", "rolloutState": "COMPLETED"}
        gone = state == "GONE"
        return {
            "networkConfiguration": NETWORK,
            "capacityProviderStrategy": PROVIDERS,
            "deployments": [{**old, "status": "PRIMARY"}] if gone else [ours, old],
        }


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def clock(self) -> float:
        return self.now


def cluster(ecs: Ecs) -> tuple[Cluster, Time]:
    time = Time()
    return Cluster("staging", ecs, time.pause, time.clock), time


def test_the_migration_runs_in_the_network_of_the_web_and_is_waited_for() -> None:
    ecs = Ecs()
    place, time = cluster(ecs)
    place.migrate()
    assert ecs.ran["taskDefinition"] == "staging-uptimemonitor-migrate"
    assert ecs.ran["networkConfiguration"] == NETWORK
    assert ecs.ran["capacityProviderStrategy"] == PROVIDERS
    assert time.now == 2 * PAUSE_S


def test_the_edge_is_synchronised_with_the_definition_of_the_migration() -> None:
    ecs = Ecs()
    cluster(ecs)[0].sync_edge()
    assert ecs.ran["taskDefinition"] == "staging-uptimemonitor-migrate"
    assert ecs.ran["overrides"] == {"containerOverrides": [{"name": "migrate", "command": ["edge-sync"]}]}


@pytest.mark.parametrize(
    ("ecs", "why"),
    [
        (Ecs(exit_code=1), "ended with 1: Essential container exited"),
        (Ecs(exit_code=None), "ended with None"),
        (Ecs(placed=False), "not placed: RESOURCE:ENI"),
        (Ecs(ends=False), f"longer than {MIGRATION_S:.0f} s"),
    ],
)
def test_a_migration_that_did_not_end_well_stops_the_deployment(ecs: Ecs, why: str) -> None:
    with pytest.raises(DeliveryFailed, match=why):
        cluster(ecs)[0].migrate()


def test_every_service_is_rolled_out_and_waited_for() -> None:
    ecs = Ecs()
    cluster(ecs)[0].roll()
    assert ecs.journal == [f"update staging-uptimemonitor-{noun}" for noun in SERVICES]
    assert all(ecs.asked[f"staging-uptimemonitor-{noun}"] == 3 for noun in SERVICES)


@pytest.mark.parametrize(
    ("outcome", "why"), [("FAILED", "circuit breaker"), ("GONE", "another deployment"), ("IN_PROGRESS", "longer than")]
)
@pytest.mark.parametrize("noun", SERVICES)
def test_a_rollout_that_did_not_end_well_is_a_failure(noun: str, outcome: str, why: str) -> None:
    with pytest.raises(DeliveryFailed, match=f"{noun}.*{why}"):
        cluster(Ecs(outcomes={noun: outcome}))[0].roll()


def test_our_calls_are_calls_of_the_api() -> None:
    """botocore refuses a parameter that ECS does not have, and an answer that ECS would not give."""
    client = boto3.client("ecs", region_name="eu-west-1")
    with Stubber(client) as stub:
        described = {"services": [{"networkConfiguration": NETWORK, "capacityProviderStrategy": PROVIDERS}], "failures": []}
        stub.add_response("describe_services", described)
        stub.add_response("run_task", {"tasks": [{"taskArn": "arn:task"}], "failures": []})
        stub.add_response("describe_tasks", {"tasks": [{"lastStatus": "STOPPED", "containers": [{"exitCode": 0}]}]})
        Cluster("staging", client).migrate()
        for _ in SERVICES:
            stub.add_response("update_service", {"service": {"deployments": [{"id": "d", "status": "PRIMARY"}]}})
        for _ in SERVICES:
            done = [{"id": "d", "status": "PRIMARY", "rolloutState": "COMPLETED"}]
            stub.add_response("describe_services", {"services": [{"deployments": done}]})
        Cluster("staging", client).roll()
        stub.assert_no_pending_responses()


@pytest.mark.parametrize(("size", "fits"), [(90_000_000, True), (250_000_000, True), (251_000_000, False)])
def test_an_image_that_is_too_large_is_not_deployed(size: int, fits: bool) -> None:
    client = boto3.client("ecr", region_name="eu-west-1")
    with Stubber(client) as stub:
        asked = {"repositoryName": "staging-uptimemonitor", "imageIds": [{"imageTag": "abc"}]}
        stub.add_response("describe_images", {"imageDetails": [{"imageSizeInBytes": size}]}, asked)
        if fits:
            assert images.weigh(client, "staging", "abc") == size / 1e6
        else:
            with pytest.raises(DeliveryFailed, match="250 at most"):
                images.weigh(client, "staging", "abc")


def answers(*statuses: int) -> Iterator[Reply]:
    yield from (Reply(status, {"status": str(status)}) for status in statuses)
    while True:
        yield Reply(statuses[-1], {"status": str(statuses[-1])})


@pytest.mark.parametrize(("statuses", "asked"), [((200,), 3), ((503, 200), 4), ((200, 200, 503, 200), 6)])
def test_the_web_is_well_after_three_good_answers_in_a_row(statuses: tuple[int, ...], asked: int) -> None:
    replies = answers(*statuses)
    with service(lambda _: next(replies)) as running:
        web.validate(running.url, pause=lambda _: None)
        assert [call.path for call in running.calls] == ["/health/"] * asked


def test_a_web_that_stays_unwell_fails_with_its_last_answer() -> None:
    with (
        service(lambda _: Reply(503, {"database": "unreachable"})) as running,
        pytest.raises(DeliveryFailed, match=r"503.*unreachable"),
    ):
        web.validate(running.url, pause=lambda _: None)


def test_a_web_that_is_not_there_fails() -> None:
    with pytest.raises(DeliveryFailed, match="refused"):
        web.validate(f"http://127.0.0.1:{free_port()}", pause=lambda _: None)


@pytest.mark.parametrize(
    ("outcome", "says"), [("success", "Deployed"), ("failure", "NOT deployed"), ("cancelled", "NOT deployed")]
)
def test_people_are_told_how_it_went(monkeypatch: pytest.MonkeyPatch, outcome: str, says: str) -> None:
    with service(always(Reply(200))) as running:
        monkeypatch.setenv("SLACK_WEBHOOK_URL", f"{running.url}/T0/B0")
        told = [
            "tell",
            "--env",
            "prod",
            "--outcome",
            outcome,
            "--revision",
            "0123456789abcdef",
            "--url",
            "https://example.com/run/1",
        ]
        assert delivery.main(told) == 0
    text = running.calls[0].content["text"]
    assert running.calls[0].path == "/T0/B0"
    assert f"{says}: 0123456789ab to prod ({outcome})" in text
    assert "https://example.com/run/1" in text


def test_what_slack_refuses_is_said_without_its_address(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with service(lambda _: Reply(403, "invalid_token")) as running:
        monkeypatch.setenv("SLACK_WEBHOOK_URL", f"{running.url}/secret-path")
        assert delivery.main(["tell", "--env", "dev", "--outcome", "success"]) == 1
    said = capsys.readouterr()
    assert "Slack answered 403" in said.err
    assert "secret-path" not in said.err + said.out


def test_without_a_webhook_nobody_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("SLACK_WEBHOOK_URL", raising=False)
    assert delivery.main(["tell", "--env", "dev", "--outcome", "failure"]) == 0
    assert "nobody is told" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("env", "confirm", "status"),
    [("staging", "staging", 0), ("dev", "dev", 0), ("staging", "dev", 1), ("dev", "", 1), ("prod", "prod", 1)],
)
def test_prod_is_never_destroyed_and_others_only_by_their_name(env: str, confirm: str, status: int) -> None:
    assert delivery.main(["may-destroy", "--env", env, "--confirm", confirm]) == status
