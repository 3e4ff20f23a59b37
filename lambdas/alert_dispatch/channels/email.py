"""E-mail, by SMTP or Amazon SES."""

import smtplib
import socket
import ssl
import time
from collections.abc import Buffer, Callable
from contextlib import suppress
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, parseaddr
from threading import Timer
from typing import TYPE_CHECKING, Final, TypedDict
from uuid import UUID

from botocore.exceptions import BotoCoreError, ClientError

from core.contracts.channels.email import EmailConfig
from lambdas.alert_dispatch.config import SmtpServer
from lambdas.alert_dispatch.dispatch import Outgoing
from lambdas.alert_dispatch.errors import Permanent, RateLimited, Transient, unanswered

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client


class ConfigurationSet(TypedDict, total=False):
    """The argument that names one, where there is one."""

    ConfigurationSetName: str


PERMANENT_REPLY: Final = 500
GOODBYE_S: Final = 1.0
UNKNOWN_MAILBOX: Final = frozenset({550, 551, 553})
SES_THROTTLES: Final = frozenset({"TooManyRequestsException", "LimitExceededException", "ThrottlingException"})
SES_BAD_REQUESTS: Final = frozenset({"BadRequestException"})


type Unsubscribe = Callable[[UUID, int], str]
"""The link that ends the mail to a version of a channel; empty where there is none."""


def no_link(_channel_id: UUID, _version: int) -> str:
    """For installations without a public address."""
    return ""


def build(outgoing: Outgoing, sender: str, recipient: str, now: datetime, unsubscribe: str = "") -> EmailMessage:
    """The mail. Its Message-ID is made of the delivery, so a repeated one can be told; messages of one incident form a thread.

    `unsubscribe` is offered as RFC 2369 and RFC 8058 say; one click only over https, as the latter wants.
    """
    data = outgoing.request.data
    domain = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    mail = EmailMessage(policy=SMTP_POLICY)
    mail["Subject"] = outgoing.message.subject.replace("=?", "= ?")  # else it might be read as an encoded word (RFC 2047)
    mail["From"] = sender
    mail["To"] = recipient
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{data.delivery_id}@{domain}>"
    mail["References"] = f"<{data.order_key}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    if unsubscribe:
        mail["List-Unsubscribe"] = f"<{unsubscribe}>"
    if unsubscribe.startswith("https://"):
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail.set_content(outgoing.message.text)
    mail.add_alternative(outgoing.message.html, subtype="html")
    return mail


class _LostWithMail(smtplib.SMTPException):
    """The connection ended while the mail was handed over: the server may have it."""


class _Session(smtplib.SMTP):
    """A session that is cut at its deadline: the time limit of a socket begins anew with each byte, and a server may trickle."""

    def __init__(self, server: SmtpServer, deadline: float) -> None:
        self._end = Timer(_left(deadline), self._cut)
        self._end.daemon = True
        self._end.start()
        try:
            super().__init__(server.host, server.port, timeout=_left(deadline))
        except BaseException:
            self._end.cancel()
            raise

    def data(self, msg: Buffer | str) -> tuple[int, bytes]:
        """Hand the mail over."""
        try:
            return super().data(msg)
        except TimeoutError:
            raise
        except (smtplib.SMTPServerDisconnected, OSError) as error:
            raise _LostWithMail(str(error)) from error

    def close(self) -> None:
        """Close the connection, if there is one."""
        self._end.cancel()
        super().close()

    def _cut(self) -> None:
        with suppress(OSError):  # it may be closed at this moment
            if self.sock:
                self.sock.shutdown(socket.SHUT_RDWR)


class SmtpSender:
    """Hands mail to an SMTP server, with STARTTLS where it is offered."""

    def __init__(
        self, server: SmtpServer, sender: str, clock: Callable[[], datetime], unsubscribe: Unsubscribe = no_link
    ) -> None:
        self._server = server
        self._unsubscribe = unsubscribe
        self._sender = sender
        self._clock = clock

    def __call__(self, outgoing: Outgoing, config: EmailConfig) -> None:
        """Send; see `Sender`."""
        data = outgoing.request.data
        link = self._unsubscribe(data.channel_id, data.config_version)
        mail = build(outgoing, self._sender, config.address, self._clock(), link)
        deadline = time.monotonic() + outgoing.timeout_s
        try:
            self._hand_over(mail, config.address, deadline)
        except smtplib.SMTPRecipientsRefused as error:
            raise refused_recipient(*error.recipients[config.address]) from error
        except smtplib.SMTPDataError as error:
            said = f"the mail server refused the message: {_reply(error.smtp_code, error.smtp_error)}"
            raise (Permanent(said) if error.smtp_code >= PERMANENT_REPLY else Transient(said)) from error
        except (smtplib.SMTPException, OSError) as error:
            if isinstance(error, TimeoutError) or time.monotonic() >= deadline:
                raise Transient(f"the mail server gave no answer within {outgoing.timeout_s:.0f} s", timed_out=True) from error
            raise Transient(f"the mail server could not be used: {error}", in_doubt=isinstance(error, _LostWithMail)) from error

    def _hand_over(self, mail: EmailMessage, recipient: str, deadline: float) -> None:
        smtp = _Session(self._server, deadline)
        try:
            self._greet(smtp, deadline)
            _limit(smtp, deadline)
            smtp.send_message(mail, parseaddr(self._sender)[1], [recipient])
            _leave(smtp)
        finally:
            smtp.close()

    def _greet(self, smtp: smtplib.SMTP, deadline: float) -> None:
        smtp.ehlo()
        if smtp.has_extn("starttls"):
            _limit(smtp, deadline)
            smtp.starttls(context=self._tls())
            smtp.ehlo()
        if self._server.user:
            _limit(smtp, deadline)
            smtp.login(self._server.user, self._server.password)

    def _tls(self) -> ssl.SSLContext:
        """Without a password encryption is opportunistic (RFC 7435): an unverified certificate is better than clear text."""
        context = ssl.create_default_context()
        if not self._server.password:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class SesSender:
    """Hands mail to Amazon SES."""

    def __init__(
        self,
        client: Callable[[], "SESV2Client"],
        sender: str,
        clock: Callable[[], datetime],
        unsubscribe: Unsubscribe = no_link,
        configuration_set: str = "",
    ) -> None:
        self._client = client
        self._unsubscribe = unsubscribe
        self._configuration_set = configuration_set
        self._sender = sender
        self._clock = clock

    def __call__(self, outgoing: Outgoing, config: EmailConfig) -> None:
        """Send; see `Sender`. What SES refuses for our account's sake is worth another try: the operator will repair it.

        The tags come back in its events about the mail (`core.domain.mail_feedback`).
        """
        data = outgoing.request.data
        link = self._unsubscribe(data.channel_id, data.config_version)
        mail = build(outgoing, self._sender, config.address, self._clock(), link)
        tags = {"channel": str(data.channel_id), "config_version": str(data.config_version)}
        events: ConfigurationSet = {"ConfigurationSetName": self._configuration_set} if self._configuration_set else {}
        try:
            self._client().send_email(
                FromEmailAddress=self._sender,
                Destination={"ToAddresses": [config.address]},
                Content={"Raw": {"Data": mail.as_bytes()}},
                EmailTags=[{"Name": name, "Value": value} for name, value in tags.items()],
                **events,
            )
        except ClientError as error:
            raise _ses_error(error.response["Error"].get("Code", ""), str(error)) from error
        except BotoCoreError as error:
            raise unanswered("SES", error) from error


def _ses_error(code: str, text: str) -> Transient | Permanent:
    if code in SES_THROTTLES:
        return RateLimited(text)
    return Permanent(text) if code in SES_BAD_REQUESTS else Transient(text)


def refused_recipient(code: int, reply: bytes | str) -> Transient | Permanent:
    """What a refused recipient means: 4xx try again; 5xx never, and the mailbox is gone where the reply says so.

    The enhanced status (RFC 3463) decides where there is one: 5.1.x is about the address, others (5.7.1) about policy.
    """
    said = f"the mail server refused the recipient: {_reply(code, reply)}"
    if code < PERMANENT_REPLY:
        return Transient(said)
    word = (reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply).split(" ", 1)[0]
    enhanced = word.count(".") == len("xx") and word.replace(".", "").isdigit()
    return Permanent(said, disable_channel=word.startswith("5.1.") if enhanced else code in UNKNOWN_MAILBOX)


def _reply(code: int, reply: bytes | str) -> str:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return f"{code} {text}"[:300]


def _left(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("no time left")
    return seconds


def _leave(smtp: smtplib.SMTP) -> None:
    """Say goodbye. The message is accepted by now: whatever happens here must not send it again."""
    _limit(smtp, time.monotonic() + GOODBYE_S)
    with suppress(smtplib.SMTPException, OSError):
        smtp.quit()


def _limit(smtp: smtplib.SMTP, deadline: float) -> None:
    """Every further step has only what is left."""
    if smtp.sock:
        smtp.sock.settimeout(_left(deadline))
