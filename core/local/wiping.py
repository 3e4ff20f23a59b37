"""Deleting a box's data: exactly what the box made, never the folder it was pointed at with whatever else is in it."""

import shutil
from pathlib import Path

from core.local import secrets
from core.local.home import Home


def wipe(place: Home) -> list[Path]:
    """Delete everything the box keeps; returns what was there."""
    folders = [place.data, place.run, place.logs, place.journal, place.mail, place.backups]
    gone = [path for path in (*folders, place.root / secrets.FILE) if path.exists()]
    for path in gone:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    if place.root.is_dir() and not any(place.root.iterdir()):
        place.root.rmdir()
    return gone
