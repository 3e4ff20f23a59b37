"""Opsgenie Alert API: https://docs.opsgenie.com/docs/alert-api, statuses: https://docs.opsgenie.com/docs/response.

An alert's alias is the order key: that of the incident where there is one. Opsgenie keeps one open alert for each alias, and closes by it.
"""

from typing import Any, Final
from uuid import UUID

import msgspec

from core.contracts.channels.opsgenie import OpsgenieConfig
from core.contracts.lines import one_line
from lambdas.alert_dispatch.answers import json_fields
from lambdas.alert_dispatch.dispatch import Outgoing
from lambdas.alert_dispatch.message import Message
from lambdas.alert_dispatch.paging import CLOSING, OUTAGES, SOURCE, judge_call, where
from lambdas.alert_dispatch.posting import Answer, Poster

MESSAGE_LIMIT: Final = 130
DESCRIPTION_LIMIT: Final = 15_000
ENTITY_LIMIT: Final = 512
NOTE_LIMIT: Final = 25_000
DETAIL_LIMIT: Final = 2_000
"""Keys and values of `details` may have 8,000 characters in all; only three of at most seven come from outside."""

FINAL: Final = {400: False, 401: True, 402: True, 403: True, 422: False}
"""401: the key is not valid, or its integration is off. 402: the plan does not allow it. 403: the key may not do it."""

LEAST: Final = "P5"
OTHERS: Final = "P3"


class OpsgenieSender:
    """Creates, acknowledges and closes alerts. A test creates and closes."""

    def __init__(self, poster: Poster) -> None:
        self._poster = poster

    def __call__(self, outgoing: Outgoing, config: OpsgenieConfig) -> None:
        """Send; see `Sender`. Closing what is not there is taken as well: requests are processed after the answer."""
        calls = calls_of(outgoing, config)
        for url, content in calls:
            headers = {"authorization": f"GenieKey {config.api_key}"}
            body, timeout_s = msgspec.json.encode(content), outgoing.timeout_s / len(calls)
            answer = self._poster.send(url, body, headers, timeout_s, read_errors=True)
            judge_call(answer, self._poster.clock(), "Opsgenie", FINAL, reason_of(answer))


def calls_of(outgoing: Outgoing, config: OpsgenieConfig) -> list[tuple[str, dict[str, Any]]]:
    """URL and content of the calls that an alert is."""
    data = outgoing.request.data

    def about(action: str, key: UUID = data.order_key) -> tuple[str, dict[str, Any]]:
        return f"{config.url()}/{key}/{action}?identifierType=alias", note(outgoing)

    create = (config.url(), alert(outgoing, config))
    if data.alert_type == "test":
        return [create, about("close")]
    if data.alert_type in CLOSING:
        return [about("close"), *(about("close", key) for key in data.ends)]
    action = {"acknowledged": "acknowledge", "unacknowledged": "unacknowledge"}.get(data.alert_type)
    return [about(action) if action else create]


def alert(outgoing: Outgoing, config: OpsgenieConfig) -> dict[str, Any]:
    """The alert, within the documented limits."""
    data, message = outgoing.request.data, outgoing.message
    return {
        "message": message.subject[:MESSAGE_LIMIT],
        "alias": str(data.order_key),
        "description": message.text[:DESCRIPTION_LIMIT],
        "details": {label: value[:DETAIL_LIMIT] for label, value in (*message.facts, *_links(message))},
        "entity": one_line(where(data))[:ENTITY_LIMIT],
        "source": SOURCE,
        "tags": [data.alert_type],
        "priority": {**dict.fromkeys(OUTAGES, config.priority), "test": LEAST}.get(data.alert_type, OTHERS),
    }


def note(outgoing: Outgoing) -> dict[str, Any]:
    """What is written to an alert that is closed, or acknowledged."""
    return {"source": SOURCE, "note": outgoing.message.text[:NOTE_LIMIT]}


def reason_of(answer: Answer) -> str:
    """What an error says."""
    return one_line(str(json_fields(answer.body).get("message", "")))[:200]


def _links(message: Message) -> list[tuple[str, str]]:
    return [(label, link) for label, link in (("Incident", message.link), ("Acknowledge", message.acknowledge)) if link]
