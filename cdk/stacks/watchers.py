"""Services on Fargate that take their configuration from `cdk/assets`: an init container unpacks it, so they need no image of ours."""

import base64
import gzip
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aws_cdk import Duration, aws_ec2, aws_ecs, aws_efs, aws_iam, aws_logs, aws_secretsmanager
from constructs import Construct

from cdk.config import Config
from cdk.stacks.estate_stack import accept
from cdk.stacks.logs import LogArchive
from cdk.stacks.network import NetworkStack

ASSETS: Final = Path(__file__).parents[1] / "assets"
SPECIFIED: Final = (512, 1024)
SMALL: Final = (256, 512)
"""CPU units and MiB; Prometheus, which holds a month of series, is never small."""
UNPACKER: Final = "public.ecr.aws/docker/library/busybox:1.37.0"


@dataclass(frozen=True, slots=True)
class Watcher:
    """A service; `files` is where its data is kept, else its data ends with its task."""

    name: str
    image: str
    port: int
    uid: str
    data_path: str
    files: aws_efs.AccessPoint | None = None


class Watchers(Construct):
    """One service for each `Watcher`, found by its name in Cloud Map."""

    def __init__(
        self, scope: Construct, config: Config, network: NetworkStack, cluster: aws_ecs.ICluster, logs: LogArchive
    ) -> None:
        super().__init__(scope, "Watchers")
        self.logs = logs
        self.config, self.network, self.cluster = config, network, cluster
        self.group = network.groups.fixed(self, "monitoring")

    def run(
        self, watcher: Watcher, *, command: list[str] | None = None, environment: Mapping[str, str] | None = None,
        secrets: Mapping[str, aws_secretsmanager.ISecret] | None = None, written: Mapping[str, aws_secretsmanager.ISecret] | None = None,
    ) -> aws_ecs.FargateService:  # fmt: skip
        """Run one. `secrets` become variables, `written` become files of these names beside the configuration."""
        task = self._task(watcher)
        log = self._log(watcher.name)
        unpacked = self._unpacker(task, watcher, written or {}, log)
        container = task.add_container(
            watcher.name, container_name=watcher.name, image=aws_ecs.ContainerImage.from_registry(watcher.image), command=command,
            environment=dict(environment or {}), secrets=_injected(secrets or {}), readonly_root_filesystem=True, user=watcher.uid,
            logging=_logging(watcher.name, log), port_mappings=[aws_ecs.PortMapping(container_port=watcher.port)],
        )  # fmt: skip
        container.add_container_dependencies(
            aws_ecs.ContainerDependency(container=unpacked, condition=aws_ecs.ContainerDependencyCondition.SUCCESS)
        )
        for volume, path in (("config", "/config"), ("data", watcher.data_path), ("tmp", "/tmp")):  # noqa: S108  (a volume of its own)
            container.add_mount_points(
                aws_ecs.MountPoint(container_path=path, source_volume=volume, read_only=volume == "config")
            )
        return self._service(watcher, task)

    def _service(self, watcher: Watcher, task: aws_ecs.FargateTaskDefinition) -> aws_ecs.FargateService:
        """Where data is on EFS only one may write, so the old task ends before the new one starts."""
        alone = watcher.files is not None
        return aws_ecs.FargateService(
            self, f"{watcher.name}-service", service_name=f"{self.config.env}-uptimemonitor-{watcher.name}", cluster=self.cluster,
            task_definition=task, desired_count=1,
            propagate_tags=aws_ecs.PropagatedTagSource.SERVICE, security_groups=[self.group], assign_public_ip=False,
            min_healthy_percent=0 if alone else 100, max_healthy_percent=100 if alone else 200,
            circuit_breaker=aws_ecs.DeploymentCircuitBreaker(enable=True, rollback=True),
            vpc_subnets=aws_ec2.SubnetSelection(subnet_type=aws_ec2.SubnetType.PRIVATE_WITH_EGRESS),
            cloud_map_options=aws_ecs.CloudMapOptions(
                cloud_map_namespace=self.network.namespace, name=watcher.name, dns_ttl=Duration.seconds(15)
            ),
        )  # fmt: skip

    def _task(self, watcher: Watcher) -> aws_ecs.FargateTaskDefinition:
        family = f"{self.config.env}-uptimemonitor-{watcher.name}"
        who = aws_iam.ServicePrincipal("ecs-tasks.amazonaws.com")
        roles = {kind: aws_iam.Role(self, f"{watcher.name}-{kind}", assumed_by=who) for kind in ("task", "execution")}
        cpu, memory = SMALL if self.config.small_watchers and watcher.files is None else SPECIFIED
        volumes = [aws_ecs.Volume(name="config"), aws_ecs.Volume(name="tmp"), _data(watcher)]
        task = aws_ecs.FargateTaskDefinition(
            self, watcher.name, family=family, cpu=cpu, memory_limit_mib=memory, task_role=roles["task"], execution_role=roles["execution"],
            volumes=volumes, runtime_platform=_platform(self.config.architecture),
        )  # fmt: skip
        if watcher.files:
            actions = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
            only = {"StringEquals": {"elasticfilesystem:AccessPointArn": watcher.files.access_point_arn}}
            arns = [watcher.files.file_system.file_system_arn]
            roles["task"].add_to_policy(aws_iam.PolicyStatement(actions=actions, resources=arns, conditions=only))
        accept(
            task, {"AwsSolutions-ECS2": "The configuration of a public program; its secrets are injected from Secrets Manager."}
        )
        return task

    def _unpacker(
        self, task: aws_ecs.FargateTaskDefinition, watcher: Watcher, written: Mapping[str, aws_secretsmanager.ISecret],
        log: aws_logs.LogGroup,
    ) -> aws_ecs.ContainerDefinition:  # fmt: skip
        """Unpacks as root, because the volumes are root's, and is gone before the service starts."""
        variables = {name: name.upper().replace("-", "_") for name in written}
        lines = ['echo "$ASSETS" | base64 -d | tar -xz -C /config', "chmod 1777 /tmp"]
        lines += [] if watcher.files else [f"chown {watcher.uid} /data"]
        lines += [f'printf %s "${variable}" > /config/{name}' for name, variable in variables.items()]
        unpacker = task.add_container(
            "unpack", container_name="unpack", image=aws_ecs.ContainerImage.from_registry(UNPACKER), essential=False,
            entry_point=["/bin/sh", "-euc"], command=["\n".join(lines)], environment={"ASSETS": packed(ASSETS / watcher.name)},
            secrets=_injected({variables[name]: secret for name, secret in written.items()}), readonly_root_filesystem=True,
            logging=_logging("unpack", log),
        )  # fmt: skip
        paths = {"config": "/config", "tmp": "/tmp", **({} if watcher.files else {"data": "/data"})}  # noqa: S108  (as above)
        for volume, path in paths.items():
            unpacker.add_mount_points(aws_ecs.MountPoint(container_path=path, source_volume=volume, read_only=False))
        return unpacker

    def _log(self, noun: str) -> aws_logs.LogGroup:
        return self.logs.group(self, f"{noun}-log", f"/{self.config.env}/ecs/{noun}")


def packed(folder: Path) -> str:
    """A folder as gzipped tar in base64, the same bytes for the same files."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = tarfile.TarInfo(str(path.relative_to(folder)))
                entry.size = path.stat().st_size
                archive.addfile(entry, io.BytesIO(path.read_bytes()))
    return base64.b64encode(gzip.compress(data.getvalue(), mtime=0)).decode()


def _platform(architecture: str) -> aws_ecs.RuntimePlatform:
    cpu = aws_ecs.CpuArchitecture.ARM64 if architecture == "arm64" else aws_ecs.CpuArchitecture.X86_64
    return aws_ecs.RuntimePlatform(operating_system_family=aws_ecs.OperatingSystemFamily.LINUX, cpu_architecture=cpu)


def _data(watcher: Watcher) -> aws_ecs.Volume:
    if watcher.files is None:
        return aws_ecs.Volume(name="data")
    authorization = aws_ecs.AuthorizationConfig(access_point_id=watcher.files.access_point_id, iam="ENABLED")
    return aws_ecs.Volume(
        name="data",
        efs_volume_configuration=aws_ecs.EfsVolumeConfiguration(
            file_system_id=watcher.files.file_system.file_system_id,
            transit_encryption="ENABLED",
            authorization_config=authorization,
        ),
    )


def _injected(secrets: Mapping[str, aws_secretsmanager.ISecret]) -> dict[str, aws_ecs.Secret]:
    return {name: aws_ecs.Secret.from_secrets_manager(secret) for name, secret in secrets.items()}


def _logging(noun: str, log: aws_logs.LogGroup) -> aws_ecs.LogDriver:
    return aws_ecs.LogDriver.aws_logs(stream_prefix=noun, log_group=log)
