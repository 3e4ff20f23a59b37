"""Whose cost it is: everything that can have tags has those of the project, the environment and the part."""

from typing import Any

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from tests.infra.estates import CONTEXTS, Estate, estate

pytestmark = pytest.mark.timeout(300)  # the first synthesis compiles 240 MB of source
KEYS = {"project", "environment", "part"}
SWITCHES = ("boolean", "string")
"""Properties of these types say whose tags a task gets, and hold none."""


def tag_properties(kind: str) -> set[str]:
    """Properties of a type that hold tags, by the schema that AWS publishes of it."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    found = {name: one.get("type") for name, one in schema["properties"].items() if name.endswith("Tags")}
    return {name for name, type_ in found.items() if type_ not in SWITCHES}


def keys(tags: Any) -> set[str]:
    """Keys of a list of tags, or of a map of them."""
    return set(tags) if isinstance(tags, dict) else {tag["Key"] for tag in tags}


def untagged(one: Estate) -> list[str]:
    return [
        f"{stack}/{name}: {resource['Type']}"
        for stack, template in one.templates.items()
        for name, resource in template["Resources"].items()
        if (properties := tag_properties(resource["Type"]))
        and not any(keys(resource["Properties"].get(found, {})) >= KEYS for found in properties)
    ]


@pytest.mark.parametrize("name", CONTEXTS)
def test_everything_that_can_have_tags_has_them(name: str) -> None:
    one = estate(name)
    tagged = {
        template["Type"]
        for stack in one.templates.values()
        for template in stack["Resources"].values()
        if tag_properties(template["Type"])
    }

    assert len(tagged) > 40  # the schemas are there
    assert untagged(one) == []


@pytest.mark.parametrize("name", CONTEXTS)
def test_tags_reach_what_is_started_and_paid(name: str) -> None:
    one = estate(name)
    for group in one.all("AWS::AutoScaling::AutoScalingGroup"):
        assert all(tag["PropagateAtLaunch"] for tag in group["Tags"])
    for template in one.all("AWS::EC2::LaunchTemplate"):
        specified = {each["ResourceType"]: keys(each["Tags"]) for each in template["LaunchTemplateData"]["TagSpecifications"]}
        assert specified["instance"] >= KEYS
        assert specified["volume"] >= KEYS
    assert {service["PropagateTags"] for service in one.all("AWS::ECS::Service")} == {"SERVICE"}
    assert all(database["CopyTagsToSnapshot"] for database in one.all("AWS::RDS::DBInstance"))
