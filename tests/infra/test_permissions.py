"""The policies of the roles, judged by the calls that are really made: nothing is missing, and nothing is allowed that nobody needs.

`recorded_calls.json` is what `tests/e2e/test_calls_to_aws.py` sees; the steps of the workflows are run here. What is allowed and not seen
stands in `NOT_RECORDED`, with the reason: AWS does it on our behalf, or it is done where no test of ours can follow.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Final

import pytest

from core.contracts.tasks import QUEUES
from tests.infra.estates import ROOT, estate
from tests.permissions.calls import ANY_QUEUE, Need, arn
from tests.permissions.delivery import ENVIRONMENT, delivery_needs
from tests.permissions.policies import NotUnderstood, Statement, is_allowed, matches
from tests.permissions.references import References

pytestmark = pytest.mark.timeout(300)  # the first synthesis compiles 240 MB of source

RECORDED: Final[dict[str, list[str]]] = json.loads((ROOT / "tests/infra/recorded_calls.json").read_text(encoding="utf-8"))
ESTATES: Final = ("prod", "everything", "staging", "dev")
CONTAINER = "ECS starts the container: it pulls the image, opens the log and fetches the secrets."
FUNCTION_LOG = "Lambda writes what the function prints."
MAPPING = "The event source mapping polls with the role of its function."
AGENT = "What the agent of ECS on an instance does; the list is the CDK's."
KOMBU = "Where SQS carries the tasks, a worker that ends gives back what it has just received."
DEPLOYING = (
    "The workflows push with docker, take on the roles of the CDK's bootstrap, and hand the task of the migration its roles."
)

NOT_RECORDED: Final[tuple[tuple[str, tuple[str, ...], str], ...]] = (
    ("*execution*", ("ecr:*", "logs:CreateLogStream", "logs:PutLogEvents", "secretsmanager:*"), CONTAINER),
    ("*-role", ("logs:CreateLogStream", "logs:PutLogEvents"), FUNCTION_LOG),
    ("alert-dispatch-role", ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"), MAPPING),
    ("ping-mail-role", ("sqs:*",), MAPPING),
    ("*InstancesRole*", ("ecs:*", "ecr:GetAuthorizationToken", "logs:CreateLogStream", "logs:PutLogEvents"), AGENT),
    ("deployer", ("rds:*",), "staging's nights, by the tag of the database: tests/infra/test_nights.py"),
    ("deployer", ("ecr:*", "iam:PassRole", "sts:AssumeRole"), DEPLOYING),
    ("Watchersprometheustask*", ("elasticfilesystem:*",), "ECS mounts the file system with the task's role."),
    ("VpcFlowsIAMRole*", ("logs:*",), "VPC writes its flow logs."),
    ("LogArchiveWriter*", ("s3:*",), "Firehose writes what CloudWatch sends it."),
    ("LogArchiveSender*", ("firehose:*",), "CloudWatch sends what the groups of logs get."),
    ("worker-task", ("sqs:ChangeMessageVisibility",), KOMBU),
    ("control-task", ("sqs:ChangeMessageVisibility",), KOMBU),
)
"""Roles by their nouns, actions, reason. The role of AWS Backup has a policy of AWS's own."""


@cache
def policies(name: str) -> dict[str, list[Statement]]:
    """Statements of all policies of an estate by the noun of their role; each role is there."""
    one = estate(name)
    references = References(one)
    found: dict[str, list[Statement]] = {}
    for stack, logical_id, role in one.resources("AWS::IAM::Role"):
        assert "Policies" not in role["Properties"], "an inline policy would not be judged"
        found[references.noun(references.resolve(stack, {"Ref": logical_id}))] = []
    for stack, _, policy in one.resources("AWS::IAM::Policy"):
        said = references.resolve(stack, policy["Properties"])
        for role in said["Roles"]:
            found[references.noun(role)] += [Statement.read(statement) for statement in said["PolicyDocument"]["Statement"]]
    return found


def recorded(role: str, name: str) -> list[Need]:
    """What a role was seen to need, as it would be in this estate."""
    config = estate(name).config
    if role == "deployer":
        needs = delivery_needs(may_be_destroyed=not config.is_prod)
        return [replace(need, resource=need.resource.replace(ENVIRONMENT, config.env)) for need in needs]
    changes = {
        "identity/example.com": f"identity/{config.domain or config.sender}",
        "prod-uptimemonitor": f"{config.env}-uptimemonitor",
        "prod/uptimemonitor": f"{config.env}/uptimemonitor",
    }
    found = []
    for text in RECORDED.get(role, []):
        action, resource = text.split(" ", 1)
        for before, after in changes.items():
            resource = resource.replace(before, after)
        if ANY_QUEUE not in resource:
            found.append(Need(action, resource))
        elif config.broker == "sqs":
            found += [Need(action, resource.replace(ANY_QUEUE, queue)) for queue in QUEUES]
    return found


def allowed(statements: list[Statement]) -> Iterator[tuple[str, str]]:
    """Every action, with every resource that it is allowed on."""
    for statement in statements:
        yield from product(statement.actions, statement.resources)


def reason(role: str, action: str) -> str | None:
    """Why a role may do what was not seen."""
    return next(
        (why for who, what, why in NOT_RECORDED if matches(who, role) and any(matches(one, action) for one in what)), None
    )


def test_every_role_that_calls_is_there_and_was_seen() -> None:
    assert RECORDED.keys() <= policies("everything").keys()
    assert [role for role, needs in RECORDED.items() if not needs] == []


@pytest.mark.parametrize("name", ESTATES)
def test_a_role_may_make_every_call_that_it_makes(name: str) -> None:
    missing = [
        f"{role}: {need}"
        for role, statements in policies(name).items()
        for need in recorded(role, name)
        if not is_allowed(statements, need) and not (need.action == "sns:Publish" and not estate(name).config.sms_channels)
    ]
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("name", ESTATES)
def test_a_role_may_do_nothing_that_nobody_does(name: str) -> None:
    unused = []
    for role, statements in policies(name).items():
        for action, resource in allowed(statements):
            asked = Statement(True, (action,), (resource,))
            if not reason(role, action) and not any(asked.concerns(need) for need in recorded(role, name)):
                unused.append(f"{role}: {action} {resource}")
    assert not unused, "\n".join(unused)


def test_no_reason_is_left_over() -> None:
    """A line that nothing needs any more is a hole for what comes."""
    used = {
        (who, one)
        for name in ESTATES
        for role, statements in policies(name).items()
        for action, _ in allowed(statements)
        for who, what, _ in NOT_RECORDED
        for one in what
        if matches(who, role) and matches(one, action)
    }
    assert {(who, one) for who, what, _ in NOT_RECORDED for one in what} == used


TABLE = arn("dynamodb", "table/prod-uptimemonitor-heartbeats")


@pytest.mark.parametrize(
    ("said", "need", "verdict"),
    [
        ({"Action": "dynamodb:GetItem", "Resource": TABLE}, Need("dynamodb:GetItem", TABLE), True),
        ({"Action": "DYNAMODB:getitem", "Resource": TABLE}, Need("dynamodb:GetItem", TABLE), True),
        ({"Action": "dynamodb:GetItem", "Resource": TABLE}, Need("dynamodb:PutItem", TABLE), False),
        ({"Action": "dynamodb:GetItem", "Resource": TABLE}, Need("dynamodb:GetItem", TABLE + "2"), False),
        ({"Action": ["s3:Get*"], "Resource": ["arn:aws:s3:::b/*"]}, Need("s3:GetObject", "arn:aws:s3:::b/a/c"), True),
        ({"Action": ["s3:Get*"], "Resource": ["arn:aws:s3:::b/*"]}, Need("s3:GetObject", "arn:aws:s3:::b"), False),
        ({"Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::B/*"]}, Need("s3:GetObject", "arn:aws:s3:::b/a"), False),
        ({"Action": "a:B", "Resource": "*", "Condition": {"StringEquals": {"a:k": "v"}}}, Need("a:B", "x"), False),
    ],
)
def test_statements_are_judged_as_iam_does(said: dict[str, object], need: Need, verdict: bool) -> None:
    assert is_allowed([Statement.read({"Effect": "Allow", **said})], need) is verdict


def test_a_denial_wins_and_a_condition_holds_for_what_it_says() -> None:
    everything = Statement.read({"Effect": "Allow", "Action": "*", "Resource": "*"})
    denial = Statement.read({"Effect": "Deny", "Action": "s3:*", "Resource": "*"})
    limited = Statement.read({"Effect": "Allow", "Action": "a:B", "Resource": "*", "Condition": {"StringLike": {"a:k": ["v*"]}}})

    assert is_allowed([everything], Need("s3:PutObject", "x"))
    assert not is_allowed([everything, denial], Need("s3:PutObject", "x"))
    assert [is_allowed([limited], Need("a:B", "x"), {"a:k": value}) for value in ("v1", "w")] == [True, False]


@pytest.mark.parametrize("said", [{"NotAction": "a:B"}, {"Condition": {"Bool": {"aws:SecureTransport": "true"}}}])
def test_what_is_not_judged_here_says_so(said: dict[str, object]) -> None:
    with pytest.raises(NotUnderstood):
        Statement.read({"Effect": "Allow", "Action": "a:B", "Resource": "*", **said})
