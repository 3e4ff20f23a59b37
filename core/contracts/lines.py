"""Text that others chose, as a line that does nothing but say it: it ends no header, steers no terminal and turns no text around. Pure."""

from typing import Final

JOINERS: Final = frozenset("\u200c\u200d")
"""They have no width and do nothing alone; without them Persian words fall apart, and so do families and flags of emoji."""


def one_line(text: str) -> str:
    """Untrusted text as one line; what is neither printable nor a joiner becomes a blank, and several blanks become one."""
    if not text.isprintable():
        text = "".join(char if char.isprintable() or char in JOINERS else " " for char in text)
    return " ".join(text.split())
