"""Fills the JSON templates of users. Pure.

Values go into the parsed document, which is encoded afterwards: nothing that a name, a URL or an error holds can add a member, end a
text or be read as a placeholder in turn.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from core.contracts.channels.templates import PLACEHOLDER
from lambdas.alert_dispatch.dispatch import Outgoing
from lambdas.alert_dispatch.message import reason_in_words


def filled(template: Mapping[str, Any], outgoing: Outgoing) -> bytes:
    """The document as JSON. A text that is one placeholder becomes its value: a number, a text, or null where there is none."""
    return msgspec.json.encode(_fill(template, values(outgoing)))


def values(outgoing: Outgoing) -> dict[str, Any]:
    """What placeholders stand for, by the names of `core.contracts.channels.templates`; absent ones are null."""
    data, message, metadata = outgoing.request.data, outgoing.message, outgoing.request.metadata
    found: dict[str, Any] = {
        "type": f"alert.{data.alert_type}",
        "subject": message.subject,
        "headline": message.headline,
        "text": message.text,
        "note": message.closing,
        "link": message.link,
        "acknowledge": message.acknowledge,
        "output": message.output,
        "timestamp": metadata.occurred_at,
        "workspace_id": metadata.workspace_id,
        "delivery_id": data.delivery_id,
        "alert_id": data.alert_id,
        "order_key": data.order_key,
    }
    for prefix, facts in (("monitor", data.monitor), ("incident", data.incident), ("expiry", data.expiry)):
        if facts:
            found.update({f"{prefix}.{name}": value for name, value in msgspec.structs.asdict(facts).items()})
    if incident := data.incident:
        found["incident.why"] = reason_in_words(incident.reason)
        if incident.resolved_at:
            found["incident.duration_s"] = max(int((incident.resolved_at - incident.began_at).total_seconds()), 0)
    if newer := outgoing.newer:
        found.update({"newer.began_at": newer.began_at, "newer.ended_at": newer.ended_at})
    return {name: msgspec.to_builtins(value) for name, value in found.items()}


def _fill(value: Any, known: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        if alone := PLACEHOLDER.fullmatch(value):
            return known.get(alone[1])
        return PLACEHOLDER.sub(lambda found: _as_text(known.get(found[1])), value)
    if isinstance(value, list):
        return [_fill(one, known) for one in value]
    if isinstance(value, Mapping):
        return {name: _fill(one, known) for name, one in value.items()}
    return value


def _as_text(value: Any) -> str:
    return "" if value is None else str(value)
