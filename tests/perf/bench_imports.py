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
TIMER = "import time; began = time.perf_counter(); import {module}; print(time.perf_counter() - began)"


def run(quick: bool) -> dict[str, float]:
    """Seconds to import each entry point, clients included."""
    rounds = QUICK_PROCESSES if quick else PROCESSES
    return {key: _median_import_s(module, rounds) for key, module in ENTRY_POINTS.items()}


def _median_import_s(module: str, rounds: int) -> float:
    _import_s(module)  # writes the bytecode, as a Lambda's bundle and an image have it
    return statistics.median(_import_s(module) for _ in range(rounds))


def _import_s(module: str) -> float:
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    program = [sys.executable, "-c", TIMER.format(module=module)]
    done = subprocess.run(program, env={**inherited, **SETTINGS}, check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])
