"""HTTP headers that users add to what we send for them."""

import re
from collections.abc import Mapping
from typing import Final

from core.contracts.channels.config import BadConfig

MOST_HEADERS: Final = 20
VALUE_LIMIT: Final = 2000

OURS: Final = re.compile(
    r"webhook-.*|proxy-.*|host|connection|content-length|transfer-encoding|content-encoding|te|trailer|upgrade|keep-alive|expect"
)
"""What says how a message travels, and what its receiver knows it by."""

_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")


def check_headers(headers: Mapping[str, str], field: str) -> None:
    """Whether these headers can be sent (RFC 9110: tokens, and values without control characters).

    Raises:
        BadConfig: blaming `field`; the value, which may be a secret, is not repeated.
    """
    if len(headers) > MOST_HEADERS:
        raise BadConfig(field, "too_many", f"must be at most {MOST_HEADERS}")
    if len({name.lower() for name in headers}) < len(headers):
        raise BadConfig(field, "repeated", "must not name a header twice")
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise BadConfig(field, "invalid", f"{name[:100]!r} is not the name of a header")
        if OURS.fullmatch(name.lower()):
            raise BadConfig(field, "reserved", f"{name} is set by us")
        if len(value) > VALUE_LIMIT or not _VALUE.fullmatch(value):
            raise BadConfig(field, "invalid", f"the value of {name} must be 1 to {VALUE_LIMIT} printable ASCII characters")
