"""References of templates (`Ref`, `Fn::GetAtt`, `Fn::ImportValue` and so on) as CloudFormation would resolve them, for names and ARNs."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from tests.infra.estates import Estate
from tests.permissions.calls import ACCOUNT, REGION, arn

PSEUDO: Final = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::URLSuffix": "amazonaws.com",
}
NAMES: Final = {
    "AWS::DynamoDB::Table": "TableName",
    "AWS::ECR::Repository": "RepositoryName",
    "AWS::Events::EventBus": "Name",
    "AWS::IAM::Role": "RoleName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SES::ConfigurationSet": "Name",
    "AWS::SecretsManager::Secret": "Name",
    "AWS::SQS::Queue": "QueueName",
}
"""The property that names a resource; without it CloudFormation makes a name, which is the logical id here."""

ARNS: Final[Mapping[str, Callable[[str], str]]] = {
    "AWS::DynamoDB::Table": lambda name: arn("dynamodb", f"table/{name}"),
    "AWS::ECR::Repository": lambda name: arn("ecr", f"repository/{name}"),
    "AWS::Events::EventBus": lambda name: arn("events", f"event-bus/{name}"),
    "AWS::IAM::Role": lambda name: f"arn:aws:iam::{ACCOUNT}:role/{name}",
    "AWS::Logs::LogGroup": lambda name: arn("logs", f"log-group:{name}:*"),
    "AWS::S3::Bucket": partial(arn, "s3"),
    "AWS::SecretsManager::Secret": lambda name: arn("secretsmanager", f"secret:{name}-AbCdEf"),
    "AWS::SQS::Queue": partial(arn, "sqs"),
}


class References:
    """Resolves what the templates of one estate say."""

    def __init__(self, estate: Estate) -> None:
        self._config, self._templates = estate.config, estate.templates
        self._exports = {
            output["Export"]["Name"]: (noun, output["Value"])
            for noun, template in estate.templates.items()
            for output in template.get("Outputs", {}).values()
            if "Export" in output
        }

    def noun(self, role: str) -> str:
        """The name of a role without what all of them have: the environment, and the region where it is in there."""
        return role.removeprefix(f"{self._config.env}-uptimemonitor-").removesuffix(f"-{self._config.region}")

    def resolve(self, stack: str, said: Any) -> Any:
        """What is said in a stack, with its references resolved."""
        if isinstance(said, list):
            return [self.resolve(stack, one) for one in said]
        if not isinstance(said, Mapping):
            return said
        if len(said) == 1 and (found := self._function(stack, *next(iter(said.items())))) is not None:
            return found
        return {key: self.resolve(stack, value) for key, value in said.items()}

    def _function(self, stack: str, name: str, argument: Any) -> Any:
        """What a function of CloudFormation is worth; None for what is none."""
        functions: dict[str, Callable[[Any], Any]] = {
            "Ref": lambda wanted: PSEUDO.get(wanted) or self._reference(stack, wanted),
            "Fn::GetAtt": lambda wanted: self._attribute(stack, *wanted),
            "Fn::ImportValue": lambda wanted: self.resolve(*self._exports[wanted]),
            "Fn::Join": lambda wanted: wanted[0].join(map(str, self.resolve(stack, wanted[1]))),
            "Fn::Select": lambda wanted: self.resolve(stack, wanted[1])[int(wanted[0])],
            "Fn::Split": lambda wanted: self.resolve(stack, wanted[1]).split(wanted[0]),
        }
        if name in functions:
            return functions[name](argument)
        assert not name.startswith("Fn::"), f"{name} is not resolved here"
        return None

    def _name(self, stack: str, logical_id: str) -> tuple[str, str]:
        """Kind and name of a resource; a parameter is its own name."""
        resource = self._templates[stack]["Resources"].get(logical_id)
        if resource is None:
            return "", logical_id
        kind = resource["Type"]
        said = resource.get("Properties", {}).get(NAMES.get(kind, ""), logical_id)
        return kind, str(self.resolve(stack, said))

    def _reference(self, stack: str, logical_id: str) -> str:
        """A secret is known by its ARN, everything else that matters here by its name."""
        kind, name = self._name(stack, logical_id)
        return ARNS[kind](name) if kind == "AWS::SecretsManager::Secret" else name

    def _attribute(self, stack: str, logical_id: str, attribute: str) -> str:
        kind, name = self._name(stack, logical_id)
        if attribute == "Arn" or (attribute, kind) == ("Id", "AWS::SecretsManager::Secret"):
            return ARNS[kind](name) if kind in ARNS else f"{kind} {name}"
        return name
