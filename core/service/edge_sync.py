"""`python -m core.service.edge_sync`: rebuild what the edge keeps of the database of an installation, and end.

After a disaster: the tables at the edge may be empty, or know more than a database that was taken back to a moment.
"""

import os
import sys
from dataclasses import asdict

from core import logs
from core.adapters.database import open_pool
from core.contracts.names import Names
from core.env import Env, SettingError
from core.flows.edge_sync import sync


def main() -> int:
    """Entry point; the exit status is 2 where a setting is missing or malformed."""
    env = Env(os.environ)
    logs.configure("edge-sync", env.text("LOG_LEVEL", "INFO"))
    log = logs.get_logger(__name__)
    try:
        url = env.url("DATABASE_URL", schemes=("postgres", "postgresql"))
    except SettingError as error:
        log.error("edge_sync.setting", error=str(error))  # noqa: TRY400  (the message names the setting; a traceback adds nothing)
        return 2
    region = env.text("AWS_REGION", env.text("AWS_DEFAULT_REGION", "eu-west-1"))
    with open_pool(url, application="edge-sync", size=1) as pool:
        counts = sync(pool, Names(env.text("UPTIME_ENV", "local")), region)
    log.info("edge_sync.done", **asdict(counts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
