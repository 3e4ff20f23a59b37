"""Mails that are pings: SES stores them and tells a topic, the topic fills a queue, a function of the ping Lambda reads it (ADR 125)."""

from collections.abc import Callable

from aws_cdk import Duration, RemovalPolicy, Stack, aws_lambda_event_sources, aws_route53, aws_s3, aws_ses, aws_sns
from aws_cdk.aws_ses_actions import S3
from aws_cdk.aws_sns_subscriptions import SqsSubscription
from constructs import Construct

from cdk.config import Config
from cdk.stacks.data import DataStack
from cdk.stacks.estate_stack import accept
from cdk.stacks.events import QueuePair
from cdk.stacks.lambdas import EstateFunction
from core.contracts.queues import MAIL_TIMEOUT_S, mails


class PingMail(Construct):
    """The way of a mail from the MX record to the function. The rule set must be made the active one by hand: an account has one."""

    def __init__(
        self, scope: Construct, config: Config, *, data: DataStack,
        may_record: Callable[[EstateFunction], None], zone: aws_route53.IHostedZone,
    ) -> None:  # fmt: skip
        super().__init__(scope, "PingMail")
        self.config, region = config, Stack.of(self).region
        self.pair = QueuePair(self, mails(config.names))
        self.bucket = self._bucket(data.logs)
        topic = aws_sns.Topic(self, "Topic", topic_name=f"{config.env}-uptimemonitor-mails", enforce_ssl=True)
        topic.add_subscription(SqsSubscription(self.pair.queue, raw_message_delivery=True))
        aws_route53.MxRecord(
            self, "Mx", zone=zone, record_name=config.ping_host,
            values=[aws_route53.MxRecordValue(host_name=f"inbound-smtp.{region}.amazonaws.com", priority=10)],
        )  # fmt: skip
        rules = aws_ses.ReceiptRuleSet(self, "Rules", receipt_rule_set_name=f"{config.env}-uptimemonitor")
        rules.add_rule(
            "Pings", recipients=[config.ping_host], scan_enabled=False, tls_policy=aws_ses.TlsPolicy.OPTIONAL,
            actions=[S3(bucket=self.bucket, topic=topic)],
        )  # fmt: skip
        self.function = self._function(data, may_record)

    def _bucket(self, logs: aws_s3.IBucket) -> aws_s3.Bucket:
        name = self.config.bucket(self.config.names.ping_mail_bucket)
        return aws_s3.Bucket(
            self, "Mails", bucket_name=name, enforce_ssl=True, encryption=aws_s3.BucketEncryption.S3_MANAGED,
            block_public_access=aws_s3.BlockPublicAccess.BLOCK_ALL, lifecycle_rules=[aws_s3.LifecycleRule(expiration=Duration.days(30))],
            removal_policy=RemovalPolicy.RETAIN, server_access_logs_bucket=logs, server_access_logs_prefix="s3/PingMail/",
        )  # fmt: skip

    def _function(self, data: DataStack, may_record: Callable[[EstateFunction], None]) -> EstateFunction:
        environment = {
            "UPTIME_ENV": self.config.env, "PING_BODIES_BUCKET": data.ping_bodies.bucket_name,
            "PING_MAIL_BUCKET": self.bucket.bucket_name, "PING_MAIL_DOMAIN": self.config.ping_host,
        }  # fmt: skip
        function = EstateFunction(
            self, "ping-mail", self.config, data.archive, package="ping", handler="lambdas.ping.mail.mail_handler",
            timeout_s=MAIL_TIMEOUT_S, memory_mib=512, environment=environment,
        )  # fmt: skip
        may_record(function)
        mails_of_bucket = f"arn:aws:s3:::{self.config.bucket(self.config.names.ping_mail_bucket)}/*"
        function.may(["s3:GetObject"], mails_of_bucket)
        function.may(["s3:ListBucket"], self.bucket.bucket_arn)
        accept(function.role, {f"AwsSolutions-IAM5[Resource::{mails_of_bucket}]": "SES names the objects."})
        source = aws_lambda_event_sources.SqsEventSource(
            self.pair.queue, batch_size=1, report_batch_item_failures=True, max_concurrency=10
        )
        function.function.add_event_source(source)
        return function
