"""Settings of the inbox, read once from the environment."""

from dataclasses import dataclass
from datetime import timedelta

from core.env import Env, Secret


@dataclass(frozen=True, slots=True)
class InboxSettings:
    """What the inbox needs to know. `threads` consume each queue; `metrics_port` 0 means no metrics; `mail_events`: SES sends some."""

    database_url: Secret
    broker_url: Secret
    uptime_env: str
    region: str
    receipt_timeout: timedelta
    threads: int
    mail_events: bool
    metrics_bind: str
    metrics_port: int
    metrics_namespace: str | None

    @classmethod
    def from_env(cls, env: Env) -> "InboxSettings":
        """Read every setting.

        Raises:
            SettingError: one is missing or malformed.
        """
        env.url("DATABASE_URL", schemes=("postgres", "postgresql"))
        redis_url = env.url("REDIS_URL", schemes=("redis", "rediss"))
        return cls(
            database_url=env.secret("DATABASE_URL"),
            broker_url=Secret(env.url("BROKER_URL", redis_url, schemes=("redis", "rediss", "sqs"))),
            uptime_env=env.text("UPTIME_ENV", "local"),
            region=env.text("AWS_REGION", env.text("AWS_DEFAULT_REGION", "eu-west-1")),
            receipt_timeout=timedelta(seconds=env.integer("RECEIPT_TIMEOUT_S", 300, low=1)),
            threads=env.integer("INBOX_THREADS", 1, low=1, high=32),
            mail_events=env.boolean("MAIL_EVENTS", False),
            metrics_bind=env.text("METRICS_BIND", "127.0.0.1"),
            metrics_port=env.integer("METRICS_PORT", 0, high=65_535),
            metrics_namespace=env.optional_text("METRICS_NAMESPACE"),
        )
