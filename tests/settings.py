"""Django settings for tools that load them without an environment (mypy)."""

import tests.environment  # noqa: F401
from core.api.settings import *  # noqa: F403
