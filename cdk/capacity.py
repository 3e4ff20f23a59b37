"""How many instances the tasks need.

A task in awsvpc mode takes a network interface of its instance, which itself takes one; types without trunking have few. So
interfaces, not memory, say how many tasks an instance holds.
"""

from dataclasses import dataclass
from math import ceil
from typing import Final, Protocol


@dataclass(frozen=True, slots=True)
class InstanceType:
    """Interfaces, vCPU in units of 1/1024, and the MiB that ECS can give to tasks (what the system takes is off).

    `baseline` is the share of its CPU that a burstable type may use for ever; more of it is paid for.
    """

    interfaces: int
    cpu: int
    memory_mib: int
    baseline: float = 1.0
    architecture: str = "x86_64"

    @property
    def tasks(self) -> int:
        """Tasks that one instance holds."""
        return self.interfaces - 1


INSTANCE_TYPES: Final = {
    "t3.medium": InstanceType(3, 2048, 3800, 0.2),
    "t3.large": InstanceType(3, 2048, 7700, 0.3),
    "m6i.large": InstanceType(3, 2048, 7700),
    "c6i.large": InstanceType(3, 2048, 3700),
    "t3.xlarge": InstanceType(4, 4096, 15_700, 0.4),
    "t4g.small": InstanceType(3, 2048, 1800, 0.2, "arm64"),
    "t4g.medium": InstanceType(3, 2048, 3800, 0.2, "arm64"),
    "t4g.large": InstanceType(3, 2048, 7700, 0.3, "arm64"),
    "m6g.large": InstanceType(3, 2048, 7700, architecture="arm64"),
}
"""Types that may be used: without trunking by default. The image is built for the architecture of the one that is."""

WEB_PORT: Final = 8000
METRICS_PORTS: Final = {"worker": 9101, "schedule": 9102, "inbox": 9103}


class Sizes(Protocol):
    """The part of the configuration that matters here."""

    @property
    def instance_class(self) -> str: ...  # noqa: D102  (as in Config)
    @property
    def web_tasks(self) -> int: ...  # noqa: D102  (as in Config)
    @property
    def worker_tasks(self) -> int: ...  # noqa: D102  (as in Config)
    @property
    def control_tasks(self) -> int: ...  # noqa: D102  (as in Config)
    @property
    def max_tasks(self) -> int: ...  # noqa: D102  (as in Config)
    @property
    def spot_workers(self) -> bool: ...  # noqa: D102  (as in Config)
    @property
    def multi_az(self) -> bool: ...  # noqa: D102  (as in Config)


def instances_for(sizes: Sizes) -> int:
    """Instances that hold all tasks as wanted; workers are not counted where they have instances of their own."""
    tasks = sizes.web_tasks + sizes.control_tasks + (0 if sizes.spot_workers else sizes.worker_tasks)
    return _instances(sizes, tasks)


def most_instances_for(sizes: Sizes) -> int:
    """Instances that hold all tasks at maximum scale, with one more so that a rolling update has room to begin."""
    tasks = sizes.max_tasks + sizes.control_tasks + (0 if sizes.spot_workers else sizes.max_tasks)
    return _instances(sizes, tasks) + 1


def spot_instances_for(sizes: Sizes) -> tuple[int, int]:
    """Spot instances for the workers, as wanted and at maximum scale; two workers in two zones are on two instances."""
    apart = min(sizes.worker_tasks, 2) if sizes.multi_az else 1
    return max(_instances(sizes, sizes.worker_tasks), apart), _instances(sizes, sizes.max_tasks) + 1


def task_share(instance_class: str) -> tuple[int, int]:
    """CPU units and MiB for each task, so that as many fit as there are interfaces."""
    kind = INSTANCE_TYPES[instance_class]
    return kind.cpu // kind.tasks, kind.memory_mib // kind.tasks


def alternatives(instance_class: str) -> list[str]:
    """Types that hold the same tasks, for Spot, which has now this type and now that."""
    wanted = INSTANCE_TYPES[instance_class]
    alike = [
        name
        for name, kind in INSTANCE_TYPES.items()
        if (kind.tasks, kind.architecture) == (wanted.tasks, wanted.architecture) and kind.memory_mib >= wanted.memory_mib
    ]
    return [instance_class, *(name for name in alike if name != instance_class)]


def _instances(sizes: Sizes, tasks: int) -> int:
    return ceil(tasks / INSTANCE_TYPES[sizes.instance_class].tasks)
