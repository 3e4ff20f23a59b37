"""Runs benchmarks: `python -m tests.perf [NAME ...]`, all of them without a name; `QUICK=1` for a small run of each.

A benchmark is a module `tests.perf.bench_<name>` with `run(quick: bool) -> dict[str, float]`, whose keys carry their units. What it
returns is written to `build/bench/<name>.json` and printed. Nothing is asserted: a shared machine is no judge of its own speed.
"""

import importlib
import json
import os
import pkgutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import tests.perf

RESULTS = Path(__file__).parents[2] / "build" / "bench"
PREFIX = "bench_"


class UnknownBenchmark(Exception):
    """No benchmark has this name; the message lists those that exist."""


def names() -> list[str]:
    """Every benchmark there is."""
    found = (module.name for module in pkgutil.iter_modules(tests.perf.__path__))
    return sorted(name.removeprefix(PREFIX) for name in found if name.startswith(PREFIX))


def chosen(wanted: Sequence[str]) -> list[str]:
    """The benchmarks to run, in the order asked for.

    Raises:
        UnknownBenchmark: one of them does not exist.
    """
    known = names()
    if unknown := [name for name in wanted if name not in known]:
        raise UnknownBenchmark(f"no benchmark {', '.join(unknown)}; there are {', '.join(known)}")
    return list(wanted) or known


def run_one(name: str, quick: bool, folder: Path) -> Mapping[str, float]:
    """Run one benchmark and write its file."""
    run: Callable[[bool], dict[str, float]] = importlib.import_module(f"tests.perf.{PREFIX}{name}").run
    figures = run(quick)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps({**figures, "quick": quick}, indent=2) + "\n")
    return figures


def main(arguments: Sequence[str], quick: bool) -> int:
    """Run what was asked for; the exit status is 2 for an unknown name."""
    try:
        selected = chosen(arguments)
    except UnknownBenchmark as error:
        sys.stderr.write(f"{error}\n")
        return 2
    for name in selected:
        sys.stdout.write(f"{name}{' (quick)' if quick else ''}\n")
        for key, value in run_one(name, quick, RESULTS).items():
            sys.stdout.write(f"  {key:<32} {value:>14,.4g}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:], quick=os.environ.get("QUICK") == "1"))
