"""Pings by e-mail: the handler of the function behind the queue of stored mails.

It loads nothing of HTTP routing, and the ping API loads nothing of it.
"""

import os
from collections.abc import Mapping
from typing import Any

from lambdas.ping import log, mail_notice
from lambdas.ping.clients import NAMES, bucket, dynamodb
from lambdas.ping.directory import Directory
from lambdas.ping.mail_service import MailService
from lambdas.ping.wiring import make_publisher, make_recorder


def make_mail_service() -> MailService:
    """The service, as the environment says.

    Raises:
        ValueError: a setting is missing or malformed.
    """
    domain = os.environ.get("PING_MAIL_DOMAIN", "").strip().lower()
    if not domain:
        raise ValueError("PING_MAIL_DOMAIN is required")
    mails = bucket(os.environ.get("PING_MAIL_BUCKET") or NAMES.ping_mail_bucket)
    return MailService(make_recorder(), Directory(dynamodb, NAMES.heartbeats_table), make_publisher(), mails, domain)


service = make_mail_service()


def mail_handler(event: Mapping[str, Any], _context: object = None) -> dict[str, Any]:
    """Take a batch of SQS messages; the answer names those that are to come again (`ReportBatchItemFailures`)."""
    failed = [record["messageId"] for record in event["Records"] if not _is_done(record)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _is_done(record: Mapping[str, Any]) -> bool:
    try:
        service.take(mail_notice.read(str(record["body"])))
    except mail_notice.Malformed as error:
        log.write("warning", "ping.mail_dropped", request_id=record["messageId"], reason=str(error))
    except Exception as error:  # noqa: BLE001  (whatever it is: the other mails of the batch go on, and this one comes again until it is set apart)
        log.write("error", "ping.mail_not_recorded", request_id=record["messageId"], error=f"{type(error).__name__}: {error}")
        return False
    return True
