"""What must outlive a mistake: PostgreSQL, Redis, DynamoDB, S3, EFS, their secrets and their backups."""

from aws_cdk import (
    Duration,
    RemovalPolicy,
    SecretValue,
    aws_dynamodb,
    aws_ec2,
    aws_efs,
    aws_elasticache,
    aws_rds,
    aws_s3,
    aws_secretsmanager,
)
from constructs import Construct

from cdk.config import Config
from cdk.stacks.backup import BackupPlan
from cdk.stacks.estate_stack import EstateStack, accept
from cdk.stacks.logs import LogArchive
from cdk.stacks.network import NetworkStack
from core.contracts.tables import Key, Table, tables

DATABASE = "uptimemonitor"
POSTGRES = aws_rds.PostgresEngineVersion.VER_16_9
NIGHT = "03:00-03:30"
ATTRIBUTE_TYPES = {
    "S": aws_dynamodb.AttributeType.STRING,
    "N": aws_dynamodb.AttributeType.NUMBER,
    "B": aws_dynamodb.AttributeType.BINARY,
}


class DataStack(EstateStack):
    """The stateful part. Deleting the stack keeps what holds data."""

    def __init__(self, scope: Construct, config: Config, network: NetworkStack) -> None:
        super().__init__(scope, "data", config)
        self.network = network
        self.keep = RemovalPolicy.RETAIN if config.is_prod else RemovalPolicy.DESTROY
        self.logs = self._logs()
        self.archive = LogArchive(self, config, bucket=self.logs, key=network.log_key)
        self.archive.keep(self, "FlowLog", network.flow_log)
        self.ping_bodies = self._bucket("PingBodies", config.bucket(config.names.ping_bodies_bucket), Duration.days(365))
        self.database = self._database()
        self.login = self._login()
        self.secret_key = self._random("SecretKey", "django-secret-key", 64)
        self.metrics_token = self._random("MetricsToken", "metrics-token", 40)
        self.vault_keys = self._vault_keys()
        self.redis_url = self._redis()
        self.files, self.prometheus_files = self._files()
        self.tables = {table.name: self._table(table) for table in tables(config.names)}
        resources = [self.database.instance_arn, self.files.file_system_arn, *(table.table_arn for table in self.tables.values())]
        BackupPlan(self, config, resources)

    @property
    def bodies(self) -> str:
        """ARN of every body in the bucket, by its name, which is known."""
        return f"arn:aws:s3:::{self.config.bucket(self.config.names.ping_bodies_bucket)}/*"

    @property
    def database_url(self) -> str:
        """Without user and password: libpq takes them from PGUSER and PGPASSWORD, which come from the rotated secret."""
        return f"postgresql://{self.database.db_instance_endpoint_address}:5432/{DATABASE}?sslmode=require"

    def _logs(self) -> aws_s3.Bucket:
        bucket = aws_s3.Bucket(
            self, "Logs", bucket_name=self.config.bucket(f"{self.config.env}-uptimemonitor-logs"), enforce_ssl=True,
            removal_policy=self.keep, block_public_access=aws_s3.BlockPublicAccess.BLOCK_ALL, encryption=aws_s3.BucketEncryption.S3_MANAGED,
            object_ownership=aws_s3.ObjectOwnership.BUCKET_OWNER_PREFERRED,  # CloudFront writes with an ACL
            lifecycle_rules=[
                aws_s3.LifecycleRule(
                    expiration=Duration.days(90),
                    transitions=[aws_s3.Transition(storage_class=aws_s3.StorageClass.GLACIER, transition_after=Duration.days(30))],
                )
            ],
        )  # fmt: skip
        accept(bucket, {"AwsSolutions-S1": "The bucket that holds access logs would log its own logging."})
        return bucket

    def _bucket(self, noun: str, name: str, kept: Duration) -> aws_s3.Bucket:
        return aws_s3.Bucket(
            self, noun, bucket_name=name, enforce_ssl=True, removal_policy=self.keep, encryption=aws_s3.BucketEncryption.S3_MANAGED,
            block_public_access=aws_s3.BlockPublicAccess.BLOCK_ALL, lifecycle_rules=[aws_s3.LifecycleRule(expiration=kept)],
            server_access_logs_bucket=self.logs, server_access_logs_prefix=f"s3/{noun}/",
        )  # fmt: skip

    def _database(self) -> aws_rds.DatabaseInstance:
        config, vpc = self.config, self.network.vpc
        group = self.network.groups.fixed(self, "database")
        subnets = aws_ec2.SubnetSelection(subnet_type=aws_ec2.SubnetType.PRIVATE_WITH_EGRESS)
        parameters = {"rds.force_ssl": "1", "log_min_duration_statement": "1000"}
        engine = aws_rds.DatabaseInstanceEngine.postgres(version=POSTGRES)
        database = aws_rds.DatabaseInstance(
            self, "Database", instance_identifier=f"{config.env}-uptimemonitor", engine=engine, vpc=vpc, vpc_subnets=subnets,
            instance_type=aws_ec2.InstanceType(config.database_class),
            security_groups=[group], database_name=DATABASE,
            credentials=aws_rds.Credentials.from_generated_secret("postgres", secret_name=f"{config.env}/uptimemonitor/database-admin"),
            parameter_group=aws_rds.ParameterGroup(self, "DatabaseParameters", engine=engine, parameters=parameters),
            multi_az=config.multi_az, storage_encrypted=True, allocated_storage=config.database_gib, max_allocated_storage=500,
            storage_type=aws_rds.StorageType.GP3, backup_retention=Duration.days(7), preferred_backup_window=NIGHT,
            preferred_maintenance_window="sun:04:00-sun:05:00", copy_tags_to_snapshot=True, auto_minor_version_upgrade=True,
            deletion_protection=config.is_prod, cloudwatch_logs_exports=["postgresql"], iam_authentication=False, port=5432,
            removal_policy=RemovalPolicy.SNAPSHOT if config.is_prod else RemovalPolicy.DESTROY,
        )  # fmt: skip
        log = self.archive.group(self, "DatabaseLog", f"/aws/rds/instance/{config.env}-uptimemonitor/postgresql")
        database.node.add_dependency(log)  # else RDS makes one that is kept for ever, in plain text
        if config.dr_region:
            key = f"arn:{self.partition}:kms:{config.dr_region}:{config.account}:alias/{config.copies_vault()}"
            instance = database.node.default_child
            instance.add_property_override("AutomaticBackupReplicationRegion", config.dr_region)
            instance.add_property_override("AutomaticBackupReplicationKmsKeyId", key)
        if config.read_replica:
            replica = aws_rds.DatabaseInstanceReadReplica(
                self, "Replica", source_database_instance=database, instance_type=aws_ec2.InstanceType(config.database_class), vpc=vpc,
                vpc_subnets=subnets, security_groups=[group],
                deletion_protection=config.is_prod, auto_minor_version_upgrade=True,
            )  # fmt: skip
            accept(replica, {**DATABASE_REASONS, "AwsSolutions-RDS2": "A replica is encrypted as its source is."})
        accept(database, DATABASE_REASONS)
        return database

    def _login(self) -> aws_rds.DatabaseSecret:
        """The account of the services. Two users take turns, so the one that tasks started with is good until the next rotation."""
        login = aws_rds.DatabaseSecret(
            self, "Login", username=DATABASE, secret_name=f"{self.config.env}/uptimemonitor/database",
            master_secret=self.database.secret, dbname=DATABASE,
        )  # fmt: skip
        login.attach(self.database)
        private = aws_ec2.SubnetSelection(subnet_type=aws_ec2.SubnetType.PRIVATE_WITH_EGRESS)
        group = self.network.groups.fixed(self, "app")
        aws_secretsmanager.SecretRotation(
            self, "LoginRotation", application=aws_secretsmanager.SecretRotationApplication.POSTGRES_ROTATION_MULTI_USER,
            secret=login, master_secret=self.database.secret, target=self.database, vpc=self.network.vpc, vpc_subnets=private,
            security_group=group, automatically_after=Duration.days(30), rotate_immediately_on_update=False,
            exclude_characters=" %+~`#$&*()|[]{}:;<>?!'/@\"\\",
        )  # fmt: skip
        self.database.add_rotation_single_user(
            automatically_after=Duration.days(30), security_group=group, vpc_subnets=private, rotate_immediately_on_update=False
        )
        return login

    def _random(self, noun: str, name: str, length: int) -> aws_secretsmanager.Secret:
        letters = aws_secretsmanager.SecretStringGenerator(password_length=length, exclude_punctuation=True)
        secret = aws_secretsmanager.Secret(
            self,
            noun,
            secret_name=f"{self.config.env}/uptimemonitor/{name}",
            generate_secret_string=letters,
            removal_policy=self.keep,
        )
        accept(
            secret, {"AwsSolutions-SMG4": "Changing it needs a grace that only people can judge: docs/how-to/deploy-on-aws.md."}
        )
        return secret

    def _vault_keys(self) -> aws_secretsmanager.Secret:
        """A Fernet key is 32 bytes in URL-safe base64: 43 letters and digits, and one `=`."""
        letters = self._random("VaultKeyLetters", "channel-vault-key-letters", 43)
        value = SecretValue.unsafe_plain_text(
            f"{letters.secret_value.unsafe_unwrap()}="
        )  # a reference, resolved by CloudFormation
        return self._made("VaultKeys", self.config.names.vault_key_secret, value)

    def _made(self, noun: str, name: str, value: SecretValue) -> aws_secretsmanager.Secret:
        secret = aws_secretsmanager.Secret(self, noun, secret_name=name, secret_string_value=value, removal_policy=self.keep)
        accept(secret, {"AwsSolutions-SMG4": "It follows from another secret; people change both: docs/how-to/deploy-on-aws.md."})
        return secret

    def _redis(self) -> aws_secretsmanager.Secret:
        """Redis with a replica; returns the secret with its URL."""
        config = self.config
        token = self._random("RedisToken", "redis-token", 64)
        private = self.network.vpc.select_subnets(subnet_type=aws_ec2.SubnetType.PRIVATE_WITH_EGRESS)
        subnets = aws_elasticache.CfnSubnetGroup(self, "RedisSubnets", description="Redis", subnet_ids=private.subnet_ids)
        cache = aws_elasticache.CfnReplicationGroup(
            self, "Redis", replication_group_description="Broker and cache of Uptime Monitor", engine="redis", engine_version="7.1",
            cache_node_type=config.cache_class, num_cache_clusters=1 + config.cache_replicas,
            automatic_failover_enabled=config.cache_replicas > 0, multi_az_enabled=config.multi_az,
            transit_encryption_enabled=True, at_rest_encryption_enabled=True, auth_token=token.secret_value.unsafe_unwrap(), port=6379,
            snapshot_window="03:00-04:00", snapshot_retention_limit=7, cache_subnet_group_name=subnets.ref, auto_minor_version_upgrade=True,
            security_group_ids=[self.network.groups.cache.security_group_id], cache_parameter_group_name="default.redis7",
        )  # fmt: skip
        accept(cache, {"AwsSolutions-AEC4": "One zone where multi_az is off: staging and development, as specified."})
        accept(cache, {"AwsSolutions-AEC5": "The port stands in the specification; the security group is what protects it."})
        address = f"{cache.attr_primary_end_point_address}:6379/0"
        value = SecretValue.unsafe_plain_text(f"rediss://:{token.secret_value.unsafe_unwrap()}@{address}")  # a reference
        return self._made("RedisUrl", f"{config.env}/uptimemonitor/redis-url", value)

    def _files(self) -> tuple[aws_efs.FileSystem, aws_efs.AccessPoint]:
        files = aws_efs.FileSystem(
            self, "Files", vpc=self.network.vpc, encrypted=True, enable_automatic_backups=True, removal_policy=self.keep,
            performance_mode=aws_efs.PerformanceMode.GENERAL_PURPOSE, throughput_mode=aws_efs.ThroughputMode.BURSTING,
            security_group=self.network.groups.fixed(self, "files"), allow_anonymous_access=False,
            vpc_subnets=aws_ec2.SubnetSelection(subnet_type=aws_ec2.SubnetType.PRIVATE_WITH_EGRESS),
        )  # fmt: skip
        nobody = aws_efs.PosixUser(uid="65534", gid="65534")
        owner = aws_efs.Acl(owner_uid="65534", owner_gid="65534", permissions="750")
        return files, files.add_access_point("Prometheus", path="/prometheus", posix_user=nobody, create_acl=owner)

    def _table(self, table: Table) -> aws_dynamodb.Table:
        return aws_dynamodb.Table(
            self, table.name.removeprefix(f"{self.config.env}-uptimemonitor-"), table_name=table.name,
            partition_key=_attribute(table.partition), sort_key=_attribute(table.sort) if table.sort else None,
            billing_mode=aws_dynamodb.BillingMode.PAY_PER_REQUEST, time_to_live_attribute=table.ttl, removal_policy=self.keep,
            point_in_time_recovery_specification=aws_dynamodb.PointInTimeRecoverySpecification(point_in_time_recovery_enabled=True),
            deletion_protection=self.config.is_prod, encryption=aws_dynamodb.TableEncryption.AWS_MANAGED,
        )  # fmt: skip


def _attribute(key: Key) -> aws_dynamodb.Attribute:
    return aws_dynamodb.Attribute(name=key.name, type=ATTRIBUTE_TYPES[key.type])


def bodies_reason(data: DataStack) -> dict[str, str]:
    """Why some may read or write all bodies."""
    return {f"AwsSolutions-IAM5[Resource::{data.bodies}]": "Keys of bodies are made by pings."}


DATABASE_REASONS = {
    "AwsSolutions-RDS3": "One zone where multi_az is off: staging and development, as specified.",
    "AwsSolutions-RDS10": "Deletion protection is for prod; other environments are torn down at will.",
    "AwsSolutions-RDS11": "The port stands in the specification; the security group is what protects it.",
}
