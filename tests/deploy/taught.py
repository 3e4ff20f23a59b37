"""Kinds of resources that moto has an API for, but that its CloudFormation does not know: made here through that API.

So the API of moto, and botocore's model of AWS's, have their say on the properties: policies are parsed, names and types are checked.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Self

import boto3
from moto.core.common_models import CloudFormationModel

type Clients = Callable[[str], Any]
type Properties = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Made:
    """What `Ref` and `Fn::GetAtt` of a resource are."""

    id: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lesson:
    """How a kind is made, and removed where it does not end with what it belongs to."""

    make: Callable[[Clients, Properties, str], Made]
    remove: Callable[[Clients, str], object] | None = None


class Taught:
    """A resource as moto's CloudFormation handles it."""

    kind: ClassVar[str]
    lesson: ClassVar[Lesson]

    def __init__(self, made: Made) -> None:
        self.made = made

    @property
    def physical_resource_id(self) -> str:
        """What `Ref` is."""
        return self.made.id

    def get_cfn_attribute(self, name: str) -> str:
        """What `Fn::GetAtt` is."""
        return self.made.attributes[name]

    def delete(self, _account: str, region: str) -> None:
        """Remove it."""
        if self.lesson.remove:
            self.lesson.remove(clients(region), self.made.id)

    @classmethod
    def cloudformation_type(cls) -> str:
        """The kind."""
        return cls.kind

    @classmethod
    def has_cfn_attr(cls, _attr: str) -> bool:
        """It will be seen when it is asked for."""
        return True

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Mapping[str, Any], _account: str, region: str, **_: Any
    ) -> Self:
        """Make it."""
        return cls(cls.lesson.make(clients(region), cloudformation_json["Properties"], resource_name))


def install() -> None:
    """Let moto's CloudFormation know these kinds. Call before the first stack is made: it lists the subclasses of its model once."""
    for kind, lesson in LESSONS.items():
        _models.append(type(kind.replace("::", ""), (Taught, CloudFormationModel), {"kind": kind, "lesson": lesson}))


_models: Final[list[type]] = []
"""A class that nobody holds is no subclass for long."""


def clients(region: str) -> Clients:
    """Clients of a region; in the process of the account they end in moto itself."""
    return lambda service: boto3.client(service, region_name=region)  # type: ignore[call-overload]  # the stubs tell services apart by literals


def _secret(aws: Clients, properties: Properties, name: str) -> Made:
    secrets = aws("secretsmanager")
    wanted = dict(properties.get("GenerateSecretString", {}))
    text, key = wanted.pop("SecretStringTemplate", None), wanted.pop("GenerateStringKey", None)
    if wanted:
        value = secrets.get_random_password(**wanted)["RandomPassword"]
        value = json.dumps({**json.loads(text), key: value}) if text else value
    else:
        value = _resolved(secrets, properties["SecretString"])
    return Made(secrets.create_secret(Name=properties.get("Name", name), SecretString=value)["ARN"])


def _resolved(secrets: Any, text: str) -> str:
    """The text with the secrets that it names instead of their names."""

    def value(found: re.Match[str]) -> str:
        return str(secrets.get_secret_value(SecretId=found[1])["SecretString"])

    return re.sub(r"\{\{resolve:secretsmanager:(.+?):SecretString:::\}\}", value, text)


def _attachment(aws: Clients, properties: Properties, _name: str) -> Made:
    """Write into the secret where its database is, for who rotates it."""
    secrets, arn = aws("secretsmanager"), properties["SecretId"]
    [database] = aws("rds").describe_db_instances(DBInstanceIdentifier=properties["TargetId"])["DBInstances"]
    where = {"engine": database["Engine"], "host": database["Endpoint"]["Address"], "port": database["Endpoint"]["Port"]}
    known = json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])
    secrets.put_secret_value(SecretId=arn, SecretString=json.dumps({**known, **where}))
    return Made(arn)


def _certificate(aws: Clients, properties: Properties, _name: str) -> Made:
    wanted = {key: properties[key] for key in ("DomainName", "SubjectAlternativeNames", "ValidationMethod") if key in properties}
    return Made(aws("acm").request_certificate(**wanted)["CertificateArn"])


def _queue_policy(aws: Clients, properties: Properties, name: str) -> Made:
    for url in properties["Queues"]:
        aws("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(properties["PolicyDocument"])})
    return Made(name)


def _topic_policy(aws: Clients, properties: Properties, name: str) -> Made:
    for arn in properties["Topics"]:
        policy = json.dumps(properties["PolicyDocument"])
        aws("sns").set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)
    return Made(name)


def _subscription(aws: Clients, properties: Properties, _name: str) -> Made:
    raw = {"RawMessageDelivery": "true"} if properties.get("RawMessageDelivery") in (True, "true") else {}
    wanted = {key: properties[key] for key in ("TopicArn", "Protocol", "Endpoint")}
    return Made(aws("sns").subscribe(**wanted, Attributes=raw, ReturnSubscriptionArn=True)["SubscriptionArn"])


def _alarm(aws: Clients, properties: Properties, name: str) -> Made:
    given = {"AlarmName": name, **properties}
    aws("cloudwatch").put_metric_alarm(**given)
    return Made(given["AlarmName"])


def _egress(aws: Clients, properties: Properties, name: str) -> Made:
    rule = {key: properties[key] for key in ("IpProtocol", "FromPort", "ToPort") if key in properties}
    rule["UserIdGroupPairs"] = [{"GroupId": properties["DestinationSecurityGroupId"]}]
    aws("ec2").authorize_security_group_egress(GroupId=properties["GroupId"], IpPermissions=[rule])
    return Made(name)


def _namespace(aws: Clients, properties: Properties, name: str) -> Made:
    discovery = aws("servicediscovery")
    started = discovery.create_private_dns_namespace(Name=properties["Name"], Vpc=properties["Vpc"], CreatorRequestId=name)
    made = discovery.get_operation(OperationId=started["OperationId"])["Operation"]["Targets"]["NAMESPACE"]
    return Made(made, {"Id": made})


def _service(aws: Clients, properties: Properties, _name: str) -> Made:
    keys = ("Name", "NamespaceId", "DnsConfig", "HealthCheckCustomConfig")
    made = aws("servicediscovery").create_service(**{key: properties[key] for key in keys if key in properties})["Service"]
    return Made(made["Id"], {"Arn": made["Arn"]})


def _removal(service: str, operation: str, parameter: str, **also: Any) -> Callable[[Clients, str], object]:
    return lambda aws, made: getattr(aws(service), operation)(**{parameter: made, **also})


LESSONS: Final[Mapping[str, Lesson]] = {
    "AWS::CertificateManager::Certificate": Lesson(_certificate, _removal("acm", "delete_certificate", "CertificateArn")),
    "AWS::CloudWatch::Alarm": Lesson(_alarm, lambda aws, name: aws("cloudwatch").delete_alarms(AlarmNames=[name])),
    "AWS::EC2::SecurityGroupEgress": Lesson(_egress),
    "AWS::SNS::Subscription": Lesson(_subscription, _removal("sns", "unsubscribe", "SubscriptionArn")),
    "AWS::SNS::TopicPolicy": Lesson(_topic_policy),
    "AWS::SQS::QueuePolicy": Lesson(_queue_policy),
    "AWS::SecretsManager::Secret": Lesson(
        _secret, _removal("secretsmanager", "delete_secret", "SecretId", ForceDeleteWithoutRecovery=True)
    ),
    "AWS::SecretsManager::SecretTargetAttachment": Lesson(_attachment),
    "AWS::ServiceDiscovery::PrivateDnsNamespace": Lesson(_namespace, _removal("servicediscovery", "delete_namespace", "Id")),
    "AWS::ServiceDiscovery::Service": Lesson(_service, _removal("servicediscovery", "delete_service", "Id")),
}
