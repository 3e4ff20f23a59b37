"""The services and Lambdas of an estate as processes: each is told what its template tells it, and signs with its role for a key."""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from core.contracts.names import Names
from core.contracts.queues import mail_events, mails, tasks
from core.local.aws_resources import AwsClients, create_resources
from tests.infra.estates import ROOT, Estate
from tests.lambda_runtime import RuntimeApi, function
from tests.permissions.calls import REGION
from tests.permissions.references import References

PACKAGES: Final = Path(sysconfig.get_path("purelib"))
KEPT: Final = ("PATH", "HOME", "LANG")
STOP_S: Final = 20
RUN_S: Final = 120


class Deployment:
    """Everything of one estate that calls AWS. `told` is what every process is told in place of what its template says."""

    def __init__(self, estate: Estate, endpoint: str, told: Mapping[str, str], folder: Path) -> None:
        self._estate = estate
        self._references = References(estate)
        self._told = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": REGION,
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_EC2_METADATA_DISABLED": "true",
            "TMPDIR": str(folder),
            **told,
        }

    @contextmanager
    def service(self, task: str, container: str, *arguments: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
        """A running container of a task, ended at the end; `arguments` are added to its command."""
        said = self._container(task, container)
        process = subprocess.Popen(_command(*said["Command"], *arguments), env=self._told_to(said, more), cwd=ROOT)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def run(self, task: str, container: str, *command: str, **more: str) -> None:
        """Run a container with another command than its own, which must end well."""
        said = self._container(task, container)
        subprocess.run(_command(*command), env=self._told_to(said, more), cwd=ROOT, check=True, timeout=RUN_S)

    @contextmanager
    def function(self, noun: str) -> Iterator[RuntimeApi]:
        """A started Lambda, from the sources of its package."""
        said = self._estate.one("AWS::Lambda::Function", "edge", FunctionName=f"{self._prefix}{noun}")
        told = self._environ("edge", said["Role"], said["Environment"]["Variables"], {})
        with function(ROOT, PACKAGES, said["Handler"], told) as api:
            yield api

    def buckets(self) -> dict[str, str]:
        """The buckets that the functions know, by the setting that names them."""
        functions = self._estate.all("AWS::Lambda::Function", "edge")
        told = [self._references.resolve("edge", one["Environment"]["Variables"]) for one in functions if "Environment" in one]
        return {name: value for variables in told for name, value in variables.items() if name.endswith("_BUCKET")}

    @property
    def broker_url(self) -> str:
        """Where the services' tasks go."""
        return self._estate.config.broker_url

    @property
    def _prefix(self) -> str:
        return f"{self._estate.config.env}-uptimemonitor-"

    def _container(self, task: str, name: str) -> dict[str, Any]:
        """A container as its task defines it, with the role of the task."""
        definition = self._estate.one("AWS::ECS::TaskDefinition", "core", Family=f"{self._prefix}{task}")
        [said] = [one for one in definition["ContainerDefinitions"] if one["Name"] == name]
        return {**said, "Role": definition["TaskRoleArn"]}

    def _told_to(self, said: Mapping[str, Any], more: Mapping[str, str]) -> dict[str, str]:
        environ = {one["Name"]: one["Value"] for one in said["Environment"]}
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        return self._environ("core", said["Role"], environ, {**kept, **more})

    def _environ(self, stack: str, role: Any, said: Mapping[str, Any], more: Mapping[str, str]) -> dict[str, str]:
        """Of a process. Its access key is the noun of its role."""
        key = self._references.noun(str(self._references.resolve(stack, role)).rpartition("/")[2])
        resolved = {name: str(value) for name, value in self._references.resolve(stack, said).items()}
        return {**resolved, **self._told, **more, "AWS_ACCESS_KEY_ID": key}


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "core.service", *arguments]


def make_resources(endpoint: str, names: Names, buckets: Sequence[str], *, vault_key: str, email_from: str) -> AwsClients:
    """What the stacks `data`, `events` and `edge` make, in an empty account; returns clients of nobody's role."""
    clients = AwsClients.make(REGION, endpoint)
    create_resources(clients, names, vault_keys=[vault_key], email_from=email_from)
    for bucket in buckets:
        clients.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    for queue in (mail_events(names), mails(names), *tasks(names)):
        clients.sqs.create_queue(QueueName=queue.name, Attributes={"VisibilityTimeout": str(queue.visibility_s)})
    return clients
