"""The network: VPC, subnets, security groups, flow logs, the private DNS names, and the key of all logs."""

from dataclasses import dataclass

from aws_cdk import RemovalPolicy, aws_ec2, aws_iam, aws_kms, aws_logs, aws_servicediscovery
from constructs import Construct

from cdk.capacity import METRICS_PORTS, WEB_PORT
from cdk.config import Config
from cdk.stacks.estate_stack import EstateStack, accept
from cdk.stacks.nat import NatInstances

CIDR = "10.0.0.0/16"
PUBLIC = ("10.0.1.0/24", "10.0.2.0/24")
PRIVATE = ("10.0.3.0/24", "10.0.4.0/24")
NAMESPACE = "uptimemonitor.local"
TRAFFIC = {"all": aws_ec2.FlowLogTrafficType.ALL, "rejected": aws_ec2.FlowLogTrafficType.REJECT}
PROMETHEUS_PORT, GRAFANA_PORT, ALERTMANAGER_PORT = 9090, 3000, 9093


@dataclass(frozen=True, slots=True)
class Groups:
    """The security groups. All rules are made here; stacks that use a group cannot change it."""

    alb: aws_ec2.ISecurityGroup
    app: aws_ec2.ISecurityGroup
    checker: aws_ec2.ISecurityGroup
    monitoring: aws_ec2.ISecurityGroup
    database: aws_ec2.ISecurityGroup
    cache: aws_ec2.ISecurityGroup
    files: aws_ec2.ISecurityGroup

    def fixed(self, scope: Construct, name: str) -> aws_ec2.ISecurityGroup:
        """A group as another stack may use it: constructs add rules of their own to a group that they can change."""
        group = getattr(self, name)
        return aws_ec2.SecurityGroup.from_security_group_id(scope, f"{name}-group", group.security_group_id, mutable=False)


class NetworkStack(EstateStack):
    """One VPC for one environment."""

    def __init__(self, scope: Construct, config: Config) -> None:
        super().__init__(scope, "network", config)
        self.log_key = self._log_key()
        self.vpc = self._vpc()
        self.groups = self._groups()
        self.namespace = aws_servicediscovery.PrivateDnsNamespace(self, "Namespace", name=NAMESPACE, vpc=self.vpc)
        self.flow_log = self._flow_logs()

    def _log_key(self) -> aws_kms.Key:
        key = aws_kms.Key(
            self, "LogKey", enable_key_rotation=True, alias=f"alias/{self.config.env}-uptimemonitor-logs",
            description="Logs of Uptime Monitor", removal_policy=RemovalPolicy.RETAIN,
        )  # fmt: skip
        arn = f"arn:{self.partition}:logs:{self.region}:{self.account}:*"
        key.add_to_resource_policy(
            aws_iam.PolicyStatement(
                principals=[aws_iam.ServicePrincipal(f"logs.{self.region}.amazonaws.com")],
                actions=["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
                resources=["*"],  # in a key's policy, the key itself
                conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": arn}},
            )
        )
        return key

    def _vpc(self) -> aws_ec2.Vpc:
        subnets = [
            aws_ec2.SubnetConfiguration(name="public", subnet_type=aws_ec2.SubnetType.PUBLIC, cidr_mask=24, map_public_ip_on_launch=False),
            aws_ec2.SubnetConfiguration(name="private", subnet_type=aws_ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=24),
        ]  # fmt: skip
        nat = NatInstances() if self.config.nat == "instance" else None
        vpc = aws_ec2.Vpc(
            self, "Vpc", nat_gateway_provider=nat and nat.provider, ip_protocol=aws_ec2.IpProtocol.DUAL_STACK,
            ip_addresses=aws_ec2.IpAddresses.cidr(CIDR),
            availability_zones=self.config.zones, nat_gateways=self.config.nat_gateways, subnet_configuration=subnets,
            restrict_default_security_group=False,
        )  # fmt: skip
        for subnet, cidr in zip([*vpc.public_subnets, *vpc.private_subnets], [*PUBLIC, *PRIVATE], strict=True):
            subnet.node.default_child.add_property_override("CidrBlock", cidr)  # the CDK counts from 10.0.0.0
        if nat:
            nat.guard(self, CIDR)
        vpc.add_gateway_endpoint("S3", service=aws_ec2.GatewayVpcEndpointAwsService.S3)
        vpc.add_gateway_endpoint("DynamoDB", service=aws_ec2.GatewayVpcEndpointAwsService.DYNAMODB)
        return vpc

    def _groups(self) -> Groups:
        nouns = ("alb", "app", "checker", "monitoring", "database", "cache", "files")
        groups = Groups(**{noun: self._group(noun) for noun in nouns})
        accept(groups.alb, {"AwsSolutions-EC23": "The load balancer is what the world may reach, as specified."})
        tcp, anywhere = aws_ec2.Port.tcp, (aws_ec2.Peer.any_ipv4(), aws_ec2.Peer.any_ipv6())
        for peer in anywhere:
            for port in (80, 443):
                groups.alb.add_ingress_rule(peer, tcp(port), "users")
                groups.app.add_egress_rule(peer, tcp(port), "AWS, and websites that are checked")
            groups.monitoring.add_egress_rule(peer, tcp(443), "images, and AWS")
            groups.checker.add_egress_rule(peer, aws_ec2.Port.all_tcp(), "monitors on any port")
            groups.checker.add_egress_rule(peer, aws_ec2.Port.udp(53), "name servers of monitors")
            groups.checker.add_egress_rule(peer, aws_ec2.Port.udp(443), "HTTP/3")
        allow(groups.alb, groups.app, WEB_PORT, "web")
        allow(groups.alb, groups.monitoring, GRAFANA_PORT, "Grafana")
        allow(groups.app, groups.app, None, "between tasks")
        allow(groups.app, groups.monitoring, PROMETHEUS_PORT, "Prometheus")
        allow(groups.app, groups.database, 5432, "PostgreSQL")
        allow(groups.app, groups.cache, 6379, "Redis")
        allow(groups.monitoring, groups.monitoring, None, "between tasks")
        for port in (WEB_PORT, *METRICS_PORTS.values()):
            allow(groups.monitoring, groups.app, port, "metrics")
        allow(groups.monitoring, groups.files, 2049, "EFS")
        return groups

    def _group(self, noun: str) -> aws_ec2.SecurityGroup:
        return aws_ec2.SecurityGroup(
            self, f"{noun}-group", vpc=self.vpc, allow_all_outbound=False, description=f"Uptime Monitor {self.config.env}: {noun}"
        )

    def _flow_logs(self) -> aws_logs.LogGroup:
        """The stack of the data, which comes later, sees that they are kept."""
        group = aws_logs.LogGroup(
            self, "FlowLog", log_group_name=f"/{self.config.env}/vpc", retention=aws_logs.RetentionDays.ONE_WEEK,
            encryption_key=self.log_key, removal_policy=RemovalPolicy.DESTROY,
        )  # fmt: skip
        self.vpc.add_flow_log(
            "Flows",
            destination=aws_ec2.FlowLogDestination.to_cloud_watch_logs(group),
            traffic_type=TRAFFIC[self.config.flow_logs],
        )
        return group


def allow(source: aws_ec2.ISecurityGroup, target: aws_ec2.ISecurityGroup, port: int | None, why: str) -> None:
    """Let one group connect to another: a rule on each side."""
    what = aws_ec2.Port.tcp(port) if port else aws_ec2.Port.all_traffic()
    source.add_egress_rule(target, what, why)
    target.add_ingress_rule(source, what, why)
