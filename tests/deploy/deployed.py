"""What the deployment left in the account, used as AWS would use it: functions out of their packages, events over the bus, queues."""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from core.contracts.names import Names
from core.local import api_gateway, lambda_runner
from core.local.http_listener import Request
from tests.deploy.fitting import REGION
from tests.deploy.toolkit import Account
from tests.lambda_runtime import RuntimeApi, function, runtime_client

METHODS = ("GET", "HEAD", "POST")
STAND_INS = {"PRIVATE_TARGETS": "true"}
"""A receiver on loopback is a private target: the only setting that the deployed functions do not have."""


class Deployed:
    """One environment, as it was deployed."""

    def __init__(self, account: Account, names: Names, folder: Path) -> None:
        self.account, self.names, self._folder = account, names, folder

    def stacks(self, region: str = REGION) -> dict[str, dict[str, Any]]:
        """The stacks of a region by their nouns, without that of the CDK itself."""
        prefix = f"{self.names.env}-uptimemonitor-"
        found = self.account.client("cloudformation", region).describe_stacks()["Stacks"]
        return {
            one["StackName"].removeprefix(prefix): one
            for one in found
            if one["StackName"].startswith(prefix) and one["StackStatus"] != "DELETE_COMPLETE"
        }

    def resources(self, noun: str, region: str = REGION) -> dict[str, str]:
        """Logical id and kind of what a stack has."""
        pages = self.account.client("cloudformation", region).get_paginator("list_stack_resources")
        found = pages.paginate(StackName=f"{self.names.env}-uptimemonitor-{noun}")
        summaries = [one for page in found for one in page["StackResourceSummaries"]]
        return {
            one["LogicalResourceId"]: one["ResourceType"] for one in summaries if one["ResourceType"]
        }  # of no resources, moto lists one

    @contextmanager
    def function(self, noun: str) -> Iterator[RuntimeApi]:
        """A function as it was deployed: the package that was uploaded, its handler, its variables; under AWS's runtime client."""
        name = f"{self.names.env}-uptimemonitor-{noun}"
        found = self.account.client("lambda").get_function_configuration(FunctionName=name)
        package, runtime = self._unpacked(name), self._folder / f"{noun}-runtime"
        if not runtime.exists():
            runtime.mkdir()
            runtime_client(runtime)
        told = {**self.account.environ, **found["Environment"]["Variables"], **STAND_INS}
        with function(package, runtime, found["Handler"], told) as running:
            assert running.wait_started() is None
            yield running

    def _unpacked(self, name: str) -> Path:
        """The package of a function, from the bucket that its template names."""
        template = self.account.client("cloudformation").get_template(StackName=f"{self.names.env}-uptimemonitor-edge")[
            "TemplateBody"
        ]
        [code] = [
            one["Properties"]["Code"]
            for one in template["Resources"].values()
            if one["Type"] == "AWS::Lambda::Function" and one["Properties"]["FunctionName"] == name
        ]
        folder = self._folder / f"{name}-package"
        if not folder.exists():
            uploaded = self.account.client("s3").get_object(Bucket=code["S3Bucket"], Key=code["S3Key"])["Body"].read()
            zipfile.ZipFile(io.BytesIO(uploaded)).extractall(folder)
        return folder

    def request(self, method: str, path: str, body: bytes = b"") -> dict[str, Any]:
        """The event that the deployed API makes of a request; the route is one of its own resources."""
        apis = self.account.client("apigateway")
        [api] = apis.get_rest_apis()["items"]
        resources = apis.get_resources(restApiId=api["id"], limit=500)["items"]
        routes = {one["path"]: METHODS for one in resources if "ANY" in one.get("resourceMethods", {})}
        route = api_gateway.find_route(routes, method, path)
        assert route, f"the API has no route for {method} {path}"
        headers = (("Host", "ping.example.com"), ("User-Agent", "curl/8.5.0"))
        asked = Request(method, path, headers, body, "203.0.113.9", lambda: False)
        return api_gateway.proxy_event(asked, route, uuid4(), 1_800_000_000_000, binary=api["binaryMediaTypes"] == ["*/*"])

    def publish(self, event: Mapping[str, Any], *, bus: str | None = None) -> None:
        """Put an event (source, detail-type, detail) on a bus; ours where none is named."""
        entry = {"Source": event["source"], "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}
        put = self.account.client("events").put_events(Entries=[{**entry, "EventBusName": bus or self.names.bus}])
        assert put["FailedEntryCount"] == 0

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """Take what is in a queue out of it."""
        sqs, found = self.account.client("sqs"), []
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        while some := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"]).get(
            "Messages"
        ):
            for message in some:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                found.append(message)
        return found

    def events(self, queue: str) -> list[dict[str, Any]]:
        """The events in a queue, taken out of it."""
        return [json.loads(message["Body"]) for message in self.messages(queue)]

    def batch(self, message: Mapping[str, Any], queue: str) -> dict[str, Any]:
        """The event that the mapping of a queue makes of a message."""
        return lambda_runner.sqs_event(message, queue, REGION)

    def left(self) -> dict[str, list[str]]:
        """What there still is, by kind; without what the CDK itself needs, and without what every account has."""
        found = {kind: _names(self.account.client(service), *asked) for kind, (service, *asked) in LISTED.items()}
        own = {kind: [name for name in names if not name.startswith("cdk-hnb659fds")] for kind, names in found.items()}
        return {kind: sorted(names) for kind, names in own.items() if names}


LISTED: Final[Mapping[str, tuple[str, str, str, str]]] = {
    "AWS::ApiGateway::RestApi": ("apigateway", "get_rest_apis", "items", "name"),
    "AWS::AutoScaling::AutoScalingGroup": (
        "autoscaling",
        "describe_auto_scaling_groups",
        "AutoScalingGroups",
        "AutoScalingGroupName",
    ),
    "AWS::CertificateManager::Certificate": ("acm", "list_certificates", "CertificateSummaryList", "DomainName"),
    "AWS::CloudWatch::Alarm": ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    "AWS::DynamoDB::Table": ("dynamodb", "list_tables", "TableNames", ""),
    "AWS::EC2::LaunchTemplate": ("ec2", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateName"),
    "AWS::ECR::Repository": ("ecr", "describe_repositories", "repositories", "repositoryName"),
    "AWS::ECS::Cluster": ("ecs", "list_clusters", "clusterArns", ""),
    "AWS::ECS::TaskDefinition": ("ecs", "list_task_definitions", "taskDefinitionArns", ""),
    "AWS::EFS::FileSystem": ("efs", "describe_file_systems", "FileSystems", "FileSystemId"),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": ("elbv2", "describe_load_balancers", "LoadBalancers", "LoadBalancerName"),
    "AWS::Events::Archive": ("events", "list_archives", "Archives", "ArchiveName"),
    "AWS::Events::Rule": ("events", "list_rules", "Rules", "Name"),
    "AWS::IAM::Role": ("iam", "list_roles", "Roles", "RoleName"),
    "AWS::Lambda::EventSourceMapping": ("lambda", "list_event_source_mappings", "EventSourceMappings", "EventSourceArn"),
    "AWS::Lambda::Function": ("lambda", "list_functions", "Functions", "FunctionName"),
    "AWS::Logs::LogGroup": ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    "AWS::RDS::DBInstance": ("rds", "describe_db_instances", "DBInstances", "DBInstanceIdentifier"),
    "AWS::S3::Bucket": ("s3", "list_buckets", "Buckets", "Name"),
    "AWS::SNS::Topic": ("sns", "list_topics", "Topics", "TopicArn"),
    "AWS::SQS::Queue": ("sqs", "list_queues", "QueueUrls", ""),
    "AWS::SecretsManager::Secret": ("secretsmanager", "list_secrets", "SecretList", "Name"),
    "AWS::ServiceDiscovery::PrivateDnsNamespace": ("servicediscovery", "list_namespaces", "Namespaces", "Name"),
}
"""For kinds: service, operation, where in its answer the list is, and what the name of an entry is, which may be all that it is."""


def _names(client: Any, operation: str, listed: str, name: str) -> list[str]:
    entries = getattr(client, operation)().get(listed, [])
    return [entry[name] if name else entry for entry in entries]
