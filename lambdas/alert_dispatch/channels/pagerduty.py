"""PagerDuty Events API v2: https://developer.pagerduty.com/docs/events-api-v2-overview.

The key that PagerDuty tells alerts apart by (`dedup_key`) is the order key: that of the incident where there is one. So a recovery
resolves the alert of its own outage and never that of a later one, in whichever order they arrive, and a repeated trigger is one alert.
"""

from typing import Any, Final

import msgspec

from core.contracts.channels.pagerduty import PagerDutyConfig
from core.contracts.events import AlertType
from core.contracts.lines import one_line
from lambdas.alert_dispatch.answers import json_fields
from lambdas.alert_dispatch.dispatch import Outgoing
from lambdas.alert_dispatch.message import Message
from lambdas.alert_dispatch.paging import ACKNOWLEDGING, CLOSING, OUTAGES, SOURCE, judge_call, where
from lambdas.alert_dispatch.posting import Answer, Poster

BAD_REQUEST: Final = 400
SOURCE_LIMIT: Final = 255


class PagerDutySender:
    """Triggers, acknowledges and resolves alerts. A test triggers and resolves, so that nobody is woken for long."""

    def __init__(self, poster: Poster) -> None:
        self._poster = poster

    def __call__(self, outgoing: Outgoing, config: PagerDutyConfig) -> None:
        """Send; see `Sender`."""
        sent = events_of(outgoing, config)
        for one in sent:
            body = msgspec.json.encode(one)
            self._judge(self._poster.send(config.url(), body, {}, outgoing.timeout_s / len(sent), read_errors=True))

    def _judge(self, answer: Answer) -> None:
        """400 is the only documented final answer; where it is about the routing key, no event can succeed."""
        reason = reason_of(answer.body)
        about_the_key = "routing" in reason.lower() and "key" in reason.lower()
        judge_call(answer, self._poster.clock(), "PagerDuty", {BAD_REQUEST: about_the_key}, reason)


def events_of(outgoing: Outgoing, config: PagerDutyConfig) -> list[dict[str, Any]]:
    """The events of a message: a recovery resolves all that it is the end of, its own outage first."""
    data = outgoing.request.data
    own = [event(outgoing, config, action) for action in actions_of(data.alert_type)]
    return [*own, *({**one, "dedup_key": str(key)} for one in own for key in data.ends)]


def actions_of(alert_type: AlertType) -> tuple[str, ...]:
    """The events that an alert is. There is none that takes an acknowledgement back: a trigger says it in the alert's log."""
    if alert_type == "test":
        return ("trigger", "resolve")
    if alert_type in CLOSING:
        return ("resolve",)
    return ("acknowledge",) if alert_type in ACKNOWLEDGING else ("trigger",)


def event(outgoing: Outgoing, config: PagerDutyConfig, action: str) -> dict[str, Any]:
    """One event. A summary may have 1,024 characters: a subject has fewer."""
    data, message = outgoing.request.data, outgoing.message
    found: dict[str, Any] = {
        "routing_key": config.routing_key,
        "event_action": action,
        "dedup_key": str(data.order_key),
        "payload": {
            "summary": message.subject,
            "source": one_line(where(data))[:SOURCE_LIMIT],
            "severity": severity(data.alert_type, config),
            "timestamp": outgoing.request.metadata.occurred_at,
            "class": data.incident.reason if data.incident else data.alert_type,
            "custom_details": _details(message),
        },
        "client": SOURCE,
    }
    if data.monitor:
        found["payload"]["component"] = one_line(data.monitor.name)
    if message.link:
        found["client_url"] = message.link
    links = [(message.link, "The incident"), (message.acknowledge, "Acknowledge it in Uptime Monitor")]
    if shown := [{"href": link, "text": words} for link, words in links if link]:
        found["links"] = shown
    return found


def _details(message: Message) -> dict[str, str]:
    more = {"Note": message.closing, "Output": message.output}
    return {**dict(message.facts), **{label: text for label, text in more.items() if text}}


def severity(alert_type: str, config: PagerDutyConfig) -> str:
    """Outages as configured, tests as information, all else as warnings."""
    if alert_type in OUTAGES or alert_type in {"recovered", "acknowledged", "unacknowledged"}:
        return config.severity
    return "info" if alert_type == "test" else "warning"


def reason_of(body: bytes) -> str:
    """What an error says: `errors` where there are some, else `message`."""
    said = json_fields(body)
    errors = said.get("errors")
    words = [str(error) for error in errors] if isinstance(errors, list) and errors else [str(said.get("message", ""))]
    return one_line("; ".join(words))[:200]
