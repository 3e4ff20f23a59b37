"""The rehearsal: one account of moto for all tests here, in which the estate is deployed.

Staging, with every switch on: more is in it than in prod, and it may be destroyed.
"""

import json
import platform
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from core.contracts.names import Names
from tests.deploy.deployed import Deployed
from tests.deploy.fitting import ACCOUNT, fit, unknown
from tests.deploy.toolkit import DIRECT, Account, account

RECOVERY_REGION = "eu-central-1"
NAMES = Names("staging")
CONTEXT = {
    "env": "staging",
    "account": ACCOUNT,
    "domain": "example.com",
    "spot_workers": "true",
    "read_replica": "true",
    "ping_mail": "true",
    "sms_channels": "true",
    "multi_az": "true",
    "nat_gateways": "2",
    "dr_region": RECOVERY_REGION,
    "cloudfront": "true",
    "cloudfront_certificate": f"arn:aws:acm:us-east-1:{ACCOUNT}:certificate/one",
    "github_repository": "someone/uptime",
    "alarm_email": "operators@example.com",
    "lambda_architecture": {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()],
}


@dataclass
class Rehearsal:
    """An account, and the assembly that is deployed into it; `originals` are its templates as they were synthesised."""

    account: Account
    assembly: Path
    context: dict[str, str]
    deployed: Deployed
    removed: Counter[str] = field(default_factory=Counter)
    originals: dict[str, str] = field(default_factory=dict)

    def synthesise(self, **changes: str) -> None:
        """`cdk synth`, packages of Lambdas included, and what moto cannot hold taken out."""
        said = [part for key, value in {**self.context, **changes}.items() for part in ("-c", f"{key}={value}")]
        self.account.cdk("synth", "--quiet", "--output", str(self.assembly), *said)
        self.originals = self._read()
        self.removed = fit(self.assembly)

    def templates(self) -> dict[str, dict[str, Any]]:
        """What is deployed, by the noun of its stack."""
        return {noun: json.loads(text) for noun, text in self._read().items()}

    def _read(self) -> dict[str, str]:
        prefix, suffix = "staging-uptimemonitor-", ".template.json"
        found = self.assembly.glob(f"*{suffix}")
        return {path.name.removeprefix(prefix).removesuffix(suffix): path.read_text(encoding="utf-8") for path in found}


@pytest.fixture(scope="session")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """Deployed: an account with a zone, prepared by `cdk bootstrap` in both regions, and all stacks in it."""
    folder = tmp_path_factory.mktemp("rehearsal")
    with account(folder / "account.log") as opened:
        zone = opened.client("route53").create_hosted_zone(Name=CONTEXT["domain"], CallerReference="rehearsal")["HostedZone"][
            "Id"
        ]
        context = {**CONTEXT, "hosted_zone_id": zone.rpartition("/")[2]}
        made = Rehearsal(opened, folder / "assembly", context, Deployed(opened, NAMES, folder))
        made.synthesise()
        strange = unknown(made.templates().values())
        assert not strange, f"moto does not know {', '.join(sorted(strange))}: say so in tests/deploy/lacks.py, or teach it"
        opened.cdk("bootstrap", app=made.assembly)
        opened.cdk("deploy", "--all", *DIRECT.split(), app=made.assembly)
        yield made
