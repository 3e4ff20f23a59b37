"""All stacks of one environment, wired."""

from dataclasses import dataclass

from aws_cdk import App, Stack, Tags, Validations
from cdk_nag import AwsSolutionsChecks

from cdk.config import Config
from cdk.stacks.core import CoreStack
from cdk.stacks.data import DataStack
from cdk.stacks.delivery import DeliveryStack
from cdk.stacks.edge import EdgeStack
from cdk.stacks.events import EventsStack
from cdk.stacks.monitoring import MonitoringStack
from cdk.stacks.network import NetworkStack
from cdk.stacks.pages import PagesStack
from cdk.stacks.recovery import RecoveryStack


@dataclass(frozen=True, slots=True)
class Estate:
    """The stacks that every environment has; one has the same life throughout."""

    delivery: DeliveryStack
    network: NetworkStack
    data: DataStack
    events: EventsStack
    edge: EdgeStack
    core: CoreStack
    monitoring: MonitoringStack


def build(app: App, config: Config) -> Estate:
    """Wire the stacks. Values pass by constructor, so the CDK finds the order; the registry and the recovery region come first."""
    delivery = DeliveryStack(app, config)
    recovery = RecoveryStack(app, config) if config.dr_region else None
    network = NetworkStack(app, config)
    data = DataStack(app, config, network)
    if recovery:
        data.add_dependency(recovery, "vault and key are known by their names")
    events = EventsStack(app, config)
    edge = EdgeStack(app, config, network, data, events)
    core = CoreStack(app, config, network=network, data=data, events=events, edge=edge)
    core.add_dependency(delivery, "services pull their image")
    monitoring = MonitoringStack(app, config, network=network, data=data, events=events, edge=edge, core=core)
    if config.cloudfront:
        PagesStack(app, config, core, data)
    Tags.of(app).add("project", "uptimemonitor")
    Tags.of(app).add("environment", config.env)
    for stack in app.node.children:
        if isinstance(stack, Stack):
            Tags.of(stack).add("part", stack.stack_name.removeprefix(f"{config.env}-uptimemonitor-"))
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    return Estate(delivery, network, data, events, edge, core, monitoring)
