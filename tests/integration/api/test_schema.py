"""The OpenAPI description: complete, current, and kept by the API under generated requests."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import yaml
from django.conf import settings as django_settings
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient
from schemathesis.checks import not_a_server_error
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from core.api.incidents.models import Delivery, Incident
from tests.integration.api import test_incidents as stored
from tests.integration.api.conftest import Caller

ROOT = Path(__file__).parents[3]
EXAMPLES = 12
FOR_ANY = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
CHECKS = [*FOR_ANY, negative_data_rejection]
"""The last is for requests that are still wrong once id and credentials are replaced by good ones."""


def generated(*options: str) -> str:
    """The description as the code has it; any warning of the generator is an error."""
    out = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", *options, stdout=out)
    return out.getvalue()


DESCRIPTION = yaml.safe_load(generated())
SCHEMA = schemathesis.openapi.from_dict(DESCRIPTION)
SCHEMA.app = get_wsgi_application()
OPERATIONS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok)}


def test_the_committed_descriptions_are_current() -> None:
    """Renew them with `python -m tests.describe_api`."""
    assert (ROOT / "docs/reference/openapi.yaml").read_text().strip() == generated().strip()
    assert (ROOT / "core/api/openapi.json").read_text().strip() == generated("--format", "openapi-json").strip()


def test_it_is_served_without_credentials(database: None) -> None:
    answer = APIClient().get("/api/schema/", headers={"Accept": "application/json"})
    assert answer.status_code == 200
    assert answer.json()["paths"].keys() == DESCRIPTION["paths"].keys()
    assert answer.json()["openapi"].startswith("3.")


def test_every_operation_is_described_tagged_and_can_fail() -> None:
    for path, operations in DESCRIPTION["paths"].items():
        for method, operation in operations.items():
            assert operation.get("description"), f"{method} {path}"
            assert operation["tags"]
            assert operation["responses"]["default"]


@pytest.fixture
def things(alice: Caller) -> dict[str, str]:
    """One of everything, by the name that it has in addresses."""

    def made(path: str, **body: Any) -> str:
        return str(alice.client.post(f"/api/v1/{path}/", body, format="json").json()["id"])

    website = made("websites", name="w", url="http://192.88.100.1/")
    channel = made("channels", name="c", kind="email", config={"address": "ops@example.com"})
    incident: Incident = stored.incident_of(stored.monitor_of(alice.workspace))
    delivery: Delivery = stored.delivery_of(incident, stored.channel_of(alice.workspace))
    return {
        "websites": website,
        "heartbeats": made("heartbeats", name="h"),
        "channels": channel,
        "incidents": str(incident.id),
        "deliveries": str(delivery.id),
        "api-keys": made("api-keys", name="k"),
    }


@contextmanager
def one_transaction() -> Iterator[None]:
    """Requests do not close the connection that the test will roll back; Django's own client sees to that in the same way."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    try:
        yield
    finally:
        for signal in (request_started, request_finished):
            signal.connect(close_old_connections)


@pytest.mark.usefixtures("redis_cache")
@pytest.mark.parametrize("label", OPERATIONS)
def test_generated_requests_are_answered_as_described(
    alice: Caller, things: dict[str, str], label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(django_settings, "LOGINS_PER_MINUTE", 10**6)
    monkeypatch.setattr(django_settings, "REGISTRATIONS_PER_HOUR", 10**6)
    operation = OPERATIONS[label]
    headers = {"Authorization": str(alice.client._credentials["HTTP_AUTHORIZATION"])}  # type: ignore[attr-defined]  # of APIClient
    known = next((uid for name, uid in things.items() if f"/{name}/{{id}}" in label), None)

    @settings(max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        case=st.one_of(operation.as_strategy(GenerationMode.POSITIVE), operation.as_strategy(GenerationMode.NEGATIVE)),
        real=st.booleans(),
    )
    def run(case: schemathesis.Case[Any], real: bool) -> None:
        replaced = {ParameterLocation.HEADER}
        if known and real:
            case.path_parameters["id"] = known
            replaced.add(ParameterLocation.PATH)
        wrong = case.meta is None or any(
            case.meta.is_negative_at(where) for where in case.meta.components if where not in replaced
        )
        case.call_and_validate(headers=headers, checks=CHECKS if wrong else FOR_ANY)

    with one_transaction():
        run()
