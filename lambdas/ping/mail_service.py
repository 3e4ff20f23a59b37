"""One mail from its notification to its pings: recorded as a ping over HTTP is, and published."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import NAMESPACE_URL, uuid5

from core.contracts.heartbeat_keys import BODY_LIMIT
from lambdas.ping import log, mail_address, mail_message
from lambdas.ping.address import Address, BadRequest
from lambdas.ping.directory import Directory
from lambdas.ping.mail_address import Recipient
from lambdas.ping.mail_message import Content
from lambdas.ping.mail_notice import Notice
from lambdas.ping.publish import Publisher
from lambdas.ping.record import Recorded, Recorder, UnknownHeartbeat
from lambdas.ping.request import USER_AGENT_LIMIT, Ping
from lambdas.ping.transaction import Busy
from lambdas.signed_aws.aws import OUTAGES, AwsError

METHOD: Final = "EMAIL"
READ_LIMIT: Final = 2 * BODY_LIMIT
"""Bytes of a mail that are read: a text of 1 MiB is 1.4 MiB in base64, and attachments come after it."""

SHOWN: Final = 8
"""Characters of an address in the log: whoever knows all of it can ping."""

GONE: Final = "Http404"


class Store(Protocol):
    """What is needed of S3 (`lambdas.signed_aws.aws.Bucket`)."""

    def get(self, key: str, limit: int) -> bytes:
        """The beginning of an object."""
        ...


@dataclass(frozen=True, slots=True)
class MailService:
    """Turns mails to `domain` (in lower case) into pings."""

    recorder: Recorder
    directory: Directory
    publisher: Publisher
    store: Store
    domain: str

    def take(self, notice: Notice) -> None:
        """Record a ping for each recipient that names a heartbeat; the same notification again changes nothing.

        Raises:
            Busy, AwsError, Unreachable: not everything is recorded; it is to be tried again.
        """
        recipients = self._recipients(notice)
        if not recipients:
            return
        content = self._content(notice)
        trouble: Exception | None = None
        for recipient in recipients:
            try:
                self._ping(notice, recipient, content)
            except (Busy, *OUTAGES) as error:  # the other recipients are other heartbeats
                trouble = error
        if trouble is not None:
            raise trouble

    def _recipients(self, notice: Notice) -> Sequence[Recipient]:
        found: dict[str, Recipient] = {}
        for text in notice.recipients:
            try:
                recipient = mail_address.read(text, self.domain)
            except BadRequest as error:
                _drop(notice, text, str(error))
                continue
            found[recipient.local] = recipient
        return list(found.values())

    def _content(self, notice: Notice) -> Content:
        """What the mail says; of one that is not stored any more, what its headers say: filters then decide without a text."""
        try:
            raw = self.store.get(notice.key, READ_LIMIT)
        except AwsError as error:
            if error.code != GONE:
                raise
            log.write("error", "ping.mail_gone", request_id=notice.message_id)
            return mail_message.from_headers(notice.headers)
        return mail_message.read(raw, whole=len(raw) < READ_LIMIT)

    def _ping(self, notice: Notice, recipient: Recipient, content: Content) -> None:
        ping = _as_ping(notice, recipient, content)
        try:
            recorded = self._record(recipient.address, ping)
        except UnknownHeartbeat:
            _drop(notice, recipient.local, "no such heartbeat")
            return
        if recorded.event:
            self.publisher.publish(recorded.event)
        log.write(
            "info",
            "ping.mail_recorded",
            request_id=notice.message_id,
            token=recipient.local[:SHOWN],
            is_new=recorded.event is not None,
            is_reply=content.is_reply,
            too_many=recorded.wait_s is not None,
        )

    def _record(self, address: Address, ping: Ping) -> Recorded:
        heartbeat_id = address.heartbeat_id or self.directory.find(address.ping_key, address.slug, ping.pinged_at).heartbeat_id
        if not heartbeat_id:
            raise UnknownHeartbeat(address.slug)
        return self.recorder.record(heartbeat_id, ping)


def _as_ping(notice: Notice, recipient: Recipient, content: Content) -> Ping:
    """The ping that a mail is. Its id follows from that of the mail and the address, its time is when SES received it."""
    said = recipient.address
    return Ping(
        ping_id=str(uuid5(NAMESPACE_URL, f"mail:{notice.message_id}:{recipient.local}")),
        kind="log" if content.is_reply else said.kind,
        exit_status=None if content.is_reply else said.exit_status,
        pinged_at=notice.received_at,
        method=METHOD,
        source_ip=content.source_ip,
        user_agent=" ".join(f"{content.sender}: {content.subject.decode()}".split())[:USER_AGENT_LIMIT],
        body=content.text[:BODY_LIMIT],
        body_size=content.size,
        subject=content.subject,
    )


def _drop(notice: Notice, recipient: str, reason: str) -> None:
    log.write("warning", "ping.mail_dropped", request_id=notice.message_id, token=recipient[:SHOWN], reason=reason)
