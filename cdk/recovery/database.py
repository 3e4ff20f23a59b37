"""How the database of an environment is taken back: a second instance is made beside it, then the two exchange their names.

The address of an instance follows from its name, the account and the region. So after the exchange everything that knows the database
(services, rotation of secrets, CloudFormation) finds the restored one, and the former is kept under another name. Each step looks first at
whether it is done, so a recovery that was cut off is simply started again.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import ClientError

RESTORE_S: Final = 3600.0
RENAME_S: Final = 900.0
PAUSE_S: Final = 10.0


class RecoveryFailed(Exception):
    """A step of the recovery did not end well; the message says how. What was there before is still there."""


type Source = Callable[[Any, str, Mapping[str, Any]], object]
"""Where a database comes from: given a client, starts the restore of it into an instance with a name and settings."""


def at_moment(name: str, until: datetime | None) -> Source:
    """As it was just before `until`, or, for None, as late as its log goes; also where the instance itself is gone."""

    def restore(client: Any, target: str, settings: Mapping[str, Any]) -> object:
        source = {"SourceDBInstanceIdentifier": name}
        if _find(client, name) is None:
            source = {"SourceDbiResourceId": _backups_of(client, name)["DbiResourceId"]}
        return client.restore_db_instance_to_point_in_time(
            **source, **_moment(until), TargetDBInstanceIdentifier=target, **settings
        )

    return restore


def from_other_region(name: str, until: datetime | None) -> Source:
    """The same from the log that the region which is gone has copied here."""

    def restore(client: Any, target: str, settings: Mapping[str, Any]) -> object:
        source = {"SourceDBInstanceAutomatedBackupsArn": _backups_of(client, name, copied=True)["DBInstanceAutomatedBackupsArn"]}
        return client.restore_db_instance_to_point_in_time(
            **source, **_moment(until), TargetDBInstanceIdentifier=target, **settings
        )

    return restore


def from_snapshot(snapshot: str) -> Source:
    """A snapshot by its name or ARN: the final one of an instance that was deleted, or one of AWS Backup."""

    def restore(client: Any, target: str, settings: Mapping[str, Any]) -> object:
        return client.restore_db_instance_from_db_snapshot(DBSnapshotIdentifier=snapshot, DBInstanceIdentifier=target, **settings)

    return restore


@dataclass(frozen=True, slots=True)
class Database:
    """The database of one environment. `client` is boto3's of RDS, `say` takes a line for who waits; the rest is of `time`."""

    env: str
    client: Any
    say: Callable[[str], object]
    pause: Callable[[float], object] = time.sleep
    clock: Callable[[], float] = time.monotonic

    @property
    def name(self) -> str:
        """The instance that services use."""
        return f"{self.env}-uptimemonitor"

    @property
    def restored(self) -> str:
        """The instance that is to take its place, until it does."""
        return f"{self.name}-restored"

    def restore(self, source: Source, settings: Mapping[str, Any], password: str) -> None:
        """Make the other instance from `source`, with the network of this environment and today's password of its administrator.

        Raises:
            RecoveryFailed: AWS refuses, or it takes for ever.
        """
        if _find(self.client, self.restored) is None:
            self.say(f"restoring into {self.restored}")
            _asked(lambda: source(self.client, self.restored, settings))
        self._until_available(self.restored, RESTORE_S)
        _asked(lambda: self.client.modify_db_instance(
            DBInstanceIdentifier=self.restored, MasterUserPassword=password, ApplyImmediately=True
        ))  # fmt: skip
        self._until_available(self.restored, RENAME_S)

    def exchange(self, now: datetime) -> str | None:
        """Give the restored instance the name of the one that services use; returns the new name of that, None where it was gone.

        Raises:
            RecoveryFailed: AWS refuses, or it takes for ever.
        """
        former = None
        if _find(self.client, self.name) is not None and _find(self.client, self.restored) is not None:
            former = f"{self.name}-until-{now:%Y%m%d-%H%M%S}"
            self._rename(self.name, former)
        if _find(self.client, self.restored) is not None:
            self._rename(self.restored, self.name)
        self._until_available(self.name, RENAME_S)
        return former

    def _rename(self, name: str, other: str) -> None:
        self.say(f"{name} becomes {other}")
        _asked(lambda: self.client.modify_db_instance(
            DBInstanceIdentifier=name, NewDBInstanceIdentifier=other, ApplyImmediately=True
        ))  # fmt: skip
        self._until(lambda: _find(self.client, name) is None, RENAME_S, f"{name} keeps its name")
        self._until_available(other, RENAME_S)

    def _until_available(self, name: str, within_s: float) -> None:
        """A change that was asked for shows in the status, or among what is pending, a moment later than the answer."""

        def is_available() -> bool:
            found = _find(self.client, name)
            return found is not None and found["DBInstanceStatus"] == "available" and not found.get("PendingModifiedValues")

        self._until(is_available, within_s, f"{name} does not become available")

    def _until(self, done: Callable[[], bool], within_s: float, what: str) -> None:
        give_up = self.clock() + within_s
        while not done():
            if self.clock() >= give_up:
                raise RecoveryFailed(f"{what} within {within_s:.0f} s")
            self.pause(PAUSE_S)


def settings_of(env: str, cloudformation: Any) -> dict[str, Any]:
    """Network and parameters of the database as the stacks of this environment have made them, whether or not it is still there.

    Raises:
        RecoveryFailed: the stacks are not there; deploy `network` and `data` first.
    """
    try:
        data = _resources(cloudformation, f"{env}-uptimemonitor-data")
        network = _resources(cloudformation, f"{env}-uptimemonitor-network")
        subnets, parameters, group = (
            _one(found, noun)
            for found, noun in ((data, "DatabaseSubnetGroup"), (data, "DatabaseParameters"), (network, "databasegroup"))
        )
    except (ClientError, LookupError) as error:
        raise RecoveryFailed(f"the stacks network and data of {env} are not there: {error}") from error
    return {
        "DBSubnetGroupName": subnets,
        "DBParameterGroupName": parameters,
        "VpcSecurityGroupIds": [group],
        "MultiAZ": env == "prod",
        "DeletionProtection": env == "prod",
        "PubliclyAccessible": False,
        "CopyTagsToSnapshot": True,
        "EnableCloudwatchLogsExports": ["postgresql"],
    }


def _resources(client: Any, stack: str) -> dict[str, str]:
    """Physical names by logical ids."""
    pages = client.get_paginator("list_stack_resources").paginate(StackName=stack)
    return {
        one["LogicalResourceId"]: one.get("PhysicalResourceId", "") for page in pages for one in page["StackResourceSummaries"]
    }


def _one(found: Mapping[str, str], noun: str) -> str:
    """The CDK ends logical ids with a digest."""
    names = [name for logical, name in found.items() if re.fullmatch(f"{noun}[0-9A-F]{{8}}", logical)]
    if len(names) != 1:
        raise LookupError(f"{noun}: {len(names)} found")
    return names[0]


def _moment(until: datetime | None) -> dict[str, Any]:
    return {"UseLatestRestorableTime": True} if until is None else {"RestoreTime": until.astimezone(UTC)}


def _find(client: Any, name: str) -> Mapping[str, Any] | None:
    try:
        found: Mapping[str, Any] = client.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
    except client.exceptions.DBInstanceNotFoundFault:
        return None
    return found


def _backups_of(client: Any, name: str, *, copied: bool = False) -> Mapping[str, Any]:
    """The automated backups of an instance: those that outlive it here, or those that were copied here from its region."""
    found = _asked(lambda: client.describe_db_instance_automated_backups(DBInstanceIdentifier=name))["DBInstanceAutomatedBackups"]
    here = client.meta.region_name
    fitting = [one for one in found if (one.get("Region", here) != here) == copied]
    if not fitting:
        raise RecoveryFailed(f"no backups of {name} are {'copied to' if copied else 'kept in'} {here}; give a snapshot")
    return max(fitting, key=lambda one: one["RestoreWindow"]["LatestTime"])


def _asked(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except ClientError as error:
        raise RecoveryFailed(str(error)) from error
