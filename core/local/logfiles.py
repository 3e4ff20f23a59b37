"""The log files of a box: one for each process, kept small, and their last lines for people."""

import contextlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

LARGEST = 10 * 1024 * 1024
TAIL_BYTES = 65_536


def keep_small(logs: Iterable[Path], largest: int = LARGEST) -> None:
    """Move what a log has grown beyond `largest` to `<name>.log.1` (one generation is kept).

    The writers hold the file open in append mode, so it is copied and cut, never renamed; a line that is written between the
    two may be lost. A full disk is no reason to fail: the copy is given up, the file is cut all the same.
    """
    for log in logs:
        with contextlib.suppress(FileNotFoundError):
            if log.stat().st_size > largest:
                with contextlib.suppress(OSError):
                    shutil.copyfile(log, log.with_name(log.name + ".1"))
                os.truncate(log, 0)


def tail(log: Path, lines: int) -> list[str]:
    """The last lines of a log; its last 64 kB hold any number of lines worth showing."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            return file.read().decode("utf-8", "replace").splitlines()[-lines:]
    except FileNotFoundError:
        return []
