"""The curl lines of the documents ask for what the API has: path, method, and a body that it takes."""

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from core.domain.option_fit import check_fit
from core.domain.request_options import parse_options
from core.domain.schemes import normalise_target

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
SHELL_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"curl (?:[^\n\\']|\\\n|'[^']*')*")
BASES = ("$API/", "http://127.0.0.1:8000/api/v1/")


@dataclass(frozen=True)
class Example:
    """One curl line: the document it is in, what it asks for, and with which body."""

    document: str
    method: str
    path: str
    body: Any

    def __str__(self) -> str:
        return f"{self.document}:{self.method} {self.path}"


def examples() -> list[Example]:
    """Every curl line that calls the REST API."""
    blocks = [(document, block) for document in DOCUMENTS for block in SHELL_BLOCK.findall(document.read_text())]
    found = [example(document, shlex.split(line)) for document, block in blocks for line in COMMAND.findall(block)]
    return [one for one in found if one is not None]


def example(document: Path, words: list[str]) -> Example | None:
    """The example in one command, or None if it calls something else."""
    words = words[: words.index("|")] if "|" in words else words
    path = next((word.removeprefix(base) for word in words for base in BASES if word.startswith(base)), None)
    if path is None:
        return None
    body = json.loads(words[words.index("-d") + 1]) if "-d" in words else None
    method = words[words.index("-X") + 1] if "-X" in words else "GET" if body is None else "POST"
    route = re.sub(r"(?<=/)(?:THE-ID|[0-9a-f-]{36})(?=/)|(?<=by-slug/)[^/]+", "{}", path.partition("?")[0])
    return Example(str(document.relative_to(ROOT)), method, f"/api/v1/{route}", body)


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The committed description of the API; parameters of paths have lost their names."""
    described: dict[str, Any] = yaml.safe_load((ROOT / "docs/reference/openapi.yaml").read_text())
    described["paths"] = {re.sub(r"\{\w+\}", "{}", path): methods for path, methods in described["paths"].items()}
    return described


def test_the_documents_have_examples() -> None:
    assert len(examples()) > 10


@pytest.mark.parametrize("one", examples(), ids=str)
def test_an_example_fits_the_api(schema: dict[str, Any], one: Example) -> None:
    assert one.path in schema["paths"]
    operation = schema["paths"][one.path].get(one.method.lower())
    assert operation is not None, sorted(schema["paths"][one.path])
    if one.body is not None:
        body_schema = operation["requestBody"]["content"]["application/json"]["schema"]
        jsonschema.validate(one.body, {**body_schema, "components": schema["components"]})
        assert one.body.keys() <= properties(body_schema, schema).keys()


def properties(body_schema: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The fields that a request may have."""
    name = body_schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = (schema["components"]["schemas"][name] if name else body_schema).get("properties", {})
    return found


@pytest.mark.parametrize("one", [one for one in examples() if one.body and "url" in one.body and "websites" in one.path], ids=str)
def test_an_example_of_a_website_makes_sense(one: Example) -> None:
    url = normalise_target(one.body["url"])
    timeout_ms = one.body.get("timeout_ms", 10_000)
    options = parse_options(one.body.get("options", {}))
    check_fit(options, scheme=url.scheme, method=one.body.get("method", "GET"), timeout_ms=timeout_ms)
