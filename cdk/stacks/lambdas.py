"""How the Lambdas of this estate are alike: own role, own encrypted logs, the package of the repository."""

from collections.abc import Mapping

from aws_cdk import Duration, aws_iam, aws_lambda
from constructs import Construct

from cdk import bundle
from cdk.config import Config
from cdk.stacks.estate_stack import accept
from cdk.stacks.logs import LogArchive

ARCHITECTURES = {"arm64": aws_lambda.Architecture.ARM_64, "x86_64": aws_lambda.Architecture.X86_64}


class EstateFunction(Construct):
    """A function and its role, which may write its own logs and nothing else until told."""

    def __init__(
        self, scope: Construct, noun: str, config: Config, logs: LogArchive, *, package: str, handler: str,
        timeout_s: int, memory_mib: int, environment: Mapping[str, str],
    ) -> None:  # fmt: skip
        super().__init__(scope, noun)
        name = f"{config.env}-uptimemonitor-{noun}"
        log = logs.group(self, "Log", f"/aws/lambda/{name}")
        self.role = aws_iam.Role(
            self, "Role", role_name=config.role(f"{noun}-role"), assumed_by=aws_iam.ServicePrincipal("lambda.amazonaws.com")
        )
        log.grant_write(self.role)
        self.function = aws_lambda.Function(
            self, "Function", function_name=name, runtime=bundle.RUNTIME, handler=handler, role=self.role,
            architecture=ARCHITECTURES[config.lambda_architecture], code=bundle.code(package, config.lambda_architecture),
            timeout=Duration.seconds(timeout_s), memory_size=memory_mib, log_group=log, environment=dict(environment),
        )  # fmt: skip
        accept(
            self.function,
            {"AwsSolutions-L1": "Python 3.13 is what everything is tested on; the next one comes with the repository's."},
        )

    def may(self, actions: list[str], *resources: str) -> None:
        """Let the function call `actions` on `resources`."""
        self.role.add_to_policy(aws_iam.PolicyStatement(actions=actions, resources=list(resources)))
