"""Reading the configuration of the estate is strict, and names the key."""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from cdk.capacity import INSTANCE_TYPES, alternatives, instances_for, most_instances_for, spot_instances_for, task_share
from cdk.config import ENVIRONMENTS, PROFILES, Config, ConfigError

ACCOUNT = {"account": "123456789012"}
DOMAIN = {"domain": "example.com", "hosted_zone_id": "Z1"}
PROD = {"env": "prod", **ACCOUNT, **DOMAIN}
DEV = {"env": "dev", **ACCOUNT, "email_from": "a@example.com"}
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/one"
ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs/reference/aws-config.md"


@pytest.mark.parametrize(
    ("context", "key"),
    [
        ({**PROD, "multiaz": "true"}, "multiaz"),
        ({**ACCOUNT}, "env"),
        ({**PROD, "env": "production"}, "env"),
        ({"env": "prod", "domain": "example.com", "hosted_zone_id": "Z1"}, "account"),
        ({**PROD, "account": "12345"}, "account"),
        ({**PROD, "region": "Ireland"}, "region"),
        ({"env": "prod", **ACCOUNT, "email_from": "a@example.com"}, "domain"),
        ({**PROD, "domain": "https://example.com"}, "domain"),
        ({**DEV, "domain": "example.com"}, "hosted_zone_id"),
        ({**DEV, "hosted_zone_id": "Z1"}, "hosted_zone_id"),
        ({**PROD, "image": "sha256:abc"}, "image"),
        ({**PROD, "image": "two words"}, "image"),
        ({"env": "dev", **ACCOUNT}, "email_from"),
        ({**DEV, "email_from": "nobody"}, "email_from"),
        ({**PROD, "nat_gateways": "3"}, "nat_gateways"),
        ({**PROD, "nat_gateways": "one"}, "nat_gateways"),
        ({**PROD, "instance_class": "t2.medium"}, "instance_class"),
        ({**PROD, "profile": "cheap"}, "profile"),
        ({**PROD, "nat": "none"}, "nat"),
        ({**PROD, "flow_logs": "none"}, "flow_logs"),
        ({**PROD, "database_gib": "10"}, "database_gib"),
        ({**DEV, "cache_replicas": "2"}, "cache_replicas"),
        ({**PROD, "cache_replicas": "0"}, "cache_replicas"),
        ({**PROD, "spare_percent": "60"}, "spare_percent"),
        ({**PROD, "mails_per_s": "1001"}, "mails_per_s"),
        ({**PROD, "web_tasks": "0"}, "web_tasks"),
        ({**PROD, "worker_tasks": "0"}, "worker_tasks"),
        ({**PROD, "control_tasks": "3"}, "control_tasks"),
        ({**PROD, "max_tasks": "1"}, "max_tasks"),
        ({**PROD, "multi_az": "perhaps"}, "multi_az"),
        ({**PROD, "web_tasks": "1", "control_tasks": "1", "spot_workers": "true"}, "multi_az"),
        ({**PROD, "lambda_architecture": "arm"}, "lambda_architecture"),
        ({**PROD, "broker": "rabbitmq"}, "broker"),
        ({**DEV, "cloudfront": "true", "cloudfront_certificate": CERTIFICATE}, "cloudfront"),
        ({**PROD, "cloudfront": "true"}, "cloudfront_certificate"),
        ({**PROD, "cloudfront_certificate": CERTIFICATE}, "cloudfront_certificate"),
        ({**PROD, "cloudfront": "true", "cloudfront_certificate": CERTIFICATE.replace("us-east-1", "eu-west-1")}, "cloudfront_certificate"),
        ({**PROD, "dr_region": "eu-west-1"}, "dr_region"),
        ({**DEV, "ping_mail": "true"}, "ping_mail"),
        ({**PROD, "github_oidc_provider": "arn:aws:iam::1:oidc-provider/x"}, "github_oidc_provider"),
        ({**PROD, "environments": "prod"}, "environments"),
        ({**PROD, "environments": {"production": {}}}, "environments.production"),
        ({**PROD, "environments": {"dev": "lean"}}, "environments.dev"),
        ({**PROD, "environments": {"dev": {"web_task": 2}}}, "environments.dev.web_task"),
        ({**PROD, "environments": {"dev": {"web_tasks": "two"}}}, "environments.dev.web_tasks"),
        ({**PROD, "environments": {"dev": {"env": "prod"}}}, "environments.dev.env"),
        ({**PROD, "environments": {"prod": {"web_tasks": 0}}}, "web_tasks"),
    ],
)  # fmt: skip
def test_what_cannot_be_right_stops_with_the_name_of_its_key(context: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(key)}: "):
        Config.from_context(context, {})


def test_context_of_the_cdk_itself_is_let_through_and_json_is_typed() -> None:
    context = {
        **DEV,
        "@aws-cdk/core:flag": True,
        "aws:cdk:bundling-stacks": [],
        "web_tasks": 2,
        "multi_az": True,
        "max_tasks": "3",
    }

    config = Config.from_context(context, {})

    assert (config.web_tasks, config.multi_az, config.max_tasks) == (2, True, 3)


def test_the_account_may_come_from_whoever_is_logged_in() -> None:
    context = {key: value for key, value in DEV.items() if key != "account"}

    assert Config.from_context(context, {"CDK_DEFAULT_ACCOUNT": "999999999999"}).account == "999999999999"


def test_environments_differ_as_specified() -> None:
    prod, staging, dev = (Config.from_context(context, {}) for context in (PROD, {**DEV, "env": "staging"}, DEV))

    assert [one.env for one in (prod, staging, dev)] == list(ENVIRONMENTS)
    assert [one.multi_az for one in (prod, staging, dev)] == [True, False, False]
    assert [bool(one.dr_region) for one in (prod, staging, dev)] == [True, False, False]


@pytest.mark.parametrize("instance_class", INSTANCE_TYPES)
@pytest.mark.parametrize("spot", ["true", "false"])
def test_every_task_has_an_interface_and_memory_at_desired_and_at_maximum_scale(instance_class: str, spot: str) -> None:
    sizes = Config.from_context({**PROD, "instance_class": instance_class, "spot_workers": spot, "web_tasks": "3"}, {})
    kind = INSTANCE_TYPES[instance_class]
    cpu, memory = task_share(instance_class)
    workers, most_workers = (0, 0) if sizes.spot_workers else (sizes.worker_tasks, sizes.max_tasks)

    assert instances_for(sizes) * (kind.interfaces - 1) >= sizes.web_tasks + sizes.control_tasks + workers
    assert (most_instances_for(sizes) - 1) * (kind.interfaces - 1) >= sizes.max_tasks + sizes.control_tasks + most_workers
    assert [count * (kind.interfaces - 1) >= tasks for count, tasks in zip(
        spot_instances_for(sizes), (sizes.worker_tasks, sizes.max_tasks), strict=True)] == [True, True]  # fmt: skip
    assert cpu * (kind.interfaces - 1) <= kind.cpu
    assert memory * (kind.interfaces - 1) <= kind.memory_mib


def test_spot_takes_types_that_hold_the_same_tasks() -> None:
    assert alternatives("t3.medium") == ["t3.medium", "t3.large", "m6i.large"]
    assert alternatives("t3.xlarge") == ["t3.xlarge"]
    assert alternatives("t4g.small") == ["t4g.small", "t4g.medium", "t4g.large", "m6g.large"]


def test_a_profile_changes_defaults_and_what_is_given_stands() -> None:
    specified, lean = (Config.from_context({**PROD, "profile": profile}, {}) for profile in ("specified", "lean"))
    given = Config.from_context({**PROD, "profile": "lean", "instance_class": "t3.large", "spot_workers": "false"}, {})

    assert specified == Config.from_context(PROD, {})
    assert (specified.architecture, lean.architecture) == ("x86_64", "arm64")
    assert (lean.multi_az, lean.cache_replicas, lean.nat, lean.dr_region) == (True, 1, "gateway", "eu-central-1")
    assert (given.instance_class, given.spot_workers, given.database_class) == ("t3.large", False, "t4g.small")


def test_each_environment_has_what_is_its_own_and_what_is_said_for_all_wins() -> None:
    own = {"prod": {**DOMAIN, "profile": "lean", "web_tasks": 3}, "dev": {"email_from": "a@example.com", "web_tasks": "2"}}
    prod, dev, given = (
        Config.from_context({"environments": own, **ACCOUNT, **said}, {})
        for said in ({"env": "prod"}, {"env": "dev"}, {"env": "prod", "web_tasks": "4", "profile": "specified"})
    )

    assert (prod.domain, prod.architecture, prod.web_tasks) == ("example.com", "arm64", 3)
    assert (dev.domain, dev.sender, dev.architecture, dev.web_tasks) == ("", "a@example.com", "x86_64", 2)
    assert (given.domain, given.architecture, given.web_tasks) == ("example.com", "x86_64", 4)


def test_the_checkout_has_a_place_for_each_environment_and_it_can_be_read() -> None:
    context = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]

    assert list(context["environments"]) == list(ENVIRONMENTS)
    for said in (PROD, {**DEV, "env": "staging"}, DEV):
        assert Config.from_context({**context, **said}, {}).env == said["env"]


def test_every_key_of_a_profile_is_one_of_the_configuration() -> None:
    keys = {key for environments in PROFILES.values() for values in environments.values() for key in values}

    assert keys <= {field.name for field in fields(Config)}
    assert all(environments.keys() in (set(), set(ENVIRONMENTS)) for environments in PROFILES.values())


def test_every_key_has_its_row_in_the_reference() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \|", REFERENCE.read_text(encoding="utf-8"), re.MULTILINE)

    assert rows == [field.name for field in fields(Config)]
