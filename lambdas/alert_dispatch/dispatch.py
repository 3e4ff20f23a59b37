"""Sends one message to one channel, in its order and no faster than its target takes messages, and says what became of it."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol, override
from uuid import UUID, uuid4

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError
from msgspec import structs

from core.contracts.channels.config import ChannelConfig
from core.contracts.channels.email import EmailConfig
from core.contracts.channels.ntfy import NtfyConfig
from core.contracts.channels.webhook import WebhookConfig
from core.contracts.events import AlertRequested, Detail
from core.contracts.incident_links import GOOD_FOR, IncidentLink
from lambdas.alert_dispatch import receipts
from lambdas.alert_dispatch.answers import hidden
from lambdas.alert_dispatch.errors import LONGEST_RETRY_AFTER_S, Later, Permanent, RateLimited, Refused, Transient
from lambdas.alert_dispatch.limits import Limits
from lambdas.alert_dispatch.looks import EARLIER
from lambdas.alert_dispatch.message import Message, compose, may_be_acknowledged, verification_text
from lambdas.alert_dispatch.order import Order
from lambdas.alert_dispatch.outputs import no_output
from lambdas.alert_dispatch.paging import is_of_the_past
from lambdas.alert_dispatch.places import PASSING, AlreadySent, Claimed, Newer, Place, Superseded, place_of
from lambdas.alert_dispatch.posted import Posted
from lambdas.alert_dispatch.receipts import Receipt
from lambdas.alert_dispatch.targets import Look, Targets
from lambdas.alert_dispatch.vault import Vault

logger = Logger(child=True)

FIRST_TRY_TIMEOUT_S: Final = 5.0
LATER_TRY_TIMEOUT_S: Final = 15.0
IN_FLIGHT_DELAY_S: Final = 5
REFUSED_FOR_GOOD: Final = timedelta(minutes=2)
"""How long an address must have been refused until that is believed: a name server may be wrong for a moment. It is the fifth attempt."""

NEXT_OUTAGE: Final = 1
"""The place of what tells of it first, where a message is not sent any more because it was to be told."""

HOST_OF_THEIRS: Final = (NtfyConfig, WebhookConfig)
"""Where the user names the host. A host of a service is never at such an address, so that is trouble of ours, and may take its time."""

LONGEST_WAIT_S: Final = 11 * 3600
"""SQS hides a message for 12 hours at most. One whose turn is later comes again in between, and keeps its turn."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What a channel sends: the request, its message, and how long the send may take in all.

    `replaces` is the message that this one is to replace where the service can; empty for a new one. `newer`: it is about an outage that is
    over, and what it says must not be taken for how the monitor is.
    """

    request: Detail[AlertRequested]
    message: Message
    timeout_s: float
    replaces: str = ""
    newer: Newer | None = None

    @property
    def look_of(self) -> str:
        """What this looks like: a type of alert, or an `EARLIER` outage; a group like the worst of what it tells."""
        if self.newer:
            return EARLIER
        group = self.request.data.group
        return self.request.data.alert_type if group is None else "down" if group.down else "recovered"


class Sender[C: ChannelConfig](Protocol):
    """One kind of channel. Returns when the target has taken the message; else raises Transient, RateLimited or Permanent.

    Where messages can be replaced later, it returns the id of this one.
    """

    def __call__(self, outgoing: Outgoing, config: C, /) -> str | None:
        """Send."""
        ...


class NotYet(Later):
    """The target takes no more messages for now; this one may be sent at `turn_at`."""

    def __init__(self, turn_at: datetime, now: datetime) -> None:
        wait_s = math.ceil((turn_at - now) / timedelta(seconds=1))
        super().__init__("the target takes no more messages for now", min(wait_s, LONGEST_WAIT_S))
        self.turn_at = turn_at

    @override
    def comes_again_in(self, receives: int) -> int:
        """At its turn, which is its own."""
        return self.delay_s


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """Everything that sending needs. `senders` by the type of configuration, `clock` gives aware UTC times.

    `outputs` gives the end of what a heartbeat's ping brought.
    """

    vault: Vault
    order: Order
    targets: Targets
    limits: Limits
    senders: Mapping[type[ChannelConfig], Callable[..., str | None]]
    clock: Callable[[], datetime]
    posted: Posted
    public_url: str = ""
    outputs: Callable[[UUID, UUID], str] = no_output

    def dispatch(self, request: Detail[AlertRequested], receives: int) -> Receipt:
        """Send the message, received so often, unless it was sent or told before; the final receipt.

        Raises:
            Transient: try again; nothing was sent.
            Later: another message about the monitor is in flight, or the target takes no more messages for now.
        """
        data = request.data
        place = place_of(data)
        turn = self.order.claim(place, str(uuid4()), self.clock())
        if isinstance(turn, Claimed):
            if is_of_the_past(data, turn.newer) or (turn.newer and data.alert_type in PASSING):
                self.order.settle(place, turn, self.clock())
                return receipts.delivered(request, attempt=receives, now=self.clock(), superseded_by=NEXT_OUTAGE)
            return self._send_in_turn(request, turn.tries + 1, place, turn)
        if isinstance(turn, AlreadySent):
            return receipts.delivered(request, attempt=receives, now=self.clock())
        if isinstance(turn, Superseded):
            return receipts.delivered(request, attempt=receives, now=self.clock(), superseded_by=turn.by)
        raise Later("another message about this is in flight, or in doubt", IN_FLIGHT_DELAY_S)

    def _send_in_turn(self, request: Detail[AlertRequested], attempt: int, place: Place, claimed: Claimed) -> Receipt:
        started = time.monotonic()
        was_unsure = place.sequence in claimed.doubtful
        try:
            self._send(request, attempt, claimed)
        except Permanent as error:
            self.order.release(place, claimed)
            return receipts.failed(request, error, attempt=attempt, now=self.clock(), retry_in_s=None)
        except NotYet as waiting:
            self.order.postpone(place, claimed, waiting.turn_at)
            raise
        except Transient as error:
            error.attempt = attempt
            self.order.release(place, claimed, unsure=was_unsure or error.in_doubt)
            raise
        except BaseException:
            self.order.release(place, claimed, unsure=True)  # nobody foresaw it: it may have been sent before
            raise
        took_ms = int((time.monotonic() - started) * 1000)
        self.order.finish(place, claimed, self.clock())
        return receipts.delivered(request, attempt=attempt, now=self.clock(), duration_ms=took_ms)

    def _send(self, request: Detail[AlertRequested], attempt: int, claimed: Claimed) -> None:
        data = request.data
        config = self.vault.config(data.channel_id, data.config_version)
        send = self.senders[type(config)]
        look = self._look(data, config, claimed)
        if look.open_for_s:
            raise Transient("not tried: the target timed out several times", retry_after_s=look.open_for_s)
        timeout_s = FIRST_TRY_TIMEOUT_S if attempt == 1 else LATER_TRY_TIMEOUT_S
        try:
            message = self._compose(data, config, claimed.newer)
            with _nothing_told_of(config):
                message_id = send(Outgoing(request, message, timeout_s, self._replaced(data), claimed.newer), config)
        except Transient as error:
            with _trouble_logged():
                self._learn(data, config, error)
            if isinstance(error, Refused) and self._refused_for_good(data, config):
                raise Permanent(str(error), disable_channel=True) from error
            raise
        if look.open_for_s is not None:
            with _trouble_logged():
                self.targets.answered(data.channel_id, data.config_version, self.clock())
        if data.group and message_id:
            self.posted.remember(data.order_key, data.channel_id, message_id, self.clock())

    def _look(self, data: AlertRequested, config: ChannelConfig, claimed: Claimed) -> Look:
        """The target as it is, once this message may be sent to it.

        Raises:
            NotYet: it may be sent later.
        """
        now, limit = self.clock(), self.limits.of(config)
        if claimed.turn_at and claimed.turn_at > now:
            raise NotYet(claimed.turn_at, now)
        if claimed.turn_at or limit is None:
            return Look(now, self.targets.open_for_s(data.channel_id, data.config_version, now))
        look = self.targets.take(data.channel_id, data.config_version, limit, now)
        if look.turn_at > now:
            raise NotYet(look.turn_at, now)
        return look

    def _learn(self, data: AlertRequested, config: ChannelConfig, error: Transient) -> None:
        """What a failed attempt says about the target concerns the other messages for it as well."""
        now, limit = self.clock(), self.limits.of(config)
        if error.timed_out:
            self.targets.timed_out(data.channel_id, data.config_version, now)
        if isinstance(error, RateLimited) and error.retry_after_s and limit:
            until = now + timedelta(seconds=min(error.retry_after_s, LONGEST_RETRY_AFTER_S))
            self.targets.hold(data.channel_id, data.config_version, limit, until, now)

    def _refused_for_good(self, data: AlertRequested, config: ChannelConfig) -> bool:
        if not isinstance(config, HOST_OF_THEIRS):
            return False
        refused_for = timedelta()
        with _trouble_logged():
            refused_for = self.targets.refused(data.channel_id, data.config_version, self.clock())
        return refused_for >= REFUSED_FOR_GOOD

    def _compose(self, data: AlertRequested, config: ChannelConfig, newer: Newer | None) -> Message:
        acknowledge = "" if newer else self._acknowledge_link(data)
        confirm = self._confirm_link(data, config)
        complete = self._complete(data, has_link=bool(confirm))
        return compose(complete, self.public_url, acknowledge, self._output(data), newer, confirm=confirm)

    def _acknowledge_link(self, data: AlertRequested) -> str:
        """Made for this message, because it names the channel; empty where there is nothing to acknowledge."""
        if not (data.incident and may_be_acknowledged(data)):
            return ""
        link = IncidentLink(data.channel_id, data.incident.id, self.clock() + GOOD_FOR)
        return self.vault.acknowledge_link(self.public_url, link)

    def _output(self, data: AlertRequested) -> str:
        return self.outputs(data.monitor.id, data.output_of) if data.monitor and data.output_of else ""

    def _replaced(self, data: AlertRequested) -> str:
        return self.posted.find(data.order_key, data.channel_id) if data.group and data.group.replaces else ""

    def _confirm_link(self, data: AlertRequested, config: ChannelConfig) -> str:
        """Where the reader of a question agrees; empty where nothing is asked, and for telephones."""
        if data.alert_type != "verification" or not isinstance(config, EmailConfig):
            return ""
        return self.vault.link("verify", self.public_url, data.channel_id, data.config_version)

    def _complete(self, data: AlertRequested, *, has_link: bool) -> AlertRequested:
        """What must not travel in an event is put in here: the code that proves that somebody reads what is sent to an address."""
        if data.alert_type != "verification":
            return data
        code = self.vault.code(data.channel_id, data.config_version)
        return structs.replace(data, text=verification_text(code, has_link=has_link))


@contextmanager
def _nothing_told_of(config: ChannelConfig) -> Iterator[None]:
    """Errors become events, and are shown in the API: whose address it is, and with what it is used, stays in the vault."""
    try:
        yield
    except (Transient, Permanent) as error:
        error.args = (hidden(str(error), config.private()),)
        raise


@contextmanager
def _trouble_logged() -> Iterator[None]:
    """What one message learned about its target helps others; what became of it is known, whether that can be noted or not."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        logger.warning("target.not_noted", extra={"error": str(error)})
