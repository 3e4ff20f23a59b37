"""Meters of what is kept: PostgreSQL, Redis, DynamoDB, S3, EFS, images, secrets, and the backups of all of it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from cdk.cost.line import Estate, Meter, Use
from cdk.cost.load import (
    CALLS_OF_A_DELIVERY,
    GB,
    HOURS,
    ITEM_BYTES,
    MILLION,
    READS_OF_A_PING,
    RETENTION_MONTHS,
    WRITES_OF_A_PING,
)
from cdk.cost.template import Resource

REDIS_GB: Final = 0.1
PROMETHEUS_GB: Final = 2.0
IMAGES_GB: Final = 5.0
"""Twenty images of 250 MB that differ in all of their layers: nine in ten share most."""
LOGS_GB: Final = 2.0
"""CloudTrail, and access logs of the load balancer and of buckets, per month."""
LOG_FILES: Final = 50_000
"""Of the load balancer and of CloudTrail, one every five minutes from each of their nodes; and of buckets."""
BODY_BYTES: Final = 2_000
PINGS_WITH_BODY: Final = 0.05
BACKUPS: Final = 1.3
"""Copies of a store for a week: all of it, and what has changed since."""


def database(resource: Resource, estate: Estate) -> Iterator[Use]:
    """Instances, which rest while nothing uses them, and storage; both twice with a standby. Backups beyond what is free, and elsewhere."""
    properties, months = resource.properties, estate.months_of(resource)
    copies = 2 if properties.get("MultiAZ") else 1
    size = f"{copies} {properties['DBInstanceClass']}"
    stored = max(float(_of_source(resource, estate, "AllocatedStorage")), estate.load.database_gb * 1.2)
    yield Use(f"rds.{properties['DBInstanceClass'].removeprefix('db.')}", copies * estate.awake * HOURS, size)
    yield Use(f"rds.{properties['StorageType']}", copies * stored * months, f"{copies} {stored:,.0f} GB")
    if "SourceDBInstanceIdentifier" in properties:
        return
    beyond = max(0.0, BACKUPS * 2 * estate.load.database_gb - stored)
    yield Use("rds.backup", beyond, "backups of its own and of AWS Backup, beyond the size of the storage")
    if properties.get("AutomaticBackupReplicationRegion"):
        yield Use("rds.backup", BACKUPS * estate.load.database_gb, "backups in the other region")
        yield Use("transfer.region", estate.awake * estate.load.written_gb, "its log, to the other region")
    if properties.get("EnableCloudwatchLogsExports"):
        yield Use("logs.ingested", 0.2 * estate.awake, "its messages")


def _of_source(resource: Resource, estate: Estate, key: str) -> Any:
    """A property of a replica is that of what it copies."""
    if key in resource.properties:
        return resource.properties[key]
    return next(one.properties[key] for one in estate.templates.of(resource.type) if key in one.properties)


def cache(resource: Resource, estate: Estate) -> Iterator[Use]:
    """Nodes, and snapshots beyond the first."""
    nodes, kind = resource.properties["NumCacheClusters"], resource.properties["CacheNodeType"]
    yield Use(kind, nodes * estate.hours_of(resource), f"{nodes} {kind}")
    yield Use("cache.backup", (resource.properties["SnapshotRetentionLimit"] - 1) * REDIS_GB, "snapshots")


def table(resource: Resource, estate: Estate) -> Iterator[Use]:
    """Requests and storage by what the table is for, with point-in-time recovery and backups."""
    load, noun = estate.load, resource.properties["TableName"].partition("-uptimemonitor-")[2]
    writes, reads, stored = 0.0, 0.0, 0.0
    if noun == "heartbeats":
        writes, reads = load.pings * WRITES_OF_A_PING, load.pings * READS_OF_A_PING
        stored = load.pings * RETENTION_MONTHS * ITEM_BYTES / GB
    elif noun == "dispatch":
        writes, reads = load.messages * CALLS_OF_A_DELIVERY, load.messages * 2
        stored = load.messages * 7 / 30 * ITEM_BYTES / GB
    elif noun == "channel-vault":
        reads = load.messages
    yield Use("dynamodb.write", writes / MILLION, "writes")
    yield Use("dynamodb.read", reads / MILLION, "reads")
    yield Use("dynamodb.storage", stored, "items")
    if resource.properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]:
        yield Use("dynamodb.pitr", stored, "point-in-time recovery")
    yield Use("dynamodb.backup", BACKUPS * 7 * stored, "a week of full backups")


def bucket(resource: Resource, estate: Estate) -> Iterator[Use]:
    """Objects by what the bucket is for."""
    load, name = estate.load, resource.properties["BucketName"]
    if "-logs-" in name:
        yield Use("s3.storage", LOGS_GB, "logs of the last month")
        yield Use("s3.glacier", 2 * LOGS_GB, "older logs")
        yield Use("s3.put", LOG_FILES / MILLION, "files of logs")
    elif "ping-mail" in name:
        mails = load.pings * load.ping_mail_share
        yield Use("s3.storage", mails * 10_000 / GB, "mails")
        yield Use("s3.put", mails / MILLION, "mails")
        yield Use("ses.received", mails / 1000, "mails received")
    else:
        bodies = load.pings * PINGS_WITH_BODY
        yield Use("s3.storage", 12 * bodies * BODY_BYTES / GB, "bodies of pings, for a year")
        yield Use("s3.put", bodies / MILLION, "bodies")


def files(resource: Resource, estate: Estate) -> Iterator[Use]:
    """A month of Prometheus."""
    stored = PROMETHEUS_GB * (1 + estate.load.monitors / 10_000)
    yield Use("efs.storage", stored, "series of 30 days")
    if resource.properties.get("BackupPolicy", {}).get("Status") == "ENABLED":
        yield Use("efs.backup", 2 * BACKUPS * stored, "backups")


def images(_: Resource, __: Estate) -> Iterator[Use]:
    """The image that runs and those of the last 90 days."""
    yield Use("ecr.storage", IMAGES_GB, "images")


def secret(resource: Resource, estate: Estate) -> Iterator[Use]:
    """A secret."""
    yield Use("secret", estate.months_of(resource), "secret")


def key(resource: Resource, estate: Estate) -> Iterator[Use]:
    """A key, which costs as much again after each of its first two rotations, of which the first is after a year."""
    yield Use("kms.key", estate.months_of(resource), "key, in its first year")


METERS: Final[Mapping[str, Meter]] = {
    "AWS::DynamoDB::Table": table,
    "AWS::ECR::Repository": images,
    "AWS::EFS::FileSystem": files,
    "AWS::ElastiCache::ReplicationGroup": cache,
    "AWS::KMS::Key": key,
    "AWS::RDS::DBInstance": database,
    "AWS::S3::Bucket": bucket,
    "AWS::SecretsManager::Secret": secret,
}
