"""The `uptimemonitor` command: one box from a terminal (`docs/reference/cli.md`)."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from core.env import Env, SettingError
from core.local import commands, terminal
from core.local.settings import BoxSettings


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status: 0 done, 1 failed, 2 wrong usage."""
    options = _parser().parse_args(arguments)
    run: Callable[[BoxSettings, argparse.Namespace], int] = options.run
    try:
        return run(BoxSettings.from_env(Env(os.environ)), options)
    except (*commands.PROBLEMS, SettingError) as problem:
        terminal.complain(f"error: {problem}")
        return 1
    except KeyboardInterrupt:
        terminal.complain("interrupted")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="uptimemonitor", description="Uptime Monitor on one box.")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    up = verbs.add_parser("up", help="start everything and wait until it is ready")
    up.add_argument("--foreground", action="store_true", help="stay attached; Ctrl-C stops the box")
    up.add_argument("--no-demo", action="store_true", help="leave an empty database empty")
    up.set_defaults(run=lambda settings, options: commands.up(settings, foreground=options.foreground, demo=not options.no_demo))

    down = verbs.add_parser("down", help="stop everything; the data stays")
    down.set_defaults(run=lambda settings, _: commands.down(settings))

    status = verbs.add_parser("status", help="what runs; exit status 0 if all of it is ready, 3 if not")
    status.add_argument("--json", action="store_true", help="for programs")
    status.set_defaults(run=lambda settings, options: commands.status(settings, as_json=options.json))

    logs = verbs.add_parser("logs", help="the last lines of the logs")
    logs.add_argument("process", nargs="?", help="only this process")
    logs.add_argument("-n", "--lines", type=int, default=20, help="how many lines of each (default 20)")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C")
    logs.set_defaults(
        run=lambda settings, options: commands.logs(settings, options.process, options.lines, follow=options.follow)
    )

    edge = verbs.add_parser("edge", help="the projections of the database for the edge")
    edge_verbs = edge.add_subparsers(title="commands", metavar="COMMAND", required=True)
    sync = edge_verbs.add_parser("sync", help="rebuild them; safe at any time")
    sync.set_defaults(run=lambda settings, _: commands.edge_sync(settings))

    redrive = verbs.add_parser("redrive", help="messages that nobody could handle: count them, look at them, move them back")
    redrive.add_argument("queue", nargs="?", choices=commands.QUEUES, help="move those of this queue; all are counted without it")
    redrive.add_argument("--dry-run", action="store_true", help="show them and move nothing")
    redrive.add_argument("--limit", type=int, default=commands.MOST_LETTERS, help="at most so many")
    redrive.add_argument("--env", help="an installation on AWS (UPTIME_ENV), with the credentials of this shell")
    redrive.set_defaults(run=commands.redrive)

    backup = verbs.add_parser("backup", help="write the database and its secrets to one file")
    backup.add_argument("file", type=Path)
    backup.set_defaults(run=lambda settings, options: commands.backup(settings, options.file))

    restore = verbs.add_parser("restore", help="read such a file into an empty box")
    restore.add_argument("file", type=Path)
    restore.set_defaults(run=lambda settings, options: commands.restore(settings, options.file))

    wipe = verbs.add_parser("wipe", help="stop everything and delete all data")
    wipe.add_argument("--yes", action="store_true", required=True, help="yes, delete all data")
    wipe.set_defaults(run=lambda settings, _: commands.wipe(settings))

    demo = verbs.add_parser("demo", help="take the demo's website down and up again and show what happens")
    demo.set_defaults(run=lambda settings, _: commands.demo(settings))
    return parser


if __name__ == "__main__":
    sys.exit(main())
