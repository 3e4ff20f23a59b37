"""A message as Telegram takes it: its HTML. Pure.

Telegram makes links of whatever looks like a URL, a host name, an @name, a #tag or a /command, but not within `code`, which can hold
no other entity (https://core.telegram.org/bots/api#html-style). So everything that others chose stands in `code`. 4,096 characters
after parsing (https://core.telegram.org/bots/api#sendmessage), counted in UTF-16 units as its entities are.
"""

from html import escape
from typing import Final

from lambdas.alert_dispatch.fitting import fit, utf16_units
from lambdas.alert_dispatch.listing import listing
from lambdas.alert_dispatch.looks import look
from lambdas.alert_dispatch.message import Message

LINE_LIMIT: Final = 320
LABEL_LIMIT: Final = 40
FACTS_LIMIT: Final = 8
TEXT_LIMIT: Final = 4000
LEAST_OUTPUT: Final = 80
LIST_LIMIT: Final = 2000
"""With the two facts that a message with a list has."""


def telegram_text(message: Message, alert_type: str) -> str:
    """The text, for `parse_mode` HTML."""
    lines = [f"{look(alert_type).emoji} {_code(message.subject)}"]
    lines += ["", _code(message.headline)] if message.headline else []
    lines += [
        f"<b>{escape(fit(label, LABEL_LIMIT), quote=False)}</b> {_code(value)}"
        for label, value in message.facts[:FACTS_LIMIT]
        if value
    ]
    lines += ["", *map(_code, listing(message.lines, message.others, LIST_LIMIT))] if message.lines else []
    lines += ["", _code(message.closing)] if message.closing else []
    room = TEXT_LIMIT - utf16_units("\n".join(lines))
    if message.output and room > LEAST_OUTPUT:
        lines += ["", f"<pre>{escape(fit(message.output, room), quote=False)}</pre>"]
    links = [(message.acknowledge, "Acknowledge"), (message.link, "Incident")]
    if shown := [f'<a href="{escape(link)}">{words}</a>' for link, words in links if link]:
        lines += ["", " · ".join(shown)]
    return "\n".join(lines)


def _code(text: str) -> str:
    return f"<code>{escape(fit(text, LINE_LIMIT), quote=False)}</code>"
