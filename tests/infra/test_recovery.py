"""The steps of the runbooks: against moto's RDS, Route 53 and CloudFormation, and against stubs that refuse what the API would refuse."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber
from moto import mock_aws

from cdk.recovery import __main__ as recovery
from cdk.recovery import dns
from cdk.recovery.cluster import REFRESH_S, Instances
from cdk.recovery.database import (
    RESTORE_S,
    Database,
    RecoveryFailed,
    at_moment,
    from_other_region,
    from_snapshot,
    settings_of,
)
from tests.infra.estates import ROOT, estate

REGION = "eu-west-1"
NAME = "staging-uptimemonitor"
NOW = datetime(2026, 11, 28, 19, 30, tzinfo=UTC)
SETTINGS = {"MultiAZ": False, "PubliclyAccessible": False}
PASSWORD = "todays-password"


@dataclass
class Time:
    now: float = 0.0

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def clock(self) -> float:
        return self.now


@pytest.fixture
def moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """AWS in this process, at its usual addresses: tests elsewhere are led to an address where nobody is."""
    with mock_aws():
        monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        yield
        monkeypatch.undo()


@pytest.fixture
def rds(moto: None) -> Any:
    client = boto3.client("rds", region_name=REGION)
    client.create_db_instance(
        DBInstanceIdentifier=NAME, DBInstanceClass="db.t3.medium", Engine="postgres", AllocatedStorage=20,
        MasterUsername="postgres", MasterUserPassword="yesterdays",
    )  # fmt: skip
    return client


def database(client: Any, said: list[str] | None = None) -> Database:
    time = Time()
    return Database("staging", client, (said if said is not None else []).append, time.pause, time.clock)


def mark_former(client: Any) -> None:
    """Set apart the instance that is in use from the one that was restored: a change of it goes with it, whatever its name."""
    client.modify_db_instance(DBInstanceIdentifier=NAME, BackupRetentionPeriod=33, ApplyImmediately=True)


def is_restored(client: Any) -> dict[str, bool]:
    """Instances by their names: whether each is the one that was restored."""
    return {
        one["DBInstanceIdentifier"]: one["BackupRetentionPeriod"] != 33 for one in client.describe_db_instances()["DBInstances"]
    }


def test_the_restored_database_takes_the_name_and_the_former_is_kept(rds: Any) -> None:
    place = database(rds)
    place.restore(at_moment(NAME, None), SETTINGS, PASSWORD)
    mark_former(rds)
    assert is_restored(rds) == {NAME: False, f"{NAME}-restored": True}
    assert place.exchange(NOW) == f"{NAME}-until-20261128-193000"
    assert is_restored(rds) == {NAME: True, f"{NAME}-until-20261128-193000": False}


@pytest.mark.parametrize("cut_off_after", ["the restore", "the first rename", "the second rename"])
def test_a_recovery_that_was_cut_off_goes_on_where_it_was(rds: Any, cut_off_after: str) -> None:
    database(rds).restore(at_moment(NAME, None), SETTINGS, PASSWORD)
    mark_former(rds)
    renames = {"the restore": [], "the first rename": [(NAME, "former")]}
    for name, other in renames.get(cut_off_after, [(NAME, "former"), (f"{NAME}-restored", NAME)]):
        rds.modify_db_instance(DBInstanceIdentifier=name, NewDBInstanceIdentifier=other, ApplyImmediately=True)
    said: list[str] = []
    again = database(rds, said)
    if cut_off_after == "the restore":
        again.restore(at_moment(NAME, None), SETTINGS, PASSWORD)
        assert not [line for line in said if line.startswith("restoring")]
    again.exchange(NOW)
    assert is_restored(rds)[NAME]
    assert len(is_restored(rds)) == 2


def test_what_never_becomes_available_takes_nobodys_place() -> None:
    client = boto3.client("rds", region_name=REGION)
    with Stubber(client) as stub:
        creating = {"DBInstances": [{"DBInstanceIdentifier": f"{NAME}-restored", "DBInstanceStatus": "creating"}]}
        for _ in range(int(RESTORE_S / 10) + 2):
            stub.add_response("describe_db_instances", creating)
        with pytest.raises(RecoveryFailed, match="does not become available within 3600 s"):
            database(client).restore(at_moment(NAME, None), SETTINGS, PASSWORD)
        stub.assert_no_pending_responses()


def available(name: str) -> dict[str, Any]:
    return {"DBInstances": [{"DBInstanceIdentifier": name, "DBInstanceStatus": "available"}]}


def restored_by(stub: Stubber, operation: str, asked: dict[str, Any]) -> None:
    """The answers of RDS to a restore that is asked for in this way, and to the change of the password that follows."""
    stub.add_response(operation, {}, {**asked, **SETTINGS})
    stub.add_response("describe_db_instances", available(f"{NAME}-restored"))
    stub.add_response(
        "modify_db_instance",
        {},
        {"DBInstanceIdentifier": f"{NAME}-restored", "MasterUserPassword": PASSWORD, "ApplyImmediately": True},
    )
    stub.add_response("describe_db_instances", available(f"{NAME}-restored"))


def backups(region: str, **more: str) -> dict[str, Any]:
    window = {"EarliestTime": NOW, "LatestTime": NOW}
    return {"DBInstanceAutomatedBackups": [{"DBInstanceIdentifier": NAME, "Region": region, "RestoreWindow": window, **more}]}


def test_an_instance_that_is_gone_comes_back_from_the_log_that_outlives_it() -> None:
    client = boto3.client("rds", region_name=REGION)
    with Stubber(client) as stub:
        for _ in ("the restored one", "the lost one"):
            stub.add_client_error("describe_db_instances", "DBInstanceNotFound")
        stub.add_response("describe_db_instance_automated_backups", backups(REGION, DbiResourceId="db-LOST"))
        asked = {"SourceDbiResourceId": "db-LOST", "RestoreTime": NOW, "TargetDBInstanceIdentifier": f"{NAME}-restored"}
        restored_by(stub, "restore_db_instance_to_point_in_time", asked)
        database(client).restore(at_moment(NAME, NOW), SETTINGS, PASSWORD)
        stub.assert_no_pending_responses()


def test_another_region_restores_what_was_copied_to_it() -> None:
    client = boto3.client("rds", region_name="eu-central-1")
    arn = "arn:aws:rds:eu-central-1:123456789012:auto-backup:ab-one"
    with Stubber(client) as stub:
        stub.add_client_error("describe_db_instances", "DBInstanceNotFound")
        stub.add_response("describe_db_instance_automated_backups", backups(REGION, DBInstanceAutomatedBackupsArn=arn))
        asked = {"SourceDBInstanceAutomatedBackupsArn": arn, "UseLatestRestorableTime": True, "TargetDBInstanceIdentifier": ANY}
        restored_by(stub, "restore_db_instance_to_point_in_time", asked)
        database(client).restore(from_other_region(NAME, None), SETTINGS, PASSWORD)
        stub.assert_no_pending_responses()


def test_without_a_log_a_snapshot_is_asked_for_and_restored() -> None:
    client = boto3.client("rds", region_name=REGION)
    with Stubber(client) as stub:
        for _ in ("the restored one", "the lost one"):
            stub.add_client_error("describe_db_instances", "DBInstanceNotFound")
        stub.add_response("describe_db_instance_automated_backups", {"DBInstanceAutomatedBackups": []})
        with pytest.raises(RecoveryFailed, match="give a snapshot"):
            database(client).restore(at_moment(NAME, None), SETTINGS, PASSWORD)
        stub.add_client_error("describe_db_instances", "DBInstanceNotFound")
        asked = {"DBSnapshotIdentifier": "final", "DBInstanceIdentifier": f"{NAME}-restored"}
        restored_by(stub, "restore_db_instance_from_db_snapshot", asked)
        database(client).restore(from_snapshot("final"), SETTINGS, PASSWORD)
        stub.assert_no_pending_responses()


def test_network_and_parameters_are_those_of_the_stacks() -> None:
    found = settings_of("prod", StacksOf("everything"))  # with a replica, which has subnets of its own
    assert re.fullmatch("made-DatabaseSubnetGroup.*", found["DBSubnetGroupName"])
    assert re.fullmatch("made-DatabaseParameters.*", found["DBParameterGroupName"])
    assert [re.match("made-databasegroup", one) is not None for one in found["VpcSecurityGroupIds"]] == [True]
    assert (found["DeletionProtection"], found["MultiAZ"]) == (True, True)


def test_stacks_are_asked_for_page_by_page_and_missed_in_words() -> None:
    client = boto3.client("cloudformation", region_name=REGION)
    with Stubber(client) as stub:
        stub.add_response("list_stack_resources", listed("DatabaseSubnetGroup0A1B2C3D", NextToken="more"))
        stub.add_response("list_stack_resources", listed("DatabaseParameters4E5F6071"))
        stub.add_response("list_stack_resources", listed("databasegroup8293A4B5"))
        found = settings_of("staging", client)
        assert (found["DBSubnetGroupName"], found["DBParameterGroupName"]) == (
            "made-DatabaseSubnetGroup0A1B2C3D",
            "made-DatabaseParameters4E5F6071",
        )
        stub.add_client_error("list_stack_resources", "ValidationError", "Stack does not exist")
        with pytest.raises(RecoveryFailed, match=r"network and data of staging are not there: .* does not exist"):
            settings_of("staging", client)


def listed(name: str, **more: str) -> dict[str, Any]:
    one = {"LogicalResourceId": name, "PhysicalResourceId": f"made-{name}", "ResourceType": "AWS::Any::Kind"}
    state = {"LastUpdatedTimestamp": NOW, "ResourceStatus": "CREATE_COMPLETE"}
    return {"StackResourceSummaries": [{**one, **state}], **more}


class StacksOf:
    """CloudFormation as it would list the stacks that are synthesised."""

    def __init__(self, name: str) -> None:
        self._estate = estate(name)

    def get_paginator(self, operation: str) -> "StacksOf":
        assert operation == "list_stack_resources"
        return self

    def paginate(self, *, StackName: str) -> Iterator[dict[str, Any]]:  # noqa: N803  (the name that the API has)
        template = self._estate.templates[StackName.removeprefix("prod-uptimemonitor-")]
        for name in template["Resources"]:
            yield {"StackResourceSummaries": [{"LogicalResourceId": name, "PhysicalResourceId": f"made-{name}"}]}


NAMED = {
    "AWS::IAM::Role": "RoleName",
    "AWS::Backup::BackupVault": "BackupVaultName",
    "AWS::KMS::Alias": "AliasName",
    "AWS::S3::Bucket": "BucketName",
}


def test_there_is_room_for_the_whole_estate_in_the_region_for_disasters() -> None:
    """Names that all regions share, and those of what is there already, must not be taken."""
    prod, elsewhere = estate("prod"), estate("elsewhere")

    def names(made: Any, kind: str, *stacks: str) -> list[str]:
        return [str(one[NAMED[kind]]) for stack in stacks or (None,) for one in made.all(kind, stack) if NAMED[kind] in one]

    for kind in ("AWS::IAM::Role", "AWS::S3::Bucket"):
        assert names(prod, kind)
        assert set(names(prod, kind)) & set(names(elsewhere, kind)) == set()
    there = {noun for noun in elsewhere.templates if noun != "recovery"}
    for kind in ("AWS::Backup::BackupVault", "AWS::KMS::Alias"):
        assert names(prod, kind, "recovery")
        assert set(names(prod, kind, "recovery")) & set(names(elsewhere, kind, *there)) == set()


def test_broken_instances_are_replaced_group_by_group() -> None:
    ecs, scaling = (boto3.client(service, region_name=REGION) for service in ("ecs", "autoscaling"))
    said: list[str] = []
    with Stubber(ecs) as cluster, Stubber(scaling) as groups:
        arn = "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:uuid:autoScalingGroupName/{}"
        cluster.add_response("describe_clusters", {"clusters": [{"capacityProviders": ["one", "FARGATE"]}]})
        provider = {"autoScalingGroupProvider": {"autoScalingGroupArn": arn.format("instances")}}
        cluster.add_response("describe_capacity_providers", {"capacityProviders": [provider, {"name": "FARGATE"}]})
        groups.add_response("start_instance_refresh", {"InstanceRefreshId": "r"})
        for status in ("Pending", "InProgress", "Successful"):
            groups.add_response("describe_instance_refreshes", {"InstanceRefreshes": [{"Status": status}]})
        time = Time()
        Instances("staging", ecs, scaling, said.append, time.pause, time.clock).replace()
        groups.assert_no_pending_responses()
    assert said == ["replacing the instances of instances"]


@pytest.mark.parametrize(("status", "why"), [("Failed", "Failed, no capacity"), ("InProgress", "InProgress")])
def test_instances_that_are_not_replaced_are_a_failure(status: str, why: str) -> None:
    ecs, scaling = (boto3.client(service, region_name=REGION) for service in ("ecs", "autoscaling"))
    with Stubber(ecs) as cluster, Stubber(scaling) as groups:
        arn = "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:uuid:autoScalingGroupName/instances"
        cluster.add_response("describe_clusters", {"clusters": [{"capacityProviders": ["one"]}]})
        provider = {"autoScalingGroupProvider": {"autoScalingGroupArn": arn}}
        cluster.add_response("describe_capacity_providers", {"capacityProviders": [provider]})
        groups.add_response("start_instance_refresh", {"InstanceRefreshId": "r"})
        for _ in range(int(REFRESH_S / 15) + 2):
            answer = {"InstanceRefreshes": [{"Status": status, "StatusReason": "no capacity"}]}
            groups.add_response("describe_instance_refreshes", answer)
        time = Time()
        with pytest.raises(RecoveryFailed, match=why):
            Instances("staging", ecs, scaling, lambda _: None, time.pause, time.clock).replace()


def test_only_our_names_are_taken_from_a_region_that_is_gone(moto: None) -> None:
    client = boto3.client("route53", region_name=REGION)
    zone = client.create_hosted_zone(Name="example.com", CallerReference="one")["HostedZone"]["Id"]

    def add(name: str, kind: str, value: str) -> None:
        record = {"Name": name, "Type": kind, "TTL": 60, "ResourceRecords": [{"Value": value}]}
        changes = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
        client.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=changes)

    for name in ("example.com", "grafana.example.com", "ping.example.com", "shop.example.com"):
        add(name, "A", "192.0.2.1")
    add("ping.example.com", "MX", "10 inbound-smtp.eu-west-1.amazonaws.com")
    add("ping.example.com", "TXT", '"kept"')
    said: list[str] = []
    released = dns.release(client, zone, "example.com", said.append)
    assert sorted(released) == ["A example.com.", "A grafana.example.com.", "A ping.example.com.", "MX ping.example.com."]
    left = {(one["Name"], one["Type"]) for one in client.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]}
    assert {("shop.example.com.", "A"), ("ping.example.com.", "TXT")} <= left
    assert ("example.com.", "A") not in left
    assert dns.release(client, zone, "example.com", said.append) == []


def test_a_step_that_cannot_be_done_says_so_in_one_line(moto: None, capsys: pytest.CaptureFixture[str]) -> None:
    for step in ("instances", "release-names", "resume"):
        assert recovery.main([step, "--env", "staging"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["instances", "release-names", "resume"]


def test_a_moment_without_a_time_zone_is_no_moment() -> None:
    with pytest.raises(SystemExit):
        recovery.main(["database", "--env", "staging", "--until", "2026-11-28T19:30:00"])


def test_every_step_has_its_place_in_the_runbook() -> None:
    text = (ROOT / "docs/runbooks/disasters.md").read_text()
    typed = set(re.findall(r"python -m cdk\.recovery ([a-z-]+)", text))
    assert typed == set(recovery.STEPS)
