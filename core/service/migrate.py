"""`python -m core.service.migrate`: bring the schema up to date and end. Several at once are safe: one works, the others wait for it.

Given an administrator's account, it makes that of the services first (`core.service.accounts`).
"""

import os
import sys

import django

from core import logs
from core.env import Env, SettingError
from core.service.accounts import ensure_account


def main() -> int:
    """Entry point; the exit status is 2 where a setting is missing or malformed."""
    env = Env(os.environ)
    logs.configure("migrate", env.text("LOG_LEVEL", "INFO"))
    log = logs.get_logger(__name__)
    try:
        if env.optional_text("ADMIN_PGUSER"):
            _make_account(env)
        django.setup()
    except SettingError as error:
        log.error("migrate.setting", error=str(error))  # noqa: TRY400  (the message names the setting; a traceback adds nothing)
        return 2
    from core.api.bootstrap import run_migrations  # noqa: PLC0415  (needs Django set up)

    run_migrations()
    log.info("migrate.done")
    return 0


def _make_account(env: Env) -> None:
    url = env.url("DATABASE_URL", schemes=("postgres", "postgresql"))
    admin = env.text("ADMIN_PGUSER"), env.secret("ADMIN_PGPASSWORD").reveal()
    ensure_account(url, admin, (env.text("PGUSER"), env.secret("PGPASSWORD").reveal()))


if __name__ == "__main__":
    sys.exit(main())
