"""The Celery app. `python -m core.checker` starts its workers and beat."""

import logging
import sys
from typing import Any, ParamSpec, TypeVar

import psycopg
import redis
from celery import Celery, Task
from celery.signals import setup_logging
from kombu.exceptions import OperationalError
from psycopg_pool import PoolTimeout

from core import logs
from core.checker import broker

P = ParamSpec("P")
R = TypeVar("R")

QUIET_LOGGERS = ("celery.beat", "celery.worker.strategy", "celery.app.trace")
"""They write a line for every task that went well; warnings and errors still show."""


class InfrastructureRetry(Task[P, R]):
    """A task that tries again when PostgreSQL or the broker is away, and never for an error of its own."""

    autoretry_for = (psycopg.OperationalError, PoolTimeout, redis.RedisError, OperationalError)
    max_retries = 3
    default_retry_delay = 60
    retry_backoff = 2
    retry_backoff_max = 60
    retry_jitter = True


broker.install()
app = Celery("uptimemonitor", task_cls=InfrastructureRetry, fixups=[])  # no Django here, whatever DJANGO_SETTINGS_MODULE says
app.config_from_object("core.checker.configuration")


@setup_logging.connect
def log_as_json(loglevel: int | str | None = None, **_: Any) -> None:
    """Take logging over from Celery."""
    level = logging.getLevelName(loglevel) if isinstance(loglevel, int) else loglevel or "INFO"
    logs.configure("beat" if "beat" in sys.argv else "worker", level)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
