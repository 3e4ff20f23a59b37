"""What is taken out of a template, and what stands in for it."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.deploy.fitting import NOTHING, fit_template, unknown

LIMIT = {"Type": "AWS::WAFv2::WebACL", "Properties": {}}


def template(**resources: Mapping[str, Any]) -> dict[str, Any]:
    return {"Resources": json.loads(json.dumps(resources))}


def test_what_refers_to_something_that_is_gone_gets_an_arn_or_a_name() -> None:
    where = {
        "Arn": {"Fn::GetAtt": ["Limit", "Arn"]},
        "Ref": {"Ref": "Limit"},
        "Host": {"Fn::GetAtt": ["Limit", "End.Point"]},
        "Own": {"Ref": "Queue"},
    }
    one = template(Limit=LIMIT, Queue={"Type": "AWS::SQS::Queue", "Properties": where, "DependsOn": ["Limit", "Other"]})
    one["Outputs"] = {"Limit": {"Value": {"Ref": "Limit"}, "Export": {"Name": "limit"}}}

    assert fit_template(one) == {"AWS::WAFv2::WebACL": 1}
    arn = "arn:aws:wafv2:eu-west-1:123456789012:webacl/Limit"
    made_up = {"Arn": arn, "Ref": arn, "Host": "limit-end-point.example", "Own": {"Ref": "Queue"}}
    assert one["Resources"] == {"Queue": {"Type": "AWS::SQS::Queue", "Properties": made_up, "DependsOn": ["Other"]}}
    assert one["Outputs"] == {"Limit": {"Value": arn, "Export": {"Name": "limit"}}}


def test_a_stack_of_which_nothing_is_left_has_something_all_the_same() -> None:
    one = template(Limit=LIMIT)
    fit_template(one)
    assert one["Resources"] == NOTHING


def test_parts_are_taken_out_alone_or_with_their_resource_unless_one_is_to_stay() -> None:
    def parts() -> dict[str, Any]:
        key = {"Type": "AWS::KMS::Key", "Properties": {"Tags": [], "KeyPolicy": {}}}
        return template(Key=key, Way={"Type": "AWS::EC2::Route", "Properties": {"EgressOnlyInternetGatewayId": "one"}})

    one = parts()
    assert fit_template(one) == {"AWS::KMS::Key.Tags": 1, "AWS::EC2::Route.EgressOnlyInternetGatewayId": 1}
    assert one == template(Key={"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": {}}})

    one = parts()
    fit_template(one, but=("AWS::KMS::Key", "Tags"))
    assert one == template(Key=parts()["Resources"]["Key"])


@pytest.mark.deploy
def test_what_moto_would_pass_over_in_silence_is_named() -> None:
    known = template(Queue={"Type": "AWS::SQS::Queue"}, Secret={"Type": "AWS::SecretsManager::Secret"}, **NOTHING)
    assert unknown([known, template(Limit=LIMIT)]) == {"AWS::WAFv2::WebACL"}
