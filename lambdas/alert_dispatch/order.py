"""The order of messages on one channel, and the memory of what was sent, in the dispatch table. What an item says is in `places`.

A short lease is taken before a message is sent: one message of a story is under way at a time. A sender that dies keeps the others waiting
until its lease ends. Its place stays among those that may have arrived: an earlier message whose story it tells waits until it is settled.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from lambdas.alert_dispatch.places import (
    Claimed,
    Outage,
    Place,
    Turn,
    claim_made_before,
    claim_of,
    is_late,
    is_sent,
    millis,
    numbers,
    refused,
)
from lambdas.alert_dispatch.tidying import PLACES_AT_MOST
from lambdas.alert_dispatch.updates import Update

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

logger = Logger(child=True)

LEASE: Final = timedelta(seconds=30)
"""Longer than any send may take."""

KEPT: Final = timedelta(days=60)

FIRST: Final = 1
"""The place of the first message about an outage itself."""


class Order:
    """Claims on the dispatch table."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def claim(self, place: Place, token: str, now: datetime) -> Turn:
        """Take the lease if nothing is in flight and this message is still to be sent; else say why not.

        With the lease goes the turn that was kept for it: whoever claims uses it, or keeps it again with `postpone`.
        """
        before, taken = self._update(place, _claim(place, token, now))
        if not taken and is_late(before, place) and not claim_made_before(before, place, token, now):
            before, taken = self._update(place, _claim(place, token, now, late=True))
        if taken:
            return claim_of(before, place, token, now)
        return claim_made_before(before, place, token, now) or refused(before, place)

    def finish(self, place: Place, claimed: Claimed, now: datetime) -> None:
        """Remember that the message was sent and give the lease back; also where the lease was lost meanwhile.

        Trouble is logged only. The target has the message, and that is to be reported: an error here would have it sent again.
        """
        try:
            self._finish(place, claimed, now)
        except (BotoCoreError, ClientError) as error:
            logger.warning("order.finish_failed", extra={"item": place.item_id, "sequence": place.sequence, "error": str(error)})

    def _finish(self, place: Place, claimed: Claimed, now: datetime) -> None:
        last, highest = f"last#{place.key}", max(place.sequence, claimed.last_sequence)
        update = _lease_back(claimed)
        _note_sent(update, place, now, claimed.tidying.sent)
        update.set(last, {"N": str(highest)})
        update.only_if(_below(update, last, highest + 1))
        _note_doubtful(update, place, {other for other in claimed.doubtful if other > highest})
        update.remove(f"tries#{place.key}#{place.sequence}")
        before, done = self._update(place, update)
        if not (done or is_sent(before, place)):
            logger.warning("order.lease_lost", extra={"item": place.item_id, "sequence": place.sequence})
            self._finish_without_lease(place, now)
            self.release(place, claimed)  # it is ours still where somebody without one sent a later message meanwhile

    def _finish_without_lease(self, place: Place, now: datetime) -> None:
        update = Update()
        _note_sent(update, place, now)
        update.set(f"last#{place.key}", {"N": str(place.sequence)})
        update.only_if(_below(update, f"last#{place.key}", place.sequence))
        if not self._update(place, update)[1]:
            update = Update()
            _note_sent(update, place, now)
            self._update(place, update)

    def postpone(self, place: Place, claimed: Claimed, turn_at: datetime) -> None:
        """Give the lease back untried, and keep a turn for the message. Where that fails it takes another turn when it comes again."""
        update = _lease_back(claimed)
        update.set(f"turn#{place.key}#{place.sequence}", {"N": millis(turn_at)})
        update.add(f"tries#{place.key}#{place.sequence}", {"N": "-1"})
        _note_doubtful(update, place, claimed.doubtful)
        self._give_back(place, update, "order.postpone_failed")

    def settle(self, place: Place, claimed: Claimed, now: datetime) -> None:
        """Give the lease back of what nobody sends any more. One that may have arrived counts as sent: nothing earlier comes after it."""
        if place.sequence in claimed.doubtful:
            self.finish(place, claimed, now)
        else:
            self.release(place, claimed)

    def release(self, place: Place, claimed: Claimed, *, unsure: bool = False) -> None:
        """Give the lease back unsent, or `unsure` whether it was. Trouble is logged only: the lease ends by itself."""
        update = _lease_back(claimed)
        this = {place.sequence}
        _note_doubtful(update, place, claimed.doubtful | this if unsure else claimed.doubtful - this)
        self._give_back(place, update, "order.release_failed")

    def _give_back(self, place: Place, update: Update, failed: str) -> None:
        try:
            _, done = self._update(place, update)
        except (BotoCoreError, ClientError) as error:
            logger.warning(failed, extra={"item": place.item_id, "error": str(error)})
        else:
            if not done:
                logger.warning(failed, extra={"item": place.item_id, "error": "the lease was lost"})

    def _update(self, place: Place, update: Update) -> tuple[Mapping[str, Any], bool]:
        """The item as it was, and whether its condition held and it was changed."""
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key={"id": {"S": place.item_id}},
                ReturnValues="ALL_OLD",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **update.arguments(),
            )
        except ClientError as error:
            return _refused_item(error), False
        return answer.get("Attributes", {}), True


def _claim(place: Place, token: str, now: datetime, *, late: bool = False) -> Update:
    """Take the lease. News of a monitor's latest outage and a message that comes `late` are two conditions on one item, tried in turn."""
    update = Update()
    update.set("in_flight_until", {"N": millis(now + LEASE)})
    update.set("in_flight_token", {"S": token})
    update.set("expiration", _expiration(now))
    update.set(f"unsure_up_to#{place.key}", {"N": str(place.sequence)})
    update.add(f"unsure#{place.key}", {"NS": numbers([place.sequence])})
    update.add(f"tries#{place.key}#{place.sequence}", {"N": "1"})
    update.remove(f"turn#{place.key}#{place.sequence}")
    until = update.name("in_flight_until")
    update.only_if(f"(attribute_not_exists({until}) OR {until} < {update.value({'N': millis(now)})})")
    update.only_if(_still_to_be_told(update, place, late=late))
    if place.outage:
        update.only_if(_without(update, "settled", place.outage.number))
        _note_latest(update, place.outage, late=late)
    return update


def _still_to_be_told(update: Update, place: Place, *, late: bool) -> str:
    """A message whose story a later one tells: neither told by that, nor by one that may have arrived."""
    last, sequence = f"last#{place.key}", {"N": str(place.sequence)}
    if not place.supersedable:
        return _without(update, f"sent#{place.key}", place.sequence)
    unsure = update.name(f"unsure_up_to#{place.key}")
    settled = f"(attribute_not_exists({unsure}) OR {unsure} <= {update.value(sequence)})"
    return f"{settled} AND {_below(update, last, FIRST if late else place.sequence)}"


def _note_latest(update: Update, outage: Outage, *, late: bool) -> None:
    """Whatever becomes of the message: its outage is the latest that we know of."""
    latest, key = update.name("latest"), {"S": outage.key}
    if late:
        update.only_if(f"{latest} > {update.value(key)}")
        return
    update.only_if(f"(attribute_not_exists({latest}) OR {latest} <= {update.value(key)})")
    update.set("latest", key)
    update.set("latest_began", {"N": millis(outage.began_at)})
    if outage.ended_at:
        update.set("ended", key)
        update.set("ended_at", {"N": millis(outage.ended_at)})


def _without(update: Update, attribute: str, number: int) -> str:
    """A set that has not got the number."""
    name = update.name(attribute)
    return f"(attribute_not_exists({name}) OR NOT contains({name}, {update.value({'N': str(number)})}))"


def _below(update: Update, attribute: str, number: int) -> str:
    name = update.name(attribute)
    return f"(attribute_not_exists({name}) OR {name} < {update.value({'N': str(number)})})"


def _lease_back(claimed: Claimed) -> Update:
    """Where it is still ours; with it goes what nobody needs to know any more."""
    update = Update()
    update.only_if(f"{update.name('in_flight_token')} = {update.value({'S': claimed.token})}")
    update.remove("in_flight_until", "in_flight_token", *claimed.tidying.stale)
    if claimed.tidying.settled is not None:
        update.set("settled", {"NS": numbers(claimed.tidying.settled)})
    return update


def _note_sent(update: Update, place: Place, now: datetime, among: Collection[int] | None = None) -> None:
    """To those that are known; or `among` others, of which too many are."""
    sent = f"sent#{place.key}"
    if among is None:
        update.add(sent, {"NS": numbers([place.sequence])})
    else:
        update.set(sent, {"NS": numbers({*among, place.sequence})})
    update.set("expiration", _expiration(now))


def _note_doubtful(update: Update, place: Place, doubtful: Collection[int]) -> None:
    """Those that may have arrived, once this message is settled: the latest of them."""
    unsure, up_to = f"unsure#{place.key}", f"unsure_up_to#{place.key}"
    if not doubtful:
        update.remove(unsure, up_to)
        return
    update.set(unsure, {"NS": numbers(sorted(doubtful)[-PLACES_AT_MOST:])})
    update.set(up_to, {"N": str(max(doubtful))})


def _expiration(now: datetime) -> dict[str, str]:
    return {"N": str(int((now + KEPT).timestamp()))}


def _refused_item(error: ClientError) -> Mapping[str, Any]:
    """The item that failed the condition; any other error is raised again."""
    if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
        raise error
    item: Mapping[str, Any] = dict(error.response).get("Item", {})  # type: ignore[assignment]  # not in the stubs
    return item
