"""What SES says of a mail that it has stored: the notification of its S3 action, as it comes out of the queue. Pure.

https://docs.aws.amazon.com/ses/latest/dg/receiving-email-notifications-contents.html
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

RECEIVED: Final = "Received"

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,499}", re.ASCII)


class Malformed(Exception):
    """This is no notification of a stored mail; the message says why."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A stored mail. `recipients` are those of the envelope, `headers` what SES repeats of the mail's (10 kB at most), in their order.

    `received_at` is in epoch milliseconds, `key` the object's name in S3.
    """

    message_id: str
    key: str
    recipients: Sequence[str]
    received_at: int
    headers: Sequence[tuple[str, str]]


def read(text: str) -> Notice:
    """The notification in a message of the queue, bare or in the envelope that SNS puts round it.

    Raises:
        Malformed: it is none. SES sends a line of prose when a topic is set up.
    """
    try:
        said = json.loads(text)
        if isinstance(said, dict) and said.get("Type") == "Notification":
            said = json.loads(said["Message"])
        return _notice(said)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise Malformed(f"{type(error).__name__}: {error}") from error


def _notice(said: Mapping[str, Any]) -> Notice:
    if said["notificationType"] != RECEIVED:
        raise Malformed("the notification is of another type")
    mail, receipt = said["mail"], said["receipt"]
    message_id, key = str(mail["messageId"]), str(receipt["action"]["objectKey"])
    if not message_id or not _KEY.fullmatch(key):
        raise Malformed("the object's name is none of SES")
    return Notice(
        message_id=message_id,
        key=key,
        recipients=[str(recipient) for recipient in receipt["recipients"]],
        received_at=_epoch_ms(str(mail["timestamp"])),
        headers=[(str(header["name"]), str(header["value"])) for header in mail.get("headers") or ()],
    )


def _epoch_ms(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
