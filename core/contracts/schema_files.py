"""Writes `schemas/<event>.json` and `examples/<event>.json` from the structs: `python -m core.contracts.schema_files`.

A test holds that the files are current, so a change of a public event always shows in the review of its schema.
"""

import json
from pathlib import Path
from typing import Any

import msgspec

from core.contracts import event_examples, events

HERE = Path(__file__).parent
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def files() -> dict[Path, str]:
    """Every generated file with its content."""
    content: dict[Path, str] = {}
    for name, event_type in events.EVENT_TYPES.items():
        content[HERE / "schemas" / f"{name}.json"] = _pretty(schema(name, event_type))
    for data in event_examples.DATA:
        content[HERE / "examples" / f"{type(data).__name__}.json"] = _pretty(json.loads(event_examples.example(data)))
    return content


def schema(name: str, event_type: type[events.Data]) -> dict[str, Any]:
    """JSON Schema of the `detail` of one event. Unknown fields are allowed: newer publishers may add some."""
    generated = msgspec.json.schema(events.Detail[event_type])  # type: ignore[valid-type]  # the type is a value here
    return {"$schema": DIALECT, "title": name, "description": event_type.__doc__ or "", **generated}


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def write() -> None:
    """Write all files and remove those of events that are no more."""
    current = files()
    for folder in (HERE / "schemas", HERE / "examples"):
        folder.mkdir(exist_ok=True)
        for path in set(folder.glob("*.json")) - set(current):
            path.unlink()
    for path, text in current.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
