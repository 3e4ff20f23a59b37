"""Makes the real collaborators from the settings, once for each execution environment."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any
from uuid import UUID

import boto3
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer
from botocore.config import Config

from core.contracts.channel_vault import bind_table
from core.contracts.channels.apprise import AppriseConfig
from core.contracts.channels.config import ChannelConfig
from core.contracts.channels.discord import DiscordConfig
from core.contracts.channels.email import EmailConfig
from core.contracts.channels.ntfy import NtfyConfig
from core.contracts.channels.opsgenie import OpsgenieConfig
from core.contracts.channels.pagerduty import PagerDutyConfig
from core.contracts.channels.slack import SlackConfig
from core.contracts.channels.sms import SmsConfig
from core.contracts.channels.teams import TeamsConfig
from core.contracts.channels.telegram import TelegramConfig
from core.contracts.channels.webhook import WebhookConfig
from core.contracts.channels.whatsapp import WhatsAppConfig
from lambdas.alert_dispatch.channels.apprise import AppriseSender
from lambdas.alert_dispatch.channels.discord import DiscordSender
from lambdas.alert_dispatch.channels.email import SesSender, SmtpSender
from lambdas.alert_dispatch.channels.ntfy import NtfySender
from lambdas.alert_dispatch.channels.opsgenie import OpsgenieSender
from lambdas.alert_dispatch.channels.pagerduty import PagerDutySender
from lambdas.alert_dispatch.channels.slack import SlackSender
from lambdas.alert_dispatch.channels.sms import SnsSender
from lambdas.alert_dispatch.channels.teams import TeamsSender
from lambdas.alert_dispatch.channels.telegram import TelegramSender
from lambdas.alert_dispatch.channels.webhook import WebhookSender
from lambdas.alert_dispatch.channels.whatsapp import WhatsAppSender
from lambdas.alert_dispatch.config import Settings
from lambdas.alert_dispatch.crowds import Crowds
from lambdas.alert_dispatch.dispatch import Dispatcher
from lambdas.alert_dispatch.limits import Limits, mail_limit
from lambdas.alert_dispatch.order import Order
from lambdas.alert_dispatch.outputs import CONFIG as OUTPUTS_CONFIG
from lambdas.alert_dispatch.outputs import Outputs
from lambdas.alert_dispatch.posted import Posted
from lambdas.alert_dispatch.posting import Poster
from lambdas.alert_dispatch.receipts import Receipts
from lambdas.alert_dispatch.signed import SignedClient
from lambdas.alert_dispatch.targets import Targets
from lambdas.alert_dispatch.vault import Vault
from lambdas.signed_aws import environ

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sesv2 import SESV2Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

CLIENT_CONFIG = Config(
    connect_timeout=1,
    read_timeout=3,
    max_pool_connections=64,
    parameter_validation=False,
    retries={"mode": "standard", "total_max_attempts": 3},
    user_agent="uptimemonitor-alert-dispatch",
)
"""Of the clients that few messages need. Without validation and a user agent that is composed for each call, a call costs a third less. The
connections are for one box, which runs invocations side by side; with fewer, each of them would make its own."""


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


class Wiring:
    """Clients that every message needs sign their own requests and are made at once; those that few need, at their first use."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = Lock()
        self._session = boto3.session.Session(region_name=settings.region)
        names = settings.names
        bind_table(names.channel_vault_table, settings.region)
        dynamodb: Any = SignedClient(environ.dynamodb())
        events: Any = SignedClient(environ.eventbridge())
        self.persistence = DynamoDBPersistenceLayer(table_name=names.dispatch_table, boto3_client=dynamodb)
        self.receipts = Receipts(events, names.bus)
        self.crowds = Crowds()
        self._vault = Vault(self._vault_keys)
        self.dispatcher = Dispatcher(
            vault=self._vault,
            order=Order(dynamodb, names.dispatch_table),
            targets=Targets(dynamodb, names.dispatch_table),
            limits=Limits(mail_limit(settings.mails_per_s)),
            senders=self._senders(),
            clock=utc_now,
            posted=Posted(dynamodb, names.dispatch_table),
            public_url=settings.public_url,
            outputs=Outputs(
                lambda: self._edge_dynamodb, names.heartbeats_table, lambda: self._edge_s3, settings.ping_bodies_bucket
            ),
        )

    @cached_property
    def sqs(self) -> "SQSClient":
        """To put messages back for later; only needed when something failed."""
        client: SQSClient = self._client("sqs")
        return client

    @cached_property
    def queue_url(self) -> str:
        """The queue that the messages came from."""
        return self.sqs.get_queue_url(QueueName=self.settings.names.alerts_queue)["QueueUrl"]

    @cached_property
    def _ses(self) -> "SESV2Client":
        client: SESV2Client = self._client("sesv2")
        return client

    @cached_property
    def _sns(self) -> "SNSClient":
        client: SNSClient = self._client("sns")
        return client

    @cached_property
    def _edge_dynamodb(self) -> "DynamoDBClient":
        client: DynamoDBClient = self._client("dynamodb", OUTPUTS_CONFIG)
        return client

    @cached_property
    def _edge_s3(self) -> "S3Client":
        client: S3Client = self._client("s3", OUTPUTS_CONFIG)
        return client

    def _senders(self) -> Mapping[type[ChannelConfig], Callable[..., str | None]]:
        poster = Poster(private_targets=self.settings.private_targets, clock=utc_now)
        return {
            AppriseConfig: AppriseSender(private_targets=self.settings.private_targets),
            DiscordConfig: DiscordSender(poster),
            EmailConfig: self._email_sender(),
            NtfyConfig: NtfySender(poster),
            OpsgenieConfig: OpsgenieSender(poster),
            PagerDutyConfig: PagerDutySender(poster),
            SlackConfig: SlackSender(poster),
            SmsConfig: SnsSender(lambda: self._sns),
            TeamsConfig: TeamsSender(poster),
            TelegramConfig: TelegramSender(poster),
            WebhookConfig: WebhookSender(poster),
            WhatsAppConfig: WhatsAppSender(poster),
        }

    def _email_sender(self) -> Callable[..., None]:
        if self.settings.smtp:
            return SmtpSender(self.settings.smtp, self.settings.email_from, utc_now, self._unsubscribe_url)
        configuration_set = self.settings.ses_configuration_set
        return SesSender(lambda: self._ses, self.settings.email_from, utc_now, self._unsubscribe_url, configuration_set)

    def _unsubscribe_url(self, channel_id: UUID, version: int) -> str:
        return self._vault.link("unsubscribe", self.settings.public_url, channel_id, version)

    def _vault_keys(self) -> Sequence[str]:
        if self.settings.vault_keys:
            return self.settings.vault_keys
        secret = self._client("secretsmanager").get_secret_value(SecretId=self.settings.names.vault_key_secret)
        return [key.strip() for key in secret["SecretString"].split(",") if key.strip()]

    def _client(self, service: str, config: Config = CLIENT_CONFIG) -> Any:
        """A client; sessions of boto3 are not safe to share between threads, clients are."""
        with self._lock:
            return self._session.client(service, config=config)  # type: ignore[call-overload]  # the name is a variable
