"""What the tests of the API say again and again."""

from typing import Any

from prometheus_client import REGISTRY


def problem(response: Any, code: str) -> dict[str, Any]:
    """The body of an error, after checking that it is a problem of this type."""
    assert response.headers["Content-Type"] == "application/problem+json", response.content
    body: dict[str, Any] = response.json()
    assert body["type"] == f"/problems/{code}", body
    assert body["status"] == response.status_code
    return body


def fields(response: Any) -> dict[str, str]:
    """The codes of a validation problem by field."""
    return {error["field"]: error["code"] for error in problem(response, "validation")["errors"]}


def count(name: str, **labels: str) -> float:
    """The value of a metric of this process."""
    return REGISTRY.get_sample_value(name, labels) or 0.0
