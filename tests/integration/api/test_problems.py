"""Errors: problem+json from everywhere, and never a 500 for what a caller sent."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError
from django.test import Client
from rest_framework.exceptions import ErrorDetail
from rest_framework.test import APIClient

from core.api.problem_types import PROBLEM_TYPES
from core.api.problems import flatten
from core.api.websites import selectors
from tests.integration.api.calls import fields, problem
from tests.integration.api.conftest import Caller

ROOT = Path(__file__).parents[3]


def post(caller: Caller, body: str | bytes, content_type: str = "application/json") -> Any:
    return caller.client.post("/api/v1/heartbeats/", body, content_type=content_type)


@pytest.mark.parametrize("path", ["/", "/api/v1/nothing/", "/api/v1/websites/not-a-uuid/", "/index.php", "/api/v1/websites/%00/"])
def test_an_unknown_address(database: None, path: str) -> None:
    body = problem(APIClient().get(path), "not-found")
    assert "urls" not in body["detail"].lower()


def test_a_method_that_an_address_does_not_have(alice: Caller) -> None:
    answer = alice.client.put("/api/v1/websites/", {}, format="json")
    problem(answer, "method-not-allowed")
    assert set(answer.headers["Allow"].split(", ")) >= {"GET", "POST"}
    problem(alice.client.options("/api/v1/websites/"), "method-not-allowed")


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "",
        b"\xff\xfe",
        '{"name": NaN}',
        '{"name": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"period_s": ' + "9" * 10_000 + "}",
        "[" * 50_000,
    ],
)
def test_what_is_not_json(alice: Caller, body: str | bytes) -> None:
    answer = post(alice, body)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("body", ["[]", '"text"', "5", "null", "true"])
def test_json_that_is_no_object(alice: Caller, body: str) -> None:
    assert post(alice, body).status_code == 400


def test_a_form_is_not_json(alice: Caller) -> None:
    problem(post(alice, "name=Backup", "application/x-www-form-urlencoded"), "unsupported-media-type")
    problem(post(alice, "{}", "text/plain"), "unsupported-media-type")
    problem(post(alice, b"\x00", "application/json; charset=bogus"), "malformed")


def test_a_body_without_end(alice: Caller) -> None:
    problem(post(alice, json.dumps({"name": "x" * 300_000})), "too-large")


def test_a_body_in_chunks_is_not_taken_for_an_empty_one(alice: Caller) -> None:
    headers = {"Transfer-Encoding": "chunked", "Authorization": str(alice.client._credentials["HTTP_AUTHORIZATION"])}  # type: ignore[attr-defined]  # untyped
    request = {"path": "/api/v1/heartbeats/", "REQUEST_METHOD": "POST", "PATH_INFO": "/api/v1/heartbeats/"}
    problem(Client(headers=headers).request(**request), "length-required")


def test_any_accept_header_gets_json(alice: Caller) -> None:
    for accept in ("text/html", "application/xml", "nonsense", "*/*;q=0"):
        assert alice.client.get("/api/v1/websites/", headers={"Accept": accept}).headers["Content-Type"] == "application/json"


def test_an_address_without_its_slash_means_the_same(alice: Caller) -> None:
    assert alice.client.get("/api/v1/websites").status_code == 200
    assert fields(alice.client.post("/api/v1/heartbeats", {}, format="json")) == {"name": "required"}


def test_a_lost_database_is_503_and_says_when_to_try_again(alice: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(**_: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(selectors, "website_list", lost)
    answer = alice.client.get("/api/v1/websites/")
    assert "server closed" not in problem(answer, "unavailable")["detail"]
    assert answer.headers["Retry-After"] == "5"


def test_our_own_mistake_is_500_without_its_details(alice: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: Any) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(selectors, "website_list", broken)
    alice.client.raise_request_exception = False
    answer = alice.client.get("/api/v1/websites/")
    assert "secret" not in json.dumps(problem(answer, "internal"))
    assert answer.headers["X-Request-Id"]


def test_a_host_that_is_not_ours(database: None, settings_change: pytest.MonkeyPatch) -> None:
    settings_change.setattr(settings, "ALLOWED_HOSTS", ["monitor.test"])
    problem(APIClient().get("/health/live/", headers={"Host": "evil.test"}), "malformed")
    assert APIClient().get("/health/live/", headers={"Host": "monitor.test"}).status_code == 200


def test_nested_details_become_dotted_paths() -> None:
    detail = {
        "config": {"url": [ErrorDetail("bad", "invalid")]},
        "tags": {1: [ErrorDetail("blank", "blank")]},
        "steps": [{}, {"name": [ErrorDetail("required", "required")]}],
        "non_field_errors": [ErrorDetail("no", "invalid")],
    }
    found = [(error["field"], error["code"]) for error in flatten(detail)]
    assert found == [("config.url", "invalid"), ("tags.1", "blank"), ("steps.1.name", "required"), ("", "invalid")]


def test_each_type_answers_at_its_address_and_is_documented(database: None) -> None:
    documented = set(re.findall(r"^## `([a-z-]+)`", (ROOT / "docs/reference/problems.md").read_text(), re.MULTILINE))
    assert documented == set(PROBLEM_TYPES)
    for kind in PROBLEM_TYPES.values():
        shown = APIClient().get(kind.uri).json()
        assert shown == {"type": kind.uri, "title": kind.title, "status": kind.status, "meaning": kind.meaning}
    problem(APIClient().get("/problems/unheard-of"), "not-found")
