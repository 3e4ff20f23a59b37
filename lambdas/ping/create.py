"""Create a heartbeat with its first ping.

Invariant: the slug, the heartbeat's item, the ping and the count of the workspace are one transaction, so that of many first pings at once
one creates and the others are pings. The core learns of the heartbeat from its pings: each carries the options until the core says that it
has it.
"""

from collections.abc import Mapping
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from core.contracts.heartbeat_keys import KEY_SORT_KEY, STATE_SORT_KEY, key_partition, slugs_partition
from lambdas.ping.bodies import Bodies
from lambdas.ping.directory import Found
from lambdas.ping.event import detail
from lambdas.ping.item import Item
from lambdas.ping.options import Options
from lambdas.ping.puts import puts
from lambdas.ping.record import Recorded
from lambdas.ping.request import Ping
from lambdas.ping.transaction import CONDITION_FAILED, Patience, Table, passing_reasons
from lambdas.ping.update import assignments
from lambdas.signed_aws.aws import AwsError

DAY_MS: Final = 86_400_000
NOT_THERE: Final = "attribute_not_exists(pk)"


class TooMany(Exception):
    """The workspace has created as many heartbeats today as pings may; `wait_s` is until tomorrow."""

    def __init__(self, wait_s: int) -> None:
        super().__init__("too many heartbeats were created by pings today")
        self.wait_s = wait_s


class Creator:
    """Creates heartbeats in one table, at most `limit` a day with each ping key."""

    def __init__(self, table: Table, name: str, bodies: Bodies, *, limit: int, patience: Patience | None = None) -> None:
        self._table = table
        self._name = name
        self._bodies = bodies
        self._limit = limit
        self._patience = patience or Patience()

    def create(self, found: Found, options: Options, ping: Ping, attempt: int) -> Recorded | None:
        """Create the heartbeat that `found` lacks; None if others were in the way: look again. `attempt` says how often that was (from 0).

        Raises:
            TooMany: nothing was created.
            AwsError, Unreachable: it is not certain that anything was created.
        """
        day = ping.pinged_at // DAY_MS
        today = found.created if found.created_day == day else 0
        if today >= self._limit:
            raise TooMany(-(-(DAY_MS - ping.pinged_at % DAY_MS) // 1000))
        item = Item(
            heartbeat_id=str(uuid5(NAMESPACE_URL, f"heartbeat:{ping.ping_id}")),
            workspace_id=found.workspace_id,
            sequence=1,
            creation=options.dump(),
        )
        kept = self._bodies.keep(item.heartbeat_id, ping)
        event = detail(item, ping, kept)
        parts = [
            self._slug(found, item),
            {"Put": {"TableName": self._name, "Item": _state(item, ping, options), "ConditionExpression": NOT_THERE}},
            self._count(found, day, today),
            *puts(self._name, item, ping, kept, event),
        ]
        try:
            self._table.transact_write_items(TransactItems=parts)
        except AwsError as error:
            if CONDITION_FAILED not in passing_reasons(error):
                self._patience.wait(attempt)
            return None
        return Recorded(event)

    def _slug(self, found: Found, item: Item) -> dict[str, Any]:
        row = {
            "pk": {"S": slugs_partition(found.workspace_id)},
            "sk": {"S": found.slug},
            "heartbeat_id": {"S": item.heartbeat_id},
        }
        return {"Put": {"TableName": self._name, "Item": row, "ConditionExpression": NOT_THERE}}

    def _count(self, found: Found, day: int, today: int) -> dict[str, Any]:
        """Count the creation, on condition that nobody has counted another since the key was read."""
        values = {":day": {"N": str(day)}, ":next": {"N": str(today + 1)}}
        unchanged = "attribute_not_exists(created_day)"
        if found.created_day:
            values |= {":seen_day": {"N": str(found.created_day)}, ":seen": {"N": str(found.created)}}
            unchanged = "created_day = :seen_day AND created = :seen"
        part = {
            "TableName": self._name,
            "Key": {"pk": {"S": key_partition(found.ping_key)}, "sk": {"S": KEY_SORT_KEY}},
            "UpdateExpression": "SET created_day = :day, created = :next",
            "ConditionExpression": f"attribute_exists(pk) AND {unchanged}",
            "ExpressionAttributeValues": values,
        }
        return {"Update": part}


def _state(item: Item, ping: Ping, options: Options) -> Mapping[str, Any]:
    """The item as it is after this ping."""
    return {
        "pk": {"S": item.heartbeat_id},
        "sk": {"S": STATE_SORT_KEY},
        "workspace_id": {"S": item.workspace_id},
        "config_version": {"N": "1"},
        "sequence": {"N": str(item.sequence)},
        "slug": {"S": options.slug},
        "creation": {"S": item.creation},
        **assignments(item, ping),
    }
