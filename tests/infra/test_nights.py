"""The database of staging rests and wakes, against an RDS that keeps to botocore's description of the API."""

from collections.abc import Iterator

import boto3
import pytest
from botocore.stub import Stubber

from cdk.delivery import __main__ as delivery
from cdk.delivery.ecs import DeliveryFailed
from cdk.delivery.nights import Nights

NAME = "staging-data-database"


@pytest.fixture
def rds() -> Iterator[Stubber]:
    client = boto3.client("rds", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def instance(name: str, env: str, status: str) -> dict[str, object]:
    tags = [{"Key": "project", "Value": "uptimemonitor"}, {"Key": "environment", "Value": env}]
    return {"DBInstanceIdentifier": name, "DBInstanceStatus": status, "TagList": tags}


def has(rds: Stubber, status: str) -> None:
    """Beside one of prod and one that has no tags at all."""
    others = [instance("prod-data-database", "prod", "available"), {"DBInstanceIdentifier": "x", "DBInstanceStatus": "available"}]
    rds.add_response("describe_db_instances", {"DBInstances": [*others, instance(NAME, "staging", status)]}, {})


def test_what_runs_is_stopped(rds: Stubber) -> None:
    has(rds, "available")
    rds.add_response("stop_db_instance", {}, {"DBInstanceIdentifier": NAME})
    assert Nights("staging", rds.client).rest() == NAME


@pytest.mark.parametrize("status", ["stopped", "stopping"])
def test_what_rests_already_is_left_alone(rds: Stubber, status: str) -> None:
    has(rds, status)
    assert Nights("staging", rds.client).rest() == NAME


def test_what_is_being_changed_cannot_rest(rds: Stubber) -> None:
    has(rds, "modifying")
    with pytest.raises(DeliveryFailed, match="modifying"):
        Nights("staging", rds.client).rest()


@pytest.mark.parametrize("status", ["stopped", "available", "starting"])
def test_it_is_started_if_it_rests_and_waited_for(rds: Stubber, status: str) -> None:
    has(rds, status)
    if status == "stopped":
        rds.add_response("start_db_instance", {}, {"DBInstanceIdentifier": NAME})
    rds.add_response(
        "describe_db_instances", {"DBInstances": [instance(NAME, "staging", "available")]}, {"DBInstanceIdentifier": NAME}
    )
    assert Nights("staging", rds.client).wake() == NAME


def test_what_is_on_its_way_to_stop_cannot_be_started(rds: Stubber) -> None:
    has(rds, "stopping")
    with pytest.raises(DeliveryFailed, match="still stopping"):
        Nights("staging", rds.client).wake()


def test_a_database_that_is_not_there_is_not_guessed(rds: Stubber) -> None:
    has(rds, "available")
    with pytest.raises(DeliveryFailed, match="0 databases have the tags of dev"):
        Nights("dev", rds.client).rest()


@pytest.mark.parametrize("step", ["rest", "wake"])
def test_prod_never_sleeps(step: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert delivery.main([step, "--env", "prod"]) == 1
    assert "prod never sleeps" in capsys.readouterr().err
