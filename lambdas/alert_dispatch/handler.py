"""The Lambda behind the alerts queue: one message of one alert to one channel.

The event source mapping hands over SQS records and deletes those that are not in `batchItemFailures`. Sending is guarded by an
idempotency record (delivery and generation); the receipt is published outside of it, on every call, so a lost receipt is repaired
by any repetition of the message.
"""

import os
from functools import cache
from typing import Any, Final

import msgspec
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.idempotency import IdempotencyConfig, idempotent_function
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyPersistenceLayerError,
)
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from core.contracts.events import AlertRequested, Detail
from lambdas.alert_dispatch import receipts
from lambdas.alert_dispatch.config import Settings
from lambdas.alert_dispatch.errors import Later, Transient, Unforeseen, retry_delay_s
from lambdas.alert_dispatch.receipts import NotPublished, Receipt
from lambdas.alert_dispatch.wiring import Wiring, utc_now

SERVICE: Final = "alert_dispatch"
NAMESPACE: Final = "UptimeMonitor"
RECORD_EXPIRY_S: Final = 7 * 24 * 3600
IN_PROGRESS_DELAY_S: Final = 10
OWN_TROUBLE: Final = (BotoCoreError, ClientError, IdempotencyPersistenceLayerError, NotPublished)
"""DynamoDB or EventBridge throttles or is away. That says nothing about the channel, but the message comes back as if it did."""

logger = Logger(service=SERVICE)


class _Event(msgspec.Struct, frozen=True):
    """The body of a record: an EventBridge event."""

    detail: Detail[AlertRequested]


@cache
def wiring() -> Wiring:
    """The collaborators of this execution environment."""
    return Wiring(Settings.from_environ(os.environ))


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Send the messages of an SQS event. A processor per call: several calls may run side by side in one process."""
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return dict(process_partial_response(event, handle_record, processor, context))


def handle_record(record: SQSRecord, lambda_context: LambdaContext) -> None:
    """Send one message; an exception leaves it on the queue."""
    logger.thread_safe_append_keys(function_request_id=lambda_context.aws_request_id)
    try:
        _handle(record, lambda_context)
    except (Later, Transient) as waiting:
        logger.info("message.waits", extra={"reason": str(waiting)})
        raise
    except Exception:
        logger.exception("message.failed")
        raise
    finally:
        logger.thread_safe_clear_keys()


def _handle(record: SQSRecord, lambda_context: LambdaContext) -> None:
    request = msgspec.json.decode(record.body, type=_Event).detail
    receives = int(record.attributes.approximate_receive_count or 1)
    logger.thread_safe_append_keys(
        delivery_id=str(request.data.delivery_id),
        generation=request.data.generation,
        receives=receives,
    )
    try:
        with wiring().crowds.join(request.data.channel_id):
            receipt = _once(request, receives, lambda_context)
        _report(request, receipt)
    except Later as waiting:
        _again_in(record, waiting.comes_again_in(receives))
        raise
    except Transient as error:
        _try_again(request, record, error)
        raise
    except OWN_TROUBLE:
        _again_in(record, retry_delay_s(receives))
        raise
    except Exception as unforeseen:
        _try_again(request, record, Unforeseen(unforeseen, receives))
        raise


def _once(request: Detail[AlertRequested], receives: int, context: LambdaContext) -> Receipt:
    """Dispatch unless this generation has been dispatched: then its receipt again. A killed attempt is taken over once it timed out."""

    def dispatch(*, key: str) -> dict[str, Any]:  # noqa: ARG001  (what the idempotency record is keyed on)
        return wiring().dispatcher.dispatch(request, receives).to_record()

    guarded = idempotent_function(
        dispatch,
        data_keyword_argument="key",
        persistence_store=wiring().persistence,
        config=IdempotencyConfig(expires_after_seconds=RECORD_EXPIRY_S, lambda_context=context, hash_function="sha256"),
        key_prefix="delivery",
    )
    try:
        return Receipt.from_record(guarded(key=f"{request.data.delivery_id}#{request.data.generation}"))
    except IdempotencyAlreadyInProgressError as error:
        raise Later("another attempt at this delivery is running", IN_PROGRESS_DELAY_S) from error


def _try_again(request: Detail[AlertRequested], record: SQSRecord, error: Transient) -> None:
    """Let the message come back, and say so."""
    delay_s = retry_delay_s(error.attempt, error.retry_after_s)
    _again_in(record, delay_s)
    _report(request, receipts.failed(request, error, attempt=error.attempt, now=utc_now(), retry_in_s=delay_s))


def _report(request: Detail[AlertRequested], receipt: Receipt) -> None:
    wiring().receipts.publish(receipt)
    logger.info("receipt.published", extra={"detail_type": receipt.detail_type})
    metrics = EphemeralMetrics(namespace=NAMESPACE, service=SERVICE)
    metrics.add_dimension(name="channel_kind", value=request.data.channel_kind)
    metrics.add_metric(name=receipt.detail_type, unit=MetricUnit.Count, value=1)
    metrics.flush_metrics()


def _again_in(record: SQSRecord, seconds: int) -> None:
    """Let the message come back after `seconds` instead of after the queue's visibility timeout."""
    wiring().sqs.change_message_visibility(
        QueueUrl=wiring().queue_url, ReceiptHandle=record.receipt_handle, VisibilityTimeout=seconds
    )


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    wiring()  # in the init phase, where Lambda gives a full CPU
