"""Webhooks, signed after Standard Webhooks (https://www.standardwebhooks.com).

`webhook-id` is the delivery's id: the same for every attempt, so receivers can tell a repeated message.
"""

import base64
import hashlib
import hmac
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from typing import Any, Final

import certifi
import httpcore
import msgspec

from core.contracts.channels import WebhookConfig, signing_key
from core.contracts.events import AlertRequested, Detail
from lambdas.alert_dispatch.connect import AddressRefused, Deadline, GuardedBackend, NameNotResolved
from lambdas.alert_dispatch.dispatch import Outgoing
from lambdas.alert_dispatch.errors import Permanent, RateLimited, Transient
from lambdas.alert_dispatch.message import Message

USER_AGENT: Final = "uptimemonitor-webhook/1 (+https://github.com/uptimemonitor/uptimemonitor)"
GONE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
TRY_AGAIN: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY})


@cache
def trusted_roots() -> ssl.SSLContext:
    """The TLS context of every send; loading the roots takes milliseconds, so once."""
    return ssl.create_default_context(cafile=certifi.where())


class WebhookSender:
    """Posts messages to webhooks."""

    def __init__(
        self,
        *,
        private_targets: bool,
        clock: Callable[[], datetime],
        tls: Callable[[], ssl.SSLContext] = trusted_roots,
    ) -> None:
        self._private_targets = private_targets
        self._clock = clock
        self._tls = tls

    def __call__(self, outgoing: Outgoing, config: WebhookConfig) -> None:
        """Send; see `Sender`. Redirects are not followed, and the answer's body is not read: its status says all."""
        body = payload(outgoing.request, outgoing.message)
        headers = signed_headers(str(outgoing.request.data.delivery_id), self._clock(), body, config.secret)
        try:
            status, retry_after = self._post(config.url, headers, body, outgoing.timeout_s)
        except AddressRefused as error:
            raise Permanent(f"the webhook's address was refused: {error}") from error
        except NameNotResolved as error:
            raise Transient(str(error)) from error
        except httpcore.TimeoutException as error:
            raise Transient(f"no answer within {outgoing.timeout_s:.0f} s", timed_out=True) from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise Transient(f"the connection failed: {str(error) or type(error).__name__}") from error
        judge(status, retry_after, self._clock())

    def _post(self, url: str, headers: dict[str, str], body: bytes, timeout_s: float) -> tuple[int, str]:
        """Status and Retry-After of the answer. A pool per message: its deadline covers everything."""
        backend = GuardedBackend(Deadline.after(timeout_s), private_targets=self._private_targets)
        with (
            httpcore.ConnectionPool(ssl_context=self._tls(), network_backend=backend, retries=0) as pool,
            pool.stream("POST", url, headers=list(headers.items()), content=body) as answer,
        ):
            found = {name.lower(): value for name, value in answer.headers}
            return answer.status, found.get(b"retry-after", b"").decode("latin-1")


def judge(status: int, retry_after: str, now: datetime) -> None:
    """Raise what the status of an answer means; 2xx means taken."""
    said = f"the webhook answered {status}"
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise RateLimited(said, retry_after_s=seconds_of(retry_after, now))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in TRY_AGAIN:
        raise Transient(said, retry_after_s=seconds_of(retry_after, now))
    if status in GONE:
        raise Permanent(said, disable_channel=True)
    if status < HTTPStatus.BAD_REQUEST:
        raise Permanent(f"{said}, and redirects are not followed: enter the final URL")
    raise Permanent(said)


def seconds_of(retry_after: str, now: datetime) -> int | None:
    """The seconds of a Retry-After header, which holds a number or a date; None where it holds neither."""
    if retry_after.isascii() and retry_after.strip().isdigit():
        return int(retry_after.strip()[:9])
    try:
        at = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(int((at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds()), 0)


def signed_headers(message_id: str, at: datetime, body: bytes, secret: str) -> dict[str, str]:
    """The headers of a signed webhook. `at` is the time of this attempt: receivers refuse old ones."""
    timestamp = str(int(at.timestamp()))
    digest = hmac.new(signing_key(secret), f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def payload(request: Detail[AlertRequested], message: Message) -> bytes:
    """The JSON body: `type`, `timestamp` (of the event, the same for every attempt) and `data`."""
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
            **({"expiry": data.expiry} if data.expiry else {}),
        },
    }
    return msgspec.json.encode(content)
