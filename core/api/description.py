"""Serves the OpenAPI description of the API."""

from functools import cache
from pathlib import Path

from django.http import HttpRequest, HttpResponse

DESCRIPTION = Path(__file__).with_name("openapi.json")


@cache
def _description() -> bytes:
    return DESCRIPTION.read_bytes()


def openapi(_request: HttpRequest) -> HttpResponse:
    """The description as JSON, which is YAML as well."""
    return HttpResponse(_description(), content_type="application/json")
