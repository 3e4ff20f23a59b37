"""A message as ntfy takes it: JSON, so that no text has to fit into a header (https://docs.ntfy.sh/publish/#publish-as-json). Pure.

`markdown` is left out, so the text is shown as it is. A message may have 4,096 bytes, beyond which it becomes an attachment
(https://docs.ntfy.sh/publish/#limitations); the whole body may have twice as many, quoting included.
"""

from typing import Any, Final

from core.contracts.channels.ntfy import PRIORITIES, NtfyConfig
from lambdas.alert_dispatch.fitting import fit, utf8_bytes
from lambdas.alert_dispatch.listing import listing
from lambdas.alert_dispatch.looks import look
from lambdas.alert_dispatch.message import Message

TITLE_BYTES: Final = 500
MESSAGE_BYTES: Final = 3000
LIST_BYTES: Final = 2400
LOUD: Final = frozenset({"down", "escalated", "reminder"})
"""Types with the priority of outages."""


def ntfy_message(message: Message, alert_type: str, config: NtfyConfig) -> dict[str, Any]:
    """The body. A tap on it opens the incident, a button acknowledges it."""
    listed = listing(message.lines, message.others, LIST_BYTES, size=utf8_bytes)
    lines = [message.headline, *(f"{label}: {value}" for label, value in message.facts), *listed, message.closing, message.output]
    body: dict[str, Any] = {
        "topic": config.topic,
        "title": fit(message.subject, TITLE_BYTES, size=utf8_bytes),
        "message": fit("\n".join(line for line in lines if line), MESSAGE_BYTES, size=utf8_bytes),
        "priority": PRIORITIES[config.priority if alert_type in LOUD else config.other_priority],
        "tags": [look(alert_type).tag],
    }
    if message.link:
        body["click"] = message.link
    if message.acknowledge:
        body["actions"] = [{"action": "view", "label": "Acknowledge", "url": message.acknowledge}]
    return body
