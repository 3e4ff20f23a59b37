"""`python -m core.service.reseal`: seal anew, with the newest of `CHANNEL_VAULT_KEYS`, what an older one sealed, and end.

The exit status is 1 where something cannot be opened with any of them.
"""

import os
import sys
from dataclasses import asdict

from core import logs
from core.adapters.channel_vault import ChannelVault
from core.adapters.database import open_pool
from core.contracts.channel_vault import VaultCipher
from core.contracts.names import Names
from core.env import Env, SettingError
from core.flows.resealing import reseal


def main() -> int:
    """Entry point; the exit status is 2 where a setting is missing or malformed."""
    env = Env(os.environ)
    logs.configure("reseal", env.text("LOG_LEVEL", "INFO"))
    log = logs.get_logger(__name__)
    try:
        url = env.url("DATABASE_URL", schemes=("postgres", "postgresql"))
        keys = env.secret("CHANNEL_VAULT_KEYS").reveal().split(",")
    except SettingError as error:
        log.error("reseal.setting", error=str(error))  # noqa: TRY400  (the message names the setting; a traceback adds nothing)
        return 2
    region = env.text("AWS_REGION", env.text("AWS_DEFAULT_REGION", "eu-west-1"))
    vault = ChannelVault(Names(env.text("UPTIME_ENV", "local")), region)
    with open_pool(url, application="reseal", size=1) as pool:
        done = reseal(pool, vault, VaultCipher([key.strip() for key in keys if key.strip()]))
    log.info("reseal.done", **asdict(done))
    return 1 if done.unreadable else 0


if __name__ == "__main__":
    sys.exit(main())
