"""Sends one message to one channel, in its order, and says what became of it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID, uuid4

from msgspec import structs

from core.contracts.channels.config import ChannelConfig
from core.contracts.channels.email import EmailConfig
from core.contracts.events import AlertRequested, Detail
from core.contracts.incident_links import GOOD_FOR, IncidentLink
from lambdas.alert_dispatch import receipts
from lambdas.alert_dispatch.breaker import Breaker
from lambdas.alert_dispatch.errors import Later, Permanent, Transient
from lambdas.alert_dispatch.message import Message, compose, may_be_acknowledged, verification_text
from lambdas.alert_dispatch.order import AlreadySent, Claimed, Order, Place, Superseded
from lambdas.alert_dispatch.outputs import no_output
from lambdas.alert_dispatch.receipts import Receipt
from lambdas.alert_dispatch.vault import Vault

FIRST_TRY_TIMEOUT_S: Final = 5.0
LATER_TRY_TIMEOUT_S: Final = 15.0
IN_FLIGHT_DELAY_S: Final = 5

SUPERSEDABLE: Final = frozenset({"down", "acknowledged", "unacknowledged"})
"""Messages about an outage that is under way: each later one, and the recovery above all, tells the whole story of it.

Every other notice says something that no later one repeats."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What a channel sends: the request, its message, and how long the send may take in all."""

    request: Detail[AlertRequested]
    message: Message
    timeout_s: float


class Sender[C: ChannelConfig](Protocol):
    """One kind of channel. Returns when the target has taken the message; else raises Transient, RateLimited or Permanent."""

    def __call__(self, outgoing: Outgoing, config: C, /) -> None:
        """Send."""
        ...


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """Everything that sending needs. `senders` by the type of configuration, `clock` gives aware UTC times.

    `outputs` gives the end of what a heartbeat's ping brought.
    """

    vault: Vault
    order: Order
    breaker: Breaker
    senders: Mapping[type[ChannelConfig], Callable[..., None]]
    clock: Callable[[], datetime]
    public_url: str = ""
    outputs: Callable[[UUID, UUID], str] = no_output

    def dispatch(self, request: Detail[AlertRequested], attempt: int) -> Receipt:
        """Send the message unless it was sent or told before; the final receipt.

        Raises:
            Transient: try again; nothing was sent.
            Later: another message of the incident is in flight.
        """
        data = request.data
        place = Place(data.order_key, data.channel_id, data.sequence, data.alert_type in SUPERSEDABLE)
        turn = self.order.claim(place, str(uuid4()), self.clock())
        if isinstance(turn, Claimed):
            return self._send_in_turn(request, attempt, place, turn)
        if isinstance(turn, AlreadySent):
            return receipts.delivered(request, attempt=attempt, now=self.clock())
        if isinstance(turn, Superseded):
            return receipts.delivered(request, attempt=attempt, now=self.clock(), superseded_by=turn.by)
        raise Later("another message of this incident is in flight", IN_FLIGHT_DELAY_S)

    def _send_in_turn(self, request: Detail[AlertRequested], attempt: int, place: Place, claimed: Claimed) -> Receipt:
        started = time.monotonic()
        try:
            self._send(request, attempt)
        except Permanent as error:
            self.order.release(place, claimed)
            return receipts.failed(request, error, attempt=attempt, now=self.clock(), retry_in_s=None)
        except BaseException:
            self.order.release(place, claimed)
            raise
        took_ms = int((time.monotonic() - started) * 1000)
        self.order.finish(place, claimed, self.clock())
        return receipts.delivered(request, attempt=attempt, now=self.clock(), duration_ms=took_ms)

    def _send(self, request: Detail[AlertRequested], attempt: int) -> None:
        data = request.data
        config = self.vault.config(data.channel_id, data.config_version)
        send = self.senders[type(config)]
        open_for_s = self.breaker.open_for_s(data.channel_id, data.config_version, self.clock())
        if open_for_s:
            raise Transient("not tried: the target timed out several times", retry_after_s=open_for_s)
        timeout_s = FIRST_TRY_TIMEOUT_S if attempt == 1 else LATER_TRY_TIMEOUT_S
        try:
            message = compose(self._complete(data, config), self.public_url, self._acknowledge_link(data), self._output(data))
            send(Outgoing(request, message, timeout_s), config)
        except Transient as error:
            if error.timed_out:
                self.breaker.timed_out(data.channel_id, data.config_version, self.clock())
            raise
        if open_for_s is not None:
            self.breaker.answered(data.channel_id, data.config_version)

    def _acknowledge_link(self, data: AlertRequested) -> str:
        """Made for this message, because it names the channel; empty where there is nothing to acknowledge."""
        if not (data.incident and may_be_acknowledged(data)):
            return ""
        link = IncidentLink(data.channel_id, data.incident.id, self.clock() + GOOD_FOR)
        return self.vault.acknowledge_link(self.public_url, link)

    def _output(self, data: AlertRequested) -> str:
        return self.outputs(data.monitor.id, data.output_of) if data.monitor and data.output_of else ""

    def _complete(self, data: AlertRequested, config: ChannelConfig) -> AlertRequested:
        """What must not travel in an event is put in here: the proof that somebody reads what is sent to an address."""
        if data.alert_type != "verification":
            return data
        code = self.vault.code(data.channel_id, data.config_version)
        link = self.vault.link("verify", self.public_url, data.channel_id, data.config_version)
        return structs.replace(data, text=verification_text(code, link if isinstance(config, EmailConfig) else ""))
