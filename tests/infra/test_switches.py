"""Every switch by itself: it can be synthesised without a finding, and changes what it is about and nothing else."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from tests.infra.estates import ACCOUNT, DOMAIN, synthesised

pytestmark = pytest.mark.timeout(300)  # the first synthesis compiles 240 MB of source

BASE = {"env": "staging", **DOMAIN}
INSTANCES = {"AutoScaling::AutoScalingGroup", "EC2::LaunchTemplate"}
SPOT = {
    *INSTANCES, "AutoScaling::ScalingPolicy", "EC2::LaunchTemplate", "ECS::CapacityProvider", "ECS::ClusterCapacityProviderAssociations",
    "ECS::Service", "IAM::InstanceProfile", "IAM::Policy", "IAM::Role",
}  # fmt: skip
CERTIFICATE = f"arn:aws:acm:us-east-1:{ACCOUNT}:certificate/one"
SWITCHES: Mapping[str, tuple[Mapping[str, str], set[str]]] = {
    "multi_az": ({"multi_az": "true"}, {"RDS::DBInstance", "ElastiCache::ReplicationGroup"}),
    "database": ({"database_class": "t4g.medium", "database_gib": "100"}, {"RDS::DBInstance", "CloudWatch::Alarm"}),
    "cache": ({"cache_class": "cache.t4g.small"}, {"ElastiCache::ReplicationGroup"}),
    "cache_replicas": ({"cache_replicas": "0"}, {"ElastiCache::ReplicationGroup"}),
    "instance_class": ({"instance_class": "m6i.large"}, {"EC2::LaunchTemplate", "ECS::TaskDefinition"}),
    "graviton": ({"instance_class": "t4g.medium"}, {"EC2::LaunchTemplate", "ECS::TaskDefinition"}),
    "spot_workers": ({"spot_workers": "true"}, SPOT),
    "spare_percent": ({"spare_percent": "0"}, {"ECS::CapacityProvider"}),
    "tasks": ({"web_tasks": "2"}, {"ECS::Service", "ApplicationAutoScaling::ScalableTarget"}),
    "nat": ({"nat": "instance"}, {
        "CloudWatch::Alarm", "EC2::EIP", "EC2::Instance", "EC2::NatGateway", "EC2::Route", "EC2::SecurityGroup", "IAM::InstanceProfile",
        "IAM::Role",
    }),
    "nat_gateways": ({"nat_gateways": "2"}, {"EC2::NatGateway", "EC2::EIP", "EC2::Route"}),
    "flow_logs": ({"flow_logs": "rejected"}, {"EC2::FlowLog"}),
    "detailed_metrics": (
        {"detailed_metrics": "false"},
        {"ApiGateway::Stage", "CloudWatch::Alarm", "CloudWatch::Dashboard", "EC2::LaunchTemplate", "ECS::Cluster"},
    ),
    "small_watchers": ({"small_watchers": "true"}, {"ECS::TaskDefinition"}),
    "lambda_architecture": ({"lambda_architecture": "x86_64"}, {"Lambda::Function"}),
    "read_replica": ({"read_replica": "true"}, {"RDS::DBInstance", "RDS::DBSubnetGroup"}),
    "cloudfront": (
        {"cloudfront": "true", "cloudfront_certificate": CERTIFICATE},
        {"CloudFront::Distribution", "ECS::TaskDefinition"},
    ),
    "dr_region": (
        {"dr_region": "eu-central-1"},
        {
            "Backup::BackupPlan", "Backup::BackupVault", "CloudWatch::Alarm", "CloudWatch::Dashboard", "KMS::Alias", "KMS::Key",
            "RDS::DBInstance",
        },
    ),
    "ping_mail": ({"ping_mail": "true"}, {
        "CloudWatch::Alarm", "CloudWatch::Dashboard", "IAM::Policy", "IAM::Role", "Lambda::EventSourceMapping", "Lambda::Function",
        "Logs::LogGroup", "Logs::SubscriptionFilter",
        "Route53::RecordSet", "S3::Bucket", "S3::BucketPolicy", "SES::ReceiptRule", "SES::ReceiptRuleSet",
        "SNS::Subscription", "SNS::Topic", "SNS::TopicPolicy", "SQS::Queue", "SQS::QueuePolicy",
    }),
    "broker": ({"broker": "sqs"}, {
        "CloudWatch::Alarm", "CloudWatch::Dashboard", "ECS::TaskDefinition", "IAM::Policy", "SQS::Queue", "SQS::QueuePolicy",
    }),
    "mails_per_s": ({"mails_per_s": "50"}, {"Lambda::Function"}),
    "sms_channels": ({"sms_channels": "true"}, {"ECS::TaskDefinition", "IAM::Policy"}),
    "github": ({"github_repository": "someone/uptime"}, {"IAM::OIDCProvider", "IAM::Policy", "IAM::Role"}),
    "alarm_email": ({"alarm_email": "operators@example.com"}, {"SNS::Subscription"}),
}  # fmt: skip
"""Keys, and the types of which a resource is new, gone or different."""


@cache
def resources(**given: str) -> dict[tuple[str, str], tuple[str, Any]]:
    """Type and properties of every resource; what it waits for is the CDK's matter."""
    one = synthesised({**BASE, **given})
    return {
        (stack, name): (body["Type"].removeprefix("AWS::"), body.get("Properties"))
        for stack, template in one.templates.items()
        for name, body in template["Resources"].items()
    }


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_changes_what_it_is_about(name: str) -> None:
    given, types = SWITCHES[name]
    before, after = resources(), resources(**given)
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}

    assert {(after.get(key) or before[key])[0] for key in changed} == types
