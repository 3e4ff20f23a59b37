"""Runs journaled pings through the Lambda: at once if it can, else again and again until it took them, in order for each heartbeat.

A ping that is in the journal is answered `OK` whatever happens to the AWS stand-in; what the Lambda could not take (a 5xx or no answer
in time) waits here. A later ping of the same heartbeat never overtakes one that waits.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from uuid import UUID

import msgspec

from core.local.api_gateway import Event
from core.local.journal import Entry, Journal, Waiting
from core.local.ping_lambda import Result
from core.logs import get_logger

PATIENCE_S = 3.0
"""How long a client waits for the Lambda before its ping counts as queued."""

RETRY_PAUSE_S = 0.2
STRIKES = 3
"""Failures in one round of retries after which the rest of the round is left for the next."""

CRASHED: Result = {"statusCode": int(HTTPStatus.INTERNAL_SERVER_ERROR)}
_log = get_logger(__name__)


class PingRunner:
    """Thread-safe. `reachable` tells cheaply whether the AWS stand-in listens."""

    def __init__(
        self,
        invoke: Callable[[Event], Result],
        journal: Journal,
        reachable: Callable[[], bool],
        *,
        patience_s: float = PATIENCE_S,
        workers: int = 16,
    ) -> None:
        self._invoke = invoke
        self._journal = journal
        self._reachable = reachable
        self._patience_s = patience_s
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="ping-lambda")
        self._turn = threading.Lock()
        self._queues: dict[UUID, deque[UUID]] = {}
        self._late: dict[UUID, Future[Result]] = {}
        self._final: list[UUID] = []

    def run(self, entry: Entry) -> Result | None:
        """The Lambda's answer to a ping that is in the journal; None if it waits now (the ping is safe)."""
        is_away = bool(self._queues) and not self._reachable()
        with self._turn:
            if is_away or entry.heartbeat in self._queues:
                self._queues.setdefault(entry.heartbeat, deque()).append(entry.id)
                return None
            future = self._pool.submit(self._attempt, entry)
        result = self._patiently(future)
        with self._turn:
            if result is None:
                self._late[entry.id] = future
            elif self._is_taken(entry.id, result):
                return result
            self._queues.setdefault(entry.heartbeat, deque()).append(entry.id)
        _log.warning("ping.queued", request_id=str(entry.id), timed_out=result is None)
        return None

    def run_unsafe(self, event: Event) -> Result | None:
        """The Lambda's answer to a request that is not in the journal; None if there is none in time."""
        return self._patiently(self._pool.submit(self._call, event))

    def requeue(self, entries: Sequence[Waiting]) -> None:
        """Run these again, in this order, behind what waits already."""
        with self._turn:
            for entry in entries:
                queue = self._queues.setdefault(entry.heartbeat, deque())
                if entry.id not in queue:
                    queue.append(entry.id)

    def waiting(self) -> set[UUID]:
        """Ids of the pings that the Lambda has yet to take."""
        with self._turn:
            return {entry_id for queue in self._queues.values() for entry_id in queue}

    def take_final(self) -> list[UUID]:
        """Ids of the pings that were refused for good (4xx) since the last call: nothing of them is to be kept."""
        with self._turn:
            final, self._final = self._final, []
        return final

    def retry_until(self, stop: threading.Event) -> None:
        """Retry what waits until `stop` is set: at most `RETRY_PAUSE_S` after the stand-in listens again."""
        while not stop.wait(RETRY_PAUSE_S):
            if self._queues and self._reachable():
                self.retry_round()

    def retry_round(self) -> None:
        """Each heartbeat's queue once, until it is empty or fails; one that fails goes to the end of the row."""
        strikes = 0
        for heartbeat in list(self._queues):
            if not self._retry(heartbeat):
                with self._turn:
                    self._queues[heartbeat] = self._queues.pop(heartbeat)
                strikes += 1
                if strikes == STRIKES:
                    return

    def close(self) -> None:
        """End without waiting for calls that hang: they are in the journal."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _retry(self, heartbeat: UUID) -> bool:
        """Run a heartbeat's queue in order; False if its head failed."""
        while True:
            with self._turn:
                queue = self._queues[heartbeat]
                if not queue:
                    del self._queues[heartbeat]
                    return True
                head = queue[0]
                late = self._late.get(head)
            if late and not late.done():
                return True
            if not self._retry_one(head, late):
                return False
            with self._turn:
                queue.popleft()

    def _retry_one(self, entry_id: UUID, late: Future[Result] | None) -> bool:
        """Whether nothing is left to do for the entry. A call that came too late for its client counts when it ended well."""
        with self._turn:
            self._late.pop(entry_id, None)
            if late and self._is_taken(entry_id, late.result()):
                return True
        entry = self._journal.read(entry_id)
        if entry is None:
            return True
        result = self._attempt(entry)
        with self._turn:
            return self._is_taken(entry_id, result)

    def _is_taken(self, entry_id: UUID, result: Result) -> bool:
        status = int(result["statusCode"])
        if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
            self._final.append(entry_id)
        return status < HTTPStatus.INTERNAL_SERVER_ERROR

    def _patiently(self, future: Future[Result]) -> Result | None:
        try:
            return future.result(self._patience_s)
        except TimeoutError:
            return None

    def _attempt(self, entry: Entry) -> Result:
        return self._call(msgspec.json.decode(entry.event))

    def _call(self, event: Event) -> Result:
        try:
            return self._invoke(event)
        except Exception:  # noqa: BLE001  (whatever the Lambda died of, API Gateway sees a failed invocation; the log has the cause)
            _log.exception("lambda.crashed")
            return CRASHED
