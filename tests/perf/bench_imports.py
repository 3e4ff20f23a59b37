"""Cold imports: what a Lambda or a worker pays before its first line of work. The median of fresh processes."""

import os
import statistics
import subprocess
import sys

from tests.perf.settings import SETTINGS

ENTRY_POINTS = {
    "ping_import_s": "lambdas.ping.app",
    "alert_dispatch_import_s": "lambdas.alert_dispatch.handler",
    "checker_import_s": "core.checker.app",
    "api_import_s": "core.api.wsgi",
}
PROCESSES = 7
QUICK_PROCESSES = 3
TIMER = """
import time
wall, cpu = time.perf_counter(), time.process_time()
import {module}
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


def run(quick: bool) -> dict[str, float]:
    """Seconds to import each entry point, clients included; with the CPU seconds in it, which a busy machine does not stretch."""
    figures: dict[str, float] = {}
    for key, module in ENTRY_POINTS.items():
        _import(module)  # writes the bytecode, as a Lambda's bundle and an image have it
        wall, cpu = zip(*(_import(module) for _ in range(QUICK_PROCESSES if quick else PROCESSES)), strict=True)
        figures |= {key: statistics.median(wall), key.replace("_import_s", "_import_cpu_s"): statistics.median(cpu)}
    return figures


def _import(module: str) -> tuple[float, float]:
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    program = [sys.executable, "-c", TIMER.format(module=module)]
    done = subprocess.run(program, env={**inherited, **SETTINGS}, check=True, capture_output=True, text=True)
    wall, cpu = done.stdout.splitlines()[-1].split()
    return float(wall), float(cpu)
