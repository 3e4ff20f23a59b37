"""The list of what moto cannot hold: it is the one in the documents, and moto has learned none of it."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from tests.deploy import corrections, lacks, taught
from tests.deploy.conftest import Rehearsal
from tests.deploy.fitting import REGION, fit_template
from tests.deploy.toolkit import ROOT, Account, account

PAGE = ROOT / "docs/explanation/deploy-rehearsal.md"
STACKS = {
    ("AWS::EC2::Subnet", "Ipv6CidrBlock"): ("network", "us-east-1"),
    ("AWS::EC2::Route", "EgressOnlyInternetGatewayId"): ("network", "us-east-2"),
    ("AWS::KMS::Key", "Tags"): ("network", "us-west-2"),
    ("AWS::Events::Archive", "EventPattern"): ("events", "ca-central-1"),
}
"""For each part a stack that has it and depends on no other, and a region of its own to try it in: a failed attempt leaves something."""


def test_the_list_in_the_documents_is_this_one() -> None:
    written = re.findall(r"^\| `(AWS::.+?)` \| (.+?) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    parts = {".".join(part): why for part, why in {**lacks.PARTS, **lacks.WHOLES}.items()}
    assert dict(written) == {**lacks.KINDS, **parts, **lacks.STAYS}
    assert len(written) == len(dict(written))
    assert [what for what, _ in written[: len(lacks.KINDS)]] == sorted(lacks.KINDS)


@pytest.mark.deploy
def test_moto_knows_none_of_the_kinds_that_are_taken_out_or_taught() -> None:
    from moto.cloudformation.parsing import get_model_map  # noqa: PLC0415  (it loads all of moto)

    assert {*lacks.KINDS, *taught.LESSONS} & set(get_model_map()) == set()


@pytest.mark.deploy
def test_every_correction_is_still_needed() -> None:
    assert [model for model in corrections.REFERENCES if hasattr(model, "physical_resource_id")] == []
    assert [model for model, attributes in corrections.ATTRIBUTES.items() if _answers(model, attributes)] == []
    assert [model for model in corrections.DELETIONS if hasattr(model, "delete")] == []


def _answers(model: Any, attributes: Mapping[str, str]) -> bool:
    """Whether moto's model has all of these attributes by itself."""
    one = object.__new__(model)
    vars(one).update(dict.fromkeys(attributes.values(), "there"))
    try:
        return all(one.get_cfn_attribute(name) for name in attributes)
    except (AttributeError, NotImplementedError):
        return False


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """An account for what goes wrong."""
    with account(tmp_path_factory.mktemp("elsewhere") / "account.log") as opened:
        yield opened


@pytest.mark.deploy
@pytest.mark.timeout(900)  # it may be the first
@pytest.mark.parametrize("part", [None, *lacks.PARTS, *lacks.WHOLES], ids=str)
def test_moto_stumbles_over_each_part_and_over_nothing_else(
    rehearsal: Rehearsal, elsewhere: Account, part: lacks.Part | None
) -> None:
    if part is None:
        for noun in {noun for noun, _ in STACKS.values()}:
            deploy(elsewhere, rehearsal.originals[noun], "eu-west-3", None)
        return
    noun, region = STACKS[part]
    with pytest.raises((ClientError, ResponseParserError)):
        deploy(elsewhere, rehearsal.originals[noun], region, part)


def deploy(elsewhere: Account, template: str, region: str, but: lacks.Part | None) -> None:
    """Deploy a template in another region than it is for, with one of the parts left in."""
    moved = json.loads(template.replace(REGION, region))
    fit_template(moved, but=but)
    moved.pop("Rules", None)
    moved.get("Parameters", {}).pop("BootstrapVersion", None)
    elsewhere.client("cloudformation", region).create_stack(StackName=f"tried-{uuid4()}", TemplateBody=json.dumps(moved))


@pytest.mark.deploy
def test_moto_makes_again_what_it_deleted_when_it_is_asked_for_the_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    from moto import mock_aws  # noqa: PLC0415  (as above)

    monkeypatch.delenv("AWS_ENDPOINT_URL")
    template = {
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "again"}}},
        "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Queue", "Arn"]}}},
    }
    with mock_aws():
        stacks, queues = boto3.client("cloudformation", region_name=REGION), boto3.client("sqs", region_name=REGION)
        made = stacks.create_stack(StackName="one", TemplateBody=json.dumps(template))["StackId"]
        stacks.delete_stack(StackName="one")
        assert queues.list_queues().get("QueueUrls", []) == []
        stacks.describe_stacks(StackName=made)
        assert len(queues.list_queues()["QueueUrls"]) == 1
