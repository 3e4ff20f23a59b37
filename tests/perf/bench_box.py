"""One whole box: how long it starts and stops, and the memory of all its processes (PSS, so that shared pages count once)."""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

STARTS = 3
PORTS_OF_A_BOX = 16
SETTLE_S = 20.0
QUICK_SETTLE_S = 5.0


def run(quick: bool) -> dict[str, float]:
    """Start on an empty home, stop, start again (warm), let it settle, weigh it, stop."""
    with tempfile.TemporaryDirectory(prefix="uptimemonitor-bench-") as home:
        Path(home).chmod(0o755)  # the account that runs PostgreSQL must be able to enter
        environ = {**os.environ, "UPTIME_HOME": home, "UPTIME_PORT_BASE": str(_free_base())}
        try:
            first_start_s, first_stop_s = _timed(environ, "up", "--no-demo"), _timed(environ, "down")
            warm = [_warm_cycle(environ, QUICK_SETTLE_S if quick else SETTLE_S) for _ in range(1 if quick else STARTS)]
        finally:
            subprocess.run(_command("down"), env=environ, check=False, capture_output=True)
    medians = {key: statistics.median(cycle[key] for cycle in warm) for key in warm[0]}
    return {"first_start_s": first_start_s, "first_stop_s": first_stop_s, **medians}


def _warm_cycle(environ: dict[str, str], settle_s: float) -> dict[str, float]:
    warm_start_s = _timed(environ, "up", "--no-demo")
    weighed = _weigh(environ, settle_s)
    return {"warm_start_s": warm_start_s, **weighed, "stop_s": _timed(environ, "down")}


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from core.cli import main; raise SystemExit(main())", *arguments]


def _timed(environ: dict[str, str], *arguments: str) -> float:
    began = time.monotonic()
    done = subprocess.run(_command(*arguments), env=environ, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"uptimemonitor {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return time.monotonic() - began


def _weigh(environ: dict[str, str], settle_s: float) -> dict[str, float]:
    """Memory of all processes after a while, by process too, and the CPU that an idle box takes in that while."""
    before = _cpu_s(_processes(environ))
    began = time.monotonic()
    time.sleep(settle_s)
    processes = _processes(environ)
    return {
        "memory_pss_mb": sum(process["pss_bytes"] for process in processes) / 2**20,
        "idle_cpu_percent": 100 * (_cpu_s(processes) - before) / (time.monotonic() - began),
        "processes": float(sum(process["processes"] for process in processes)),
        **{f"{process['name']}_pss_mb": process["pss_bytes"] / 2**20 for process in processes},
    }


def _processes(environ: dict[str, str]) -> list[dict[str, Any]]:
    """What `uptimemonitor status` says of each process of the box, the supervisor included."""
    answer = subprocess.run(_command("status", "--json"), env=environ, check=False, capture_output=True, text=True)
    found: list[dict[str, Any]] = json.loads(answer.stdout)["processes"]
    return found


def _cpu_s(processes: list[dict[str, Any]]) -> float:
    total: float = sum(process["cpu_s"] for process in processes)
    return total


def _free_base() -> int:
    """A base above which all ports of a box are free at this moment."""
    for base in range(20_000, 30_000, PORTS_OF_A_BOX):
        if all(_is_free(base + offset) for offset in range(PORTS_OF_A_BOX)):
            return base
    raise RuntimeError("no free range of ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
