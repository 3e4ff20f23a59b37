"""Record a ping in DynamoDB: the durable truth. Whoever got `OK` can rely on it.

Invariant: the ping's item, its pending marker and the heartbeat's latest times are one transaction; a ping's item is written at most once.
"""

import random
import time
from base64 import b64encode
from collections.abc import Callable
from typing import Any, Final, Protocol

from core.contracts.heartbeat_keys import STATE_SORT_KEY, pending_partition, ping_sort_key
from lambdas.ping.aws import AwsError
from lambdas.ping.event import detail
from lambdas.ping.request import Ping

ATTEMPTS: Final = 12
FIRST_PAUSE_S: Final = 0.01
LONGEST_PAUSE_S: Final = 0.4
PING_RETENTION_S: Final = 90 * 24 * 3600
LATEST: Final = {"success": "last_success", "fail": "last_fail", "start": "last_start"}

_CONDITION_FAILED: Final = "ConditionalCheckFailed"
_PASSING: Final = frozenset(
    {
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
        "ThrottlingError",
        "ThrottlingException",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
    }
)
"""Codes of errors that pass by themselves: another ping of the same heartbeat, or too many at once."""


class UnknownHeartbeat(Exception):
    """No heartbeat has this id."""


class Busy(Exception):
    """DynamoDB kept refusing: the client should try again."""


class Table(Protocol):
    """What recording needs of DynamoDB (`lambdas.ping.aws.DynamoDb`)."""

    def update_item(self, **request: Any) -> dict[str, Any]:
        """UpdateItem."""
        ...

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        """TransactWriteItems."""
        ...


class Recorder:
    """Records pings in one table."""

    def __init__(
        self,
        client: Table,
        table: str,
        *,
        pause: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._table = table
        self._pause = pause
        self._jitter = jitter

    def record(self, ping: Ping) -> str | None:
        """Record a ping; returns the event to publish, or None for a ping that was recorded before.

        Raises:
            UnknownHeartbeat: there is no such heartbeat; nothing was recorded.
            Busy: DynamoDB refused again and again; nothing was recorded.
        """
        sequence, workspace_id = self._next_sequence(ping)
        event = detail(ping, sequence, workspace_id)
        puts = self._puts(ping, sequence, event)
        update = self._state_update(ping, sequence)
        return event if self._commit(puts, update) else None

    def _next_sequence(self, ping: Ping) -> tuple[int, str]:
        for attempt in range(ATTEMPTS):
            try:
                heartbeat = self._client.update_item(
                    TableName=self._table,
                    Key={"pk": {"S": ping.heartbeat_id}, "sk": {"S": STATE_SORT_KEY}},
                    UpdateExpression="ADD #sequence :one",
                    ConditionExpression="attribute_exists(pk)",
                    ExpressionAttributeNames={"#sequence": "sequence"},
                    ExpressionAttributeValues={":one": {"N": "1"}},
                    ReturnValues="ALL_NEW",
                )["Attributes"]
                return int(heartbeat["sequence"]["N"]), heartbeat["workspace_id"]["S"]
            except AwsError as error:
                if error.code == "ConditionalCheckFailedException":
                    raise UnknownHeartbeat(ping.heartbeat_id) from error
                if error.code not in _PASSING:
                    raise
            self._wait(attempt)
        raise Busy("the heartbeat's item is contended")

    def _commit(self, puts: list[dict[str, Any]], update: dict[str, Any] | None) -> bool:
        """Write the transaction; False if the ping is there already. A newer ping's times stay: then only the ping is written."""
        for attempt in range(ATTEMPTS):
            try:
                self._client.transact_write_items(TransactItems=[*puts, update] if update else puts)
                return True
            except AwsError as error:
                reasons = _reasons(error)
            if reasons[0] == _CONDITION_FAILED:
                return False
            if _CONDITION_FAILED in reasons:
                update = None
            else:
                self._wait(attempt)
        raise Busy("the transaction was cancelled again and again")

    def _wait(self, attempt: int) -> None:
        """Full jitter: concurrent pings of one heartbeat spread out instead of meeting again."""
        self._pause(self._jitter() * min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt))

    def _puts(self, ping: Ping, sequence: int, event: str) -> list[dict[str, Any]]:
        expires_at = {"N": str(ping.pinged_at // 1000 + PING_RETENTION_S)}
        item: dict[str, Any] = {
            "pk": {"S": ping.heartbeat_id},
            "sk": {"S": ping_sort_key(ping.ping_id)},
            "sequence": {"N": str(sequence)},
            "kind": {"S": ping.kind},
            "pinged_at": {"N": str(ping.pinged_at)},
            "method": {"S": ping.method},
            "source_ip": {"S": ping.source_ip},
            "user_agent": {"S": ping.user_agent},
            "body_size": {"N": str(ping.body_size)},
            "body_truncated": {"BOOL": ping.body_truncated},
            "expires_at": expires_at,
        }
        if ping.exit_status is not None:
            item["exit_status"] = {"N": str(ping.exit_status)}
        if ping.body:
            item["body"] = {"B": b64encode(ping.body).decode()}
        pending = {
            "pk": {"S": pending_partition(ping.ping_id)},
            "sk": {"S": ping.ping_id},
            "pinged_at": {"N": str(ping.pinged_at)},
            "detail": {"S": event},
            "expires_at": expires_at,
        }
        return [
            {"Put": {"TableName": self._table, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}},
            {"Put": {"TableName": self._table, "Item": pending}},
        ]

    def _state_update(self, ping: Ping, sequence: int) -> dict[str, Any] | None:
        """Set the latest time of the ping's kind, unless a newer ping has; `log` leaves no trace in the state."""
        if ping.kind not in LATEST:
            return None
        at, by = f"{LATEST[ping.kind]}_at", f"{LATEST[ping.kind]}_sequence"
        return {
            "Update": {
                "TableName": self._table,
                "Key": {"pk": {"S": ping.heartbeat_id}, "sk": {"S": STATE_SORT_KEY}},
                "UpdateExpression": "SET #at = :at, #by = :by",
                "ConditionExpression": "attribute_exists(pk) AND (attribute_not_exists(#by) OR #by < :by)",
                "ExpressionAttributeNames": {"#at": at, "#by": by},
                "ExpressionAttributeValues": {":at": {"N": str(ping.pinged_at)}, ":by": {"N": str(sequence)}},
            }
        }


def _reasons(error: AwsError) -> list[str]:
    """Code of each part of a cancelled transaction, or of the whole where it passes by itself; any other error is raised again."""
    reasons = error.reasons
    if not reasons and error.code in _PASSING:
        reasons = [error.code]
    if not reasons or set(reasons) - _PASSING - {_CONDITION_FAILED, "None"}:
        raise error
    return reasons
