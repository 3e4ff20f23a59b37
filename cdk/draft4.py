"""Our event schemas (JSON Schema 2020-12) as the EventBridge schema registry takes them: draft 4."""

from collections.abc import Mapping
from typing import Any, Final

DRAFT_4: Final = "http://json-schema.org/draft-04/schema#"


def draft4(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The same schema in draft 4, which calls `$defs` otherwise and ignores what stands beside a `$ref`.

    A test holds that ours use nothing else that is newer.
    """
    return {**_converted(schema), "$schema": DRAFT_4}


def _converted(node: Any) -> Any:
    if isinstance(node, list):
        return [_converted(item) for item in node]
    if not isinstance(node, Mapping):
        return node.replace("#/$defs/", "#/definitions/") if isinstance(node, str) else node
    made: dict[str, Any] = {}
    for key, value in node.items():
        if key == "$ref":
            made["allOf"] = [{"$ref": _converted(value)}]
        else:
            made["definitions" if key == "$defs" else key] = _converted(value)
    return made
