"""JSON templates of users: which placeholders there are, and what is wrong with a template.

A placeholder stands inside a text of the template: `{"summary": "{{subject}}"}`. Values are put into the parsed document and never into
its JSON, so whatever they hold, they stay the text that they are.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from core.contracts.channels.config import BadConfig

SIZE_LIMIT: Final = 16 * 1024
MOST_PLACEHOLDERS: Final = 100
DEPTH_LIMIT: Final = 10

PLACEHOLDER: Final = re.compile(r"\{\{\s*([a-z_.]+)\s*\}\}")

NAMES: Final = frozenset(
    {
        *("type", "subject", "headline", "text", "note", "link", "acknowledge", "output", "timestamp"),
        *("delivery_id", "alert_id", "workspace_id", "order_key"),
        *("monitor.id", "monitor.kind", "monitor.name", "monitor.target"),
        *("incident.id", "incident.reason", "incident.why", "incident.detail"),
        *("incident.began_at", "incident.opened_at", "incident.resolved_at", "incident.duration_s"),
        *("incident.acknowledged_at", "incident.acknowledged_by"),
        *("newer.began_at", "newer.ended_at"),
        *("expiry.name", "expiry.ends_at", "expiry.days_left", "expiry.websites"),
    }
)
"""What may be put into a template. What an alert does not have is null, and nothing within a text."""


def check_template(template: Mapping[str, Any], field: str) -> None:
    """Whether a template can be filled.

    Raises:
        BadConfig: blaming `field`.
    """
    found = 0
    for text in _texts(template, field, DEPTH_LIMIT):
        for name in PLACEHOLDER.findall(text):
            found += 1
            if name not in NAMES:
                raise BadConfig(
                    field, "unknown_placeholder", f"has no value for {{{{{name}}}}}; there are {', '.join(sorted(NAMES))}"
                )
        if "{{" in PLACEHOLDER.sub("", text):
            raise BadConfig(field, "invalid", "has {{ without a placeholder after it")
    if found > MOST_PLACEHOLDERS:
        raise BadConfig(field, "too_many", f"must have at most {MOST_PLACEHOLDERS} placeholders")
    if len(json.dumps(template)) > SIZE_LIMIT:
        raise BadConfig(field, "too_long", f"must have at most {SIZE_LIMIT} characters as JSON")


def _texts(value: Any, field: str, depth: int) -> Iterator[str]:
    """The texts of a document; names are left as they are, so a placeholder in one is refused."""
    if not depth:
        raise BadConfig(field, "too_deep", f"must be nested at most {DEPTH_LIMIT} times")
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one, field, depth - 1)
    elif isinstance(value, Mapping):
        for name, one in value.items():
            if "{{" in name:
                raise BadConfig(field, "invalid", "must not have placeholders in names")
            yield from _texts(one, field, depth - 1)
