"""One ping request from event to answer, without a word about HTTP routing."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from core.contracts.heartbeat_keys import BODY_LIMIT
from lambdas.ping import address as addresses
from lambdas.ping import log, options
from lambdas.ping.address import Address, BadRequest
from lambdas.ping.create import Creator, TooMany
from lambdas.ping.directory import Directory
from lambdas.ping.publish import Publisher
from lambdas.ping.record import PostOnly, Recorded, Recorder, UnknownHeartbeat
from lambdas.ping.request import Ping, Query, parse, query
from lambdas.ping.transaction import ATTEMPTS, Busy
from lambdas.signed_aws.aws import OUTAGES

LIMIT_HEADER: Final = {"Ping-Body-Limit": str(BODY_LIMIT)}
RETRY_SOON: Final = {"Retry-After": "1"}
IGNORED_OPTIONS: Final = "the heartbeat exists, so the options of create are ignored"
SHOWN: Final = 8
"""Characters of a token in the log: whoever knows all of it can ping."""

NO_NAME: Final = "create needs a URL with ping key and slug and is ignored"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client gets, as plain text."""

    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)


class PingService:
    """Records and publishes pings."""

    def __init__(self, recorder: Recorder, directory: Directory, creator: Creator, publisher: Publisher) -> None:
        self._recorder = recorder
        self._directory = directory
        self._creator = creator
        self._publisher = publisher

    def answer(self, event: Mapping[str, Any], token: str, name: str | None = None, action: str | None = None) -> Answer:
        """Answer one request. 200 and 201 mean: recorded for good. 503 means: try again, the same request is never counted twice."""
        began = time.perf_counter()
        request_id = str(event["requestContext"].get("requestId") or uuid4())
        answer = self._handle(event, (token, name, action), request_id)
        duration_ms = round((time.perf_counter() - began) * 1000, 3)
        log.write(
            "info",
            "ping.answered",
            request_id=request_id,
            duration_ms=duration_ms,
            status_code=answer.status,
            token=token[:SHOWN],
        )
        return answer

    def _handle(self, event: Mapping[str, Any], path: tuple[str, str | None, str | None], request_id: str) -> Answer:
        try:
            address = addresses.read(*path)
            ping, warnings = parse(event, address, now_ms=int(time.time() * 1000), new_id=request_id)
            recorded, created, more = self._record(address, ping, query(event))
        except BadRequest as error:
            return Answer(400, str(error))
        except UnknownHeartbeat:
            return Answer(404, "not found")
        except PostOnly:
            return Answer(405, "this heartbeat takes POST only", {"Allow": "POST"})
        except TooMany as error:
            return Answer(429, str(error), {"Retry-After": str(error.wait_s)})
        except (Busy, *OUTAGES) as error:
            log.write("error", "ping.not_recorded", request_id=request_id, error=f"{type(error).__name__}: {error}")
            return Answer(503, "try again", RETRY_SOON)
        if recorded.event:
            self._publisher.publish(recorded.event)
        return _answer(ping, recorded, [*warnings, *more], created=created)

    def _record(self, address: Address, ping: Ping, asked: Query) -> tuple[Recorded, bool, list[str]]:
        """What became of the ping, whether its heartbeat was created, and warnings."""
        creates = options.wanted(asked)
        if address.heartbeat_id:
            return self._recorder.record(address.heartbeat_id, ping), False, [NO_NAME] if creates else []
        for attempt in range(ATTEMPTS):
            found = self._directory.find(address.ping_key, address.slug, ping.pinged_at)
            if found.heartbeat_id:
                warnings = [IGNORED_OPTIONS] if creates and options.given(asked) else []
                return self._recorder.record(found.heartbeat_id, ping), False, warnings
            if not creates:
                options.refuse_another_word(asked)
                raise UnknownHeartbeat(address.slug)
            recorded = self._creator.create(found, options.read(asked, address.slug, _at(ping.pinged_at)), ping, attempt)
            if recorded:
                return recorded, True, []
        raise Busy("others kept creating heartbeats")


def _at(epoch_ms: int) -> datetime:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC)


def _answer(ping: Ping, recorded: Recorded, warnings: Sequence[str], *, created: bool) -> Answer:
    headers = dict(LIMIT_HEADER)
    if ping.body_size > len(ping.body):
        headers["Ping-Body-Truncated"] = "true"
    if warnings:
        headers["Ping-Warning"] = "; ".join(warnings)
    if recorded.wait_s is not None:
        return Answer(429, "too many pings; this one counted and is not kept", headers | {"Retry-After": str(recorded.wait_s)})
    return Answer(201, "Created", headers) if created else Answer(200, "OK", headers)
