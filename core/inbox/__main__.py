"""`python -m core.inbox`."""

import os
import sys

from core import logs
from core.env import Env, SettingError
from core.inbox.process import run
from core.inbox.settings import InboxSettings


def main() -> int:
    """Run the inbox; the exit status is 2 where a setting is missing or malformed."""
    env = Env(os.environ)
    logs.configure("inbox", env.text("LOG_LEVEL", "INFO"))
    try:
        settings = InboxSettings.from_env(env)
    except SettingError as error:
        logs.get_logger(__name__).error("inbox.setting", error=str(error))
        return 2
    return run(settings)


if __name__ == "__main__":
    sys.exit(main())
