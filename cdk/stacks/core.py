"""The core: cluster, instances, load balancer, and the services web, worker and control."""

from aws_cdk import (
    Duration,
    aws_applicationautoscaling,
    aws_autoscaling,
    aws_certificatemanager,
    aws_cloudwatch,
    aws_ec2,
    aws_ecs,
    aws_iam,
    aws_route53,
    aws_route53_targets,
)
from aws_cdk import (
    aws_elasticloadbalancingv2 as elb,
)
from constructs import Construct

from cdk.capacity import WEB_PORT, alternatives, instances_for, most_instances_for, spot_instances_for
from cdk.config import Config
from cdk.stacks.data import DataStack
from cdk.stacks.edge import EdgeStack
from cdk.stacks.estate_stack import EstateStack, accept
from cdk.stacks.events import EventsStack
from cdk.stacks.network import NetworkStack
from cdk.stacks.tasks import METRICS_NAMESPACE, Tasks

COOLDOWN = Duration.seconds(300)
HARDWARE = {"arm64": aws_ecs.AmiHardwareType.ARM, "x86_64": aws_ecs.AmiHardwareType.STANDARD}
QUEUE_LENGTH = "QueueLength"


class CoreStack(EstateStack):
    """What runs all the time, in containers on instances of ours."""

    def __init__(
        self, scope: Construct, config: Config, *, network: NetworkStack, data: DataStack, events: EventsStack, edge: EdgeStack
    ) -> None:
        super().__init__(scope, "core", config)
        self.network, self.data, self.edge = network, data, edge
        self.zone = edge.zone and aws_route53.PublicHostedZone.from_public_hosted_zone_attributes(
            self, "Zone", hosted_zone_id=config.hosted_zone_id, zone_name=config.domain
        )
        self.cluster = aws_ecs.Cluster(
            self, "Cluster", cluster_name=f"{config.env}-uptimemonitor-cluster", vpc=network.vpc,
            container_insights_v2=aws_ecs.ContainerInsights.ENABLED if config.detailed_metrics else aws_ecs.ContainerInsights.DISABLED,
        )  # fmt: skip
        accept(
            self.cluster,
            {} if config.detailed_metrics else {"AwsSolutions-ECS4": "detailed_metrics is off: tasks are counted without."},
        )
        self.capacity = self._capacity("Instances", instances_for(config), most_instances_for(config), spot=False)
        self.spot = (
            self._capacity("SpotInstances", *spot_instances_for(config), spot=True) if config.spot_workers else self.capacity
        )
        self.balancer = self._balancer()
        public_url = config.public_url or f"http://{self.balancer.load_balancer_dns_name}"
        self.tasks = Tasks(self, config, network, data, events, ping_url=edge.ping_url, public_url=public_url)
        self.web = self._service("web", config.web_tasks, self.tasks.web, ["app"], self.capacity)
        self.worker = self._service("worker", config.worker_tasks, self.tasks.worker, ["app", "checker"], self.spot)
        self.control = self._service("control", config.control_tasks, self.tasks.control, ["app"], self.capacity)
        self.listener = self._listen()
        self._scale()

    def _capacity(self, noun: str, least: int, most: int, *, spot: bool) -> aws_ecs.AsgCapacityProvider:
        role = aws_iam.Role(self, f"{noun}Role", assumed_by=aws_iam.ServicePrincipal("ec2.amazonaws.com"))
        role.add_managed_policy(aws_iam.ManagedPolicy.from_aws_managed_policy_name(SESSIONS))
        accept(role, INSTANCE_ROLE_REASONS)
        kind = aws_ec2.InstanceType(self.config.instance_class)
        image = aws_ecs.EcsOptimizedImage.amazon_linux2023(HARDWARE[self.config.architecture])
        template = aws_ec2.LaunchTemplate(
            self, f"{noun}Template", instance_type=None if spot else kind, machine_image=image,
            role=role, security_group=self.network.groups.fixed(Construct(self, f"{noun}-groups"), "app"), require_imdsv2=True,
            http_put_response_hop_limit=1, detailed_monitoring=self.config.detailed_metrics, user_data=aws_ec2.UserData.for_linux(),
            block_devices=[_disk()],
        )  # fmt: skip
        group = self._group(noun, template, least, most, spot=spot)
        provider = aws_ecs.AsgCapacityProvider(
            self, f"{noun}Provider", auto_scaling_group=group, enable_managed_scaling=True,
            target_capacity_percent=100 - self.config.spare_percent,
            enable_managed_termination_protection=True, enable_managed_draining=True, minimum_scaling_step_size=1,
            maximum_scaling_step_size=2, instance_warmup_period=120,
            capacity_provider_name=f"{self.config.env}-uptimemonitor-{noun.lower()}",
        )  # fmt: skip
        self.cluster.add_asg_capacity_provider(provider)
        group.scale_on_cpu_utilization("Busy", target_utilization_percent=75, disable_scale_in=True, cooldown=COOLDOWN)
        return provider

    def _group(
        self, noun: str, template: aws_ec2.LaunchTemplate, least: int, most: int, *, spot: bool
    ) -> aws_autoscaling.AutoScalingGroup:
        mixed = aws_autoscaling.MixedInstancesPolicy(
            launch_template=template,
            launch_template_overrides=[
                aws_autoscaling.LaunchTemplateOverrides(instance_type=aws_ec2.InstanceType(name))
                for name in alternatives(self.config.instance_class)
            ],
            instances_distribution=aws_autoscaling.InstancesDistribution(
                on_demand_base_capacity=1 if self.config.is_prod else 0,  # where Spot has nothing left, somebody still checks
                on_demand_percentage_above_base_capacity=0,
                spot_allocation_strategy=aws_autoscaling.SpotAllocationStrategy.PRICE_CAPACITY_OPTIMIZED,
            ),
        )  # fmt: skip
        group = aws_autoscaling.AutoScalingGroup(
            self, noun, vpc=self.network.vpc, min_capacity=least, max_capacity=most, capacity_rebalance=spot or None,
            vpc_subnets=aws_ec2.SubnetSelection(subnet_type=aws_ec2.SubnetType.PRIVATE_WITH_EGRESS),
            new_instances_protected_from_scale_in=True, group_metrics=[aws_autoscaling.GroupMetrics.all()],
            **({"mixed_instances_policy": mixed} if spot else {"launch_template": template}),
        )  # fmt: skip
        accept(
            group,
            {"AwsSolutions-EC26": "The launch template encrypts the disk; the rule cannot read a mixed policy."} if spot else {},
        )
        accept(
            group, {"AwsSolutions-AS3": "The capacity provider replaces instances; alarms tell of tasks, which is what matters."}
        )
        return group

    def _balancer(self) -> elb.ApplicationLoadBalancer:
        balancer = elb.ApplicationLoadBalancer(
            self, "Balancer", vpc=self.network.vpc, internet_facing=True, security_group=self.network.groups.fixed(self, "alb"),
            drop_invalid_header_fields=True, deletion_protection=self.config.is_prod, idle_timeout=Duration.seconds(60),
        )  # fmt: skip
        balancer.log_access_logs(self.data.logs, "alb")
        if self.zone:
            target = aws_route53.RecordTarget.from_alias(aws_route53_targets.LoadBalancerTarget(balancer))
            for noun, host in (("Web", self.config.domain), ("Grafana", self.config.grafana_host)):
                aws_route53.ARecord(self, f"{noun}Address", zone=self.zone, record_name=host, target=target)
        return balancer

    def _listen(self) -> elb.ApplicationListener:
        health = elb.HealthCheck(
            path="/health/", healthy_http_codes="200", healthy_threshold_count=2, unhealthy_threshold_count=3,
            timeout=Duration.seconds(5), interval=Duration.seconds(30),
        )  # fmt: skip
        group = elb.ApplicationTargetGroup(
            self, "Web", vpc=self.network.vpc, port=WEB_PORT, protocol=elb.ApplicationProtocol.HTTP, target_type=elb.TargetType.IP,
            targets=[self.web.load_balancer_target(container_name="web", container_port=WEB_PORT)], health_check=health,
            deregistration_delay=Duration.seconds(30),
        )  # fmt: skip
        self.web_targets = group
        if not self.zone:
            return self.balancer.add_listener("Http", port=80, open=False, default_target_groups=[group])
        certificate = aws_certificatemanager.Certificate(
            self, "Certificate", domain_name=self.config.domain, subject_alternative_names=[self.config.grafana_host],
            validation=aws_certificatemanager.CertificateValidation.from_dns(self.zone),
        )  # fmt: skip
        away = elb.ListenerAction.redirect(protocol="HTTPS", port="443", permanent=True)
        self.balancer.add_listener("Http", port=80, open=False, default_action=away)
        return self.balancer.add_listener(
            "Https", port=443, open=False, certificates=[certificate], ssl_policy=elb.SslPolicy.RECOMMENDED_TLS,
            default_target_groups=[group],
        )  # fmt: skip

    def _service(
        self, noun: str, wanted: int, task: aws_ecs.Ec2TaskDefinition, groups: list[str], capacity: aws_ecs.AsgCapacityProvider
    ) -> aws_ecs.Ec2Service:
        name = f"{self.config.env}-uptimemonitor-{noun}"
        scope = Construct(self, f"{noun}-groups")
        service = aws_ecs.Ec2Service(
            self, f"{noun}-service", service_name=name, cluster=self.cluster, task_definition=task, desired_count=wanted,
            security_groups=[self.network.groups.fixed(scope, group) for group in groups],
            vpc_subnets=aws_ec2.SubnetSelection(subnet_type=aws_ec2.SubnetType.PRIVATE_WITH_EGRESS),
            min_healthy_percent=50, max_healthy_percent=200, enable_execute_command=False,
            propagate_tags=aws_ecs.PropagatedTagSource.SERVICE,
            capacity_provider_strategies=[aws_ecs.CapacityProviderStrategy(capacity_provider=capacity.capacity_provider_name, weight=1)],
            circuit_breaker=aws_ecs.DeploymentCircuitBreaker(enable=True, rollback=True),
            placement_strategies=[
                aws_ecs.PlacementStrategy.spread_across("attribute:ecs.availability-zone"),
                aws_ecs.PlacementStrategy.packed_by_memory(),
            ],
            cloud_map_options=aws_ecs.CloudMapOptions(cloud_map_namespace=self.network.namespace, name=noun, dns_ttl=Duration.seconds(15)),
            health_check_grace_period=Duration.seconds(60) if noun == "web" else None,
        )  # fmt: skip
        service.node.add_dependency(capacity)
        return service

    def _scale(self) -> None:
        for service, wanted in ((self.web, self.config.web_tasks), (self.worker, self.config.worker_tasks)):
            scaling = service.auto_scale_task_count(min_capacity=wanted, max_capacity=self.config.max_tasks)
            scaling.scale_on_cpu_utilization(
                "Cpu", target_utilization_percent=70, scale_in_cooldown=COOLDOWN, scale_out_cooldown=COOLDOWN
            )
            if service is self.worker:
                self.queue_length = aws_cloudwatch.Metric(
                    namespace=METRICS_NAMESPACE, metric_name=QUEUE_LENGTH, dimensions_map={"Environment": self.config.env},
                    statistic="Maximum", period=Duration.minutes(1),
                )  # fmt: skip
                steps = [{"change": -1, "upper": 10}, {"change": 1, "lower": 100}, {"change": 3, "lower": 1000}]
                scaling.scale_on_metric(
                    "Queue", metric=self.queue_length, evaluation_periods=5, cooldown=COOLDOWN,
                    adjustment_type=aws_applicationautoscaling.AdjustmentType.CHANGE_IN_CAPACITY, scaling_steps=steps,
                )  # fmt: skip


def _disk() -> aws_ec2.BlockDevice:
    volume = aws_ec2.BlockDeviceVolume.ebs(30, encrypted=True, volume_type=aws_ec2.EbsDeviceVolumeType.GP3)
    return aws_ec2.BlockDevice(device_name="/dev/xvda", volume=volume)


SESSIONS = "AmazonSSMManagedInstanceCore"
INSTANCE_ROLE_REASONS = {
    f"AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{SESSIONS}]": "Session Manager in place of SSH.",
    "AwsSolutions-IAM5[Action::ecs:Submit*]": "The three calls with which the agent tells ECS of states, on this cluster alone.",
    "AwsSolutions-IAM5[Resource::*]": "Discovery of the agent's endpoint, and logging in to the registry, have no narrower resource.",
}
