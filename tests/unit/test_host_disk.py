"""How full a disk is, and the line of the log that says so."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.adapters.host_disk import used_percent

TELL = """
import threading
from core import logs
from core.adapters import host_disk

logs.configure("web")
stopping = threading.Event()
stopping.set()
host_disk.tell_regularly("Ours", "test", stopping).join()
"""


def test_a_disk_is_as_full_as_df_says(tmp_path: Path) -> None:
    shown = shutil.disk_usage(tmp_path)
    assert used_percent(str(tmp_path)) == pytest.approx(100 * shown.used / (shown.used + shown.free), abs=2)
    assert 0 <= used_percent() <= 100


def test_the_first_line_is_written_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", TELL], capture_output=True, text=True, check=True, timeout=60)
    [line] = [json.loads(text) for text in done.stdout.splitlines()]
    assert line["message"] == "disk.used"
    assert line["Environment"] == "test"
    assert line["_aws"]["CloudWatchMetrics"][0]["Metrics"] == [{"Name": "DiskUsed", "Unit": "Percent"}]
    assert 0 <= line["DiskUsed"] <= 100
