"""The other systems that the API talks to, one of each for the whole process, made when they are first needed.

They are imported late: botocore and Celery are a third of the memory of a process that mostly reads PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from django.conf import settings

from core.api import problem_types
from core.api.problems import Problem
from core.logs import get_logger

if TYPE_CHECKING:
    from core.adapters.channel_vault import ChannelVault
    from core.adapters.check_reports import CheckReports
    from core.adapters.heartbeat_table import HeartbeatTable
    from core.adapters.option_seal import OptionSeal
    from core.adapters.ping_bodies import PingBodies
    from core.adapters.ping_names import PingNames
    from core.adapters.task_queue import TaskQueue
    from core.contracts.channel_vault import VaultCipher

log = get_logger(__name__)


@cache
def task_queue() -> TaskQueue:
    """The Celery broker, to send tasks by name."""
    from core.adapters.task_queue import TaskQueue  # noqa: PLC0415  (memory, see above)

    return TaskQueue(settings.BROKER_URL)


@cache
def check_reports() -> CheckReports:
    """Where the reports of checks come in that somebody waits for."""
    from core.adapters.check_reports import CheckReports  # noqa: PLC0415  (memory, see above)

    return CheckReports(settings.REDIS_URL)


@cache
def heartbeat_table() -> HeartbeatTable:
    """What the edge knows of heartbeats."""
    from core.adapters.heartbeat_table import HeartbeatTable  # noqa: PLC0415  (memory, see above)

    return HeartbeatTable(settings.NAMES, settings.AWS_REGION)


@cache
def ping_names() -> PingNames:
    """What names in ping URLs lead to."""
    from core.adapters.ping_names import PingNames  # noqa: PLC0415  (memory, see above)

    return PingNames(settings.NAMES, settings.AWS_REGION)


@cache
def ping_bodies() -> PingBodies:
    """The large bodies of pings."""
    from core.adapters.ping_bodies import PingBodies  # noqa: PLC0415  (memory, see above)

    return PingBodies(settings.PING_BODIES_BUCKET, settings.AWS_REGION)


@cache
def channel_vault() -> ChannelVault:
    """What the edge knows of channels."""
    from core.adapters.channel_vault import ChannelVault  # noqa: PLC0415  (memory, see above)

    return ChannelVault(settings.NAMES, settings.AWS_REGION)


@cache
def vault_cipher() -> VaultCipher:
    """The keys of the channel vault."""
    from core.contracts.channel_vault import VaultCipher  # noqa: PLC0415  (memory, see above)

    return VaultCipher([key.strip() for key in settings.CHANNEL_VAULT_KEYS.reveal().split(",") if key.strip()])


@cache
def option_seal() -> OptionSeal:
    """What seals the secrets of websites."""
    from core.adapters.option_seal import OptionSeal  # noqa: PLC0415  (memory, see above)

    return OptionSeal([key.strip() for key in settings.CHANNEL_VAULT_KEYS.reveal().split(",") if key.strip()])


@contextmanager
def required() -> Iterator[None]:
    """Around what must reach the edge: when it cannot be reached, the request fails and its transaction is rolled back.

    Raises:
        Problem: `edge-unreachable`.
    """
    from core.adapters.channel_vault import VaultUnreachable  # noqa: PLC0415  (memory, see above)
    from core.adapters.heartbeat_table import EdgeUnreachable  # noqa: PLC0415  (memory, see above)

    try:
        yield
    except (VaultUnreachable, EdgeUnreachable) as error:
        log.warning("edge.unreachable", error=str(error))
        raise Problem(problem_types.EDGE_UNREACHABLE, problem_types.EDGE_UNREACHABLE.meaning) from error


@contextmanager
def best_effort(event: str, **facts: str) -> Iterator[None]:
    """Around what the edge may learn later, from `edge sync`: when it cannot be reached, that is logged."""
    try:
        with required():
            yield
    except Problem as problem:
        log.warning(event, error=str(problem.__cause__), **facts)
