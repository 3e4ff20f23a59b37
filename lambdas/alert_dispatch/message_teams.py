"""A message as a Teams workflow takes it: an adaptive card. Pure.

What others chose stands in `TextRun`s only, which know no Markdown
(https://learn.microsoft.com/adaptive-cards/schema-explorer/text-run); in a TextBlock or a FactSet it could make links. Mentions need
an entity that names a person, and there is none. A message may have 28 KB
(https://learn.microsoft.com/microsoftteams/limits-specifications-teams).
"""

from typing import Any, Final

import msgspec

from lambdas.alert_dispatch.fitting import fit
from lambdas.alert_dispatch.listing import listing
from lambdas.alert_dispatch.looks import look
from lambdas.alert_dispatch.message import Message

CARD_VERSION: Final = "1.4"
TITLE_BYTES: Final = 1000
LABEL_BYTES: Final = 100
FACT_BYTES: Final = 2000
CLOSING_BYTES: Final = 4000
FACTS_LIMIT: Final = 8
OUTPUT_LINES: Final = 20
LIST_BYTES: Final = 12_000
BLOCK_BYTES: Final = 90
"""Around each line; with the two facts that a message with a list has."""

_QUOTES: Final = 2


def teams_message(message: Message, alert_type: str) -> dict[str, Any]:
    """A message with one card: its title in the type's colour, then the facts, then a button for each link."""
    return {
        "type": "message",
        "attachments": [
            {
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": None,
                "content": _card(message, alert_type),
            }
        ],
    }


def _card(message: Message, alert_type: str) -> dict[str, Any]:
    seen = look(alert_type)
    title = _block(_run(f"{seen.emoji} {message.subject}", TITLE_BYTES, size="Large", weight="Bolder"))
    facts = [
        _block(_run(f"{label}: ", LABEL_BYTES, weight="Bolder"), _run(value, FACT_BYTES))
        for label, value in message.facts[:FACTS_LIMIT]
    ]
    headline = [_block(_run(message.headline, TITLE_BYTES))] if message.headline else []
    closing = [_block(_run(message.closing, CLOSING_BYTES))] if message.closing else []
    said = [
        {**_block(_run(line or " ", FACT_BYTES, fontType="Monospace")), "spacing": "None"}
        for line in message.output.split("\n")[-OUTPUT_LINES:]
        if message.output
    ]
    lines = listing(message.lines, message.others, LIST_BYTES, size=lambda line: json_bytes(line) + BLOCK_BYTES)
    listed = [_block(_run(line, FACT_BYTES)) for line in lines]
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": CARD_VERSION,
        "msteams": {"width": "Full"},
        "body": [
            {"type": "Container", "style": seen.style, "bleed": True, "items": [title]},
            *headline,
            *facts,
            *listed,
            *closing,
            *said,
            _block(_run("Uptime Monitor", LABEL_BYTES, size="Small", isSubtle=True)),
        ],
    }
    links = [("Acknowledge", message.acknowledge), ("Incident", message.link)]
    if actions := [{"type": "Action.OpenUrl", "title": title, "url": url} for title, url in links if url]:
        card["actions"] = actions
    return card


def _block(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _run(text: str, limit: int, **looks: Any) -> dict[str, Any]:
    return {"type": "TextRun", "text": fit(text, limit, size=json_bytes), **looks}


def json_bytes(text: str) -> int:
    """Bytes that a text takes within JSON."""
    return len(msgspec.json.encode(text)) - _QUOTES
