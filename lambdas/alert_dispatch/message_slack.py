"""A message as Slack takes it. Pure.

What others chose stands in `plain_text` objects only, which Slack does not parse
(https://docs.slack.dev/reference/block-kit/composition-objects/text-object): no mention, link or formatting comes of it. The three
control characters are escaped there too (https://docs.slack.dev/messaging/formatting-message-text), because the text of the
notification is parsed. Limits: https://docs.slack.dev/reference/block-kit/blocks.
"""

from typing import Any, Final

from lambdas.alert_dispatch.fitting import fit, utf16_units
from lambdas.alert_dispatch.listing import listing
from lambdas.alert_dispatch.looks import look
from lambdas.alert_dispatch.message import Message

HEADER_LIMIT: Final = 150
FIELD_LIMIT: Final = 2000
FIELDS_LIMIT: Final = 10
TEXT_LIMIT: Final = 3000
LINK_LIMIT: Final = 1200

_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def slack_message(message: Message, alert_type: str) -> dict[str, Any]:
    """Headline and notification on top; below, beside a bar of the type's colour, the facts."""
    seen = look(alert_type)
    title = f"{seen.emoji} {message.subject}"
    return {
        "text": escaped(title, TEXT_LIMIT),
        "blocks": [{"type": "header", "text": _plain(title, HEADER_LIMIT)}],
        "attachments": [{"color": f"#{seen.colour:06X}", "blocks": _details(message)}],
        "mrkdwn": False,
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _details(message: Message) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = [{"type": "section", "text": _plain(message.headline, TEXT_LIMIT)}] if message.headline else []
    if message.facts:
        fields = [_plain(f"{label}\n{value}", FIELD_LIMIT) for label, value in message.facts[:FIELDS_LIMIT]]
        blocks.append({"type": "section", "fields": fields})
    if message.lines:
        lines = listing(message.lines, message.others, TEXT_LIMIT, size=lambda line: utf16_units(escaped(line, TEXT_LIMIT)))
        blocks.append({"type": "section", "text": _plain("\n".join(lines), TEXT_LIMIT)})
    if message.closing:
        blocks.append({"type": "section", "text": _plain(message.closing, TEXT_LIMIT)})
    if message.output:
        blocks.append({"type": "section", "text": _plain(message.output, TEXT_LIMIT)})
    links = [(message.acknowledge, "Acknowledge"), (message.link, "Incident")]
    foot = " · ".join([*(f"<{escaped(link, LINK_LIMIT)}|{words}>" for link, words in links if link), "Uptime Monitor"])
    return [*blocks, {"type": "context", "elements": [{"type": "mrkdwn", "text": foot, "verbatim": True}]}]


def _plain(text: str, limit: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": escaped(text, limit), "emoji": False}


def escaped(text: str, limit: int) -> str:
    """Text without Slack's control characters, of at most `limit` characters."""
    return fit(text, limit, escape=lambda char: _ESCAPES.get(char, char))
