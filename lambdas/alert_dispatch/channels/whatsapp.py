"""WhatsApp Cloud API: https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages.

Errors are told by their `code`, as Meta asks, and not by the status: https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes.
"""

from datetime import datetime
from typing import Any, Final

import msgspec

from core.contracts.channels.whatsapp import WhatsAppConfig
from core.contracts.lines import one_line
from lambdas.alert_dispatch.answers import json_fields
from lambdas.alert_dispatch.dispatch import Outgoing
from lambdas.alert_dispatch.errors import Permanent, RateLimited, Transient
from lambdas.alert_dispatch.message_brief import parameters
from lambdas.alert_dispatch.paging import judge_call
from lambdas.alert_dispatch.posting import Answer, Poster, seconds_of, taken

THROTTLED: Final = frozenset({4, 80007, 130429, 131048, 131056, 133016})

GONE: Final = frozenset(
    {
        *(0, 3, 10, 190, *range(200, 300), 131005),  # the token is not valid (any more), or may not do this
        *(33, 368, 131031, 131045, 133010),  # the business number or account is deleted, locked or not registered
        *(131021, 131026),  # the recipient is the sender, has no WhatsApp, or has not accepted its terms
        *(132000, 132001, 132012, 132016),  # the template does not exist, is disabled, or has other parameters
    }
)
"""Codes after which no other message of this channel can succeed either."""

FINAL: Final = frozenset({100, 130472, 131008, 131009, 131051, 132005, 132007})
"""Codes about this message alone."""

DELETED_NUMBER: Final = 33
"""As a subcode of 100: there is no such business number, or the token does not see it."""

DOCUMENTED_STATUSES: Final = {400: False, 401: True}
"""For answers without a code."""


class WhatsAppSender:
    """Sends a template to one telephone."""

    def __init__(self, poster: Poster) -> None:
        self._poster = poster

    def __call__(self, outgoing: Outgoing, config: WhatsAppConfig) -> None:
        """Send; see `Sender`. Taken means that Meta took it: what the telephone did is only told to the number's own webhook."""
        body = msgspec.json.encode(template_message(outgoing, config))
        headers = {"authorization": f"Bearer {config.token}"}
        judge_answer(self._poster.send(config.url(), body, headers, outgoing.timeout_s, read_errors=True), self._poster.clock())


def template_message(outgoing: Outgoing, config: WhatsAppConfig) -> dict[str, Any]:
    """The message: a template and its parameters."""
    values = parameters(config.parameters, outgoing.request.data, outgoing.message)
    body = {"type": "body", "parameters": [{"type": "text", "text": value} for value in values]}
    return {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": config.to,
        "type": "template",
        "template": {
            "name": config.template,
            "language": {"code": config.language},
            **({"components": [body]} if values else {}),
        },
    }


def judge_answer(answer: Answer, now: datetime) -> None:
    """Raise what an answer means."""
    if taken(answer.status):
        return
    error = json_fields(answer.body).get("error")
    if not isinstance(error, dict) or not isinstance(error.get("code"), int):
        judge_call(answer, now, "WhatsApp", DOCUMENTED_STATUSES)
        return
    code, detail = error["code"], error.get("error_data")
    words = detail.get("details") if isinstance(detail, dict) else None
    said = one_line(f"WhatsApp answered {answer.status} (error {code}: {words or error.get('message', '')})")[:300]
    if code in THROTTLED:
        raise RateLimited(said, retry_after_s=seconds_of(answer.retry_after, now))
    if code in GONE or error.get("error_subcode") == DELETED_NUMBER:
        raise Permanent(said, disable_channel=True)
    if code in FINAL:
        raise Permanent(said)
    raise Transient(said, retry_after_s=seconds_of(answer.retry_after, now))
