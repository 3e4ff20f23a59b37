"""DynamoDB and EventBridge with signed requests of our own, as callers of boto3's clients know them: their arguments, answers and errors.

An SDK call costs five times what these cost (ADR 160). Whoever was written for a client of boto3, Powertools among them, needs no other
words.
"""

import random
import time
from collections.abc import Callable
from typing import Any, Final, cast

from botocore.exceptions import ClientError, HTTPClientError

from lambdas.signed_aws.aws import AwsError, JsonService
from lambdas.signed_aws.wire import Unreachable

ATTEMPTS: Final = 3
FIRST_PAUSE_S: Final = 0.05
THROTTLED: Final = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "TransactionInProgressException",
    }
)
"""Errors that ask for a pause, which SDKs try again as well. Nothing was done."""


class SignedClient:
    """One service of AWS. `pause` waits between attempts."""

    def __init__(self, service: JsonService, pause: Callable[[float], None] = time.sleep) -> None:
        self._service = service
        self._pause = pause

    def get_item(self, **request: Any) -> dict[str, Any]:
        """GetItem."""
        return self._call("GetItem", request)

    def put_item(self, **request: Any) -> dict[str, Any]:
        """PutItem."""
        return self._call("PutItem", request)

    def update_item(self, **request: Any) -> dict[str, Any]:
        """UpdateItem."""
        return self._call("UpdateItem", request)

    def delete_item(self, **request: Any) -> dict[str, Any]:
        """DeleteItem."""
        return self._call("DeleteItem", request)

    def put_events(self, **request: Any) -> dict[str, Any]:
        """PutEvents."""
        return self._call("PutEvents", request)

    def _call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """The answer.

        Raises:
            ClientError: it was refused; `response` has what AWS answered.
            HTTPClientError: nobody answered; it may have been done.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._service.call(operation, request)
            except Unreachable as error:
                raise HTTPClientError(error=error) from error
            except AwsError as error:
                if error.code not in THROTTLED or attempt == ATTEMPTS:
                    raise _client_error(error, operation) from error
            self._pause(random.random() * FIRST_PAUSE_S * 2**attempt)  # noqa: S311  (it only keeps callers apart)
        raise AssertionError("the last attempt returns or raises")


def _client_error(error: AwsError, operation: str) -> ClientError:
    said = {"Code": error.code, "Message": str(error.answer.get("message") or error.answer.get("Message") or "")}
    return ClientError(cast("Any", {**error.answer, "Error": said}), operation)
