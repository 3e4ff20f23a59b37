"""A message as a Discord webhook takes it: an embed. Pure.

What others chose is escaped (https://docs.discord.com/developers/reference#message-formatting and the Markdown guide of its help
centre): a backslash before each mark, the colon and the slash of a URL included, which Discord would make a link of. No mention is
resolved either, because `allowed_mentions` allows none. Limits:
https://docs.discord.com/developers/resources/message#embed-object-embed-limits.
"""

from string import punctuation
from typing import Any, Final

from lambdas.alert_dispatch.fitting import fit, utf16_units
from lambdas.alert_dispatch.listing import listing
from lambdas.alert_dispatch.looks import look
from lambdas.alert_dispatch.message import Message

TITLE_LIMIT: Final = 256
DESCRIPTION_LIMIT: Final = 1500
LIST_LIMIT: Final = 2500
FIELD_NAME_LIMIT: Final = 40
FIELD_VALUE_LIMIT: Final = 512
FIELDS_LIMIT: Final = 7
OUTPUT_LIMIT: Final = 1000
"""The service's own limits are 256, 4,096, 256, 1,024, 25, and 6,000 for all text of an embed; with these, every message fits.
A job's output stands in a block of code, where only back-ticks mean something."""

_HARMLESS: Final = frozenset(".,;!?'\"%&=$^{}")


def discord_message(message: Message, alert_type: str) -> dict[str, Any]:
    """One embed in the type's colour; its title leads to the incident."""
    seen = look(alert_type)
    story = " ".join(part for part in (message.headline, message.closing) if part)
    embed: dict[str, Any] = {
        "title": escaped(f"{seen.emoji} {message.subject}", TITLE_LIMIT),
        "color": seen.colour,
        "fields": [
            {"name": fit(label, FIELD_NAME_LIMIT), "value": escaped(value, FIELD_VALUE_LIMIT) or "-", "inline": False}
            for label, value in message.facts[:FIELDS_LIMIT]
        ],
        "footer": {"text": "Uptime Monitor"},
    }
    described = [escaped(story, DESCRIPTION_LIMIT)] if story else []
    if message.lines:
        shown = listing(message.lines, message.others, LIST_LIMIT, size=lambda line: utf16_units(escaped(line, LIST_LIMIT)))
        described += ["", *(escaped(line, LIST_LIMIT) for line in shown)]
    if message.acknowledge:
        described += ["", f"[Acknowledge]({message.acknowledge})"]
    if described:
        embed["description"] = "\n".join(described).lstrip()
    if message.output:
        said = fit(message.output.replace("`", "'"), OUTPUT_LIMIT)
        embed["fields"].append({"name": "Output", "value": f"```\n{said}\n```", "inline": False})
    if message.link:
        embed["url"] = message.link
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def escaped(text: str, limit: int) -> str:
    """Text without anything that Discord would format, of at most `limit` UTF-16 units."""
    return fit(text, limit, escape=_escape)


def _escape(char: str) -> str:
    return f"\\{char}" if char in punctuation and char not in _HARMLESS else char
