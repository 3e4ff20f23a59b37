"""Synthesised templates, as a bill reads them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of a template."""

    stack: str
    name: str
    type: str
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Templates:
    """The templates of one environment, by the noun of their stack."""

    by_stack: Mapping[str, Mapping[str, Any]]
    _all: list[Resource] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        for stack, template in self.by_stack.items():
            for name, body in template["Resources"].items():
                self._all.append(Resource(stack, name, body["Type"], body.get("Properties", {})))

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._all)

    def of(self, kind: str) -> list[Resource]:
        """Every resource of a type."""
        return [one for one in self._all if one.type == kind]

    def named(self, stack: str, reference: object) -> Resource | None:
        """The resource of a stack that `{"Ref": …}` or `{"Fn::GetAtt": [name, …]}` means, if it is in that stack."""
        if not isinstance(reference, Mapping):
            return None
        name = reference.get("Ref") or (reference.get("Fn::GetAtt") or [None])[0]
        return next((one for one in self._all if (one.stack, one.name) == (stack, name)), None)
