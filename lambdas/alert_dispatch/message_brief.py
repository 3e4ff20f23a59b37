"""Messages for where there is little room: an SMS, the parameters of a WhatsApp template. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from core.contracts.events import AlertRequested
from core.contracts.lines import one_line
from lambdas.alert_dispatch.message import Message

SMS_LIMIT: Final = 306
"""Two parts of 153 characters of the GSM alphabet, or five of 67 where the text has others; SNS takes at most 1,600 characters."""

PARAMETER_LIMIT: Final = 400
"""A template's body may have 1,024 characters with all that is put into it."""

NOTHING: Final = "-"
"""A parameter must not be empty."""

PLAIN: Final = {
    **dict.fromkeys((0x201C, 0x201D, 0x201E), '"'),  # quotation marks
    **dict.fromkeys((0x2018, 0x2019), "'"),
    **dict.fromkeys((0x2013, 0x2014), "-"),  # dashes
    0x2026: "...",
    0x00A0: " ",
}
"""One character outside of the GSM alphabet makes every part of an SMS half as long, so common ones are written plainly."""


def sms(message: Message) -> str:
    """What fits into an SMS: the subject, what explains it, and a link, if there is room for all of it."""
    text = message.subject.translate(PLAIN)[:SMS_LIMIT]
    for more in (message.closing.translate(PLAIN), message.acknowledge or message.link):
        if more and len(text) + len(more) + 1 <= SMS_LIMIT:
            text = f"{text}\n{more}"
    return text


def parameters(names: Sequence[str], request: AlertRequested, message: Message) -> list[str]:
    """Values for a template. Meta refuses line breaks, tabs and more than four blanks in a row, and empty values."""
    known = _values(request, message)
    return [one_line(known[name])[:PARAMETER_LIMIT] or NOTHING for name in names]


def _values(request: AlertRequested, message: Message) -> Mapping[str, str]:
    facts = dict(message.facts)
    return {
        "subject": message.subject,
        "headline": message.headline,
        "details": "; ".join(f"{label}: {value}" for label, value in message.facts) or message.closing,
        "type": request.alert_type,
        "monitor": request.monitor.name if request.monitor else "",
        "what": facts.get("What", ""),
        "why": facts.get("Why", ""),
        "since": facts.get("Since", ""),
        "until": facts.get("Until", ""),
        "duration": facts.get("For", ""),
        "note": message.closing,
        "link": message.link,
        "acknowledge": message.acknowledge,
    }
