"""Defects of moto that would stop the rehearsal, corrected.

`Ref`, `Fn::GetAtt` and the deletion of some resources; stacks are deleted in the order of a set, so that now and then a VPC goes before
what is in it; and an update knows no previous value of a parameter whose default was taken.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Final

from moto.cloudformation.models import CloudFormationBackend
from moto.cloudformation.parsing import ResourceMap
from moto.ec2.models import ec2_backends
from moto.ec2.models.nat_gateways import NatGateway
from moto.ec2.models.route_tables import RouteTable
from moto.ec2.models.vpcs import VPCEndPoint
from moto.efs.models import AccessPoint, FileSystem
from moto.elbv2.models import FakeLoadBalancer, FakeTargetGroup
from moto.events.models import EventBus
from moto.rds.models import DBParameterGroup

REFERENCES: Final[Mapping[Any, str]] = {AccessPoint: "access_point_id", DBParameterGroup: "name", EventBus: "name"}
"""Models without an id of their own for `Ref`, which gives the model itself; and what it should give."""

ATTRIBUTES: Final[Mapping[Any, Mapping[str, str]]] = {
    FileSystem: {"Arn": "file_system_arn"},
    FakeLoadBalancer: {"CanonicalHostedZoneID": "canonical_hosted_zone_id", "DNSName": "dns_name", "LoadBalancerFullName": "arn"},
    FakeTargetGroup: {"TargetGroupFullName": "arn"},
}
"""Models that know of no attributes, and where they have those that are asked for."""

DELETIONS: Final[Mapping[Any, Callable[[Any, str], object]]] = {
    NatGateway: lambda ec2, id_: ec2.delete_nat_gateway(id_),
    RouteTable: lambda ec2, id_: ec2.delete_route_table(id_),
    VPCEndPoint: lambda ec2, id_: ec2.delete_vpc_endpoints([id_]),
}
"""Models that stay when their stack is deleted, and how they are deleted."""


def install() -> None:
    """Correct moto in this process."""
    for model, attribute in REFERENCES.items():
        model.physical_resource_id = property(attrgetter(attribute))
    for model, attributes in ATTRIBUTES.items():
        model.get_cfn_attribute = _reader(attributes)
    for model, remove in DELETIONS.items():
        model.delete = _deleter(remove)
    resources, stacks = _classes()
    resources.delete = delete
    stacks._resolve_update_parameters = update_parameters


def _classes() -> tuple[Any, ...]:
    """The classes to correct; `Any` because a method is not assignable to a type checker."""
    return ResourceMap, CloudFormationBackend


def _reader(attributes: Mapping[str, str]) -> Any:
    return lambda model, name: getattr(model, attributes[name])


def delete(resources: Any) -> None:
    """Delete what a stack made, the last first; what it should retain stays.

    All of it stays in the stack's memory: moto makes again what it misses there when somebody asks for the outputs of the deleted stack.
    """
    made = resources._parsed_resources
    wanted = resources._resource_json_map
    for name in reversed([name for name in made if name in wanted]):
        if made[name] is not None and wanted[name].get("DeletionPolicy") != "Retain":
            resources._delete_resource(made[name], wanted[name])


def _deleter(remove: Callable[[Any, str], object]) -> Any:
    return lambda model, account, region: remove(ec2_backends[account][region], model.id)


_original_parameters: Any = CloudFormationBackend._resolve_update_parameters


def update_parameters(backend: Any, instance: Any, incoming_params: list[dict[str, str]]) -> Any:
    """The values of an update; the previous one of a parameter that nobody gave is its default."""
    for name, parameter in instance.template_dict.get("Parameters", {}).items():
        if "Default" in parameter:
            instance.parameters.setdefault(name, parameter["Default"])
    return _original_parameters(backend, instance, incoming_params)
