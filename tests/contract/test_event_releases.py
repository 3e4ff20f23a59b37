"""Today's events against those of every release; and each rule of the comparison on a change that breaks it."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from core.contracts import schema_files
from tests.contract import releases
from tests.contract.compatibility import breaks, resolved

FOLDERS = releases.releases()
type Document = dict[str, Any]

EVENT: Document = {
    "$schema": schema_files.DIALECT,
    "description": "A thing happened.",
    "$ref": "#/$defs/Detail",
    "$defs": {
        "Detail": {
            "type": "object",
            "properties": {
                "id": {"type": "string", "format": "uuid"},
                "name": {"type": "string", "maxLength": 80, "minLength": 1, "pattern": "^x"},
                "count": {"type": "integer", "minimum": 0, "maximum": 9},
                "kind": {"enum": ["fail", "success"]},
                "reason": {"enum": ["dns", "timeout"], "x-open": True},
                "at": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}], "default": None},
                "tags": {"type": "array", "items": {"$ref": "#/$defs/Tag"}},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "parent": {"anyOf": [{"$ref": "#/$defs/Detail"}, {"type": "null"}], "default": None},
            },
            "required": ["id", "name", "kind"],
        },
        "Tag": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
    },
}


def changed(change: Callable[[Document, Document], object]) -> list[str]:
    """What `breaks` says of EVENT after a change, given its properties and all its definitions."""
    document = copy.deepcopy(EVENT)
    change(document["$defs"]["Detail"]["properties"], document["$defs"])
    return breaks({"Event": EVENT}, {"Event": document})


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_todays_events_break_no_consumer_of_a_release(folder: Path) -> None:
    released = releases.read(folder)
    assert released
    assert breaks(released, releases.current()) == [], "docs/reference/events.md says what may change: the rest is a new version"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_todays_examples_fit_the_released_schemas(folder: Path) -> None:
    """The same by another judge, for what the examples show."""
    for name, schema in releases.read(folder).items():
        example = json.loads((schema_files.HERE / "examples" / f"{name}.json").read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER).validate(example)


@pytest.mark.parametrize("name", releases.current())
def test_no_part_of_an_event_is_out_of_sight(name: str) -> None:
    """Each property of each definition is missed, however deep it lies."""
    schema = releases.current()[name]
    unseen = []
    for definition, body in schema["$defs"].items():
        for lost in body["properties"]:
            changed = copy.deepcopy(schema)
            del changed["$defs"][definition]["properties"][lost]
            if not any(
                finding.endswith(f".{lost}: the property was removed") for finding in breaks({name: schema}, {name: changed})
            ):
                unseen.append(f"{definition}.{lost}")

    assert unseen == []


def test_something_is_frozen_and_nothing_of_a_later_version() -> None:
    assert FOLDERS
    assert releases.version_key(FOLDERS[-1].name) <= releases.version_key(releases.this_version())


ADDITIONS: dict[str, Callable[[Document, Document], object]] = {
    "nothing": lambda _, __: None,
    "an optional property": lambda p, _: p.update(note={"type": "string", "default": ""}),
    "an optional property of a nested object": lambda _, d: d["Tag"]["properties"].update(colour={"type": "integer"}),
    "a value of an open enum": lambda p, _: p["reason"].update(enum=["dns", "reset", "timeout"]),
    "the order of an enum": lambda p, _: p["kind"].update(enum=["success", "fail"]),
    "better words": lambda p, _: p["name"].update(title="Name", description="What people call it", examples=["xy"]),
    "another name of a definition": lambda p, d: (
        d.update(Label=d.pop("Tag")),
        p["tags"].update(items={"$ref": "#/$defs/Label"}),
    ),
    "a definition in place": lambda p, d: p["tags"].update(items=d.pop("Tag")),
}


@pytest.mark.parametrize("name", ADDITIONS)
def test_an_addition_passes(name: str) -> None:
    assert changed(ADDITIONS[name]) == []


def test_a_new_event_passes() -> None:
    assert breaks({"Event": EVENT}, {"Event": EVENT, "Another": EVENT}) == []


def test_a_removed_event_is_found() -> None:
    assert breaks({"Event": EVENT, "Another": EVENT}, {"Event": EVENT}) == ["Another: the event was removed"]


BREAKS: dict[str, tuple[Callable[[Document, Document], object], str]] = {
    "removed property": (lambda p, _: p.pop("count"), "Event.count: the property was removed"),
    "renamed property": (lambda p, _: p.update(number=p.pop("count")), "Event.count: the property was removed"),
    "removed in a nested object": (
        lambda _, d: d["Tag"].update(properties={}, required=[]),
        "Event.tags[items].text: the property was removed",
    ),
    "became required": (lambda _, d: d["Detail"]["required"].append("count"), "Event.count: the property became required"),
    "became optional": (lambda _, d: d["Detail"]["required"].remove("name"), "Event.name: the property became optional"),
    "new and required": (
        lambda p, d: (p.update(note={"type": "string"}), d["Detail"]["required"].append("note")),
        "Event.note: the property is new and required",
    ),
    "changed type": (lambda p, _: p["count"].update(type="string"), "Event.count: type was 'integer', is 'string'"),
    "widened type": (
        lambda p, _: p["count"].update(type=["integer", "null"]),
        "Event.count: type was 'integer', is ['integer', 'null']",
    ),
    "no longer null": (lambda p, _: p["at"]["anyOf"].pop(), "Event.at: anyOf had 2 members, has 1"),
    "changed in an alternative": (
        lambda p, _: p["at"]["anyOf"][0].pop("format"),
        "Event.at[anyOf 0]: format was 'date-time', is absent",
    ),
    "changed in the type of items": (
        lambda _, d: d["Tag"]["properties"]["text"].update(type="integer"),
        "Event.tags[items].text: type was 'string', is 'integer'",
    ),
    "changed in the type of values": (
        lambda p, _: p["labels"]["additionalProperties"].update(type="integer"),
        "Event.labels[additionalProperties]: type was 'string', is 'integer'",
    ),
    "narrowed enum": (lambda p, _: p["kind"].update(enum=["fail"]), "Event.kind: the enum lost ['success']"),
    "narrowed open enum": (lambda p, _: p["reason"].update(enum=["dns"]), "Event.reason: the enum lost ['timeout']"),
    "widened closed enum": (
        lambda p, _: p["kind"].update(enum=["fail", "log", "success"]),
        "Event.kind: the enum gained ['log'], and consumers were not told to expect more",
    ),
    "opened enum": (lambda p, _: p["kind"].update({"x-open": True}), "Event.kind: the enum was closed and became open"),
    "string to enum": (lambda p, _: p["id"].update(enum=["a"]), "Event.id: enum was absent, is ['a']"),
    "narrowed format": (lambda p, _: p["name"].update(format="email"), "Event.name: format was absent, is 'email'"),
    "widened format": (lambda p, _: p["id"].pop("format"), "Event.id: format was 'uuid', is absent"),
    "narrowed length": (lambda p, _: p["name"].update(maxLength=40), "Event.name: maxLength was 80, is 40"),
    "widened length": (lambda p, _: p["name"].update(maxLength=500), "Event.name: maxLength was 80, is 500"),
    "narrowed number": (lambda p, _: p["count"].update(minimum=1), "Event.count: minimum was 0, is 1"),
    "widened number": (lambda p, _: p["count"].pop("maximum"), "Event.count: maximum was 9, is absent"),
    "changed pattern": (lambda p, _: p["name"].update(pattern="^y"), "Event.name: pattern was '^x', is '^y'"),
    "changed default": (
        lambda p, _: p["at"].update(default="2026-01-01T00:00:00Z"),
        "Event.at: default was absent, is '2026-01-01T00:00:00Z'",
    ),
    "closed object": (
        lambda _, d: d["Detail"].update(additionalProperties=False),
        "Event: additionalProperties was absent, is False",
    ),
    "unknown keyword": (lambda p, _: p["tags"].update(uniqueItems=True), "Event.tags: uniqueItems was absent, is True"),
    "hidden reference": (
        lambda p, _: p["tags"].update(contains={"$ref": "#/$defs/Tag"}),
        "Event.tags: contains holds a reference, which no rule here can follow",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_break_is_found_and_nothing_else(name: str) -> None:
    change, finding = BREAKS[name]

    assert changed(change) == [finding]


def test_a_type_that_became_nullable_is_found() -> None:
    """As msgspec says it: the type moves into a list of alternatives."""
    assert changed(lambda _, d: d["Tag"]["properties"].update(text={"anyOf": [{"type": "string"}, {"type": "null"}]})) == [
        "Event.tags[items].text: type was 'string', is absent",
        "Event.tags[items].text: anyOf had 0 members, has 2",
    ]


def test_a_new_property_of_a_closed_object_is_found() -> None:
    closed = copy.deepcopy(EVENT)
    closed["$defs"]["Tag"]["additionalProperties"] = False
    wider = copy.deepcopy(closed)
    wider["$defs"]["Tag"]["properties"]["colour"] = {"type": "string"}

    assert breaks({"Event": closed}, {"Event": wider}) == [
        "Event.tags[items].colour: the property is new, and additionalProperties said what others may be"
    ]


def test_a_reference_out_of_the_document_is_refused() -> None:
    with pytest.raises(ValueError, match="leads out of the document"):
        resolved(EVENT, {"$ref": "https://example.com/schema.json"})


class TestFreezing:
    """The command of a release, on folders of its own."""

    @pytest.fixture
    def schemas(self, tmp_path: Path) -> Path:
        folder = tmp_path / "schemas"
        folder.mkdir()
        (tmp_path / "released").mkdir()
        (folder / "Event.json").write_text(json.dumps(EVENT))
        return folder

    def test_what_is_frozen_stays(self, schemas: Path) -> None:
        released = schemas.parent / "released"
        assert releases.freeze(schemas, "0.9", released) == []
        (schemas / "Another.json").write_text(json.dumps(EVENT))

        assert releases.freeze(schemas, "0.10", released) == []
        assert [folder.name for folder in releases.releases(released)] == ["0.9", "0.10"]
        assert [set(releases.read(folder)) for folder in releases.releases(released)] == [{"Event"}, {"Event", "Another"}]

    def test_an_addition_may_be_frozen_again(self, schemas: Path) -> None:
        released = schemas.parent / "released"
        releases.freeze(schemas, "0.9", released)
        (schemas / "Another.json").write_text(json.dumps(EVENT))

        assert releases.freeze(schemas, "0.9", released) == []
        assert set(releases.read(released / "0.9")) == {"Event", "Another"}

    def test_a_break_is_not(self, schemas: Path) -> None:
        released = schemas.parent / "released"
        releases.freeze(schemas, "0.9", released)
        (schemas / "Event.json").rename(schemas / "Renamed.json")

        assert releases.freeze(schemas, "0.10", released) == ["0.9: Event: the event was removed"]
        assert [folder.name for folder in releases.releases(released)] == ["0.9"]
