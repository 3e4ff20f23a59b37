"""How many tasks and instances the load needs: what autoscaling settles at, from the same templates."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from cdk.capacity import INSTANCE_TYPES
from cdk.cost.line import Estate
from cdk.cost.load import BUSY
from cdk.cost.template import Resource

CPU_UNITS = 1024


@dataclass(frozen=True, slots=True)
class Fleet:
    """The instances of one autoscaling group, and what they have to do."""

    instance_class: str
    is_spot: bool
    on_demand: int
    spot: int
    busy_cpus: float
    most: int

    @property
    def instances(self) -> int:
        """All of them."""
        return self.on_demand + self.spot

    @property
    def surplus_cpus(self) -> float:
        """VCPUs in use, all the time, beyond what a burstable type may use for ever."""
        kind = INSTANCE_TYPES[self.instance_class]
        return max(0.0, self.busy_cpus - self.instances * kind.baseline * kind.cpu / CPU_UNITS)


def tasks_of(service: Resource, estate: Estate) -> int:
    """Tasks of a service: as many as are wanted, and more where the load keeps them busier than autoscaling lets them be."""
    wanted = int(service.properties["DesiredCount"])
    busy = busy_cpus(service, estate)
    return max(wanted, ceil(busy / (BUSY * _cpus(service, estate)))) if busy else wanted


def busy_cpus(service: Resource, estate: Estate) -> float:
    """VCPUs that the load keeps busy in a service."""
    noun = service.properties["ServiceName"].rpartition("-")[2]
    return {"worker": estate.load.worker_cpus, "control": estate.load.control_cpus}.get(noun, 0.0)


def fleet(group: Resource, estate: Estate) -> Fleet:
    """The instances that hold the tasks of a group, with what is kept free."""
    provider = next(one for one in estate.templates.of("AWS::ECS::CapacityProvider") if _arn_of(one) == {"Ref": group.name})
    services = [one for one in estate.templates.of("AWS::ECS::Service") if _uses(one, provider, estate)]
    tasks = sum(tasks_of(one, estate) for one in services)
    instance_class, is_spot, base = _kind(group, estate)
    full = ceil(tasks / INSTANCE_TYPES[instance_class].tasks)
    target = provider.properties["AutoScalingGroupProvider"]["ManagedScaling"]["TargetCapacity"] / 100
    count = max(int(group.properties["MinSize"]), ceil(round(full / target, 6)))
    on_demand = min(base, count) if is_spot else count
    busy = sum(busy_cpus(one, estate) for one in services)
    return Fleet(instance_class, is_spot, on_demand, count - on_demand, busy, int(group.properties["MaxSize"]))


def template_of(group: Resource, estate: Estate) -> Mapping[str, Any]:
    """The data of the launch template of a group."""
    mixed = group.properties.get("MixedInstancesPolicy")
    found = mixed["LaunchTemplate"]["LaunchTemplateSpecification"] if mixed else group.properties["LaunchTemplate"]
    template = estate.templates.named(group.stack, found["LaunchTemplateId"])
    assert template
    data: Mapping[str, Any] = template.properties["LaunchTemplateData"]
    return data


def _kind(group: Resource, estate: Estate) -> tuple[str, bool, int]:
    """Type, whether it is Spot, and how many of it are not."""
    mixed = group.properties.get("MixedInstancesPolicy")
    if not mixed:
        return template_of(group, estate)["InstanceType"], False, 0
    first = mixed["LaunchTemplate"]["Overrides"][0]["InstanceType"]
    return first, True, mixed["InstancesDistribution"]["OnDemandBaseCapacity"]


def _arn_of(provider: Resource) -> object:
    return provider.properties["AutoScalingGroupProvider"]["AutoScalingGroupArn"]


def _uses(service: Resource, provider: Resource, estate: Estate) -> bool:
    strategies = service.properties.get("CapacityProviderStrategy", [])
    named = [one["CapacityProvider"] for one in strategies]
    return any(
        name == provider.properties.get("Name") or estate.templates.named(service.stack, name) == provider for name in named
    )


def _cpus(service: Resource, estate: Estate) -> float:
    task = estate.templates.named(service.stack, service.properties["TaskDefinition"])
    assert task
    return sum(float(container.get("Cpu", 0)) for container in task.properties["ContainerDefinitions"]) / CPU_UNITS
