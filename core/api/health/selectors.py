"""Whether the systems that requests depend on answer; each question is bounded in time."""

import redis
from django.db import DatabaseError, connection

from core.logs import get_logger

BROKER_TIMEOUT_S = 1.0

log = get_logger(__name__)


def database_answers() -> bool:
    """Whether PostgreSQL answers a query."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            return bool(cursor.fetchone() == (1,))
    except DatabaseError as error:
        log.warning("health.database", error=str(error))
        return False


def broker_answers(url: str) -> bool:
    """Whether Redis answers a PING on a new connection: a pooled one may be older than its trouble."""
    try:
        with redis.Redis.from_url(url, socket_timeout=BROKER_TIMEOUT_S, socket_connect_timeout=BROKER_TIMEOUT_S) as client:
            return bool(client.ping())
    except redis.RedisError as error:
        log.warning("health.broker", error=str(error))
        return False
