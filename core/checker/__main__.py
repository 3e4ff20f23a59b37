"""`python -m core.checker worker -P threads -Q checks,alerts,default`, another with `-Q schedule`, and `python -m core.checker beat`.

Celery's own commands with all their options. The `celery` program would load a shell beside them, 9 MB in every process.
"""

import sys
from typing import Any

import click
from celery.bin.base import CLIContext
from celery.bin.beat import beat
from celery.bin.worker import worker

from core.checker.app import app

COMMANDS: dict[str, Any] = {"worker": worker, "beat": beat}


def main() -> None:
    """Run the command that the arguments name, until its process is told to stop."""
    checker: Any = app  # the stubs want tasks of Celery's own class
    context = CLIContext(checker, no_color=not sys.stdout.isatty(), workdir=None, quiet=True)
    click.Group(commands=COMMANDS)(prog_name="python -m core.checker", obj=context)


if __name__ == "__main__":
    main()
