"""New instances for a cluster whose instances are broken: the groups replace all of them, half at a time."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from cdk.recovery.database import RecoveryFailed

REFRESH_S: Final = 1800.0
PAUSE_S: Final = 15.0
ENDED: Final = frozenset({"Successful", "Failed", "Cancelled", "RollbackSuccessful", "RollbackFailed"})
PREFERENCES: Final = {"MinHealthyPercentage": 50, "InstanceWarmup": 120, "ScaleInProtectedInstances": "Refresh"}


@dataclass(frozen=True, slots=True)
class Instances:
    """The instances of one environment. The clients are boto3's of ECS and of Auto Scaling."""

    env: str
    ecs: Any
    scaling: Any
    say: Callable[[str], object]
    pause: Callable[[float], object] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def replace(self) -> None:
        """Replace all of them, and wait for it.

        Raises:
            RecoveryFailed: there is no cluster, or a group cannot replace its instances.
        """
        try:
            begun = {group: self._begin(group) for group in self._groups()}
            for group, refresh in begun.items():
                self._await(group, refresh)
        except ClientError as error:
            raise RecoveryFailed(str(error)) from error

    def _groups(self) -> list[str]:
        """The Auto Scaling groups behind the cluster's capacity providers."""
        found = self.ecs.describe_clusters(clusters=[f"{self.env}-uptimemonitor-cluster"])["clusters"]
        names = found[0].get("capacityProviders", []) if found else []
        if not names:
            raise RecoveryFailed(f"there is no cluster of {self.env}, or it has no instances: deploy the stack core")
        providers = self.ecs.describe_capacity_providers(capacityProviders=names)["capacityProviders"]
        arns = [one["autoScalingGroupProvider"]["autoScalingGroupArn"] for one in providers if "autoScalingGroupProvider" in one]
        return [arn.rpartition("autoScalingGroupName/")[2] for arn in arns]

    def _begin(self, group: str) -> str:
        self.say(f"replacing the instances of {group}")
        answer = self.scaling.start_instance_refresh(AutoScalingGroupName=group, Strategy="Rolling", Preferences=PREFERENCES)
        return str(answer["InstanceRefreshId"])

    def _await(self, group: str, refresh: str) -> None:
        give_up = self.clock() + REFRESH_S
        while True:
            asked = {"AutoScalingGroupName": group, "InstanceRefreshIds": [refresh]}
            [found] = self.scaling.describe_instance_refreshes(**asked)["InstanceRefreshes"]
            if found["Status"] == "Successful":
                return
            if found["Status"] in ENDED or self.clock() >= give_up:
                raise RecoveryFailed(f"{group}: {found['Status']}, {found.get('StatusReason', 'no reason given')}")
            self.pause(PAUSE_S)
