"""Record a ping in DynamoDB: the durable truth. Whoever got `OK` can rely on it.

Invariant: the ping's item, its pending marker and the heartbeat's latest times are one transaction; a ping's item is written at most once.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

from core.contracts.heartbeat_keys import STATE_SORT_KEY
from lambdas.ping.bodies import Bodies
from lambdas.ping.event import detail
from lambdas.ping.item import Item
from lambdas.ping.limit import wait_s
from lambdas.ping.puts import puts
from lambdas.ping.request import Ping
from lambdas.ping.transaction import ConditionFailed, Patience, Table, commit, update
from lambdas.ping.update import updates

READING: Final = frozenset({"GET", "HEAD"})
"""Methods that are no ping of a heartbeat with `post_only`: link previews and scanners use them."""


class UnknownHeartbeat(Exception):
    """No heartbeat has this id or name."""


class PostOnly(Exception):
    """The heartbeat takes POST only; nothing was counted."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a ping. `event` is to be published; it is absent where the ping was recorded before, and where it was one too many.

    One too many counts as a sign of life and is not kept: the client should wait `wait_s` seconds.
    """

    event: str | None = None
    wait_s: int | None = None


class Recorder:
    """Records pings in one table, at most `limit` a minute of each heartbeat (0: any number)."""

    def __init__(self, table: Table, name: str, bodies: Bodies, *, limit: int, patience: Patience | None = None) -> None:
        self._table = table
        self._name = name
        self._bodies = bodies
        self._limit = limit
        self._patience = patience or Patience()

    def record(self, heartbeat_id: str, ping: Ping) -> Recorded:
        """Record a ping.

        Raises:
            UnknownHeartbeat: there is no such heartbeat; nothing was recorded.
            PostOnly: as it says.
            Busy: DynamoDB refused again and again; nothing was recorded.
            AwsError, Unreachable: it is not certain that anything was recorded.
        """
        item = self._next(heartbeat_id, ping)
        said = in_time(item, filtered(item, ping))
        wait = wait_s(item, said, self._limit)
        if wait is not None:
            self._touch(item, said)
            return Recorded(wait_s=wait)
        kept = self._bodies.keep(heartbeat_id, said)
        event = detail(item, said, kept)
        is_new = commit(self._table, self._patience, puts(self._name, item, said, kept, event), updates(self._name, item, said))
        return Recorded(event if is_new else None)

    def _next(self, heartbeat_id: str, ping: Ping) -> Item:
        """The heartbeat's item, which has given the next sequence to this ping."""
        condition = "attribute_exists(pk)"
        if ping.method in READING:
            condition += " AND attribute_not_exists(post_only)"
        request: dict[str, Any] = {
            "TableName": self._name,
            "Key": {"pk": {"S": heartbeat_id}, "sk": {"S": STATE_SORT_KEY}},
            "UpdateExpression": "ADD #sequence :one",
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {"#sequence": "sequence"},
            "ExpressionAttributeValues": {":one": {"N": "1"}},
            "ReturnValues": "ALL_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        try:
            return Item.read(update(self._table, self._patience, request))
        except ConditionFailed as failed:
            raise PostOnly(heartbeat_id) if failed.item else UnknownHeartbeat(heartbeat_id) from failed

    def _touch(self, item: Item, ping: Ping) -> None:
        """Note the time of a ping that is not kept, apart from those that are, unless a newer one has been noted."""
        for part in updates(self._name, item, ping, kept=False):
            try:
                update(self._table, self._patience, part)
                return
            except ConditionFailed:
                continue


def filtered(item: Item, ping: Ping) -> Ping:
    """The ping as the heartbeat's filters take it. What a ping says by its address is never overruled."""
    if item.filters is None or not ping.is_plain:
        return ping
    texts = [ping.body] if ping.subject is None else [ping.subject, ping.body]
    return replace(ping, kind=item.filters.kind(texts))


def in_time(item: Item, ping: Ping) -> Ping:
    """The ping, or a log of it where it is a mail and the verdict of a later time has overtaken it.

    The state follows from sequences, which pings over HTTP take at once. A mail takes its own when it comes out of its queues: a start
    that is recorded after its end would be a run for ever, and an old failure would take down what is well again.
    """
    is_mail = ping.subject is not None
    return replace(ping, kind="log") if is_mail and ping.pinged_at < item.verdict_at else ping
