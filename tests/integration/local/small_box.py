"""A supervisor over processes made for a test: `python -m tests.integration.local.small_box FOLDER BOX_ID SPEC...`.

A SPEC is JSON: {"name", "code" (Python to run), "ready" (text in its log), "after", "wave", "task"}.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from core.local import stale
from core.local.process import BOX_MARKER, LogReady, Spec
from core.local.supervisor import Supervisor


def make_spec(logs: Path, box_id: str, described: dict[str, Any]) -> Spec:
    return Spec(
        described["name"],
        (sys.executable, "-u", "-c", described["code"]),
        ready=LogReady(logs / f"{described['name']}.log", described["ready"]) if "ready" in described else None,
        after=tuple(described.get("after", ())),
        wave=described.get("wave", 2),
        task=described.get("task", False),
        environ={**os.environ, BOX_MARKER: box_id},
    )


def main() -> None:
    folder, box_id, *described = sys.argv[1:]
    run, logs = Path(folder) / "run", Path(folder) / "logs"
    stale.reap(run, box_id)
    specs = [make_spec(logs, box_id, json.loads(one)) for one in described]
    sys.exit(0 if asyncio.run(Supervisor(specs, run, logs).run()) else 1)


if __name__ == "__main__":
    main()
