"""Meters of what runs, and of the network that it talks through."""

from collections.abc import Iterator, Mapping
from typing import Final

from cdk.capacity import INSTANCE_TYPES
from cdk.cost.fleet import fleet, template_of
from cdk.cost.line import Estate, Meter, Use
from cdk.cost.load import HOURS
from cdk.cost.template import Resource

DETAILED_METRICS: Final = 7
"""Of an instance, where its launch template asks for one value a minute."""
ACCESS_OF_A_ZONE: Final = 0.5
"""Of two zones one is the other one for half of what is sent between any two."""
CONNECTIONS_OF_AN_LCU: Final = 25 * 3600
GB_OF_AN_LCU: Final = 1.0


def group(resource: Resource, estate: Estate) -> Iterator[Use]:
    """Instances, their disks, their metrics, and CPU beyond what their type may use for ever."""
    found, hours = fleet(resource, estate), estate.hours_of(resource)
    name, data = f"ec2.{found.instance_class}", template_of(resource, estate)
    if found.on_demand:
        yield Use(name, found.on_demand * hours, f"{found.on_demand} {found.instance_class}")
    if found.spot:
        yield Use(f"{name}@spot", found.spot * hours, f"{found.spot} {found.instance_class}, Spot")
    for mapping in data["BlockDeviceMappings"]:
        disk = mapping["Ebs"]
        yield Use(f"ebs.{disk['VolumeType']}", found.instances * disk["VolumeSize"] * estate.months_of(resource), "their disks")
    if data.get("Monitoring", {}).get("Enabled"):
        yield Use("metric", found.instances * DETAILED_METRICS * estate.months_of(resource), "their metrics, every minute")
    if found.surplus_cpus:
        architecture = INSTANCE_TYPES[found.instance_class].architecture
        yield Use(f"ec2.credits.{architecture}", found.surplus_cpus * hours, "CPU beyond the baseline")


def instance(resource: Resource, estate: Estate) -> Iterator[Use]:
    """A single instance: here one that does NAT, which has a public address."""
    hours = estate.hours_of(resource)
    yield Use(f"ec2.{resource.properties['InstanceType']}", hours, resource.properties["InstanceType"])
    for mapping in resource.properties["BlockDeviceMappings"]:
        yield Use(f"ebs.{mapping['Ebs']['VolumeType']}", mapping["Ebs"]["VolumeSize"] * hours / HOURS, "its disk")
    public = [one for one in resource.properties["NetworkInterfaces"] if one.get("AssociatePublicIpAddress")]
    yield Use("ipv4", len(public) * hours, "public address")
    yield from _nat_traffic(estate, len(estate.templates.of("AWS::EC2::Instance")))


def nat_gateway(resource: Resource, estate: Estate) -> Iterator[Use]:
    """A gateway, and every byte of every check, both ways."""
    gateways = len(estate.templates.of("AWS::EC2::NatGateway"))
    yield Use("nat.hour", estate.hours_of(resource), "gateway")
    yield Use("nat.data", estate.awake * estate.load.checked_gb / gateways, "checks, both ways")
    yield from _nat_traffic(estate, gateways)


def _nat_traffic(estate: Estate, ways: int) -> Iterator[Use]:
    """What checks send out, and what of them comes from the zone that has no NAT."""
    yield Use("transfer.out", estate.awake * estate.load.sent_gb / ways, "checks, sent")
    if ways == 1:
        yield Use("transfer.zone", estate.awake * estate.load.checked_gb * ACCESS_OF_A_ZONE, "checks from the other zone")


def address(resource: Resource, estate: Estate) -> Iterator[Use]:
    """A public address."""
    yield Use("ipv4", estate.hours_of(resource), "public address")


def service(resource: Resource, estate: Estate) -> Iterator[Use]:
    """Tasks on Fargate; those on instances are paid with them."""
    if resource.properties.get("LaunchType") != "FARGATE":
        return
    task = estate.templates.named(resource.stack, resource.properties["TaskDefinition"])
    assert task
    platform = task.properties.get("RuntimePlatform", {}).get("CpuArchitecture", "X86_64").lower()
    hours = resource.properties["DesiredCount"] * estate.hours_of(resource)
    noun = resource.properties["ServiceName"].rpartition("-")[2]
    yield Use(f"fargate.{platform}.cpu", int(task.properties["Cpu"]) / 1024 * hours, f"{noun}, CPU")
    yield Use(f"fargate.{platform}.memory", int(task.properties["Memory"]) / 1024 * hours, f"{noun}, memory")


def balancer(resource: Resource, estate: Estate) -> Iterator[Use]:
    """A load balancer, an address in each of its subnets, and what it passes."""
    hours, load = estate.hours_of(resource), estate.load
    units = max(load.web_requests / CONNECTIONS_OF_AN_LCU, load.web_gb / GB_OF_AN_LCU)
    yield Use("alb.hour", hours, "load balancer")
    yield Use("ipv4", len(resource.properties["Subnets"]) * hours, "public addresses")
    yield Use("alb.lcu", estate.awake * units, "requests")
    yield Use("transfer.out", estate.awake * load.web_gb, "answers")


def endpoint(resource: Resource, estate: Estate) -> Iterator[Use]:
    """Endpoints for S3 and DynamoDB are gateways and free; others are interfaces in each zone."""
    if resource.properties.get("VpcEndpointType") == "Interface":
        yield Use("endpoint.hour", len(resource.properties["SubnetIds"]) * estate.hours_of(resource), "interfaces")


def pages(_: Resource, estate: Estate) -> Iterator[Use]:
    """CloudFront passes what the load balancer would send."""
    yield Use("cloudfront.requests", estate.awake * estate.load.web_requests / 1e6, "requests")
    yield Use("cloudfront.out", estate.awake * estate.load.web_gb, "answers")


METERS: Final[Mapping[str, Meter]] = {
    "AWS::AutoScaling::AutoScalingGroup": group,
    "AWS::CloudFront::Distribution": pages,
    "AWS::EC2::EIP": address,
    "AWS::EC2::Instance": instance,
    "AWS::EC2::NatGateway": nat_gateway,
    "AWS::EC2::VPCEndpoint": endpoint,
    "AWS::ECS::Service": service,
    "AWS::ElasticLoadBalancingV2::LoadBalancer": balancer,
}
