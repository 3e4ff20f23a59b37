"""Where logs are: encrypted and for a week in CloudWatch, where people look; then in the bucket of logs, whose rules move and delete them.

One stream of Firehose takes what all groups get, at once and not at the end of the week: an export needs somebody who starts it for each
group and each day, one at a time in an account.
"""

from aws_cdk import RemovalPolicy, Stack, aws_iam, aws_kinesisfirehose, aws_kms, aws_logs, aws_s3
from constructs import Construct

from cdk.config import Config
from cdk.stacks.estate_stack import accept

PREFIX = "services/"
FAILED = "failed/"


class LogArchive(Construct):
    """Makes the groups of an environment, and keeps what they get."""

    def __init__(self, scope: Construct, config: Config, *, bucket: aws_s3.Bucket, key: aws_kms.IKey) -> None:
        super().__init__(scope, "LogArchive")
        self.config, self.key = config, key
        self.stream = self._stream(bucket)
        self.sender = self._sender()

    def group(self, scope: Construct, noun: str, name: str) -> aws_logs.LogGroup:
        """A group of the given name."""
        group = aws_logs.LogGroup(
            scope, noun, log_group_name=name, retention=aws_logs.RetentionDays.ONE_WEEK, encryption_key=self.key,
            removal_policy=RemovalPolicy.DESTROY,
        )  # fmt: skip
        self.keep(scope, noun, group)
        return group

    def keep(self, scope: Construct, noun: str, group: aws_logs.ILogGroup) -> None:
        """Keep what a group gets that was made elsewhere."""
        kept = aws_logs.CfnSubscriptionFilter(
            scope, f"{noun}-kept", log_group_name=group.log_group_name, destination_arn=self.stream.attr_arn,
            role_arn=self.sender.role_arn, filter_pattern="",
        )  # fmt: skip
        if Stack.of(scope) is Stack.of(self):
            kept.node.add_dependency(self.sender)  # CloudWatch tries it at once

    def _stream(self, bucket: aws_s3.Bucket) -> aws_kinesisfirehose.CfnDeliveryStream:
        role = aws_iam.Role(self, "Writer", assumed_by=aws_iam.ServicePrincipal("firehose.amazonaws.com"))
        # The ARN is spelled out: findings about wildcards name it.
        arn = f"arn:aws:s3:::{self.config.bucket(f'{self.config.env}-uptimemonitor-logs')}"
        objects = [f"{arn}/{PREFIX}*", f"{arn}/{FAILED}*"]
        rights = {"s3:PutObject": objects, "s3:AbortMultipartUpload": objects, "s3:GetBucketLocation": [arn]}
        rights |= {"s3:ListBucket": [arn], "s3:ListBucketMultipartUploads": [arn]}
        for action, resources in rights.items():
            role.add_to_policy(aws_iam.PolicyStatement(actions=[action], resources=resources))
        accept(role, {f"AwsSolutions-IAM5[Resource::{one}]": "Firehose names the objects." for one in objects})
        encrypted = aws_kinesisfirehose.CfnDeliveryStream.DeliveryStreamEncryptionConfigurationInputProperty(
            key_type="AWS_OWNED_CMK"
        )
        target = aws_kinesisfirehose.CfnDeliveryStream.ExtendedS3DestinationConfigurationProperty(
            bucket_arn=bucket.bucket_arn, role_arn=role.role_arn, prefix=f"{PREFIX}!{{timestamp:yyyy/MM/dd}}/", file_extension=".gz",
            error_output_prefix=f"{FAILED}!{{firehose:error-output-type}}/!{{timestamp:yyyy/MM/dd}}/",
            compression_format="UNCOMPRESSED",  # CloudWatch has packed them already
            buffering_hints=aws_kinesisfirehose.CfnDeliveryStream.BufferingHintsProperty(interval_in_seconds=300, size_in_m_bs=64),
        )  # fmt: skip
        stream = aws_kinesisfirehose.CfnDeliveryStream(
            self, "Stream", delivery_stream_name=f"{self.config.env}-uptimemonitor-logs", delivery_stream_type="DirectPut",
            delivery_stream_encryption_configuration_input=encrypted, extended_s3_destination_configuration=target,
        )  # fmt: skip
        stream.node.add_dependency(role)
        return stream

    def _sender(self) -> aws_iam.Role:
        stack = Stack.of(self)
        source = f"arn:{stack.partition}:logs:{stack.region}:{stack.account}:*"
        ours = aws_iam.ServicePrincipal("logs.amazonaws.com", conditions={"StringLike": {"aws:SourceArn": source}})
        sender = aws_iam.Role(self, "Sender", assumed_by=ours)
        actions = ["firehose:PutRecord", "firehose:PutRecordBatch"]
        sender.add_to_policy(aws_iam.PolicyStatement(actions=actions, resources=[self.stream.attr_arn]))
        return sender
