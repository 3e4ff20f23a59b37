"""What a ping changes in its heartbeat's item, as the part of a DynamoDB transaction. Pure."""

from dataclasses import dataclass, field
from typing import Any, Final

from core.contracts.heartbeat_keys import MOST_RUNS, STATE_SORT_KEY, run_attribute
from lambdas.ping.item import Item, Run
from lambdas.ping.limit import opens_window
from lambdas.ping.request import Ping

LATEST: Final = {"success": "last_success", "fail": "last_fail", "start": "last_start"}
TOUCHED: Final = {"success": "touched_success", "fail": "touched_fail", "start": "touched_start"}
"""Where the time goes of a ping that is not kept: what waits for pings on their way must not wait for this one."""

ENDS: Final = frozenset({"success", "fail"})

type Part = dict[str, Any]


@dataclass
class _Expression:
    """An UpdateExpression under construction; every name and value goes through a placeholder."""

    sets: list[str] = field(default_factory=list)
    removes: list[str] = field(default_factory=list)
    conditions: list[str] = field(default_factory=lambda: ["attribute_exists(pk)"])
    names: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    assigned: dict[str, Any] = field(default_factory=dict)

    def set(self, attribute: str, value: Any) -> str:
        """Set an attribute; returns the placeholder of its name."""
        name, placeholder = self._name(attribute), f":v{len(self.values)}"
        self.values[placeholder] = self.assigned[attribute] = value
        self.sets.append(f"{name} = {placeholder}")
        return name

    def remove(self, attribute: str) -> None:
        """Remove an attribute, if it is there."""
        self.removes.append(self._name(attribute))

    def raise_to(self, attribute: str, sequence: int) -> None:
        """Set a sequence, on condition that it is higher than what is there."""
        name = self.set(attribute, _number(sequence))
        self.conditions.append(f"(attribute_not_exists({name}) OR {name} < :v{len(self.values) - 1})")

    def part(self, table: str, heartbeat_id: str) -> Part | None:
        """The whole, or None if it changes nothing."""
        if not self.sets and not self.removes:
            return None
        clauses = [f"{verb} {', '.join(found)}" for verb, found in (("SET", self.sets), ("REMOVE", self.removes)) if found]
        part = {
            "TableName": table,
            "Key": {"pk": {"S": heartbeat_id}, "sk": {"S": STATE_SORT_KEY}},
            "UpdateExpression": " ".join(clauses),
            "ConditionExpression": " AND ".join(self.conditions),
            "ExpressionAttributeNames": self.names,
        }
        return part | {"ExpressionAttributeValues": self.values} if self.values else part

    def _name(self, attribute: str) -> str:
        name = f"#n{len(self.names)}"
        self.names[name] = attribute
        return name


def updates(table: str, item: Item, ping: Ping, *, kept: bool = True) -> list[Part]:
    """What to try, one after the other while a condition fails: everything, then less where a newer ping has been faster.

    `kept` is false for a sign of life that the core will never see.
    """
    found: list[Part] = []
    for latest, end in ((True, True), (True, False), (False, False)):
        part = _expression(item, ping, latest=latest, end=end, kept=kept).part(table, item.heartbeat_id)
        if part and part not in found:
            found.append(part)
    return found


def assignments(item: Item, ping: Ping) -> dict[str, Any]:
    """The attributes that this ping sets in an item that has nothing else."""
    return _expression(item, ping, latest=True, end=True, kept=True).assigned


def _expression(item: Item, ping: Ping, *, latest: bool, end: bool, kept: bool) -> _Expression:
    """`latest`: with the latest time of the ping's kind; `end`: with the end of all runs before it."""
    expression, at, sequence = _Expression(), _number(ping.pinged_at), item.sequence
    if latest and ping.kind in LATEST and not (ping.kind == "start" and ping.rid):
        stamp = (LATEST if kept else TOUCHED)[ping.kind]
        expression.set(f"{stamp}_at", at)
        expression.raise_to(f"{stamp}_sequence", sequence)
    if end and ping.kind in ENDS and not ping.rid:
        expression.raise_to("last_end_sequence", sequence)
    if ping.rid and ping.kind == "start":
        expression.set(run_attribute(ping.rid), {"M": _run(at, sequence, kept=kept)})
        for rid in _surplus(item, ping.rid):
            expression.remove(run_attribute(rid))
    if ping.rid and ping.kind in ENDS and ping.rid in item.runs:
        expression.remove(run_attribute(ping.rid))
    if opens_window(item, ping):
        expression.set("window_at", at)
        expression.set("window_sequence", _number(sequence))
    return expression


def _run(at: dict[str, str], sequence: int, *, kept: bool) -> dict[str, Any]:
    run: dict[str, Any] = {"at": at, "sequence": _number(sequence)}
    return run if kept else run | {"touched": {"BOOL": True}}


def _surplus(item: Item, starting: str) -> list[str]:
    """The runs that started first, where one more would be too many."""
    others: dict[str, Run] = {rid: run for rid, run in item.runs.items() if rid != starting}
    return sorted(others, key=lambda rid: others[rid].sequence)[: max(0, len(others) + 1 - MOST_RUNS)]


def _number(value: int) -> dict[str, str]:
    return {"N": str(value)}
