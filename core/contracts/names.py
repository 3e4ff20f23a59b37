"""The names of AWS resources, derived from one environment name.

Every deployable (CDK stacks, Lambdas, ECS services, one box) derives its names here, so two of them cannot disagree.
"""

from dataclasses import dataclass

EVENT_SOURCE = "uptimemonitor"
"""`source` of every event on the bus."""

DEAD_LETTER_SUFFIX = "-dead"


@dataclass(frozen=True, slots=True)
class Names:
    """Resource names of one environment, e.g. `Names("prod").bus == "prod-uptimemonitor-events"`."""

    env: str

    def _name(self, noun: str) -> str:
        return f"{self.env}-uptimemonitor-{noun}"

    @property
    def bus(self) -> str:
        """EventBridge bus that carries the public events."""
        return self._name("events")

    @property
    def tasks_prefix(self) -> str:
        """SQS: how the names of Celery's queues begin, where SQS carries its tasks."""
        return self._name("tasks-")

    @property
    def heartbeats_table(self) -> str:
        """DynamoDB: heartbeat items, ping items and pending markers (`heartbeat_table`)."""
        return self._name("heartbeats")

    @property
    def channel_vault_table(self) -> str:
        """DynamoDB: encrypted, immutable versions of channel configurations (`channel_vault`)."""
        return self._name("channel-vault")

    @property
    def dispatch_table(self) -> str:
        """DynamoDB: idempotency records, order claims and breakers of alert_dispatch."""
        return self._name("dispatch")

    @property
    def ping_bodies_bucket(self) -> str:
        """S3: bodies of pings that are too large for their items. Buckets share one namespace, so `PING_BODIES_BUCKET` may name another."""
        return self._name("ping-bodies")

    @property
    def ping_mail_bucket(self) -> str:
        """S3: mails that are pings, as SES stored them. `PING_MAIL_BUCKET` may name another."""
        return self._name("ping-mail")

    @property
    def pings_queue(self) -> str:
        """SQS: HeartbeatPinged on its way to the inbox."""
        return self._name("pings")

    @property
    def mails_queue(self) -> str:
        """SQS: what SES says of mails that are pings. Only where mail is received."""
        return self._name("mails")

    @property
    def alerts_queue(self) -> str:
        """SQS: AlertRequested on its way to alert_dispatch."""
        return self._name("alerts")

    @property
    def receipts_queue(self) -> str:
        """SQS: AlertDelivered and AlertFailed on their way to the inbox."""
        return self._name("receipts")

    @property
    def mail_events_queue(self) -> str:
        """SQS: bounces and complaints of Amazon SES on their way to the inbox."""
        return self._name("mail-events")

    @property
    def vault_key_secret(self) -> str:
        """Secrets Manager: comma-separated Fernet keys of the channel vault, newest first."""
        return f"{self.env}/uptimemonitor/channel-vault-keys"

    @staticmethod
    def dead_letters(queue: str) -> str:
        """The dead-letter queue that belongs to `queue`."""
        return queue + DEAD_LETTER_SUFFIX
