"""What each service is as a process: `core.service` starts it in a container, `core.local` starts the same on one box."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

WEB_PORT: Final = 8000
WORKER_METRICS_PORT: Final = 9101
SCHEDULE_METRICS_PORT: Final = 9102
INBOX_METRICS_PORT: Final = 9103
BEAT_METRICS_PORT: Final = 9104
LOG_LEVEL: Final = "INFO"

WORKER_READY: Final = "uptime_celery_worker_pool_size{"
"""A worker shows the size of its pool once it takes tasks."""

BEAT_TURN: Final = "uptime_celery_beat_turn_timestamp"
"""Beat notes each turn of its loop, whether it leads or stands by."""

_QUIET: Final = ("--without-gossip", "--without-mingle", "--without-heartbeat")
_GRANIAN: Final = ("--interface", "wsgi", "--no-ws", "--http", "1", "--log-level", "warning")


@dataclass(frozen=True, slots=True)
class Service:
    """One service of the image. `port` is where it answers: the web itself, the others with their metrics; `None` for a task that ends.

    It is well while `path` answers with `text`, and with a value of `fresh` that is no older than a minute, where these are given.
    """

    argv: tuple[str, ...]
    port: int | None = None
    path: str = "/metrics/"
    text: str = ""
    fresh: str = ""
    environ: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def web(*, host: str, port: int, workers: int, threads: int) -> tuple[str, ...]:
    """The command of the web."""
    sizes = ("--workers", str(workers), "--blocking-threads", str(threads))
    return python("granian", "--host", host, "--port", str(port), *sizes, *_GRANIAN, "core.api.wsgi:application")


def worker(name: str, queues: str, threads: int) -> tuple[str, ...]:
    """The command of a worker for some queues, a comma between them."""
    celery = ("worker", "--loglevel", LOG_LEVEL, "-P", "threads", *_QUIET)
    return python("core.checker", *celery, "-n", name, "-c", str(threads), "-Q", queues)


def beat() -> tuple[str, ...]:
    """The command of beat."""
    return python("core.checker", "beat", "--loglevel", LOG_LEVEL)


def python(module: str, *arguments: str) -> tuple[str, ...]:
    """The command of a module, with the interpreter that runs this."""
    return (sys.executable, "-m", module, *arguments)


def _fleet(argv: tuple[str, ...], port: int, *, text: str = "", fresh: str = "") -> Service:
    return Service(argv, port, text=text, fresh=fresh, environ={"METRICS_PORT": str(port)})


SERVICES: Final[Mapping[str, Service]] = MappingProxyType(
    {
        "web": Service(web(host="0.0.0.0", port=WEB_PORT, workers=2, threads=4), WEB_PORT, path="/health/live/"),  # noqa: S104  (a container)
        "worker": _fleet(worker("worker@%h", "checks,alerts,default", 4), WORKER_METRICS_PORT, text=WORKER_READY),
        "schedule": _fleet(worker("schedule@%h", "schedule", 2), SCHEDULE_METRICS_PORT, text=WORKER_READY),
        "beat": _fleet(beat(), BEAT_METRICS_PORT, fresh=BEAT_TURN),
        "inbox": _fleet(python("core.inbox"), INBOX_METRICS_PORT),
        "migrate": Service(python("core.service.migrate")),
        "edge-sync": Service(python("core.service.edge_sync")),
        "reseal": Service(python("core.service.reseal")),
    }
)
