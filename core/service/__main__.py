"""`python -m core.service web|worker|schedule|beat|inbox|migrate|edge-sync|reseal [ARGUMENTS]`: what the image runs.

The service takes the place of this process. Arguments are added to its command, so that they win: `worker -c 8 -Q checks`.
"""

import os
import sys
from collections.abc import Mapping, Sequence

from core.service.commands import SERVICES
from core.service.health import note

WRONG_USAGE = 2


def command(name: str, more: Sequence[str], environ: Mapping[str, str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The arguments and the environment of a service; what is set already is left alone.

    Raises:
        KeyError: there is no such service.
    """
    service = SERVICES[name]
    given = {variable: value for variable, value in environ.items() if value}
    defaults = {"DJANGO_SETTINGS_MODULE": "core.api.settings", **service.environ}
    return (*service.argv, *more), {**defaults, **given}


def main(arguments: Sequence[str]) -> int:
    """Become the service; returns only where there is none of that name."""
    if not arguments or arguments[0] not in SERVICES:
        sys.stderr.write(f"usage: python -m core.service {'|'.join(SERVICES)} [ARGUMENTS]\n")
        return WRONG_USAGE
    argv, environ = command(arguments[0], arguments[1:], os.environ)
    note(arguments[0])
    return os.execve(argv[0], argv, environ)  # noqa: S606  (a constant command, without a shell)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
