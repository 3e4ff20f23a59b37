"""The `uptimemonitor` command (`docs/reference/cli.md`): jobs that report, one box, and what AWS costs, from a terminal.

A job that runs every minute starts this every minute, so each command imports what it needs, and nothing is imported for all of them.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from datetime import datetime

    from core.local.settings import BoxSettings

LONGEST_BODY = 1 << 20
"""Bytes of a body that the edge keeps at most; more is not even read."""

LONGEST_S = 3600
DEAD_LETTER_QUEUES = ("pings", "receipts", "alerts", "mails")
MOST_LETTERS = 10_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status: 0 done, 1 failed, 2 wrong usage; that of the job for `run`."""
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="uptimemonitor", description="Uptime Monitor: jobs that report, and one box.")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _job_verbs(verbs)
    _box_verbs(verbs)
    _cost_verb(verbs)
    return parser


def _job_verbs(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    ping = verbs.add_parser("ping", help="tell a heartbeat that its job is done, or how it goes")
    run = verbs.add_parser("run", help="run a job and tell its heartbeat when it starts and how it ends")
    for verb in (ping, run):
        named = "UUID, PING-KEY/SLUG (both at UPTIME_PING_URL), or the whole ping URL"
        verb.add_argument("--heartbeat", required=True, metavar="HEARTBEAT", help=named)
        verb.add_argument(
            "--timeout", type=_seconds, default=30.0, metavar="SECONDS", help="how long to go on trying (default 30)"
        )
        verb.add_argument("--quiet", action="store_true", help="say nothing when a ping does not arrive")

    kinds = ping.add_mutually_exclusive_group()
    for kind, meaning in (("start", "the job has started"), ("fail", "it failed"), ("log", "only something to keep")):
        kinds.add_argument(f"--{kind}", dest="action", action="store_const", const=kind, default="", help=meaning)
    kinds.add_argument("--exit-status", dest="action", type=_status, metavar="N", help="it ended; anything but 0 is a failure")
    ping.add_argument("--rid", metavar="UUID", help="the run: the same for its start and its end")
    bodies = ping.add_mutually_exclusive_group()
    bodies.add_argument("--body", metavar="TEXT", help="kept with the ping")
    bodies.add_argument("--body-file", type=Path, metavar="FILE", help="the same from a file, - is standard input")
    ping.set_defaults(run=_ping)

    run.add_argument("--no-output", dest="keep_output", action="store_false", help="leave the output alone: it is not sent")
    run.add_argument("--pty", action="store_true", help="give the job a terminal to write to")
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="the job and its arguments")
    run.set_defaults(run=lambda options: _run(run, options))


def _ping(options: argparse.Namespace) -> int:
    from core.client import commands  # noqa: PLC0415  (see the module's docstring)

    try:
        body = _body(options)
    except OSError as error:
        commands.complain(f"cannot read {options.body_file}: {error.strerror}")
        return commands.WRONG_USAGE
    return commands.ping(
        heartbeat=options.heartbeat,
        action=options.action or "",
        rid=options.rid,
        body=body,
        timeout_s=options.timeout,
        say=_voice(commands, options),
    )


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    from core.client import commands  # noqa: PLC0415  (see the module's docstring)

    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        parser.error("no command to run")
    return commands.run(
        heartbeat=options.heartbeat,
        command=command,
        keep_output=options.keep_output,
        pty=options.pty,
        timeout_s=options.timeout,
        say=_voice(commands, options),
    )


def _voice(commands: ModuleType, options: argparse.Namespace) -> Callable[[str], None]:
    return (lambda _: None) if options.quiet else commands.complain


def _body(options: argparse.Namespace) -> bytes:
    if options.body_file is None:
        return (options.body or "").encode(errors="surrogateescape")
    if str(options.body_file) == "-":
        return sys.stdin.buffer.read(LONGEST_BODY)
    with options.body_file.open("rb") as file:
        content: bytes = file.read(LONGEST_BODY)
    return content


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= LONGEST_S:
        raise argparse.ArgumentTypeError(f"must be more than 0 and at most {LONGEST_S}")
    return value


def _cost_verb(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    cost = verbs.add_parser("cost", help="what an environment on AWS costs in a month; needs a checkout with the CDK")
    cost.add_argument("--env", choices=("prod", "staging", "dev"), default="prod", help="the environment (default prod)")
    cost.add_argument("--profile", choices=("specified", "lean"), default="specified", help="how it is built (default specified)")
    cost.add_argument("--monitors", metavar="N", help="how many there are (default: prod 1,000, staging 50, dev 10)")
    cost.add_argument("--nights", action="store_true", help="taken down at night and at weekends, as staging can be")
    cost.add_argument(
        "-c", "--context", action="append", default=[], metavar="KEY=VALUE", help="of the configuration, as for the CDK"
    )
    cost.add_argument(
        "--load", action="append", default=[], metavar="NAME=NUMBER", help="what each monitor does, e.g. interval_s=300"
    )
    cost.add_argument("--json", action="store_true", help="for programs: every line with its price and its source")
    cost.set_defaults(run=_cost)


def _cost(options: argparse.Namespace) -> int:
    """In a process of its own: the product knows neither the CDK nor what it deploys."""
    from importlib.util import find_spec  # noqa: PLC0415  (see the module's docstring)
    from subprocess import run  # noqa: PLC0415  (the same)

    missing = [name for name in ("cdk", "aws_cdk", "cdk_nag") if find_spec(name) is None]
    if missing:
        print(f"error: {', '.join(missing)} cannot be imported: run this in a checkout, after `make sync-all`", file=sys.stderr)
        return 1
    command = [sys.executable, "-m", "cdk.cost", "--env", options.env, "--profile", options.profile]
    command += ["--monitors", options.monitors] if options.monitors else []
    command += [part for pair in options.context for part in ("--context", pair)]
    command += [part for pair in options.load for part in ("--load", pair)]
    command += [flag for flag, wanted in (("--nights", options.nights), ("--json", options.json)) if wanted]
    return run(command, check=False).returncode


def _moment(text: str) -> "datetime":
    from datetime import datetime  # noqa: PLC0415  (see the module's docstring)

    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError("must have a time zone, for example Z")
    return moment


def _status(text: str) -> str:
    """An exit status as the ping API takes it: 32 bits, with or without a sign."""
    if not -(2**31) <= int(text) < 2**32:
        raise argparse.ArgumentTypeError("must have 32 bits")
    return str(int(text))


def _on_the_box(command: Callable[[ModuleType, "BoxSettings", argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """A command of one box, given `core.local.commands` and the settings."""

    def run(options: argparse.Namespace) -> int:
        from core.env import Env, SettingError  # noqa: PLC0415  (see the module's docstring)
        from core.local import commands, terminal  # noqa: PLC0415  (the same)
        from core.local.settings import BoxSettings  # noqa: PLC0415  (the same)

        try:
            return command(commands, BoxSettings.from_env(Env(os.environ)), options)
        except (*commands.PROBLEMS, SettingError) as problem:
            terminal.complain(f"error: {problem}")
            return 1

    return run


def _box_verbs(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    up = verbs.add_parser("up", help="start everything and wait until it is ready")
    up.add_argument("--foreground", action="store_true", help="stay attached; Ctrl-C stops the box")
    up.add_argument("--no-demo", action="store_true", help="leave an empty database empty")
    up.set_defaults(
        run=_on_the_box(
            lambda commands, settings, options: commands.up(settings, foreground=options.foreground, demo=not options.no_demo)
        )
    )

    down = verbs.add_parser("down", help="stop everything; the data stays")
    down.set_defaults(run=_on_the_box(lambda commands, settings, _: commands.down(settings)))

    status = verbs.add_parser("status", help="what runs; exit status 0 if all of it is ready, 3 if not")
    status.add_argument("--json", action="store_true", help="for programs")
    status.set_defaults(run=_on_the_box(lambda commands, settings, options: commands.status(settings, as_json=options.json)))

    logs = verbs.add_parser("logs", help="the last lines of the logs")
    logs.add_argument("process", nargs="?", help="only this process")
    logs.add_argument("-n", "--lines", type=int, default=20, help="how many lines of each (default 20)")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C")
    logs.set_defaults(
        run=_on_the_box(
            lambda commands, settings, options: commands.logs(settings, options.process, options.lines, follow=options.follow)
        )
    )

    edge = verbs.add_parser("edge", help="the projections of the database for the edge")
    edge_verbs = edge.add_subparsers(title="commands", metavar="COMMAND", required=True)
    sync = edge_verbs.add_parser("sync", help="rebuild them; safe at any time")
    sync.set_defaults(run=_on_the_box(lambda commands, settings, _: commands.edge_sync(settings)))

    redrive = verbs.add_parser("redrive", help="messages that nobody could handle: count them, look at them, move them back")
    redrive.add_argument(
        "queue", nargs="?", choices=DEAD_LETTER_QUEUES, help="move those of this queue; all are counted without it"
    )
    redrive.add_argument("--dry-run", action="store_true", help="show them and move nothing")
    redrive.add_argument("--limit", type=int, default=MOST_LETTERS, help="at most so many")
    redrive.add_argument("--env", help="an installation on AWS (UPTIME_ENV), with the credentials of this shell")
    redrive.set_defaults(run=_on_the_box(lambda commands, settings, options: commands.redrive(settings, options)))

    deliveries = verbs.add_parser("deliveries", help="why people were told of an incident, or were not, step by step")
    deliveries.add_argument("incident", type=UUID, metavar="INCIDENT", help="its id")
    deliveries.add_argument("--json", action="store_true", help="for programs")
    deliveries.set_defaults(
        run=_on_the_box(lambda commands, settings, options: commands.deliveries(settings, options.incident, as_json=options.json))
    )

    backup = verbs.add_parser("backup", help="write the database and its secrets to one file")
    backup.add_argument("file", type=Path)
    backup.set_defaults(run=_on_the_box(lambda commands, settings, options: commands.backup(settings, options.file)))

    restore = verbs.add_parser("restore", help="read such a file into an empty box")
    restore.add_argument("file", type=Path)
    restore.set_defaults(run=_on_the_box(lambda commands, settings, options: commands.restore(settings, options.file)))

    archive = verbs.add_parser("archive", help="copy the database into the archive, from which the box can be rewound")
    archive.set_defaults(run=_on_the_box(lambda commands, settings, _: commands.archive(settings)))

    rewind = verbs.add_parser("rewind", help="take the database back to a moment, with the archive")
    rewind.add_argument("time", type=_moment, help="with a time zone, for example 2026-11-28T19:30:00Z")
    rewind.set_defaults(run=_on_the_box(lambda commands, settings, options: commands.rewind(settings, options.time)))

    wipe = verbs.add_parser("wipe", help="stop everything and delete all data")
    wipe.add_argument("--yes", action="store_true", required=True, help="yes, delete all data")
    wipe.set_defaults(run=_on_the_box(lambda commands, settings, _: commands.wipe(settings)))

    demo = verbs.add_parser("demo", help="take the demo's website down and up again and show what happens")
    demo.set_defaults(run=_on_the_box(lambda commands, settings, _: commands.demo(settings)))


if __name__ == "__main__":
    sys.exit(main())
