"""What the fleet tells beat about its pace, over Redis: how many seconds until websites need to be looked for again."""

from typing import Final

import redis

from core.logs import get_logger

log = get_logger(__name__)

KEY: Final = "pace:check_due_websites"
KEPT_S: Final = 30
"""A fleet that has said nothing for so long is looked after at the ordinary pace."""

TIMEOUT_S: Final = 1.0


class TickPace:
    """Neither method raises: a pace that is not known is the ordinary one."""

    def __init__(self, redis_url: str) -> None:
        self._redis = redis.Redis.from_url(redis_url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)

    def told(self) -> float | None:
        """Seconds between two looks; None when nobody has said."""
        try:
            text = self._redis.get(KEY)
        except redis.RedisError as error:
            log.warning("tick_pace.unknown", error=str(error))
            return None
        return float(text) if isinstance(text, bytes) else None

    def tell(self, seconds: float) -> None:
        """Say it for the next looks."""
        try:
            self._redis.set(KEY, seconds, ex=KEPT_S)
        except redis.RedisError as error:
            log.warning("tick_pace.not_told", error=str(error))

    def close(self) -> None:
        """Drop the connection."""
        self._redis.close()
