"""The verbs of the `uptimemonitor` command. Each returns an exit status."""

import argparse
import os
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from uuid import UUID

import msgspec

from core.contracts.names import Names
from core.local import accounts, box, home, launcher, secrets, supervise, terminal, wiping
from core.local import backup as backups
from core.local import rewind as rewinding
from core.local import status as box_status
from core.local.backup import BackupRefused
from core.local.dump import DumpFailed
from core.local.launcher import BoxFailed
from core.local.logfiles import tail
from core.local.rewind import RewindRefused
from core.local.settings import ENVIRONMENT, REGION, BoxSettings
from core.local.state import BoxState
from core.local.wal_archive import ArchiveUnusable

PROBLEMS = (*supervise.PROBLEMS, BoxFailed, BackupRefused, DumpFailed, RewindRefused, ArchiveUnusable)
"""What is told in words, without a traceback."""

NOT_READY = 3
FOLLOW_POLL_S = 0.2


def up(settings: BoxSettings, *, foreground: bool, demo: bool) -> int:
    """Start the box, show the demo on an empty database, say how to go on."""
    already = launcher.running(settings)
    terminal.announce(settings, home.locate(settings.home), already)
    progress = terminal.StartProgress(silent=already is not None)

    def greet(state: BoxState) -> None:
        if already is None:
            terminal.show_ready(state)
        told = _demo(settings, only_if_empty=True) if demo else True
        described = _describe(settings)
        has_demo_user = accounts.exists(described.database_url, secrets.DEMO_EMAIL)
        terminal.show_access(settings, described.secrets, has_demo_user=has_demo_user)
        if not told:
            terminal.complain("The demo did not run to its end (see above); the box itself is up.")

    if foreground and already is None:
        return launcher.run_in_foreground(settings, os.environ, progress, greet)
    greet(launcher.up(settings, os.environ, progress))
    return 0


def down(settings: BoxSettings) -> int:
    """Stop the box."""
    began = time.monotonic()
    stopped = launcher.down(settings)
    terminal.say(f"Stopped in {time.monotonic() - began:.1f} s. Your data is kept." if stopped else "Nothing is running.")
    return 0


def status(settings: BoxSettings, *, as_json: bool) -> int:
    """Show the processes."""
    seen = box_status.collect(settings)
    if as_json:
        terminal.say(msgspec.json.format(msgspec.json.encode(seen)).decode())
    else:
        terminal.show_status(seen)
    return 0 if seen.ready else NOT_READY


def logs(settings: BoxSettings, process: str | None, lines: int, *, follow: bool) -> int:
    """Show the ends of the log files."""
    files = sorted(home.locate(settings.home).logs.glob(f"{process or '*'}.log"))
    if not files:
        terminal.complain(f"no log of {process or 'any process'} in {home.locate(settings.home).logs}")
        return 1
    for file in files:
        for line in tail(file, lines):
            terminal.say(f"{file.stem:<10} {line}" if process is None else line)
    if follow:
        _follow(files, named=process is None)
    return 0


def edge_sync(settings: BoxSettings) -> int:
    """Rebuild the projections."""
    _require_running(settings)
    described = _describe(settings)
    os.environ.update(box.environ(described, os.environ))  # the AWS clients read it
    from core.adapters.database import open_pool  # noqa: PLC0415  (with the next: 0.4 s that only this command needs)
    from core.flows import edge_sync as edge  # noqa: PLC0415  (as above)

    with open_pool(described.database_url, application="edge-sync", size=1) as pool:
        counts = edge.sync(pool, Names(ENVIRONMENT), REGION)
    terminal.show_sync(asdict(counts))
    return 0


def redrive(settings: BoxSettings, options: argparse.Namespace) -> int:
    """Count dead letters, show them, or move them back."""
    if options.env is None:
        _require_running(settings)
        os.environ.update(box.environ(_describe(settings), os.environ))  # the AWS clients read it
    from core.local import redrive as letters  # noqa: PLC0415  (boto3: 0.3 s that only this command needs)

    found = letters.dead_letters(Names(options.env or ENVIRONMENT), os.environ.get("AWS_DEFAULT_REGION", REGION))
    try:
        if options.queue is None:
            terminal.show_letter_counts(letters.counts(found))
        elif options.dry_run:
            terminal.show_letters(found[options.queue].look(options.limit))
        else:
            terminal.say(f"Moved {found[options.queue].move_back(options.limit)} back to {options.queue}.")
    except letters.QueueUnreachable as error:
        terminal.complain(f"error: {error}")
        return 1
    return 0


def deliveries(settings: BoxSettings, incident_id: UUID, *, as_json: bool) -> int:
    """Explain the messages about an incident: of this box while it runs, else of the installation that `DATABASE_URL` leads to."""
    running = launcher.running(settings)
    if running is None and settings.database_url is None:
        raise BoxFailed("the box is not running: start it with `make up`, or set DATABASE_URL to an installation's database")
    if running is not None:
        os.environ.update(box.environ(_describe(settings), os.environ))  # the AWS clients read it
    from core.local import deliveries as explained  # noqa: PLC0415  (boto3: 0.3 s that only this command needs)

    url = _describe(settings).database_url if settings.database_url is None else settings.database_url.reveal()
    names = Names(os.environ.get("UPTIME_ENV", ENVIRONMENT))
    found = explained.explain(url, incident_id, names, os.environ.get("AWS_DEFAULT_REGION", REGION), terminal.complain)
    if found is None:
        terminal.complain(f"error: there is no incident {incident_id}")
        return 1
    if as_json:
        terminal.say(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        terminal.show_history(found)
    return 0


def backup(settings: BoxSettings, file: Path) -> int:
    """Write a backup."""
    manifest = backups.create(settings, file)
    terminal.say(
        f"Wrote {file} ({file.stat().st_size / 2**20:.1f} MB, PostgreSQL {manifest.postgres}). It holds secrets: keep it safe."
    )
    return 0


def archive(settings: BoxSettings) -> int:
    """Copy the database of the running box into its archive."""
    _require_running(settings)
    terminal.say(f"Copied to {rewinding.make_base(settings)}.")
    return 0


def rewind(settings: BoxSettings, until: datetime) -> int:
    """Take the database of a box that does not run back to a moment."""
    done = rewinding.rewind(settings, until)
    reached = (
        f"the last change that is still there is of {done.reached:%Y-%m-%d %H:%M:%S} UTC"
        if done.reached
        else "no change is newer than the copy"
    )
    terminal.say(f"Rewound: {reached}. Start with `make up`, then `uptimemonitor archive`.")
    terminal.say(f"Everything as it was before is in {done.kept}; delete it when all is well.")
    return 0


def restore(settings: BoxSettings, file: Path) -> int:
    """Read a backup into an empty box."""
    backups.restore(settings, file)
    terminal.say("Restored. Start it with `make up` (or `uptimemonitor up`); the start rebuilds what the edge needs.")
    return 0


def wipe(settings: BoxSettings) -> int:
    """Stop the box and delete its data."""
    launcher.down(settings)
    for gone in wiping.wipe(home.locate(settings.home)):
        terminal.say(f"deleted {gone}")
    return 0


def demo(settings: BoxSettings) -> int:
    """Show an outage on a running box."""
    _require_running(settings)
    return 0 if _demo(settings, only_if_empty=False) else 1


def _demo(settings: BoxSettings, *, only_if_empty: bool) -> bool:
    from core.local import demo as show  # noqa: PLC0415  (an HTTP client that the other commands do not need)

    return show.run(_describe(settings), terminal.show_step, terminal.complain, only_if_empty=only_if_empty)


def _follow(files: list[Path], *, named: bool) -> None:
    """Print what is appended, until interrupted; a log that was cut starts anew."""
    offsets = {file: file.stat().st_size for file in files}
    while True:
        for file, offset in offsets.items():
            size = file.stat().st_size
            with file.open(encoding="utf-8", errors="replace") as opened:
                opened.seek(offset if offset <= size else 0)
                for line in opened:
                    terminal.say(f"{file.stem:<10} {line.rstrip()}" if named else line.rstrip())
                offsets[file] = opened.tell()
        time.sleep(FOLLOW_POLL_S)


def _require_running(settings: BoxSettings) -> None:
    state = launcher.running(settings)
    if state is None or state.ready_at is None:
        raise BoxFailed("the box is not running: start it with `make up`")


def _describe(settings: BoxSettings) -> box.Box:
    place = home.locate(settings.home)
    return box.open_box(settings, supervise.secrets_for(place, settings), place)
