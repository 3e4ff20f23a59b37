"""The checked-in schemas and examples are those of the structs."""

import json
import re
from pathlib import Path

import jsonschema
import msgspec
import pytest

from core.contracts import events, schema_files

FORMATS = jsonschema.Draft202012Validator.FORMAT_CHECKER


def test_the_files_are_current() -> None:
    expected = schema_files.files()
    for path, text in expected.items():
        assert path.read_text(encoding="utf-8") == text, f"run python -m core.contracts.schema_files ({path.name})"
    found = {path for folder in ("schemas", "examples") for path in (schema_files.HERE / folder).glob("*.json")}
    assert found == set(expected)


@pytest.mark.parametrize("name", events.EVENT_TYPES)
def test_each_example_fits_its_schema_and_its_struct(name: str) -> None:
    schema = json.loads((schema_files.HERE / "schemas" / f"{name}.json").read_text(encoding="utf-8"))
    text = (schema_files.HERE / "examples" / f"{name}.json").read_text(encoding="utf-8")
    validator = jsonschema.Draft202012Validator(schema, format_checker=FORMATS)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator.validate(json.loads(text))
    events.decode(events.EVENT_TYPES[name], text)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({"metadata": json.loads(text)["metadata"], "data": {}})


@pytest.mark.parametrize("name", events.EVENT_TYPES)
def test_the_documentation_shows_each_example(name: str) -> None:
    page = (Path(__file__).parents[2] / "docs/reference/events.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {name}$.*?```json\n(.*?)```", page, re.MULTILINE | re.DOTALL)
    assert section
    text = (schema_files.HERE / "examples" / f"{name}.json").read_text(encoding="utf-8")
    assert json.loads(section[1]) == json.loads(text)["data"]


def test_a_time_without_a_zone_is_refused() -> None:
    text = (schema_files.HERE / "examples" / "AlertDelivered.json").read_text(encoding="utf-8")
    naive = text.replace('"2026-03-14T09:27:04Z"', '"2026-03-14T09:27:04"')
    assert naive != text
    with pytest.raises(msgspec.ValidationError):
        events.decode(events.AlertDelivered, naive)
