"""A heartbeat's item as a ping finds it: the attributes of DynamoDB, read. `core.contracts.heartbeat_table` says what they mean."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from core.contracts.heartbeat_keys import RUN_PREFIX
from core.contracts.ping_filters import Filters

type Attributes = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """An open run: when it started (epoch milliseconds), and the sequence of its start."""

    at: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Item:
    """A heartbeat just after it has given `sequence` to a ping. Sequences and times of what never was are 0.

    `verdict_at` is the time of its latest success or fail.
    """

    heartbeat_id: str
    workspace_id: str
    sequence: int
    success_sequence: int = 0
    fail_sequence: int = 0
    verdict_at: int = 0
    end_sequence: int = 0
    start: Run | None = None
    runs: Mapping[str, Run] = field(default_factory=dict)
    filters: Filters | None = None
    creation: str = ""
    window_at: int = 0
    window_sequence: int = 0

    @classmethod
    def read(cls, attributes: Attributes) -> Self:
        """An item as DynamoDB returns it."""
        success, fail = _number(attributes, "last_success_sequence"), _number(attributes, "last_fail_sequence")
        started_at = _number(attributes, "last_start_at")
        return cls(
            heartbeat_id=attributes["pk"]["S"],
            workspace_id=attributes["workspace_id"]["S"],
            sequence=_number(attributes, "sequence"),
            success_sequence=success,
            fail_sequence=fail,
            verdict_at=max(_number(attributes, "last_success_at"), _number(attributes, "last_fail_at")),
            end_sequence=_number(attributes, "last_end_sequence") or max(success, fail),
            start=Run(started_at, _number(attributes, "last_start_sequence")) if started_at else None,
            runs={
                name.removeprefix(RUN_PREFIX): Run(int(value["M"]["at"]["N"]), int(value["M"]["sequence"]["N"]))
                for name, value in attributes.items()
                if name.startswith(RUN_PREFIX)
            },
            filters=Filters.load(attributes["filters"]["S"]) if "filters" in attributes else None,
            creation=attributes["creation"]["S"] if "creation" in attributes else "",
            window_at=_number(attributes, "window_at"),
            window_sequence=_number(attributes, "window_sequence"),
        )

    def started_at(self, rid: str | None) -> int | None:
        """When the run began that a success or fail with this run id ends; None where that is not known."""
        if rid is not None:
            return self.runs[rid].at if rid in self.runs else None
        return self.start.at if self.start and self.start.sequence > self.end_sequence else None


def _number(attributes: Attributes, name: str) -> int:
    return int(attributes[name]["N"]) if name in attributes else 0
