"""Webhooks, signed after Standard Webhooks (https://www.standardwebhooks.com).

`webhook-id` is the delivery's id: the same for every attempt, so receivers can tell a repeated message.
"""

import base64
import hashlib
import hmac
from datetime import datetime
from typing import Any

import msgspec

from core.contracts.channels.webhook import WebhookConfig, signing_key
from lambdas.alert_dispatch.dispatch import Outgoing
from lambdas.alert_dispatch.filling import filled
from lambdas.alert_dispatch.posting import Poster, judge


class WebhookSender:
    """Posts messages to webhooks."""

    def __init__(self, poster: Poster) -> None:
        self._poster = poster

    def __call__(self, outgoing: Outgoing, config: WebhookConfig) -> None:
        """Send; see `Sender`. The answer's body is not read: its status says all."""
        body = filled(config.template, outgoing) if config.template else payload(outgoing)
        signed = signed_headers(str(outgoing.request.data.delivery_id), self._poster.clock(), body, *config.secrets())
        headers = {**{name.lower(): value for name, value in config.headers.items()}, **signed}
        answer = self._poster.send(config.url, body, headers, outgoing.timeout_s, method=config.method)
        judge(answer, self._poster.clock(), "the webhook")


def signed_headers(message_id: str, at: datetime, body: bytes, *secrets: str) -> dict[str, str]:
    """The headers of a signed webhook. `at` is the time of this attempt: receivers refuse old ones.

    With several secrets the header holds a signature of each, as Standard Webhooks wants it while a secret is rotated.
    """
    timestamp = str(int(at.timestamp()))
    content = f"{message_id}.{timestamp}.".encode() + body
    digests = [hmac.new(signing_key(secret), content, hashlib.sha256).digest() for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests),
    }


def payload(outgoing: Outgoing) -> bytes:
    """The JSON body: `type`, `timestamp` (of the event, the same for every attempt) and `data`."""
    request, message, newer = outgoing.request, outgoing.message, outgoing.newer
    data = request.data
    content: dict[str, Any] = {
        "type": f"alert.{data.alert_type}",
        "timestamp": request.metadata.occurred_at,
        "data": {
            "delivery_id": data.delivery_id,
            "alert_id": data.alert_id,
            "workspace_id": request.metadata.workspace_id,
            "title": message.subject,
            "text": message.text,
            "monitor": data.monitor,
            "incident": data.incident,
            **({"output": message.output} if message.output else {}),
            **({"acknowledge": message.acknowledge} if message.acknowledge else {}),
            **({"expiry": data.expiry} if data.expiry else {}),
            **({"newer": {"began_at": newer.began_at, "ended_at": newer.ended_at}} if newer else {}),
        },
    }
    return msgspec.json.encode(content)
