"""What every stack has: its name, its account and region, and its configuration."""

from collections.abc import Mapping

from aws_cdk import Acknowledgment, Environment, Stack, Validations
from constructs import Construct, IConstruct

from cdk.config import Config


class EstateStack(Stack):
    """A stack `{env}-uptimemonitor-{noun}`. In prod it cannot be deleted by mistake."""

    def __init__(self, scope: Construct, noun: str, config: Config, *, region: str | None = None) -> None:
        super().__init__(
            scope, f"{config.env}-uptimemonitor-{noun}", env=Environment(account=config.account, region=region or config.region),
            termination_protection=config.is_prod, description=f"Uptime Monitor, {config.env}: {noun}",
        )  # fmt: skip
        self.config = config

    @property
    def availability_zones(self) -> list[str]:
        """Those of the configuration: asking AWS would need credentials."""
        return self.config.zones


def accept(construct: IConstruct, reasons: Mapping[str, str]) -> None:
    """Acknowledge findings of cdk-nag on a construct and what is in it, each with its reason."""
    for rule, reason in reasons.items():
        if "::" in rule.removeprefix("AwsSolutions-"):
            construct.node.add_metadata(Validations.ACKNOWLEDGED_RULES_METADATA_KEY, {rule: reason})
        else:
            Validations.of(construct).acknowledge(Acknowledgment(id=rule, reason=reason))
