"""The edge: pings in, alerts out. API Gateway with its own name and a limit by address, and the Lambdas behind it and behind the queues."""

from collections.abc import Mapping

from aws_cdk import (
    aws_apigateway,
    aws_certificatemanager,
    aws_lambda_event_sources,
    aws_route53,
    aws_route53_targets,
    aws_ses,
    aws_wafv2,
)
from constructs import Construct

from cdk.config import Config
from cdk.stacks.data import DataStack, bodies_reason
from cdk.stacks.estate_stack import EstateStack, accept
from cdk.stacks.events import EventsStack
from cdk.stacks.lambdas import EstateFunction
from cdk.stacks.network import NetworkStack
from cdk.stacks.ping_mail import PingMail
from core.contracts.queues import DISPATCH_TIMEOUT_S

ROUTES = ("{token}", "{name}", "{action}")
"""`/ping/{token}/{name}/{action}`, each as far as one likes: the routes of `lambdas/ping/app.py`."""
STAGE = "api"
PINGS_PER_ADDRESS = 20_000
"""In five minutes; an office behind one address has thousands of jobs."""


class EdgeStack(EstateStack):
    """What must work while everything behind it is away."""

    def __init__(self, scope: Construct, config: Config, network: NetworkStack, data: DataStack, events: EventsStack) -> None:
        super().__init__(scope, "edge", config)
        self.network, self.data, self.events = network, data, events
        self.zone = _zone(self, config)
        self.ping = self._ping()
        self.api = self._api()
        self.ping_url = (
            self._name() if config.domain else f"https://{self.api.rest_api_id}.execute-api.{self.region}.amazonaws.com"
        )
        self._limit()
        self.dispatch = self._dispatch()
        self.sender = self._sender()
        self.mail = (
            PingMail(self, config, data=data, may_record=self.may_record, zone=self.zone)
            if config.ping_mail and self.zone
            else None
        )

    @property
    def ping_environment(self) -> Mapping[str, str]:
        """Settings of everything that records pings."""
        return {"UPTIME_ENV": self.config.env, "PING_BODIES_BUCKET": self.data.ping_bodies.bucket_name}

    def may_record(self, function: EstateFunction) -> None:
        """What recording a ping takes: one transaction, a body, an event."""
        table = self.data.tables[self.config.names.heartbeats_table]
        function.may(["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"], table.table_arn)
        function.may(["s3:PutObject"], self.data.bodies)
        function.may(["events:PutEvents"], self.events.bus.event_bus_arn)
        accept(function.role, bodies_reason(self.data))

    def _ping(self) -> EstateFunction:
        ping = EstateFunction(
            self, "ping", self.config, self.data.archive, package="ping", handler="lambdas.ping.app.app", timeout_s=10, memory_mib=512,
            environment=self.ping_environment,
        )  # fmt: skip
        self.may_record(ping)
        return ping

    def _api(self) -> aws_apigateway.RestApi:
        log = self.data.archive.group(self, "PingAccess", f"/{self.config.env}/ping-access")
        fields = aws_apigateway.AccessLogFormat.json_with_standard_fields(
            caller=False, http_method=True, ip=True, protocol=True, request_time=True, resource_path=True, response_length=True,
            status=True, user=False,
        )  # fmt: skip
        api = aws_apigateway.RestApi(
            self, "Api", rest_api_name=f"{self.config.env}-uptimemonitor-ping", binary_media_types=["*/*"], cloud_watch_role=False,
            endpoint_types=[aws_apigateway.EndpointType.REGIONAL], disable_execute_api_endpoint=bool(self.config.domain),
            deploy_options=aws_apigateway.StageOptions(
                stage_name=STAGE, throttling_rate_limit=2000, throttling_burst_limit=4000,
                metrics_enabled=self.config.detailed_metrics,
                access_log_destination=aws_apigateway.LogGroupLogDestination(log), access_log_format=fields,
            ),
        )  # fmt: skip
        path = api.root.add_resource("ping")
        for route in ROUTES:
            path = path.add_resource(route)
            path.add_method("ANY", aws_apigateway.LambdaIntegration(self.ping.function, allow_test_invoke=False))
        accept(api, PING_API_REASONS)
        return api

    def _name(self) -> str:
        assert self.zone
        certificate = aws_certificatemanager.Certificate(
            self, "PingCertificate", domain_name=self.config.ping_host,
            validation=aws_certificatemanager.CertificateValidation.from_dns(self.zone),
        )  # fmt: skip
        domain = aws_apigateway.DomainName(
            self, "PingDomain", domain_name=self.config.ping_host, certificate=certificate, mapping=self.api, base_path=STAGE,
            endpoint_type=aws_apigateway.EndpointType.REGIONAL, security_policy=aws_apigateway.SecurityPolicy.TLS_1_2,
        )  # fmt: skip
        target = aws_route53.RecordTarget.from_alias(aws_route53_targets.ApiGatewayDomain(domain))
        aws_route53.ARecord(self, "PingAddress", zone=self.zone, record_name=self.config.ping_host, target=target)
        return f"https://{self.config.ping_host}"

    def _limit(self) -> None:
        seen = aws_wafv2.CfnWebACL.VisibilityConfigProperty(
            cloud_watch_metrics_enabled=True, metric_name=f"{self.config.env}-uptimemonitor-ping", sampled_requests_enabled=True
        )
        rate = aws_wafv2.CfnWebACL.RateBasedStatementProperty(
            limit=PINGS_PER_ADDRESS, aggregate_key_type="IP", evaluation_window_sec=300
        )
        rule = aws_wafv2.CfnWebACL.RuleProperty(
            name="rate", priority=0, visibility_config=seen, action=aws_wafv2.CfnWebACL.RuleActionProperty(block={}),
            statement=aws_wafv2.CfnWebACL.StatementProperty(rate_based_statement=rate),
        )  # fmt: skip
        acl = aws_wafv2.CfnWebACL(
            self, "Limit", scope="REGIONAL", default_action=aws_wafv2.CfnWebACL.DefaultActionProperty(allow={}), rules=[rule],
            visibility_config=seen,
        )  # fmt: skip
        stage = self.api.deployment_stage.stage_arn
        aws_wafv2.CfnWebACLAssociation(self, "LimitOfApi", resource_arn=stage, web_acl_arn=acl.attr_arn)

    def _dispatch(self) -> EstateFunction:
        names, data = self.config.names, self.data
        environment = {
            "UPTIME_ENV": self.config.env, "EMAIL_FROM": self.config.sender, "MAILS_PER_S": str(self.config.mails_per_s),
            "PUBLIC_URL": self.config.public_url,
            "SES_CONFIGURATION_SET": self.events.configuration_set.configuration_set_name,
            "POWERTOOLS_SERVICE_NAME": "alert_dispatch", "PING_BODIES_BUCKET": data.ping_bodies.bucket_name,
        }  # fmt: skip
        dispatch = EstateFunction(
            self, "alert-dispatch", self.config, self.data.archive, package="alert_dispatch",
            handler="lambdas.alert_dispatch.handler.handler", timeout_s=DISPATCH_TIMEOUT_S, memory_mib=512, environment=environment,
        )  # fmt: skip
        queue = self.events.queues[names.alerts_queue].queue
        source = aws_lambda_event_sources.SqsEventSource(queue, batch_size=1, report_batch_item_failures=True)
        dispatch.function.add_event_source(source)
        item = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"]
        dispatch.may(item, data.tables[names.dispatch_table].table_arn)
        dispatch.may(["dynamodb:GetItem"], data.tables[names.channel_vault_table].table_arn)
        dispatch.may(["dynamodb:GetItem"], data.tables[names.heartbeats_table].table_arn)
        dispatch.may(["s3:GetObject"], data.bodies)
        dispatch.may(["secretsmanager:GetSecretValue"], data.vault_keys.secret_arn)
        dispatch.may(["events:PutEvents"], self.events.bus.event_bus_arn)
        identity = self.config.domain or self.config.sender
        arns = [self.format_arn(service="ses", resource="identity", resource_name=identity)]
        arns.append(
            self.format_arn(
                service="ses", resource="configuration-set", resource_name=self.events.configuration_set.configuration_set_name
            )
        )
        dispatch.may(["ses:SendEmail", "ses:SendRawEmail"], *arns)  # a raw mail sent with SendEmail is checked as the other
        accept(dispatch.role, bodies_reason(data))
        if self.config.sms_channels:
            dispatch.may(["sns:Publish"], "*")
            accept(dispatch.role, {"AwsSolutions-IAM5[Resource::*]": "Messages to telephone numbers have no narrower resource."})
        return dispatch

    def _sender(self) -> aws_ses.EmailIdentity:
        """The domain that mail comes from, signed with DKIM; without a domain the address, whose owner gets a mail to confirm."""
        if self.zone:
            return aws_ses.EmailIdentity(self, "Sender", identity=aws_ses.Identity.public_hosted_zone(self.zone))
        return aws_ses.EmailIdentity(self, "Sender", identity=aws_ses.Identity.email(self.config.sender))


def _zone(scope: Construct, config: Config) -> aws_route53.IHostedZone | None:
    if not config.domain:
        return None
    return aws_route53.PublicHostedZone.from_public_hosted_zone_attributes(
        scope, "Zone", hosted_zone_id=config.hosted_zone_id, zone_name=config.domain
    )


PING_API_REASONS = {
    "AwsSolutions-APIG2": "A ping has any body or none; the Lambda decides, so that a job's curl never fails for its form.",
    "AwsSolutions-APIG4": "The heartbeat's random id in the URL is the credential: jobs ping with curl.",
    "AwsSolutions-COG4": "Jobs have no accounts of people; as above.",
    "AwsSolutions-APIG6": "Access logs say what was asked; execution logs would hold the bodies of jobs.",
}
