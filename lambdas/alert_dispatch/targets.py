"""What the dispatch table remembers of a target: how fast it was sent to, whether it times out, and since when its address is refused.

All of it is in one item for each channel version, so taking a token tells about the breaker too. It is kept by channel and not by host:
somebody else's slow endpoint on a shared host must never delay your messages. Windows are judged by us, because DynamoDB deletes expired
items late.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from botocore.exceptions import ClientError

from lambdas.alert_dispatch.errors import Later
from lambdas.alert_dispatch.limits import Limit, full_again_at, turn_at

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

THRESHOLD: Final = 3
WINDOW: Final = timedelta(minutes=15)
"""Timeouts further apart than this do not add up."""

PAUSE: Final = timedelta(minutes=1)
"""How long an open breaker holds messages back; then one try decides whether it opens again."""

REFUSALS_WITHIN: Final = timedelta(minutes=30)
"""Refusals further apart than this are not one: more than there is between two attempts at a message."""

KEPT: Final = timedelta(days=7)
"""How long an item is kept that nobody touches."""

RACES: Final = 5
"""How often a token is asked for while others empty and fill the bucket."""


@dataclass(frozen=True, slots=True)
class Look:
    """A target as it is. `turn_at`: when the message may be sent. `open_for_s`: see `Targets.open_for_s`."""

    turn_at: datetime
    open_for_s: int | None


class Targets:
    """Buckets and breakers, in the dispatch table."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def take(self, channel_id: UUID, version: int, limit: Limit, now: datetime) -> Look:
        """Take a token of the target's bucket: the one that is there, or else the next one that comes and that nobody has taken.

        Raises:
            Later: so many others took tokens meanwhile that it was given up.
        """
        if limit.shared:
            turn, _ = self._take(f"target#{limit.shared}", limit, now)
            return Look(turn, self.open_for_s(channel_id, version, now))
        turn, item = self._take(_item_id(channel_id, version), limit, now)
        return Look(turn, _open_for_s(item, now))

    def hold(self, channel_id: UUID, version: int, limit: Limit, until: datetime, now: datetime) -> None:
        """Nobody has a turn before `until`, of those who ask from now on: the target has said that it takes no more until then."""
        values = {":full_at": _millis(until + limit.spare)}
        item_id = f"target#{limit.shared}" if limit.shared else _item_id(channel_id, version)
        self._update(item_id, "full_at = :full_at", "attribute_not_exists(full_at) OR full_at < :full_at", values, now)

    def open_for_s(self, channel_id: UUID, version: int, now: datetime) -> int | None:
        """Seconds that the breaker stays open; 0 where it counts timeouts but lets a try through; None where it knows nothing."""
        key = _key(_item_id(channel_id, version))
        return _open_for_s(self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item", {}), now)

    def timed_out(self, channel_id: UUID, version: int, now: datetime) -> None:
        """Count a timeout; the third opens the breaker, and so does each further one."""
        if self._count(channel_id, version, now) < THRESHOLD:
            return
        self._client.update_item(
            TableName=self._table,
            Key=_key(_item_id(channel_id, version)),
            UpdateExpression="SET open_until = :until",
            ExpressionAttributeValues={":until": {"N": str((now + PAUSE).timestamp())}},
        )

    def refused(self, channel_id: UUID, version: int, now: datetime) -> timedelta:
        """Note that its address was refused; for how long it has been now, without a message that was taken in between."""
        item_id, values = _item_id(channel_id, version), {":now": _millis(now), ":until": _millis(now + REFUSALS_WITHIN)}
        again = "refused_since = if_not_exists(refused_since, :now), refused_until = :until"
        found = self._update(item_id, again, "attribute_not_exists(refused_until) OR refused_until > :now", values, now)
        if found is None:
            anew = "refused_since = :now, refused_until = :until"
            found = self._update(item_id, anew, "refused_until <= :now", values, now)
        return now - _at(found["refused_since"]["N"]) if found else timedelta()

    def answered(self, channel_id: UUID, version: int, now: datetime) -> None:
        """The target answers again: forget its timeouts and refusals."""
        self._client.update_item(
            TableName=self._table,
            Key=_key(_item_id(channel_id, version)),
            UpdateExpression="SET expiration = :expiration REMOVE timeouts, timeouts_until, open_until, refused_since, refused_until",
            ExpressionAttributeValues={":expiration": _expiration(now)},
        )

    def _take(self, item_id: str, limit: Limit, now: datetime) -> tuple[datetime, Mapping[str, Any]]:
        """The turn, and the item afterwards. A full bucket and one that is not are two conditions on one item, tried in turn."""
        for attempt in range(RACES):
            found = self._take_of_full(item_id, limit, now) if attempt % 2 == 0 else self._take_next(item_id, limit, now)
            if found is not None:
                full_at = _at(found["full_at"]["N"]) - limit.every
                return turn_at(limit, full_at, now), found
        raise Later("too many messages for this target at once", 1)

    def _take_of_full(self, item_id: str, limit: Limit, now: datetime) -> Mapping[str, Any] | None:
        values = {":now": _millis(now), ":full_at": _millis(full_again_at(limit, None, now))}
        return self._update(item_id, "full_at = :full_at", "attribute_not_exists(full_at) OR full_at <= :now", values, now)

    def _take_next(self, item_id: str, limit: Limit, now: datetime) -> Mapping[str, Any] | None:
        values = {":now": _millis(now), ":every": {"N": str(round(limit.every / timedelta(milliseconds=1)))}}
        return self._update(item_id, "full_at = full_at + :every", "full_at > :now", values, now)

    def _update(
        self, item_id: str, change: str, condition: str, values: Mapping[str, Any], now: datetime
    ) -> Mapping[str, Any] | None:
        """The item afterwards; None where the condition does not hold."""
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key=_key(item_id),
                UpdateExpression=f"SET {change}, expiration = :expiration",
                ConditionExpression=condition,
                ExpressionAttributeValues={**values, ":expiration": _expiration(now)},
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return None
        return answer["Attributes"]

    def _count(self, channel_id: UUID, version: int, now: datetime) -> int:
        key = _key(_item_id(channel_id, version))
        until = {":until": {"N": str(int((now + WINDOW).timestamp()))}, ":expiration": _expiration(now)}
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key=key,
                UpdateExpression="ADD timeouts :one SET timeouts_until = :until, expiration = :expiration",
                ConditionExpression="attribute_not_exists(timeouts_until) OR timeouts_until > :now",
                ExpressionAttributeValues={":one": {"N": "1"}, ":now": {"N": str(int(now.timestamp()))}, **until},
                ReturnValues="UPDATED_NEW",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            self._client.update_item(
                TableName=self._table,
                Key=key,
                UpdateExpression="SET timeouts = :one, timeouts_until = :until, expiration = :expiration REMOVE open_until",
                ExpressionAttributeValues={":one": {"N": "1"}, **until},
            )
            return 1
        return int(answer["Attributes"]["timeouts"]["N"])


def _open_for_s(item: Mapping[str, Any], now: datetime) -> int | None:
    timed_out = float(item.get("timeouts_until", {}).get("N", "0")) > now.timestamp()
    if not timed_out and "refused_until" not in item:
        return None
    if not timed_out:
        return 0
    return max(int(float(item.get("open_until", {}).get("N", "0")) - now.timestamp()), 0)


def _item_id(channel_id: UUID, version: int) -> str:
    return f"target#{channel_id}#{version}"


def _key(item_id: str) -> dict[str, dict[str, str]]:
    return {"id": {"S": item_id}}


def _expiration(now: datetime) -> dict[str, str]:
    return {"N": str(int((now + KEPT).timestamp()))}


def _millis(at: datetime) -> dict[str, str]:
    """Rounded down: what is full now is full at once."""
    return {"N": str(int(at.timestamp() * 1000))}


def _at(millis: str) -> datetime:
    return datetime.fromtimestamp(int(millis) / 1000, UTC)
