"""Request options and assertions in the API: their schema is generated from the struct that the probe reads."""

from collections.abc import Mapping
from typing import Any, Final, override

import msgspec
from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.api import edge
from core.api.monitors.models import Website
from core.api.monitors.targets import accepted_host, refuse_addresses
from core.api.problems import FieldError
from core.domain.dns_records import read_server
from core.domain.option_fit import check_fit
from core.domain.option_secrets import masked, merged
from core.domain.request_options import BadOption, RequestOptions, load_options, parse_options
from core.domain.schemes import scheme_of
from core.domain.urls import BadUrl

type Schema = dict[str, Any]


OPTIONS_SCHEMA: Final[Schema] = {"$ref": "#/components/schemas/RequestOptions"}


def option_components() -> Schema:
    """JSON Schema of the options and of each of their parts, for `#/components/schemas`."""
    _, parts = msgspec.json.schema_components([RequestOptions], ref_template="#/components/schemas/{name}")
    return {name: _as_openapi(part) for name, part in parts.items()}


def _as_openapi(node: Any) -> Any:
    """OpenAPI 3.0 has no type `null`, but says `nullable`; and it has no empty list of required members."""
    if isinstance(node, list):
        return [_as_openapi(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    kept = {name: _as_openapi(inner) for name, inner in node.items() if not (name == "required" and not inner)}
    choices = kept.pop("anyOf", [])
    others = [choice for choice in choices if choice != {"type": "null"}]
    if not others:
        return kept
    said = {"nullable": True} if len(others) < len(choices) else {}
    if len(others) == 1:
        return {**others[0], **kept, **said}
    return {"anyOf": others, **kept, **said}


@extend_schema_field(OPTIONS_SCHEMA)
class OptionsField(serializers.Field[Any, Any, Any, Any]):
    """Options as they were given, checked by themselves; `merge` puts them together with what is stored."""

    @override
    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("must be an object", "invalid")
        try:
            refuse_addresses(parse_options(data), private_targets=settings.PRIVATE_TARGETS)
        except BadOption as bad:
            raise serializers.ValidationError(nested(bad)) from bad
        return data

    @override
    def to_representation(self, value: Any) -> Any:
        return value


def nested(bad: BadOption) -> dict[str, list[serializers.ErrorDetail]]:
    """An error as REST framework nests it."""
    return {bad.field or "non_field_errors": [serializers.ErrorDetail(bad.message, bad.code)]}


def merge(website: Website, given: Mapping[str, Any]) -> bool:
    """Change the options of a website by those given; returns whether that changed anything.

    Raises:
        FieldError: they do not fit what is stored.
    """
    before = stored(website)
    try:
        after = merged(before, given)
    except BadOption as bad:
        raise _as_field_error(bad) from bad
    if after == before:
        return False
    website.options = msgspec.to_builtins(masked(after)) or None
    website.sealed_options = edge.option_seal().seal(after) if after.has_secrets else None
    return True


def check(website: Website) -> None:
    """Refuse options that contradict the kind of the check, or its other settings.

    Raises:
        FieldError: with the option to blame.
    """
    if website.options is None:
        return
    try:
        shown = load_options(msgspec.json.encode(website.options).decode())
        check_fit(shown, scheme=scheme_of(website.url), method=website.method, timeout_ms=website.timeout_ms)
        if shown.dns is not None and shown.dns.server is not None:
            accepted_host(read_server(shown.dns.server)[0], private_targets=settings.PRIVATE_TARGETS)
    except BadOption as bad:
        raise _as_field_error(bad) from bad
    except BadUrl as bad:
        raise FieldError("options.dns.server", bad.code, bad.message) from bad


def stored(website: Website) -> RequestOptions:
    """The options with their secrets.

    Raises:
        FieldError: they cannot be opened any more.
    """
    if website.options is None:
        return RequestOptions()
    try:
        if website.sealed_options is not None:
            return edge.option_seal().open(website.sealed_options)
        return load_options(msgspec.json.encode(website.options).decode())
    except BadOption as bad:
        raise _as_field_error(bad) from bad


def _as_field_error(bad: BadOption) -> FieldError:
    return FieldError(f"options.{bad.field}" if bad.field else "options", bad.code, bad.message)
