"""The CDK's own command, as people run it: `make cdk ARGS=…`, with AWS at the account of the rehearsal."""

import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from sys import executable
from typing import Any

import boto3
from botocore.config import Config

from tests.deploy.fitting import ACCOUNT, REGION

ROOT = Path(__file__).parents[2]
PATIENCE_S = 600
DIRECT = "--method direct --require-approval never --progress events --concurrency 1"
"""moto makes no exports of what a change set deploys."""
NODE_OPTIONS = "--no-network-family-autoselection --dns-result-order=ipv4first"
"""Else Node.js gives an address of a host a quarter of a second, which a busy machine may take."""


class CommandFailed(Exception):
    """The command said no; the message has the end of what it printed."""


class Account:
    """An AWS account that begins empty."""

    def __init__(self, port: int) -> None:
        self.url = f"http://localhost:{port}"  # a number in the place of a host moto takes for the name of a bucket
        self.environ = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "rehearsal",
            "AWS_SECRET_ACCESS_KEY": "rehearsal",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str, region: str = REGION) -> Any:
        """A client of a service, which asks once; `Any` because the stubs tell services apart by literals."""
        session: Any = boto3.Session(aws_access_key_id="rehearsal", aws_secret_access_key="rehearsal", region_name=region)
        return session.client(service, endpoint_url=self.url, config=Config(retries={"total_max_attempts": 1}))

    def cdk(self, *arguments: str, app: Path | None = None) -> str:
        """Run the CDK's command, of the finished assembly `app` where one is said; returns what it printed.

        Raises:
            CommandFailed: it ended with an error.
        """
        words = [*arguments, *(("--app", str(app)) if app else ())]
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_", "MAKE"))}
        told = {
            **environ, **self.environ, "CDK_DISABLE_CLI_TELEMETRY": "true", "CDK_DEFAULT_ACCOUNT": ACCOUNT, "NODE_OPTIONS": NODE_OPTIONS,
        }  # fmt: skip
        command = ["make", "cdk", f"ARGS={shlex.join(words)}"]
        done = subprocess.run(
            command, check=False, cwd=ROOT, env=told, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE_S
        )  # fmt: skip
        if done.returncode:
            raise CommandFailed(f"cdk {shlex.join(words)}\n{done.stdout[-4000:]}")
        return done.stdout


@contextmanager
def account(log: Path) -> Iterator[Account]:
    """A running account; what moto says goes to `log`."""
    told: Mapping[str, str] = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    keys = {"AWS_ACCESS_KEY_ID": "rehearsal", "AWS_SECRET_ACCESS_KEY": "rehearsal"}
    command = [executable, "-W", "ignore", "-m", "tests.deploy.account"]
    with log.open("w", encoding="utf-8") as written:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**told, **keys}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=written, text=True
        )
    assert process.stdin
    assert process.stdout
    try:
        yield Account(int(process.stdout.readline()))
    finally:
        process.kill()
        process.wait(10)
        process.stdin.close()
        process.stdout.close()
