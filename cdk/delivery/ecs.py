"""What a deployment does to ECS: the migration as a task of its own, then every service anew, each watched to its end."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

SERVICES: Final = ("web", "worker", "control")
PAUSE_S: Final = 10.0
MIGRATION_S: Final = 1800.0
ROLLOUT_S: Final = 1800.0


class DeliveryFailed(Exception):
    """A step of the deployment did not end well; the message says how."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The services of one environment. `client` is boto3's of ECS; `pause` and `clock` are those of `time`."""

    env: str
    client: Any
    pause: Callable[[float], object] = time.sleep
    clock: Callable[[], float] = time.monotonic

    @property
    def name(self) -> str:
        """The cluster."""
        return f"{self._prefix}-cluster"

    @property
    def _prefix(self) -> str:
        return f"{self.env}-uptimemonitor"

    def migrate(self) -> None:
        """Run the migration with the newest image, beside the services that still run the old one, in the network of the web.

        Raises:
            DeliveryFailed: it could not be placed, failed, or takes for ever.
        """
        self._run_to_its_end("migrate")

    def sync_edge(self) -> None:
        """Rebuild what the edge keeps of the database, in the same way and with the rights of that task.

        Raises:
            DeliveryFailed: as above.
        """
        self._run_to_its_end("edge-sync")

    def _run_to_its_end(self, command: str) -> None:
        web = self._service("web")
        override = (
            {} if command == "migrate" else {"overrides": {"containerOverrides": [{"name": "migrate", "command": [command]}]}}
        )
        answer = self.client.run_task(
            cluster=self.name,
            taskDefinition=f"{self._prefix}-migrate",
            count=1,
            capacityProviderStrategy=web.get("capacityProviderStrategy", []),
            networkConfiguration=web["networkConfiguration"],
            startedBy="deployment",
            **override,
        )
        if not answer["tasks"]:
            raise DeliveryFailed(f"{command} was not placed: {_reasons(answer.get('failures', []))}")
        arn = answer["tasks"][0]["taskArn"]
        task = self._until(lambda: self._stopped(arn), MIGRATION_S, command)
        codes = [container.get("exitCode") for container in task["containers"]]
        if codes != [0]:
            why = task.get("stoppedReason") or "no reason given"
            raise DeliveryFailed(f"{command} ended with {codes[0] if codes else 'no container'}: {why}")

    def roll(self) -> None:
        """Replace the tasks of every service by such of the newest image; the rollouts go on side by side.

        Raises:
            DeliveryFailed: one was rolled back by its circuit breaker, or takes for ever.
        """
        begun = {noun: self._begin(noun) for noun in SERVICES}
        for noun, deployment in begun.items():
            self._until(partial(self._settled, noun, deployment), ROLLOUT_S, noun)

    def _begin(self, noun: str) -> str:
        answer = self.client.update_service(cluster=self.name, service=f"{self._prefix}-{noun}", forceNewDeployment=True)
        return str(_primary(answer["service"])["id"])

    def _settled(self, noun: str, begun: str) -> bool:
        """Whether the deployment is through. A rolled back one is no longer the service's own."""
        service = self._service(noun)
        ours = next((each for each in service["deployments"] if each["id"] == begun), None)
        if ours is None or ours.get("rolloutState") == "FAILED":
            why = ours.get("rolloutStateReason", "failed") if ours else "another deployment has taken its place"
            raise DeliveryFailed(f"{noun} was not rolled out: {why}")
        return bool(ours.get("rolloutState") == "COMPLETED")

    def _service(self, noun: str) -> Mapping[str, Any]:
        answer = self.client.describe_services(cluster=self.name, services=[f"{self._prefix}-{noun}"])
        if not answer["services"]:
            raise DeliveryFailed(f"there is no service {noun}: {_reasons(answer.get('failures', []))}")
        found: Mapping[str, Any] = answer["services"][0]
        return found

    def _stopped(self, arn: str) -> Mapping[str, Any] | None:
        tasks = self.client.describe_tasks(cluster=self.name, tasks=[arn])["tasks"]
        return tasks[0] if tasks and tasks[0]["lastStatus"] == "STOPPED" else None

    def _until[T](self, look: Callable[[], T | None], within_s: float, what: str) -> T:
        give_up = self.clock() + within_s
        while not (found := look()):
            if self.clock() >= give_up:
                raise DeliveryFailed(f"{what} takes longer than {within_s:.0f} s")
            self.pause(PAUSE_S)
        return found


def _primary(service: Mapping[str, Any]) -> Mapping[str, Any]:
    return next(each for each in service["deployments"] if each["status"] == "PRIMARY")


def _reasons(failures: list[Mapping[str, Any]]) -> str:
    return ", ".join(str(failure.get("reason")) for failure in failures) or "no reason given"
