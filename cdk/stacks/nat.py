"""NAT on instances of ours, where a gateway costs more than what is behind it: small environments, and very many checks."""

from aws_cdk import Duration, aws_cloudwatch, aws_ec2
from aws_cdk.aws_cloudwatch_actions import Ec2Action, Ec2InstanceAction

from cdk.stacks.estate_stack import EstateStack, accept

INSTANCE_CLASS = "t4g.micro"
"""Half a gigabyte (nano) is too little for the package manager at the first start."""
DISK_GIB = 8


class NatInstances:
    """As many instances as there would be gateways; `provider` is what the VPC makes them with."""

    def __init__(self) -> None:
        arm = aws_ec2.AmazonLinuxCpuType.ARM_64
        self.provider = aws_ec2.NatInstanceProviderV2(
            instance_type=aws_ec2.InstanceType(INSTANCE_CLASS), associate_public_ip_address=True,
            machine_image=aws_ec2.MachineImage.latest_amazon_linux2023(cpu_type=arm),
            default_allowed_traffic=aws_ec2.NatTrafficDirection.OUTBOUND_ONLY,
        )  # fmt: skip

    def guard(self, stack: EstateStack, cidr: str) -> None:
        """Let the VPC through and nobody in, harden the instances, and restart one that hangs; a host that fails AWS replaces by itself."""
        self.provider.security_group.add_ingress_rule(
            aws_ec2.Peer.ipv4(cidr), aws_ec2.Port.all_traffic(), "the VPC, on its way out"
        )
        for number, instance in enumerate(self.provider.gateway_instances, 1):
            bare = instance.node.default_child
            bare.add_property_override("MetadataOptions", {"HttpTokens": "required", "HttpEndpoint": "enabled"})
            disk = aws_ec2.CfnInstance.EbsProperty(volume_size=DISK_GIB, volume_type="gp3", encrypted=True)
            bare.block_device_mappings = [aws_ec2.CfnInstance.BlockDeviceMappingProperty(device_name="/dev/xvda", ebs=disk)]
            accept(instance, NAT_REASONS)
            hangs = aws_cloudwatch.Metric(
                namespace="AWS/EC2", metric_name="StatusCheckFailed_Instance", statistic="Maximum", period=Duration.minutes(1),
                dimensions_map={"InstanceId": instance.instance_id},
            )  # fmt: skip
            alarm = hangs.create_alarm(
                stack, f"nat-{number}-hangs", alarm_name=f"{stack.config.env}-uptimemonitor-nat-{number}-hangs", threshold=0,
                evaluation_periods=3, comparison_operator=aws_cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            )  # fmt: skip
            alarm.add_alarm_action(Ec2Action(Ec2InstanceAction.REBOOT))


NAT_REASONS = {
    "AwsSolutions-EC28": "Its status checks are free, every minute, and restart it; of its CPU nobody asks.",
    "AwsSolutions-EC29": "It holds nothing: CloudFormation makes another one.",
}
