"""Parts of the estate beyond its specification: how logs are kept, and SQS in place of Redis as the broker."""

import json

from core.contracts.names import Names
from core.contracts.queues import tasks
from tests.infra.estates import Estate, estate, statements


def test_every_group_is_kept_where_the_rules_of_the_bucket_hold() -> None:
    """Every group has its subscription, and what it sends ends where the rules of the bucket hold."""
    prod, everything, staging = (estate(name) for name in ("prod", "everything", "staging"))
    for one in (prod, everything, staging):
        groups = one.all("AWS::Logs::LogGroup")
        filters = one.all("AWS::Logs::SubscriptionFilter")
        assert len(filters) == len(groups) == len({json.dumps(kept["LogGroupName"]) for kept in filters})
        assert {kept["FilterPattern"] for kept in filters} == {""}
    names = {str(group.get("LogGroupName")).removeprefix("/prod") for group in everything.all("AWS::Logs::LogGroup")}
    nouns = ("web", "worker", "schedule", "beat", "inbox", "migrate", "prometheus", "grafana", "alertmanager")
    lambdas = ("ping", "alert-dispatch", "ping-mail")
    assert names == {
        *(f"/ecs/{noun}" for noun in nouns), *(f"/aws/lambda/prod-uptimemonitor-{noun}" for noun in lambdas),
        "/vpc", "/ping-access", "/aws/rds/instance/prod-uptimemonitor/postgresql",
    }  # fmt: skip
    stream = prod.one("AWS::KinesisFirehose::DeliveryStream")
    assert stream["DeliveryStreamEncryptionConfigurationInput"] == {"KeyType": "AWS_OWNED_CMK"}
    target = stream["ExtendedS3DestinationConfiguration"]
    assert (target["Prefix"].split("!")[0], target["CompressionFormat"]) == ("services/", "UNCOMPRESSED")
    [(_, bucket, _)] = [
        found for found in prod.resources("AWS::S3::Bucket") if "uptimemonitor-logs" in found[2]["Properties"]["BucketName"]
    ]
    assert target["BucketARN"] == {"Fn::GetAtt": [bucket, "Arn"]}


def test_sqs_carries_tasks_where_that_is_chosen() -> None:
    prod, everything = estate("prod"), estate("everything")
    names = Names("prod")

    def told(one: Estate) -> set[str | None]:
        containers = [
            container for task in one.all("AWS::ECS::TaskDefinition", "core") for container in task["ContainerDefinitions"]
        ]
        return {{each["Name"]: each["Value"] for each in one_["Environment"]}.get("BROKER_URL") for one_ in containers}

    assert told(prod) == {None}
    assert told(everything) == {f"sqs://eu-west-1/123456789012/{names.tasks_prefix}"}
    assert not [one for one in prod.all("AWS::SQS::Queue") if one["QueueName"].startswith(names.tasks_prefix)]
    made = {resource["Properties"]["QueueName"]: name for _, name, resource in everything.resources("AWS::SQS::Queue", "events")}
    for noun in ("web", "worker", "control"):
        [sends] = [
            one
            for properties in everything.all("AWS::IAM::Policy", "core")
            if properties["PolicyName"].startswith(f"Tasks{noun}task")
            for one in statements(properties)
            if "sqs:SendMessage" in one["Action"]
        ]
        assert ("sqs:ChangeMessageVisibility" in sends["Action"]) == (noun != "web")
        assert len(sends["Resource"]) == 4
        assert all(made[queue.name] in json.dumps(sends["Resource"]) for queue in tasks(names))
