"""Who of several beats ticks: a lease in Redis, which ends by itself when its holder no longer renews it."""

import os
import secrets
import socket
from typing import Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.logs import get_logger

log = get_logger(__name__)

KEY: Final = "beat:leader"
TIMEOUT_S: Final = 1.0

_HOLD: Final = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
    return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_RELEASE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
    redis.call('DEL', KEYS[1])
end
"""


class BeatLease:
    """One process's claim to the lease; neither method raises."""

    def __init__(self, redis_url: str) -> None:
        self._redis = redis.Redis.from_url(
            redis_url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=Retry(NoBackoff(), 0)
        )
        self._name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(8)}"

    def hold(self, seconds: float) -> bool | None:
        """Take the lease, or renew it; False while another holds it, None where nobody could be asked."""
        try:
            return bool(self._redis.eval(_HOLD, 1, KEY, self._name, str(int(seconds * 1000))))
        except redis.RedisError as error:
            log.warning("beat_lease.unknown", error=str(error))
            return None

    def release(self) -> None:
        """Let another have it at once; what cannot be released ends by itself."""
        try:
            self._redis.eval(_RELEASE, 1, KEY, self._name)
        except redis.RedisError as error:
            log.warning("beat_lease.not_released", error=str(error))
        self._redis.close()
