"""The task definitions of the core: what each container is told, what it may do, and what it must not know."""

from collections.abc import Mapping, Sequence

from aws_cdk import Duration, aws_ecr, aws_ecs, aws_iam, aws_logs
from constructs import Construct

from cdk.capacity import METRICS_PORTS, WEB_PORT, task_share
from cdk.config import Config
from cdk.stacks.data import DataStack, bodies_reason
from cdk.stacks.delivery import repository_name
from cdk.stacks.estate_stack import accept
from cdk.stacks.events import EventsStack
from cdk.stacks.network import NetworkStack

STOP_TIMEOUT = Duration.seconds(60)
METRICS_NAMESPACE = "UptimeMonitor"
NAME_QUESTIONS_PER_S = "900"
"""A worker has a network interface of its own, from which Amazon's name servers take 1,024 packets per second; the rest is for retries."""
WEB_SECRETS = ("SECRET_KEY", "METRICS_TOKEN")
"""What only Django needs."""
KEPT_FREE_MIB = 16
"""For /tmp of each container."""
CONSUME = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueUrl"]
WATCH = ("BatchGetItem", "BatchWriteItem", "PutItem", "Query", "UpdateItem")
"""What detector and canary do with the items of heartbeats, and whoever settles pings. `tests/infra/test_permissions.py` holds every
action of this module to the calls that are really made."""

PROJECT = ("Scan", "PutItem")
"""What `edge-sync` does with both tables that it makes agree with the database, and `reseal` with that of channels. Both run with the
definition of the migration."""

SEND = ["sqs:SendMessage", "sqs:GetQueueAttributes"]
"""Whoever sends a task declares its queue first, and kombu asks how long it is then."""

WORK = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"]


class Tasks(Construct):
    """Four tasks of one image: web, worker, control (schedule, beat and inbox together) and migrate, which nothing keeps running."""

    def __init__(
        self, scope: Construct, config: Config, network: NetworkStack, data: DataStack, events: EventsStack, *,
        ping_url: str, public_url: str,
    ) -> None:  # fmt: skip
        super().__init__(scope, "Tasks")
        self.config, self.network, self.data, self.events = config, network, data, events
        repository = aws_ecr.Repository.from_repository_name(self, "Repository", repository_name(config))
        self.image = aws_ecs.ContainerImage.from_ecr_repository(repository, config.image)
        self.environment = {
            "UPTIME_ENV": config.env, "AWS_REGION": config.region, "DATABASE_URL": data.database_url, "PUBLIC_URL": public_url,
            "PING_URL": ping_url, "METRICS_NAMESPACE": METRICS_NAMESPACE, "PING_BODIES_BUCKET": data.ping_bodies.bucket_name,
            **({"BROKER_URL": config.broker_url} if config.broker_url else {}),
            "METRICS_BIND": "0.0.0.0",  # noqa: S104  (the security group says who reaches it)
        }  # fmt: skip
        login = data.login
        self.secrets = {
            "PGUSER": aws_ecs.Secret.from_secrets_manager(login, "username"),
            "PGPASSWORD": aws_ecs.Secret.from_secrets_manager(login, "password"),
            "REDIS_URL": aws_ecs.Secret.from_secrets_manager(data.redis_url),
            "SECRET_KEY": aws_ecs.Secret.from_secrets_manager(data.secret_key),
            "METRICS_TOKEN": aws_ecs.Secret.from_secrets_manager(data.metrics_token),
            "CHANNEL_VAULT_KEYS": aws_ecs.Secret.from_secrets_manager(data.vault_keys),
        }
        self.web = self._web()
        self.worker = self._worker()
        self.control = self._control()
        self.migrate = self._migrate()

    def _web(self) -> aws_ecs.Ec2TaskDefinition:
        task = self._task("web")
        proxies = 2 if self.config.cloudfront else 1
        extra = {"TRUSTED_PROXIES": str(proxies), "SMS_CHANNELS": str(self.config.sms_channels).lower()}
        self._container(task, "web", 1, environment=extra, secrets=WEB_SECRETS, port=WEB_PORT)
        names = self.config.names
        self._may_use(task, names.heartbeats_table, "GetItem", "PutItem", "UpdateItem", "DeleteItem")
        self._may_use(task, names.channel_vault_table, "PutItem", "Query", "BatchWriteItem")
        may(task, ["s3:GetObject"], self.data.bodies)
        may(task, ["s3:ListBucket"], self.data.ping_bodies.bucket_arn)  # else a body that is gone is answered 403
        self._may_send(task, SEND)
        accept(task.task_role, bodies_reason(self.data))
        return task

    def _worker(self) -> aws_ecs.Ec2TaskDefinition:
        task = self._task("worker")
        self._container(
            task, "worker", 1, environment={"NAME_QUESTIONS_PER_S": NAME_QUESTIONS_PER_S}, port=METRICS_PORTS["worker"]
        )
        self._may_use(task, self.config.names.heartbeats_table, *WATCH, "DeleteItem")
        may(task, ["events:PutEvents"], self.events.bus.event_bus_arn)
        self._may_send(task, [*SEND, *WORK])
        return task

    def _control(self) -> aws_ecs.Ec2TaskDefinition:
        """What schedules, what makes it tick, and what comes back from the edge: small, and one of each is enough."""
        task = self._task("control")
        self._container(task, "schedule", 3, port=METRICS_PORTS["schedule"])
        self._container(task, "inbox", 3, environment={"MAIL_EVENTS": "true"}, port=METRICS_PORTS["inbox"])
        self._container(task, "beat", 3)
        names = self.config.names
        self._may_use(task, names.heartbeats_table, *WATCH)
        queues = [
            self.events.queues[name].queue.queue_arn
            for name in (names.pings_queue, names.receipts_queue, names.mail_events_queue)
        ]
        may(task, CONSUME, *queues)
        self._may_send(task, [*SEND, *WORK])
        return task

    def _migrate(self) -> aws_ecs.Ec2TaskDefinition:
        """Run before a new image is rolled out; as the administrator it also makes the account of the services."""
        task = self._task("migrate")
        admin = self.data.database.secret
        extra = {
            "ADMIN_PGUSER": aws_ecs.Secret.from_secrets_manager(admin, "username"),
            "ADMIN_PGPASSWORD": aws_ecs.Secret.from_secrets_manager(admin, "password"),
        }
        self._container(task, "migrate", 1, secrets=WEB_SECRETS, more_secrets=extra)
        names = self.config.names
        self._may_use(task, names.heartbeats_table, *PROJECT, "UpdateItem", "DeleteItem")
        self._may_use(task, names.channel_vault_table, *PROJECT, "Query", "BatchWriteItem")
        return task

    def _may_use(self, task: aws_ecs.Ec2TaskDefinition, table: str, *operations: str) -> None:
        """Let a task make calls about the items of a table."""
        may(task, [f"dynamodb:{operation}" for operation in operations], self.data.tables[table].table_arn)

    def _may_send(self, task: aws_ecs.Ec2TaskDefinition, actions: list[str]) -> None:
        """Tasks of Celery, where SQS carries them."""
        if self.events.task_queues:
            may(task, actions, *(pair.queue.queue_arn for pair in self.events.task_queues))

    def _task(self, noun: str) -> aws_ecs.Ec2TaskDefinition:
        family = f"{self.config.env}-uptimemonitor-{noun}"
        who = aws_iam.ServicePrincipal("ecs-tasks.amazonaws.com")
        roles = {
            kind: aws_iam.Role(self, f"{noun}-{kind}", role_name=self.config.role(f"{noun}-{kind}"), assumed_by=who)
            for kind in ("task", "execution")
        }
        task = aws_ecs.Ec2TaskDefinition(
            self,
            noun,
            family=family,
            network_mode=aws_ecs.NetworkMode.AWS_VPC,
            task_role=roles["task"],
            execution_role=roles["execution"],
        )
        accept(roles["execution"], {"AwsSolutions-IAM5[Resource::*]": "ecr:GetAuthorizationToken has no narrower resource."})
        accept(
            task,
            {"AwsSolutions-ECS2": "Only what is no secret is in plain variables; secrets are injected from Secrets Manager."},
        )
        return task

    def _container(
        self, task: aws_ecs.Ec2TaskDefinition, noun: str, shares: int, *, environment: Mapping[str, str] | None = None,
        secrets: Sequence[str] | None = None, more_secrets: Mapping[str, aws_ecs.Secret] | None = None, port: int | None = None,
    ) -> None:  # fmt: skip
        cpu, memory = task_share(self.config.instance_class)
        linux = aws_ecs.LinuxParameters(self, f"{noun}-linux", init_process_enabled=True)
        linux.add_tmpfs(aws_ecs.Tmpfs(container_path="/tmp", size=64, mount_options=[aws_ecs.TmpfsMountOption.NOEXEC]))  # noqa: S108  (in memory, this container's)
        told = {**self.environment, **(environment or {})}
        if port and noun != "web":
            told["METRICS_PORT"] = str(port)
        known = {name: secret for name, secret in self.secrets.items() if name not in WEB_SECRETS or name in (secrets or ())}
        container = task.add_container(
            noun, container_name=noun, image=self.image, command=[noun], environment=told, secrets={**known, **(more_secrets or {})},
            cpu=cpu // shares, memory_limit_mib=(memory - KEPT_FREE_MIB) // shares, readonly_root_filesystem=True, privileged=False,
            linux_parameters=linux, stop_timeout=STOP_TIMEOUT, essential=True,
            logging=aws_ecs.LogDriver.aws_logs(stream_prefix=noun, log_group=self._log(noun), mode=aws_ecs.AwsLogDriverMode.NON_BLOCKING),
        )  # fmt: skip
        if port:
            container.add_port_mappings(aws_ecs.PortMapping(container_port=port))

    def _log(self, noun: str) -> aws_logs.LogGroup:
        return self.data.archive.group(self, f"{noun}-log", f"/{self.config.env}/ecs/{noun}")


def may(task: aws_ecs.Ec2TaskDefinition, actions: list[str], *resources: str) -> None:
    """Let a task call `actions` on `resources`."""
    task.task_role.add_to_principal_policy(aws_iam.PolicyStatement(actions=actions, resources=list(resources)))
