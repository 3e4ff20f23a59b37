"""Between somebody who waits for a check and whoever makes it, over Redis.

A wish is a check id in the list of its website. Whoever has stored a check of that website answers all wishes at once, and drops them in
the transaction that answers them. Whoever asked may be waiting at the bell of the check id, or come for the report later.
"""

import threading
from collections.abc import Callable
from typing import Final
from uuid import UUID

import msgspec
import redis
from uuid_utils.compat import uuid7

from core.contracts.check_reports import CheckReport
from core.logs import get_logger

log = get_logger(__name__)

KEPT_S: Final = 600
"""How long a report can be fetched, counted from the asking while there is none."""

SOCKET_TIMEOUT_S: Final = 5.0
CONNECT_TIMEOUT_S: Final = 2.0
LONGEST_WAIT_S: Final = 4.0
"""For one call of `wait`: less than the socket's time-out."""

LISTEN_S: Final = 5.0
CHANNEL: Final = "check:wanted"


class CheckReports:
    """Safe to share between threads. Every method raises `redis.RedisError` while Redis is away, unless it says otherwise."""

    def __init__(self, redis_url: str) -> None:
        self._redis = redis.Redis.from_url(
            redis_url, socket_timeout=SOCKET_TIMEOUT_S, socket_connect_timeout=CONNECT_TIMEOUT_S, health_check_interval=10
        )
        self._closed = threading.Event()

    def ask(self, website: UUID) -> UUID:
        """Wish for a check of a website; returns the id of the check to be."""
        check_id = uuid7()
        with self._redis.pipeline() as pipeline:
            pipeline.set(_asked(check_id), str(website), ex=KEPT_S)
            pipeline.rpush(_wishes(website), str(check_id))
            pipeline.expire(_wishes(website), KEPT_S)
            pipeline.execute()
        return check_id

    def wait(self, check_id: UUID, timeout_s: float) -> CheckReport | None:
        """The report as soon as it is there, at most `timeout_s` (and `LONGEST_WAIT_S`) from now."""
        rang = self._redis.blpop([_bell(check_id)], timeout=max(min(timeout_s, LONGEST_WAIT_S), 0.01))
        return self._report(check_id) if rang else None

    def find(self, website: UUID, check_id: UUID) -> CheckReport | None:
        """The report of a check; None while there is none.

        Raises:
            KeyError: nobody has asked for such a check of this website, or it was too long ago.
        """
        asked = self._redis.get(_asked(check_id))
        if not isinstance(asked, bytes) or asked.decode() != str(website):
            raise KeyError(check_id)
        return self._report(check_id)

    def answer(self, website: UUID, make_report: Callable[[], CheckReport]) -> int:
        """Answer all wishes for a website; returns how many. The report is made only if there are any."""
        wishes = [UUID(wish.decode()) for wish in self._redis.lrange(_wishes(website), 0, -1)]  # type: ignore[union-attr]  # not asyncio
        if not wishes:
            return 0
        text = msgspec.json.encode(make_report())
        with self._redis.pipeline() as pipeline:
            for check_id in wishes:
                pipeline.set(_report_of(check_id), text, ex=KEPT_S)
                pipeline.set(_asked(check_id), str(website), ex=KEPT_S)
                pipeline.rpush(_bell(check_id), 1)
                pipeline.expire(_bell(check_id), KEPT_S)
                pipeline.lrem(_wishes(website), 0, str(check_id))
            pipeline.execute()
        return len(wishes)

    def announce(self, website: UUID) -> None:
        """Tell every process that listens that somebody waits for this website: one of them is checking it."""
        self._redis.publish(CHANNEL, str(website))

    def listen(self, heard: Callable[[UUID], None]) -> None:
        """Call `heard` for each announcement, on a thread of its own, until `close`. A lost Redis is waited for."""
        threading.Thread(target=self._listen, args=(heard,), name="check-wishes", daemon=True).start()

    def close(self) -> None:
        """Drop the connections."""
        self._closed.set()
        self._redis.close()

    def _listen(self, heard: Callable[[UUID], None]) -> None:
        while not self._closed.is_set():
            try:
                with self._redis.pubsub(ignore_subscribe_messages=True) as pubsub:  # type: ignore[no-untyped-call]  # redis has few types
                    pubsub.subscribe(CHANNEL)
                    while not self._closed.is_set():
                        if message := pubsub.get_message(timeout=LISTEN_S):
                            heard(UUID(message["data"].decode()))
            except (redis.RedisError, ValueError) as error:
                if not self._closed.wait(1.0):
                    log.warning("check_reports.deaf", error=str(error))

    def _report(self, check_id: UUID) -> CheckReport | None:
        text = self._redis.get(_report_of(check_id))
        return msgspec.json.decode(text, type=CheckReport) if isinstance(text, bytes) else None


def _wishes(website: UUID) -> str:
    return f"check:wishes:{website}"


def _asked(check_id: UUID) -> str:
    return f"check:asked:{check_id}"


def _report_of(check_id: UUID) -> str:
    return f"check:report:{check_id}"


def _bell(check_id: UUID) -> str:
    return f"check:bell:{check_id}"
