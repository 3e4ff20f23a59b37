"""Telephone numbers that users enter."""

import re
from typing import Final

from core.contracts.channels.config import BadConfig

_NUMBER: Final = re.compile(r"\+[1-9]\d{6,14}")
_LAYOUT: Final = str.maketrans("", "", " -.()/")


def checked_number(number: str, field: str) -> str:
    """A number in E.164, without what people write between its digits.

    Raises:
        BadConfig: blaming `field`.
    """
    plain = number.translate(_LAYOUT)
    if not number.isascii() or not _NUMBER.fullmatch(plain):
        raise BadConfig(field, "invalid", "must be an international number such as +49 151 23456789")
    return plain


def hidden_number(number: str) -> str:
    """As it is shown: enough to recognise it."""
    return f"{number[:4]}…{number[-3:]}"
