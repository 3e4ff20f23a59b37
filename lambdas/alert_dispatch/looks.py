"""How each type of alert looks where there are colours, emoji and priorities. Pure."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Look:
    """`colour` is 0xRRGGBB, `tag` the name of the emoji at ntfy, `style` that of a container in an adaptive card."""

    emoji: str
    colour: int
    tag: str
    style: str


_RED: Final = Look("🔴", 0xD93025, "red_circle", "attention")
_GREEN: Final = Look("🟢", 0x1E8E3E, "green_circle", "good")
_ORANGE: Final = Look("🟠", 0xE8710A, "orange_circle", "warning")
_YELLOW: Final = Look("🟡", 0xF9AB00, "yellow_circle", "warning")
_BLUE: Final = Look("🔵", 0x1A73E8, "large_blue_circle", "accent")
_WHITE: Final = Look("⚪", 0x80868B, "white_circle", "emphasis")

EARLIER: Final = "earlier"
"""What is told of an outage after a later one was: neither down nor up."""

LOOKS: Final = {
    "down": _RED,
    "escalated": _RED,
    "reminder": _RED,
    "recovered": _GREEN,
    "acknowledged": _BLUE,
    "unacknowledged": _ORANGE,
    "flapping": _ORANGE,
    "degraded": _YELLOW,
    "fast_again": _GREEN,
    "group": _RED,
    "not_monitored": _WHITE,
    "monitored_again": _BLUE,
    "certificate_expiring": _YELLOW,
    "domain_expiring": _YELLOW,
    "channel_disabled": _ORANGE,
    "verification": _BLUE,
    "test": _BLUE,
    EARLIER: _WHITE,
}


def look(alert_type: str) -> Look:
    """The look of a type of alert, or of an `EARLIER` outage; a type that is newer than this looks like news."""
    return LOOKS.get(alert_type, _BLUE)
