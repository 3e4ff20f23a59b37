"""Webhooks, signed after Standard Webhooks (https://www.standardwebhooks.com)."""

import base64
import secrets
from collections.abc import Callable
from typing import Final

from core.contracts.channels.config import BadConfig, ChannelConfig
from core.contracts.channels.urls import check_url, origin

SIGNING_PREFIX: Final = "whsec_"
SECRET_BYTES: Final = range(24, 65)
"""Sizes of a signing key that Standard Webhooks allows."""


class WebhookConfig(ChannelConfig, frozen=True, kw_only=True):
    """An endpoint that takes signed messages. Without a `secret` one is made."""

    url: str
    secret: str = ""

    def checked(self, *, private_targets: bool) -> "WebhookConfig":
        """With a secret."""
        check_url(self.url, private_targets=private_targets)
        secret = self.secret or new_webhook_secret()
        if not secret.startswith(SIGNING_PREFIX):
            raise BadConfig("secret", "invalid", f"must begin with {SIGNING_PREFIX}")
        signing_key(secret)
        return WebhookConfig(url=self.url, secret=secret)

    def summary(self) -> str:
        """The URL without its path."""
        return origin(self.url)


def new_webhook_secret(random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """A signing secret as Standard Webhooks writes it."""
    return SIGNING_PREFIX + base64.b64encode(random_bytes(32)).decode()


def signing_key(secret: str) -> bytes:
    """The key bytes of a `whsec_` secret.

    Raises:
        BadConfig: not base64, or of a wrong size.
    """
    encoded = secret.removeprefix(SIGNING_PREFIX)
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        raise BadConfig("secret", "invalid", f"must be {SIGNING_PREFIX} followed by base64") from None
    if len(key) not in SECRET_BYTES:
        raise BadConfig("secret", "invalid", f"must hold {SECRET_BYTES.start} to {SECRET_BYTES.stop - 1} bytes")
    return key
