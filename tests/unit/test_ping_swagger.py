"""The description that Chalice deploys, held to what API Gateway accepts and does (REST APIs, imported as Swagger 2.0).

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html and …/limits.html
"""

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from chalice.app import Chalice
from chalice.deploy.swagger import TemplatedSwaggerGenerator

from lambdas.ping.app import app

METHODS = {"get", "head", "post", "put", "patch", "delete", "options"}
PART = re.compile(r"\{[a-zA-Z0-9._$-]+\}|[a-zA-Z0-9._:-]+")
IMPORT_LIMIT = 2_000_000
MOCK = {"x-amazon-apigateway-integration": {"type": "mock", "httpMethod": "OPTIONS"}}
SHAPES = ("/ping/{token}", "/ping/{token}/{name}", "/ping/{token}/{name}/{action}")


def swagger(described: Chalice = app) -> dict[str, Any]:
    """What `chalice package` puts into its template, without the names that only a deployment knows."""
    generated: dict[str, Any] = TemplatedSwaggerGenerator().generate_swagger(described)
    return generated


def sibling_names_agree(api: dict[str, Any]) -> bool:
    """A resource may have one child that is a variable: `Sibling … already has a variable path part -- only one unique …`."""
    names: dict[tuple[str, ...], set[str]] = {}
    for path in api["paths"]:
        parts = path.strip("/").split("/")
        for depth, part in enumerate(parts):
            if part.startswith("{"):
                parent = tuple("{}" if name.startswith("{") else name for name in parts[:depth])
                names.setdefault(parent, set()).add(part)
    return all(len(found) == 1 for found in names.values())


def parts_are_valid(api: dict[str, Any]) -> bool:
    """Letters, digits and a few signs, or a whole variable; nothing empty, so no slash at the end."""
    return all(PART.fullmatch(part) for path in api["paths"] for part in path[1:].split("/"))


def parameters_are_declared(api: dict[str, Any]) -> bool:
    """Each variable of a path is a required parameter of each of its methods, and there are no others."""
    return all(
        {parameter["name"] for parameter in method.get("parameters", []) if parameter["in"] == "path" and parameter["required"]}
        == set(re.findall(r"\{([^}+]+)\+?\}", path))
        for path, methods in api["paths"].items()
        for method in methods.values()
    )


def all_goes_to_the_function(api: dict[str, Any]) -> bool:
    """Every method is a Lambda proxy. API Gateway's own answers (mocks) fail where all types are binary."""
    integrations = [m["x-amazon-apigateway-integration"] for methods in api["paths"].values() for m in methods.values()]
    return all((one["type"], one.get("httpMethod")) == ("aws_proxy", "POST") for one in integrations)


def any_type_is_taken(api: dict[str, Any]) -> bool:
    """Bodies arrive as base64 whatever type they have, or none; no method narrows that."""
    narrowed = [method for methods in api["paths"].values() for method in methods.values() if method.get("consumes")]
    return api["x-amazon-apigateway-binary-media-types"] == ["*/*"] and not narrowed


def every_method_is_answered(api: dict[str, Any]) -> bool:
    """API Gateway answers 403 `Missing Authentication Token` to what is not there: a client would take that for a secret that is wrong."""
    return all(set(methods) == METHODS for methods in api["paths"].values())


RULES: list[Callable[[dict[str, Any]], bool]] = [
    sibling_names_agree,
    parts_are_valid,
    parameters_are_declared,
    all_goes_to_the_function,
    any_type_is_taken,
    every_method_is_answered,
]


@pytest.mark.parametrize("rule", RULES)
def test_api_gateway_accepts_the_description(rule: Callable[[dict[str, Any]], bool]) -> None:
    assert rule(swagger())


def test_it_has_the_three_shapes_and_is_small_enough() -> None:
    assert set(swagger()["paths"]) == set(SHAPES)
    assert len(json.dumps(swagger(), default=str)) < IMPORT_LIMIT


def broken(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    api = copy.deepcopy(swagger())
    change(api)
    return api


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        (sibling_names_agree, lambda api: api["paths"].update({"/ping/{token}/{slug}/x": {}})),
        (parts_are_valid, lambda api: api["paths"].update({"/ping/{token}/": {}})),
        (parts_are_valid, lambda api: api["paths"].update({"/ping/a{token}": {}})),
        (parameters_are_declared, lambda api: api["paths"]["/ping/{token}"]["get"].update(parameters=[])),
        (all_goes_to_the_function, lambda api: api["paths"]["/ping/{token}"]["options"].update(MOCK)),
        (any_type_is_taken, lambda api: api["paths"]["/ping/{token}"]["post"].update(consumes=["application/json"])),
        (any_type_is_taken, lambda api: api.update({"x-amazon-apigateway-binary-media-types": ["application/octet-stream"]})),
        (every_method_is_answered, lambda api: api["paths"]["/ping/{token}"].pop("put")),
    ],
)
def test_a_description_that_breaks_a_rule_is_found(
    rule: Callable[[dict[str, Any]], bool], change: Callable[[dict[str, Any]], Any]
) -> None:
    assert not rule(broken(change))


def test_chalices_own_cors_would_be_a_mock() -> None:
    other = Chalice("other", configure_logs=False)
    other.route("/x", methods=["GET"], cors=True)(dict)
    assert not all_goes_to_the_function(swagger(other))
