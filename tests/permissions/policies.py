"""IAM policies, judged as IAM judges them, as far as ours go: statements with actions, resources and conditions on strings."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from tests.permissions.calls import Need

CONDITIONS: Final = frozenset({"StringEquals", "StringLike", "ArnEquals", "ArnLike"})
KNOWN: Final = frozenset({"Sid", "Effect", "Action", "Resource", "Condition"})

type Conditions = Mapping[str, Mapping[str, Any]]


class NotUnderstood(Exception):
    """A policy says something that is not judged here."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement; actions and resources may have `*` and `?`."""

    allows: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Conditions = field(default_factory=dict)

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> "Statement":
        """A statement of a policy whose references are resolved.

        Raises:
            NotUnderstood: it has an element or a condition that is not judged here.
        """
        if strange := {*said} - KNOWN | {*said.get("Condition", {})} - CONDITIONS:
            raise NotUnderstood(", ".join(sorted(strange)))
        return cls(said["Effect"] == "Allow", _listed(said["Action"]), _listed(said["Resource"]), said.get("Condition", {}))

    def concerns(self, need: Need) -> bool:
        """Whether it speaks of this action on this resource, whatever its conditions are."""
        is_named = any(matches(one, need.action, fold=True) for one in self.actions)
        return is_named and any(matches(one, need.resource) for one in self.resources)

    def applies(self, need: Need, context: Mapping[str, str]) -> bool:
        """Whether it speaks of this in this context. A condition on something that the context lacks does not hold."""
        return self.concerns(need) and all(
            key in context and any(matches(text, context[key]) for text in _listed(wanted))
            for tests in self.conditions.values()
            for key, wanted in tests.items()
        )


def is_allowed(statements: Iterable[Statement], need: Need, context: Mapping[str, str] | None = None) -> bool:
    """Whether a role with these statements may: something allows it, and nothing denies it."""
    said = [statement.allows for statement in statements if statement.applies(need, context or {})]
    return bool(said) and all(said)


def matches(pattern: str, text: str, *, fold: bool = False) -> bool:
    """Whether a text is what a pattern with `*` and `?` says. Names of actions are the same in upper and lower case (`fold`)."""
    return bool(_expression(pattern.lower() if fold else pattern).fullmatch(text.lower() if fold else text))


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    signs = {"*": ".*", "?": "."}
    return re.compile("".join(signs.get(char) or re.escape(char) for char in pattern), re.DOTALL)


def _listed(value: Any) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, list) else (value,)
