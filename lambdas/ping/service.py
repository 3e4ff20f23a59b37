"""One ping request from event to answer, without a word about HTTP routing."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

from core.contracts.heartbeat_keys import INLINE_BODY_LIMIT
from lambdas.ping import log
from lambdas.ping.publish import Publisher
from lambdas.ping.record import Busy, Recorder, UnknownHeartbeat
from lambdas.ping.request import BadRequest, Ping, parse

BODY_LIMIT: Final = {"Ping-Body-Limit": str(INLINE_BODY_LIMIT)}
RETRY_SOON: Final = {"Retry-After": "1"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client gets, as plain text."""

    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)


class PingService:
    """Records and publishes pings. `outages` are the errors that mean that AWS could not be used; the client is told to try again."""

    def __init__(self, recorder: Recorder, publisher: Publisher, outages: tuple[type[Exception], ...]) -> None:
        self._recorder = recorder
        self._publisher = publisher
        self._passing: tuple[type[Exception], ...] = (Busy, *outages)

    def answer(self, event: Mapping[str, Any], token: str, action: str | None) -> Answer:
        """Answer one request. 200 means: recorded for good. 503 means: try again, the same request is never counted twice."""
        began = time.perf_counter()
        request_id = str(event["requestContext"].get("requestId") or uuid4())
        answer = self._handle(event, token, action, request_id)
        duration_ms = round((time.perf_counter() - began) * 1000, 3)
        log.write(
            "info", "ping.answered", request_id=request_id, duration_ms=duration_ms, status_code=answer.status, token=token[:36]
        )
        return answer

    def _handle(self, event: Mapping[str, Any], token: str, action: str | None, request_id: str) -> Answer:
        try:
            ping = parse(event, token, action, now_ms=int(time.time() * 1000), new_id=request_id)
            detail = self._recorder.record(ping)
        except BadRequest as error:
            return Answer(400, str(error))
        except UnknownHeartbeat:
            return Answer(404, "not found")
        except self._passing as error:
            log.write("error", "ping.not_recorded", request_id=request_id, error=f"{type(error).__name__}: {error}")
            return Answer(503, "try again", RETRY_SOON)
        if detail:
            self._publisher.publish(detail)
        return Answer(200, "OK", _body_headers(ping))


def _body_headers(ping: Ping) -> dict[str, str]:
    return {**BODY_LIMIT, "Ping-Body-Truncated": "true"} if ping.body_truncated else dict(BODY_LIMIT)
