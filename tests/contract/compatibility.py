"""What may change in the schema of a public event under one version, as a pure comparison of two schemas.

Events lie in queues and archives, so old ones meet new consumers, and subscribers are not ours, so new ones meet old consumers. What is
fit for both is little: a property that may be absent, and a value of an enum that says `x-open`. Everything else that a schema demands
must stay as it was, in both directions: a wider limit breaks whoever reads as a narrower one breaks what was kept.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

type Schema = Mapping[str, Any]
type Definitions = Mapping[str, Schema]

ANNOTATIONS: Final = {"$schema", "$id", "$defs", "$comment", "title", "description", "examples", "deprecated"}
"""Keywords that demand nothing: words may always be improved."""

WALKED: Final = {
    "$ref",
    "properties",
    "required",
    "items",
    "additionalProperties",
    "anyOf",
    "oneOf",
    "allOf",
    "prefixItems",
    "enum",
}
"""Keywords with rules of their own below; all others must be equal."""

ABSENT: Final = object()


def breaks(released: Mapping[str, Schema], current: Mapping[str, Schema]) -> list[str]:
    """What would break a consumer, in words; both are schemas by type of event. New types break nobody."""
    found: list[str] = []
    for event, old in released.items():
        if event not in current:
            found.append(f"{event}: the event was removed")
        else:
            found += [f"{event}{finding}" for finding in Comparison(old, current[event]).run()]
    return found


class Comparison:
    """Two documents, each with the definitions that its references lead to."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old, new
        self._seen: set[tuple[str, str]] = set()

    def run(self) -> Iterator[str]:
        """Each break as `.path: what happened`."""
        return self._schema("", self._old, self._new)

    def _schema(self, path: str, old: Schema, new: Schema) -> Iterator[str]:
        refs = (old.get("$ref", ""), new.get("$ref", ""))
        if any(refs):
            if refs in self._seen:  # a definition that contains itself
                return
            self._seen.add(refs)
            old, new = resolved(self._old, old), resolved(self._new, new)
        yield from self._demands(path, old, new)
        yield from self._properties(path, old, new)
        yield from _enum(path, old, new)
        for keyword in ("items", "additionalProperties"):
            yield from self._one(path, keyword, old.get(keyword, ABSENT), new.get(keyword, ABSENT))
        for keyword in ("anyOf", "oneOf", "allOf", "prefixItems"):
            yield from self._several(path, keyword, old.get(keyword, []), new.get(keyword, []))
        self._seen.discard(refs)

    def _demands(self, path: str, old: Schema, new: Schema) -> Iterator[str]:
        for keyword in sorted((old.keys() | new.keys()) - ANNOTATIONS - WALKED - {"x-open"}):
            before, after = old.get(keyword, ABSENT), new.get(keyword, ABSENT)
            if "$ref" in repr((before, after)):
                yield f"{path}: {keyword} holds a reference, which no rule here can follow"
            elif before != after:
                yield f"{path}: {keyword} was {_shown(before)}, is {_shown(after)}"

    def _properties(self, path: str, old: Schema, new: Schema) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        was, now = set(old.get("required", ())), set(new.get("required", ()))
        for name in before:
            if name not in after:
                yield f"{path}.{name}: the property was removed"
                continue
            if (name in was) != (name in now):
                yield f"{path}.{name}: the property became {'optional' if name in was else 'required'}"
            yield from self._schema(f"{path}.{name}", before[name], after[name])
        for name in after.keys() - before.keys():
            if name in now:
                yield f"{path}.{name}: the property is new and required"
            if "additionalProperties" in old:
                yield f"{path}.{name}: the property is new, and additionalProperties said what others may be"
        for name in (was ^ now) - before.keys() - after.keys():
            yield f"{path}.{name}: required changed for a property that is not described"

    def _one(self, path: str, keyword: str, old: Any, new: Any) -> Iterator[str]:
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from self._schema(f"{path}[{keyword}]", old, new)
        elif old != new:
            yield f"{path}: {keyword} was {_shown(old)}, is {_shown(new)}"

    def _several(self, path: str, keyword: str, old: list[Schema], new: list[Schema]) -> Iterator[str]:
        if len(old) != len(new):
            yield f"{path}: {keyword} had {len(old)} members, has {len(new)}"
            return
        for number, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from self._schema(f"{path}[{keyword} {number}]", before, after)


def _enum(path: str, old: Schema, new: Schema) -> Iterator[str]:
    """An enum may gain values where the *released* schema told consumers to expect them. None is ever lost: archives hold it."""
    before, after = old.get("enum"), new.get("enum")
    if before is None or after is None:
        if before != after:
            yield f"{path}: enum was {_shown(before)}, is {_shown(after)}"
        return
    if lost := [value for value in before if value not in after]:
        yield f"{path}: the enum lost {lost}"
    gained = [value for value in after if value not in before]
    if gained and not old.get("x-open"):
        yield f"{path}: the enum gained {gained}, and consumers were not told to expect more"
    if new.get("x-open") and not old.get("x-open"):
        yield f"{path}: the enum was closed and became open"


def resolved(document: Schema, schema: Schema) -> Schema:
    """A schema with what its reference leads to; references lead into the document's own `$defs` only.

    Raises:
        KeyError: they lead nowhere.
        ValueError: they lead elsewhere.
    """
    if "$ref" not in schema:
        return schema
    prefix, _, name = str(schema["$ref"]).rpartition("/")
    if prefix != "#/$defs":
        raise ValueError(f"{schema['$ref']} leads out of the document")
    beside = {keyword: value for keyword, value in schema.items() if keyword not in ANNOTATIONS | {"$ref"}}
    return {**resolved(document, document["$defs"][name]), **beside}


def _shown(value: Any) -> str:
    return "absent" if value is ABSENT or value is None else repr(value)
