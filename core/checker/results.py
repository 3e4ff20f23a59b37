"""Celery's results in PostgreSQL, without the power to end a worker.

Celery ends a worker whose consumer cannot store a result, such as that of a task it does not know while PostgreSQL restarts. A result
is for looking at; whatever must not get lost is in our own tables before the task ends.
"""

from typing import Any, override

from celery.backends.database import DatabaseBackend
from celery.exceptions import BackendStoreError

from core.logs import get_logger

log = get_logger(__name__)


class ForgivingResults(DatabaseBackend):
    """The SQLAlchemy backend; a result that cannot be stored is lost with a warning."""

    @override
    def store_result(self, task_id: str, result: Any, state: str, *args: Any, **kwargs: Any) -> Any:
        """Store a result if PostgreSQL takes it."""
        try:
            return super().store_result(task_id, result, state, *args, **kwargs)
        except BackendStoreError as error:
            log.warning("results.lost", task_id=task_id, state=state, error=str(error))
            return result
