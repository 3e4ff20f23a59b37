"""Synthesised estates: what CloudFormation would get, made once for each configuration, however many processes run the tests."""

import atexit
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.integration.test_subscriber import node

os.environ["JSII_NODE"] = str(node())  # before the CDK is imported

from aws_cdk import App

from cdk.config import Config
from cdk.estate import build

ROOT = Path(__file__).parents[2]
ACCOUNT = "123456789012"
DOMAIN = {"account": ACCOUNT, "domain": "example.com", "hosted_zone_id": "Z0123456789"}
CONTEXTS: Mapping[str, Mapping[str, str]] = {
    "prod": {"env": "prod", **DOMAIN},
    "everything": {
        "env": "prod",
        **DOMAIN,
        "spot_workers": "true",
        "read_replica": "true",
        "broker": "sqs",
        "ping_mail": "true",
        "sms_channels": "true",
        "github_repository": "someone/uptime",
        "nat_gateways": "2",
        "cloudfront": "true",
        "cloudfront_certificate": f"arn:aws:acm:us-east-1:{ACCOUNT}:certificate/one",
        "instance_class": "t3.xlarge",
        "lambda_architecture": "x86_64",
        "alarm_email": "operators@example.com",
        "image": "sha256:" + "a" * 64,
    },
    "lean": {"env": "prod", **DOMAIN, "profile": "lean"},
    "elsewhere": {"env": "prod", **DOMAIN, "region": "eu-central-1", "dr_region": "eu-north-1"},
    "staging": {"env": "staging", "account": ACCOUNT, "email_from": "alerts@example.com"},
    "staging, lean": {"env": "staging", "account": ACCOUNT, "email_from": "alerts@example.com", "profile": "lean"},
    "dev": {"env": "dev", "account": ACCOUNT, "email_from": "alerts@example.com", "github_repository": "someone/uptime"},
}


@dataclass(frozen=True)
class Estate:
    """The templates of one configuration, by the noun of their stack."""

    config: Config
    folder: Path
    templates: Mapping[str, Any]

    def all(self, kind: str, stack: str | None = None) -> list[dict[str, Any]]:
        """The properties of every resource of a kind."""
        found = self.resources(kind, stack)
        return [resource.get("Properties", {}) for _, _, resource in found]

    def one(self, kind: str, stack: str | None = None, **wanted: Any) -> dict[str, Any]:
        """The properties of the only resource of a kind, or the only one with these properties."""
        [properties] = [one for one in self.all(kind, stack) if all(one.get(key) == value for key, value in wanted.items())]
        return properties

    def resources(self, kind: str, stack: str | None = None) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Stack, logical id and resource of every resource of a kind."""
        for noun, template in self.templates.items():
            for name, resource in template["Resources"].items():
                if resource["Type"] == kind and stack in (None, noun):
                    yield noun, name, resource


SHARED = "SHARED_ESTATES"
"""The folder that the processes of a run share (`conftest.py`); elsewhere each has its own."""


@cache
def _own_folder() -> Path:
    own = Path(tempfile.mkdtemp(prefix="estates-"))
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    return own


@cache
def estate(name: str) -> Estate:
    """One of `CONTEXTS`, synthesised once."""
    return synthesised(CONTEXTS[name])


def synthesised(given: Mapping[str, str]) -> Estate:
    """A configuration, synthesised without a finding by the first process that asks for it; the others wait for it and read."""
    config = Config.from_context(given, {})
    shared = Path(os.environ[SHARED]) if SHARED in os.environ else _own_folder()
    folder = shared / hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()[:16]
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        finished = folder.with_suffix(".finished")
        if not finished.exists():
            _synthesise(config, folder)
            finished.touch()
    prefix, suffix = f"{config.env}-uptimemonitor-", ".template.json"
    read = {
        path.name.removeprefix(prefix).removesuffix(suffix): path.read_text(encoding="utf-8")
        for path in folder.glob(f"*{suffix}")
    }
    return Estate(config, folder, {noun: json.loads(text) for noun, text in read.items()})


def _synthesise(config: Config, folder: Path) -> None:
    app = application(folder)
    build(app, config)
    app.synth()


def application(folder: Path) -> App:
    """An app as `cdk synth` has it, with the findings of cdk-nag as errors; packages of Lambdas are not built.

    The CDK's own judgement of templates is left out: to load it takes five seconds of CPU, all that it says are warnings, and
    templates are judged by cfn-lint here.
    """
    context = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    context["aws:cdk:bundling-stacks"] = []
    return App(outdir=str(folder), context=context, builtin_cloud_formation_validation=False)


def statements(properties: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The statements of a policy, with actions and resources as lists."""
    found = properties["PolicyDocument"]["Statement"]
    return [{**one, "Action": _listed(one["Action"]), "Resource": _listed(one.get("Resource", []))} for one in found]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
