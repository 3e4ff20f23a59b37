"""One UpdateItem of DynamoDB, put together part by part."""

from typing import Any


class Update:
    """What to change and on which condition. Names and values stand in it as placeholders, in the order in which they come."""

    def __init__(self) -> None:
        self._changes: dict[str, list[str]] = {}
        self._conditions: list[str] = []
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}

    def name(self, attribute: str) -> str:
        """The placeholder of an attribute, for conditions."""
        return self._names.setdefault(attribute, f"#n{len(self._names)}")

    def value(self, value: Any) -> str:
        """The placeholder of a value, for conditions."""
        placeholder = f":v{len(self._values)}"
        self._values[placeholder] = value
        return placeholder

    def set(self, attribute: str, value: Any) -> None:
        """Whatever it was before."""
        self._change("SET", f"{self.name(attribute)} = {self.value(value)}")

    def add(self, attribute: str, value: Any) -> None:
        """To a number, or members to a set; to nothing, where it is not there."""
        self._change("ADD", f"{self.name(attribute)} {self.value(value)}")

    def remove(self, *attributes: str) -> None:
        """Where they are there."""
        for attribute in attributes:
            self._change("REMOVE", self.name(attribute))

    def only_if(self, condition: str) -> None:
        """And everything else that is asked for."""
        self._conditions.append(condition)

    def arguments(self) -> dict[str, Any]:
        """Of `update_item`."""
        found: dict[str, Any] = {
            "UpdateExpression": " ".join(f"{verb} {', '.join(changes)}" for verb, changes in self._changes.items()),
            "ExpressionAttributeNames": {placeholder: attribute for attribute, placeholder in self._names.items()},
            "ExpressionAttributeValues": self._values,
        }
        if self._conditions:
            found["ConditionExpression"] = " AND ".join(self._conditions)
        return found

    def _change(self, verb: str, change: str) -> None:
        self._changes.setdefault(verb, []).append(change)
