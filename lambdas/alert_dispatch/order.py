"""The order of messages about one incident on one channel, and the memory of what was sent, in the dispatch table.

One item for each (order key, channel): `last_sequence` is the highest sequence that was sent, `sent` all of them, and `in_flight_*`
a short lease that is taken before a message is sent. A sender that dies keeps the others waiting until its lease ends. Its
`in_flight_sequence` outlives the lease: that message may have arrived, so an earlier one whose story it tells waits until it is settled.
`turn_<sequence>` is when a message may be sent that found no token in its target's bucket, and `tries_<sequence>` how often it was tried:
a queue counts what came only to wait as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

logger = Logger(child=True)

LEASE: Final = timedelta(seconds=30)
"""Longer than any send may take."""

KEPT: Final = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message stands. `supersedable`: a later message tells its story as well, so it is not sent after that one."""

    order_key: UUID
    channel_id: UUID
    sequence: int
    supersedable: bool

    @property
    def item_id(self) -> str:
        """Key of the item in the dispatch table."""
        return f"order#{self.order_key}#{self.channel_id}"


@dataclass(frozen=True, slots=True)
class Claimed:
    """Ours to send, until the lease ends. `last_sequence` is the highest that was sent before.

    `turn_at` is the time that was kept for this message, if it had to wait for one; `tries` how often it was tried before. `unsure`: one of
    those tries may have arrived.
    """

    token: str
    last_sequence: int
    turn_at: datetime | None = None
    tries: int = 0
    unsure: bool = False


@dataclass(frozen=True, slots=True)
class AlreadySent:
    """This very message was sent by an attempt whose receipt may have been lost."""


@dataclass(frozen=True, slots=True)
class Superseded:
    """A later message has told the story."""

    by: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Another message is in flight."""


type Turn = Claimed | AlreadySent | Superseded | Wait


class Order:
    """Claims on the dispatch table."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def claim(self, place: Place, token: str, now: datetime) -> Turn:
        """Take the lease if nothing is in flight and this message is still to be sent; else say why not.

        With the lease goes the turn that was kept for it: whoever claims uses it, or keeps it again with `postpone`.
        """
        if place.supersedable:
            known = "last_sequence < :sequence"
            settled = "(attribute_not_exists(in_flight_sequence) OR in_flight_sequence <= :sequence) AND "
        else:
            known, settled = "NOT contains(sent, :sequence)", ""
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key={"id": {"S": place.item_id}},
                UpdateExpression="SET in_flight_sequence = :sequence, in_flight_until = :until, in_flight_token = :token, "
                "expiration = :expiration REMOVE #turn ADD #tries :one",
                ExpressionAttributeNames={"#turn": f"turn_{place.sequence}", "#tries": f"tries_{place.sequence}"},
                ConditionExpression=f"{settled}(attribute_not_exists(in_flight_until) OR in_flight_until < :now) "
                f"AND (attribute_not_exists(last_sequence) OR {known})",
                ExpressionAttributeValues={
                    ":sequence": {"N": str(place.sequence)},
                    ":until": {"N": _millis(now + LEASE)},
                    ":token": {"S": token},
                    ":now": {"N": _millis(now)},
                    ":one": {"N": "1"},
                    ":expiration": {"N": str(int((now + KEPT).timestamp()))},
                },
                ReturnValues="ALL_OLD",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            item = _refused_item(error)
            return _taken_before(item, place, token) or turn_of(item, place)
        before = answer.get("Attributes", {})
        return Claimed(
            token,
            _last_sequence(before),
            _turn_at(before, place),
            tries=int(before.get(f"tries_{place.sequence}", {}).get("N", 0)),
            unsure=before.get("in_flight_sequence", {}).get("N") == str(place.sequence),
        )

    def finish(self, place: Place, claimed: Claimed, now: datetime) -> None:
        """Remember that the message was sent and give the lease back; also where the lease was lost meanwhile.

        Trouble is logged only. The target has the message, and that is to be reported: an error here would have it sent again.
        """
        try:
            self._finish(place, claimed, now)
        except (BotoCoreError, ClientError) as error:
            logger.warning("order.finish_failed", extra={"item": place.item_id, "sequence": place.sequence, "error": str(error)})

    def _finish(self, place: Place, claimed: Claimed, now: datetime) -> None:
        sent: dict[str, AttributeValueTypeDef] = {
            ":sent": {"NS": [str(place.sequence)]},
            ":expiration": {"N": str(int((now + KEPT).timestamp()))},
        }
        key = {"id": {"S": place.item_id}}
        try:
            self._client.update_item(
                TableName=self._table,
                Key=key,
                UpdateExpression="ADD sent :sent SET last_sequence = :last, expiration = :expiration "
                "REMOVE in_flight_sequence, in_flight_until, in_flight_token",
                ConditionExpression="in_flight_token = :token",
                ExpressionAttributeValues={
                    **sent,
                    ":last": {"N": str(max(place.sequence, claimed.last_sequence))},
                    ":token": {"S": claimed.token},
                },
            )
        except ClientError as error:
            _refused_item(error)
            logger.warning("order.lease_lost", extra={"item": place.item_id, "sequence": place.sequence})
            self._client.update_item(
                TableName=self._table,
                Key=key,
                UpdateExpression="ADD sent :sent SET expiration = :expiration",
                ExpressionAttributeValues=sent,
            )

    def postpone(self, place: Place, claimed: Claimed, turn_at: datetime) -> None:
        """Give the lease back untried, and keep a turn for the message. Where that fails it takes another turn when it comes again."""
        try:
            self._client.update_item(
                TableName=self._table,
                Key={"id": {"S": place.item_id}},
                UpdateExpression=f"SET #turn = :turn ADD #tries :less REMOVE {_forgotten(unsure=claimed.unsure)}",
                ConditionExpression="in_flight_token = :token",
                ExpressionAttributeNames={"#turn": f"turn_{place.sequence}", "#tries": f"tries_{place.sequence}"},
                ExpressionAttributeValues={
                    ":token": {"S": claimed.token},
                    ":turn": {"N": _millis(turn_at)},
                    ":less": {"N": "-1"},
                },
            )
        except (BotoCoreError, ClientError) as error:
            logger.warning("order.postpone_failed", extra={"item": place.item_id, "error": str(error)})

    def release(self, place: Place, claimed: Claimed, *, unsure: bool = False) -> None:
        """Give the lease back unsent, or `unsure` whether it was. Trouble is logged only: the lease ends by itself."""
        try:
            self._client.update_item(
                TableName=self._table,
                Key={"id": {"S": place.item_id}},
                UpdateExpression=f"REMOVE {_forgotten(unsure=unsure)}",
                ConditionExpression="in_flight_token = :token",
                ExpressionAttributeValues={":token": {"S": claimed.token}},
            )
        except (BotoCoreError, ClientError) as error:
            logger.warning("order.release_failed", extra={"item": place.item_id, "error": str(error)})


def turn_of(item: Mapping[str, Any], place: Place) -> Turn:
    """Why a claim was refused, from the item as it was."""
    if str(place.sequence) in item.get("sent", {}).get("NS", []):
        return AlreadySent()
    last = _last_sequence(item)
    if place.supersedable and last > place.sequence:
        return Superseded(last)
    return Wait()


def _taken_before(item: Mapping[str, Any], place: Place, token: str) -> Claimed | None:
    """The lease that this very claim has taken already: its answer was lost on the way, and the request was made again.

    What the item said before is gone with that answer: a turn has to be taken anew, and any earlier try may have arrived.
    """
    if item.get("in_flight_token", {}).get("S") != token:
        return None
    tries = int(item.get(f"tries_{place.sequence}", {}).get("N", 1)) - 1
    return Claimed(token, _last_sequence(item), tries=tries, unsure=tries > 0)


def _forgotten(*, unsure: bool) -> str:
    """What is forgotten of a message with its lease."""
    return "in_flight_until, in_flight_token" + ("" if unsure else ", in_flight_sequence")


def _refused_item(error: ClientError) -> Mapping[str, Any]:
    """The item that failed the condition; any other error is raised again."""
    if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
        raise error
    item: Mapping[str, Any] = dict(error.response).get("Item", {})  # type: ignore[assignment]  # not in the stubs
    return item


def _last_sequence(item: Mapping[str, Any]) -> int:
    return int(item.get("last_sequence", {}).get("N", 0))


def _turn_at(item: Mapping[str, Any], place: Place) -> datetime | None:
    turn = item.get(f"turn_{place.sequence}")
    return datetime.fromtimestamp(int(turn["N"]) / 1000, UTC) if turn else None


def _millis(at: datetime) -> str:
    return str(int(at.timestamp() * 1000))
