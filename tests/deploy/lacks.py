"""What moto cannot hold of the estate, each with what is not rehearsed for its lack.

`docs/explanation/deploy-rehearsal.md` has the same list. `tests/deploy/test_lacks.py` fails when moto learns one of them, and the
rehearsal when the estate gets a kind that moto does not know and that is not here.
"""

from collections.abc import Mapping
from typing import Final

SCALING = "when tasks and instances come and go: nothing runs in moto"
NAMED = "the ping API's own name: the function is called as the API would"
LIMITED = "the limit of pings for each address"
PLACED = "which instances a service's tasks are placed on"
CACHED = "Redis, and that its address reaches the services"
BACKED_UP = "what is backed up when, and the copies in the other region"
MAILED = "bounces, DKIM, and mails that are pings: their rules, not the functions behind"
REGISTERED = "the registry of schemas; that the schemas are right is tested without it"
ARCHIVED = "that logs are kept for ninety days, in the bucket"
ROTATED = "the rotation of the database's secrets, an application of AWS"
DUAL = "IPv6: addresses of subnets, and the way out of private ones"

KINDS: Final[Mapping[str, str]] = {
    "AWS::ApiGateway::BasePathMapping": NAMED,
    "AWS::ApiGateway::DomainName": NAMED,
    "AWS::ApiGateway::Stage": "throttling, access logs and metrics of the ping API",
    "AWS::ApplicationAutoScaling::ScalableTarget": SCALING,
    "AWS::ApplicationAutoScaling::ScalingPolicy": SCALING,
    "AWS::AutoScaling::ScalingPolicy": SCALING,
    "AWS::Backup::BackupPlan": BACKED_UP,
    "AWS::Backup::BackupSelection": BACKED_UP,
    "AWS::Backup::BackupVault": BACKED_UP,
    "AWS::CloudFront::Distribution": "status pages through CloudFront; their stack is deployed empty",
    "AWS::CloudTrail::Trail": "the trail of calls to AWS",
    "AWS::EC2::EgressOnlyInternetGateway": DUAL,
    "AWS::EC2::VPCCidrBlock": DUAL,
    "AWS::ECS::CapacityProvider": PLACED,
    "AWS::ECS::ClusterCapacityProviderAssociations": PLACED,
    "AWS::ElastiCache::ReplicationGroup": CACHED,
    "AWS::ElastiCache::SubnetGroup": CACHED,
    "AWS::EventSchemas::Registry": REGISTERED,
    "AWS::EventSchemas::Schema": REGISTERED,
    "AWS::IAM::OIDCProvider": "that GitHub may become the deployer",
    "AWS::KinesisFirehose::DeliveryStream": ARCHIVED,
    "AWS::Logs::SubscriptionFilter": ARCHIVED,
    "AWS::S3::BucketPolicy": "what buckets refuse: moto denies to everybody what a policy denies to plain HTTP",
    "AWS::SES::ConfigurationSet": MAILED,
    "AWS::SES::ConfigurationSetEventDestination": MAILED,
    "AWS::SES::EmailIdentity": MAILED,
    "AWS::SES::ReceiptRule": MAILED,
    "AWS::SES::ReceiptRuleSet": MAILED,
    "AWS::SecretsManager::ResourcePolicy": ROTATED,
    "AWS::SecretsManager::RotationSchedule": ROTATED,
    "AWS::Serverless::Application": ROTATED,
    "AWS::WAFv2::WebACL": LIMITED,
    "AWS::WAFv2::WebACLAssociation": LIMITED,
}
"""Kinds of resources that its CloudFormation does not know: they are taken out, and what refers to them gets a made-up value."""

type Part = tuple[str, str]

PARTS: Final[Mapping[Part, str]] = {
    ("AWS::EC2::Subnet", "Ipv6CidrBlock"): DUAL,
    ("AWS::Events::Archive", "EventPattern"): "which events the archive keeps",
    ("AWS::KMS::Key", "Tags"): "the tags of keys",
}
"""Properties that it stumbles over: they are taken out."""

WHOLES: Final[Mapping[Part, str]] = {("AWS::EC2::Route", "EgressOnlyInternetGatewayId"): DUAL}
"""Properties that it stumbles over, and without which the resource is nothing: it is taken out with them."""

STAYS: Final[Mapping[str, str]] = {
    "AWS::ApiGateway::RestApi": "the ping API",
    "AWS::ECS::Cluster": "the cluster",
    "AWS::ECS::TaskDefinition": "task definitions, which AWS keeps as inactive ones",
}
"""Kinds that stay when their stack is destroyed, although they should not."""
