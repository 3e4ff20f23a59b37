"""The nights of staging: its database rests while nothing runs that uses it. A stopped instance costs its storage, not its hours."""

from dataclasses import dataclass
from typing import Any, Final

from cdk.delivery.ecs import DeliveryFailed

WAITING: Final = {"Delay": 15, "MaxAttempts": 120}
"""Half an hour; a start takes five to ten minutes."""


@dataclass(frozen=True, slots=True)
class Nights:
    """The database of one environment, known by its tags: its name is CloudFormation's. `client` is boto3's of RDS."""

    env: str
    client: Any

    def rest(self) -> str:
        """Stop the database. RDS starts it again after seven days, which is longer than a weekend; one that is stopped stays so.

        Raises:
            DeliveryFailed: it is neither running nor stopped, for example because it is being changed.
        """
        name, status = self._database()
        if status == "available":
            self.client.stop_db_instance(DBInstanceIdentifier=name)
        elif status not in ("stopped", "stopping"):
            raise DeliveryFailed(f"the database {name} is {status}: it cannot rest now")
        return name

    def wake(self) -> str:
        """Start the database where it rests, and wait until it answers.

        Raises:
            DeliveryFailed: it is still on its way to stop.
            WaiterError: it does not become available in half an hour.
        """
        name, status = self._database()
        if status == "stopping":
            raise DeliveryFailed(f"the database {name} is still stopping: wake it in some minutes")
        if status == "stopped":
            self.client.start_db_instance(DBInstanceIdentifier=name)
        self.client.get_waiter("db_instance_available").wait(DBInstanceIdentifier=name, WaiterConfig=WAITING)
        return name

    def _database(self) -> tuple[str, str]:
        ours = {("project", "uptimemonitor"), ("environment", self.env)}
        pages = self.client.get_paginator("describe_db_instances").paginate()
        found = [
            (one["DBInstanceIdentifier"], one["DBInstanceStatus"])
            for page in pages
            for one in page["DBInstances"]
            if ours <= {(tag["Key"], tag["Value"]) for tag in one.get("TagList", [])}
        ]
        if len(found) != 1:
            raise DeliveryFailed(f"{len(found)} databases have the tags of {self.env}, not one")
        return found[0]
