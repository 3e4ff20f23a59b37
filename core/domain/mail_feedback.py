"""What Amazon SES tells about mail that it took: bounces and complaints.

Shapes: https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html; over EventBridge they are the `detail` of
events of the source `aws.ses`. Mail of ours carries the tags `channel` and `config_version`.
"""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

import msgspec

CHANNEL_TAG: Final = "channel"
VERSION_TAG: Final = "config_version"
WORDS_LIMIT: Final = 300

UNSUBSCRIBED: Final = "the recipient wants no more mail"
COMPLAINED: Final = "the recipient complained about our mail"


class Recipient(msgspec.Struct, frozen=True, rename="camel"):
    """A recipient whose mail came back. `diagnostic_code` is what the mail server said."""

    status: str = ""
    diagnostic_code: str = ""


class Bounce(msgspec.Struct, frozen=True, rename="camel"):
    """`bounce_type` is Permanent, Transient or Undetermined."""

    bounce_type: str
    bounce_sub_type: str = ""
    bounced_recipients: tuple[Recipient, ...] = ()


class Complaint(msgspec.Struct, frozen=True, rename="camel"):
    """Somebody marked the mail as unwanted."""

    complaint_feedback_type: str | None = None


class Mail(msgspec.Struct, frozen=True):
    """The mail that it is about."""

    tags: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)


class MailEvent(msgspec.Struct, frozen=True, rename="camel"):
    """The `detail` of an event; what is not needed here is left out."""

    event_type: str
    mail: Mail
    bounce: Bounce | None = None
    complaint: Complaint | None = None


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Mail to this version of a channel has no point any more."""

    channel_id: UUID
    config_version: int
    reason: str


def unreachable(event: MailEvent) -> Unreachable | None:
    """The channel that must be disabled; None for events that say nothing for good, or about mail that is not an alert.

    A permanent bounce means that the mailbox is gone or that SES does not write to it any more; a complaint, that its owner wants no mail.
    """
    reason = _reason(event)
    try:
        channel, version = UUID(event.mail.tags[CHANNEL_TAG][0]), int(event.mail.tags[VERSION_TAG][0])
    except (KeyError, IndexError, ValueError):
        return None
    return Unreachable(channel, version, reason) if reason else None


def recipient_left(disabled_reason: str) -> bool:
    """Whether a channel was disabled because its recipient wants no more: whoever enables it again has to ask them first."""
    return disabled_reason.startswith((UNSUBSCRIBED, COMPLAINED))


def _reason(event: MailEvent) -> str:
    if event.complaint:
        kind = event.complaint.complaint_feedback_type
        return f"{COMPLAINED} ({kind})" if kind else COMPLAINED
    if event.bounce and event.bounce.bounce_type == "Permanent":
        said = next((one.diagnostic_code or one.status for one in event.bounce.bounced_recipients), event.bounce.bounce_sub_type)
        words = " ".join(said.split())
        return f"mail came back for good: {words}"[:WORDS_LIMIT]
    return ""
