"""Settings of alert_dispatch, from the environment; what is missing or malformed stops the cold start with the variable's name."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from core.contracts.names import Names

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"", "0", "false", "no", "off"})
SES_MAILS_PER_S = 14
"""What Amazon SES lets a new account send once it is out of the sandbox."""
FASTEST = 1000


class SettingError(Exception):
    """A setting is missing or malformed; the message names it and never shows its value."""


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """A server to hand mail to. With a password, its certificate is verified before the password is sent."""

    host: str
    port: int
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"SmtpServer({self.host}:{self.port})"


@dataclass(frozen=True, slots=True)
class Settings:
    """`smtp` is None where mail goes through SES, `mails_per_s` 0 where nothing limits it.

    `vault_keys` is empty where they come from Secrets Manager.
    """

    names: Names
    region: str
    email_from: str
    ses_configuration_set: str
    smtp: SmtpServer | None
    mails_per_s: float
    private_targets: bool
    public_url: str
    vault_keys: tuple[str, ...]
    ping_bodies_bucket: str

    def __repr__(self) -> str:
        return f"Settings({self.names.env})"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Settings":
        """Read the settings.

        Raises:
            SettingError: naming the variable.
        """
        names = Names(_required(environ, "UPTIME_ENV"))
        smtp = _smtp(environ.get("EMAIL_TRANSPORT") or "ses")
        return cls(
            names=names,
            region=environ.get("AWS_REGION") or _required(environ, "AWS_DEFAULT_REGION"),
            email_from=_required(environ, "EMAIL_FROM"),
            ses_configuration_set=environ.get("SES_CONFIGURATION_SET") or "",
            smtp=smtp,
            mails_per_s=_rate(environ, "MAILS_PER_S", 0 if smtp else SES_MAILS_PER_S),
            private_targets=_boolean(environ, "PRIVATE_TARGETS"),
            public_url=(environ.get("PUBLIC_URL") or "").rstrip("/"),
            vault_keys=tuple(key.strip() for key in environ.get("CHANNEL_VAULT_KEYS", "").split(",") if key.strip()),
            ping_bodies_bucket=environ.get("PING_BODIES_BUCKET") or names.ping_bodies_bucket,
        )


def _required(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name)
    if not value:
        raise SettingError(f"{name} is not set")
    return value


def _boolean(environ: Mapping[str, str], name: str) -> bool:
    word = environ.get(name, "").lower()
    if word not in TRUE_WORDS | FALSE_WORDS:
        raise SettingError(f"{name} must be true or false")
    return word in TRUE_WORDS


def _rate(environ: Mapping[str, str], name: str, default: float) -> float:
    try:
        rate = float(environ.get(name) or default)
    except ValueError:
        rate = -1
    if not 0 <= rate <= FASTEST:
        raise SettingError(f"{name} must be a number from 0 to {FASTEST}")
    return rate


def _smtp(transport: str) -> SmtpServer | None:
    if transport == "ses":
        return None
    try:
        parts = urlsplit(transport)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, None
    if parts is None or parts.scheme != "smtp" or not host:
        raise SettingError("EMAIL_TRANSPORT must be ses or smtp://[user:password@]host:port")
    return SmtpServer(host, port or 587, unquote(parts.username or ""), unquote(parts.password or ""))
