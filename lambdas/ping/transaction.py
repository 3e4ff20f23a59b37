"""Writes to the heartbeat table that are tried again while others are in the way."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from lambdas.signed_aws.aws import AwsError

ATTEMPTS: Final = 12
FIRST_PAUSE_S: Final = 0.01
LONGEST_PAUSE_S: Final = 0.4
CONDITION_FAILED: Final = "ConditionalCheckFailed"
PASSING: Final = frozenset(
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


class Table(Protocol):
    """What is needed of DynamoDB (`lambdas.signed_aws.aws.DynamoDb`)."""

    def get_item(self, **request: Any) -> dict[str, Any]:
        """GetItem."""
        ...

    def update_item(self, **request: Any) -> dict[str, Any]:
        """UpdateItem."""
        ...

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        """TransactWriteItems."""
        ...


class Busy(Exception):
    """DynamoDB kept refusing: the client should try again."""


class ConditionFailed(Exception):
    """A condition does not hold; `item` is what the single item was that it was about, or None if there is none."""

    def __init__(self, item: dict[str, Any] | None) -> None:
        super().__init__("a condition does not hold")
        self.item = item


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait between attempts. Full jitter: concurrent pings of one heartbeat spread out instead of meeting again."""

    pause: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random

    def wait(self, attempt: int) -> None:
        """Wait after the failure of an attempt (from 0)."""
        self.pause(self.jitter() * min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt))


def update(table: Table, patience: Patience, request: dict[str, Any]) -> dict[str, Any]:
    """One UpdateItem; the attributes that it returns.

    Raises:
        ConditionFailed: with the item, where the request asks for it.
        Busy: nothing was written.
        AwsError: another error; nothing was written.
    """
    for attempt in range(ATTEMPTS):
        try:
            attributes: dict[str, Any] = table.update_item(**request).get("Attributes", {})
            return attributes
        except AwsError as error:
            if error.code == "ConditionalCheckFailedException":
                raise ConditionFailed(error.answer.get("Item")) from error
            if error.code not in PASSING:
                raise
        patience.wait(attempt)
    raise Busy("the heartbeat's item is contended")


def commit(table: Table, patience: Patience, puts: Sequence[dict[str, Any]], updates: Sequence[dict[str, Any]]) -> bool:
    """Put a ping in one transaction with the first of `updates` whose condition holds, or with none; False if it is there already.

    The first of `puts` is the ping's own: its condition is what finds a replay.

    Raises:
        Busy: nothing was written.
        AwsError: another error; nothing was written.
    """
    left = list(updates)
    for attempt in range(ATTEMPTS):
        try:
            table.transact_write_items(TransactItems=[*puts, *({"Update": part} for part in left[:1])])
            return True
        except AwsError as error:
            reasons = passing_reasons(error)
        if reasons[0] == CONDITION_FAILED:
            return False
        if CONDITION_FAILED in reasons:
            left = left[1:]
        else:
            patience.wait(attempt)
    raise Busy("the transaction was cancelled again and again")


def passing_reasons(error: AwsError) -> list[str]:
    """Code of each part of a cancelled transaction, or of the whole where it passes by itself; any other error is raised again."""
    reasons = error.reasons
    if not reasons and error.code in PASSING:
        reasons = [error.code]
    if not reasons or set(reasons) - PASSING - {CONDITION_FAILED, "None"}:
        raise error
    return reasons
