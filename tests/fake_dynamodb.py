"""DynamoDB in memory, as the Lambdas and the core use it: conditions, transactions that conflict, throttling.

It is faithful in what concurrency is made of: a single write is atomic and serialised with others of its item; a transaction holds its
items, and whatever else writes one of them meanwhile is refused, as DynamoDB documents it ("TransactionConflict").
"""

import operator
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final
from uuid import UUID

from core.adapters.heartbeat_table import PLAIN, EdgeUnreachable, HeartbeatTable, PendingPing, _at, _edge_state, _ms
from core.contracts.heartbeat_keys import STATE_SORT_KEY, pending_partition, pending_partitions
from core.contracts.heartbeat_table import HeartbeatItem
from core.domain.heartbeat_watch import EdgeOptions, EdgeState, Projection
from lambdas.signed_aws.aws import AwsError

type Item = dict[str, dict[str, Any]]
type Key = tuple[str, str]

DEFAULTS: Final[Item] = {"config_version": {"N": "1"}}
_TOKENS: Final = re.compile(r"\s*(AND|OR|NOT|<=|>=|<>|[=<>(),]|[#:]?\w+)")


_OPERATORS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
}


def refusal(code: str, reasons: list[str] | None = None, item: Mapping[str, Any] | None = None) -> AwsError:
    """The error of a call, as the client of the ping Lambda raises it."""
    answer: dict[str, Any] = {} if item is None else {"Item": item}
    if reasons is not None:
        answer["CancellationReasons"] = [{"Code": reason} for reason in reasons]
    return AwsError(code, code, answer)


@dataclass
class FakeDynamoDb:
    """One table. `trouble` is asked before each call and names the error that it ends with, or None."""

    trouble: Callable[[str], str | None] = lambda _: None
    partitions: dict[str, dict[str, Item]] = field(default_factory=dict)
    conflicts: int = 0
    _held: set[Key] = field(default_factory=set)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def item(self, key: Key) -> Item | None:
        """What is stored."""
        return self.partitions.get(key[0], {}).get(key[1])

    def put(self, key: Key, item: Item) -> Item:
        """Store an item, whatever was there."""
        self.partitions.setdefault(key[0], {})[key[1]] = item
        return item

    def drop(self, key: Key) -> None:
        """Forget an item."""
        self.partitions.get(key[0], {}).pop(key[1], None)

    def update_item(self, **asked: Any) -> dict[str, Any]:
        """UpdateItem with ReturnValues ALL_NEW."""
        self._stumble("update_item")
        key = _key(asked["Key"])
        with self._turn:
            if key in self._held:
                self.conflicts += 1
                raise refusal("TransactionConflictException")
            if not holds(asked, self.item(key)):
                raise refusal("ConditionalCheckFailedException", item=self.item(key))
            after = self.put(key, updated(asked, self.item(key) or _new(key)))
            return {"Attributes": dict(after)}

    def get_item(self, **asked: Any) -> dict[str, Any]:
        """GetItem."""
        self._stumble("get_item")
        found = self.item(_key(asked["Key"]))
        return {"Item": dict(found)} if found else {}

    def transact_write_items(self, **asked: Any) -> dict[str, Any]:
        """All or nothing; between taking the items and writing them others have their turn, and meet the conflict."""
        self._stumble("transact_write_items")
        actions = [next(iter(action.items())) for action in asked["TransactItems"]]
        keys = [_key(part["Key"] if "Key" in part else part["Item"]) for _, part in actions]
        assert len(set(keys)) == len(keys), "DynamoDB refuses two operations on one item"
        with self._holding(keys):
            time.sleep(0)
            with self._turn:
                held = [holds(part, self.item(key)) for key, (_, part) in zip(keys, actions, strict=True)]
                if not all(held):
                    reasons = ["None" if fine else "ConditionalCheckFailed" for fine in held]
                    raise refusal("TransactionCanceledException", reasons)
                for key, (kind, part) in zip(keys, actions, strict=True):
                    self._write(kind, key, part)
        return {}

    @contextmanager
    def _holding(self, keys: list[Key]) -> Iterator[None]:
        with self._turn:
            taken = [key in self._held for key in keys]
            if any(taken):
                self.conflicts += 1
                raise refusal("TransactionCanceledException", ["TransactionConflict" if one else "None" for one in taken])
            self._held.update(keys)
        try:
            yield
        finally:
            with self._turn:
                self._held.difference_update(keys)

    def _write(self, kind: str, key: Key, part: Mapping[str, Any]) -> None:
        match kind:
            case "Put":
                self.put(key, dict(part["Item"]))
            case "Update":
                self.put(key, updated(part, self.item(key) or _new(key)))
            case "Delete":
                self.drop(key)
            case _:
                assert kind == "ConditionCheck", kind

    def _stumble(self, operation: str) -> None:
        if code := self.trouble(operation):
            raise refusal(code, ["ThrottlingError"] if code == "TransactionCanceledException" else None)


class FakeEdgeTable(HeartbeatTable):
    """`HeartbeatTable` over the items of a FakeDynamoDb. While `away`, nothing answers."""

    def __init__(self, dynamodb: FakeDynamoDb) -> None:  # no client: nothing of the real one is made
        self.dynamodb = dynamodb
        self.away = False

    def provision(self, uid: UUID, workspace_id: UUID, options: EdgeOptions = PLAIN) -> None:
        assert options == PLAIN, "no test of its users sets them"
        self._reach()
        item = {
            "pk": {"S": str(uid)},
            "sk": {"S": STATE_SORT_KEY},
            "workspace_id": {"S": str(workspace_id)},
            "sequence": {"N": "0"},
        }
        self.dynamodb.partitions.setdefault(str(uid), {}).setdefault(STATE_SORT_KEY, item)

    def remove(self, uid: UUID) -> None:
        self._reach()
        self.dynamodb.drop((str(uid), STATE_SORT_KEY))

    def rebuild(self, projections: Iterable[Projection]) -> int:
        made = 0
        for projection in projections:
            made += self.dynamodb.item((str(projection.uid), STATE_SORT_KEY)) is None
            self.provision(projection.uid, projection.workspace_id)
        return made

    def latest(self, uids: Iterable[UUID]) -> dict[UUID, EdgeState]:
        self._reach()
        found = ((uid, self.dynamodb.item((str(uid), STATE_SORT_KEY))) for uid in uids)
        return {uid: _edge_state(HeartbeatItem.from_raw_data({**DEFAULTS, **item}), item) for uid, item in found if item}

    def pending(self, now: datetime, older_than: timedelta, limit: int = 500, *, resting: bool = False) -> list[PendingPing]:
        self._reach()
        late = _ms(now - older_than)
        found = [
            PendingPing(UUID(ping_id), _at(int(item["pinged_at"]["N"])), item["detail"]["S"])
            for shard in pending_partitions()
            for ping_id, item in list(self.dynamodb.partitions.get(shard, {}).items())
            if int(item["pinged_at"]["N"]) <= late and (resting or int(item.get("sweep_at", {"N": "0"})["N"]) <= _ms(now))
        ]
        return found[:limit]

    def put_off(self, pings: Iterable[PendingPing], now: datetime, shortest: timedelta) -> None:
        self._reach()
        for ping in pings:
            if item := self.dynamodb.item((pending_partition(str(ping.ping_id)), str(ping.ping_id))):
                item["sweep_at"] = {"N": str(_ms(now + max(shortest, now - ping.pinged_at)))}

    def settle(self, ping_ids: Iterable[UUID]) -> None:
        self._reach()
        for ping_id in map(str, ping_ids):
            self.dynamodb.drop((pending_partition(ping_id), ping_id))

    def pings_of(self, uid: UUID) -> list[Item]:
        """The items of all pings of a heartbeat."""
        found = self.dynamodb.partitions.get(str(uid), {})
        return [item for sort_key, item in found.items() if sort_key.startswith("ping#")]

    def _reach(self) -> None:
        if self.away:
            raise EdgeUnreachable("away")


def _key(part: Mapping[str, Any]) -> Key:
    return part["pk"]["S"], part["sk"]["S"]


def _new(key: Key) -> Item:
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


def updated(asked: Mapping[str, Any], before: Item) -> Item:
    """The item after SET name = value, REMOVE name, ADD name number or set: what is used of update expressions."""
    after = dict(before)
    for verb, name_of, operand in _clauses(asked["UpdateExpression"]):
        name = _name(asked, name_of)
        if verb == "REMOVE":
            after.pop(name, None)
        elif verb == "SET":
            after[name] = _value(asked, operand)
        else:
            after[name] = _sum(after.get(name), _value(asked, operand))
    return after


@cache
def _clauses(text: str) -> Sequence[tuple[str, str, str]]:
    """Verb, name and operand of each change."""
    verbs = re.split(r"\b(SET|REMOVE|ADD)\b", text)[1:]
    parts = [(verb, part) for verb, changes in zip(verbs[::2], verbs[1::2], strict=True) for part in changes.split(",")]
    return [(verb, *(*part.replace("=", " ").split(), "")[:2]) for verb, part in parts]


def _sum(before: Mapping[str, Any] | None, more: Mapping[str, Any]) -> dict[str, Any]:
    if "NS" in more:
        return {"NS": sorted({*(before or {"NS": []})["NS"], *more["NS"]}, key=int)}
    return {"N": str(int((before or {"N": "0"})["N"]) + int(more["N"]))}


def _name(asked: Mapping[str, Any], token: str) -> str:
    return str(asked["ExpressionAttributeNames"][token]) if token.startswith("#") else token


def _value(asked: Mapping[str, Any], token: str) -> dict[str, Any]:
    value: dict[str, Any] = asked["ExpressionAttributeValues"][token]
    return value


def holds(asked: Mapping[str, Any], item: Item | None) -> bool:
    """Whether the condition of a part holds for the item as it is."""
    text = asked.get("ConditionExpression")
    if not text:
        return True
    tokens = list(_tokens(text))
    result = _either(tokens, asked, item or {})
    assert not tokens, f"not understood: {text!r} at {tokens}"
    return result


@cache
def _tokens(text: str) -> Sequence[str]:
    return _TOKENS.findall(text)


def _either(tokens: list[str], asked: Mapping[str, Any], item: Item) -> bool:
    result = _both(tokens, asked, item)
    while tokens[:1] == ["OR"]:
        del tokens[0]
        result = _both(tokens, asked, item) or result
    return result


def _both(tokens: list[str], asked: Mapping[str, Any], item: Item) -> bool:
    result = _single(tokens, asked, item)
    while tokens[:1] == ["AND"]:
        del tokens[0]
        result = _single(tokens, asked, item) and result
    return result


def _single(tokens: list[str], asked: Mapping[str, Any], item: Item) -> bool:
    first = tokens.pop(0)
    if first == "NOT":
        return not _single(tokens, asked, item)
    if first == "(":
        result = _either(tokens, asked, item)
        assert tokens.pop(0) == ")"
        return result
    if first in ("attribute_exists", "attribute_not_exists"):
        _, name, _ = tokens.pop(0), tokens.pop(0), tokens.pop(0)
        return (_name(asked, name) in item) is (first == "attribute_exists")
    if first == "contains":
        _, name, _, wanted, _ = (tokens.pop(0) for _ in range(5))
        return _value(asked, wanted)["N"] in item.get(_name(asked, name), {"NS": []})["NS"]
    how, right_of = tokens.pop(0), _value(asked, tokens.pop(0))
    left, right = _comparable(item.get(_name(asked, first), {})), _comparable(right_of)
    if left is None or right is None or type(left) is not type(right):
        return False  # a comparison with an attribute that is not there does not hold
    return _OPERATORS[how](left, right)


def _comparable(value: Mapping[str, Any]) -> float | str | None:
    return float(value["N"]) if "N" in value else value.get("S")
