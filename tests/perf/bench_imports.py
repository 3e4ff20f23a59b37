"""Cold starts: what a Lambda or a worker pays before its first line of work. The median of fresh processes."""

import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

import tests.infra.estates  # noqa: F401  (it finds Node.js, before the CDK is imported)
from tests.lambda_runtime import function, runtime_client
from tests.perf.machine import work_folder
from tests.perf.settings import SETTINGS

# isort: split
from cdk import bundle

ENTRY_POINTS = {
    "ping_import_s": "lambdas.ping.app",
    "alert_dispatch_import_s": "lambdas.alert_dispatch.handler",
    "checker_import_s": "core.checker.app",
    "api_import_s": "core.api.wsgi",
}
HANDLERS = {
    "ping_cold_start": ("ping", "lambdas.ping.app.app"),
    "alert_dispatch_cold_start": ("alert_dispatch", "lambdas.alert_dispatch.handler.handler"),
}
ARCHITECTURE = {"aarch64": "arm64"}.get(platform.machine(), "x86_64")
PROCESSES = 7
QUICK_PROCESSES = 3
TIMER = """
import time
wall, cpu = time.perf_counter(), time.process_time()
import {module}
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


def run(quick: bool) -> dict[str, float]:
    """Seconds to import each entry point, clients included, and of cold starts; with their CPU, which a busy machine does not stretch."""
    processes = QUICK_PROCESSES if quick else PROCESSES
    figures: dict[str, float] = {}
    for key, module in ENTRY_POINTS.items():
        _import(module)  # writes the byte code, as a Lambda's package and an image have it
        wall, cpu = zip(*(_import(module) for _ in range(processes)), strict=True)
        figures |= {key: statistics.median(wall), key.replace("_import_s", "_import_cpu_s"): statistics.median(cpu)}
    with work_folder() as folder:
        return figures | _cold_starts(folder, processes)


def _cold_starts(folder: Path, processes: int) -> dict[str, float]:
    """Of the packages as they are deployed, by AWS's runtime client, until it asks for the first invocation."""
    (folder / "runtime").mkdir()
    runtime = runtime_client(folder / "runtime")
    figures: dict[str, float] = {}
    for key, (name, handler) in HANDLERS.items():
        bundle.build(name, ARCHITECTURE, folder / name)
        wall, cpu = zip(*(_cold_start(folder / name, runtime, handler) for _ in range(processes)), strict=True)
        figures |= {f"{key}_s": statistics.median(wall), f"{key}_cpu_s": statistics.median(cpu)}
    return figures


def _cold_start(package: Path, runtime: Path, handler: str) -> tuple[float, float]:
    with function(package, runtime, handler, SETTINGS) as api:
        if failed := api.wait_started():
            raise AssertionError(failed.error)
        return api.init_s, api.init_cpu_s


def _import(module: str) -> tuple[float, float]:
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    program = [sys.executable, "-c", TIMER.format(module=module)]
    done = subprocess.run(program, env={**inherited, **SETTINGS}, check=True, capture_output=True, text=True)
    wall, cpu = done.stdout.splitlines()[-1].split()
    return float(wall), float(cpu)
