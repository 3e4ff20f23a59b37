"""Celery's results in PostgreSQL, without the power to end a worker, and nowhere before there is one.

Celery ends a worker whose consumer cannot store a result, such as that of a task it does not know while PostgreSQL restarts. A result
is for looking at; whatever must not get lost is in our own tables before the task ends.
"""

from functools import cached_property
from typing import Any, override

from celery.backends.base import BaseBackend
from celery.exceptions import BackendStoreError

from core.logs import get_logger

log = get_logger(__name__)


class ForgivingResults(BaseBackend):
    """Celery's SQLAlchemy backend, loaded with the first result that is stored or asked for: most workers never see one.

    A result that cannot be stored is lost with a warning.
    """

    app: Any
    url: str

    @cached_property
    def _database(self) -> Any:
        from celery.backends.database import DatabaseBackend  # noqa: PLC0415  (SQLAlchemy takes 18 MB)

        return DatabaseBackend(app=self.app, url=self.url)

    @override
    def store_result(self, task_id: str, result: Any, state: str, *args: Any, **kwargs: Any) -> Any:
        """Store a result if PostgreSQL takes it."""
        try:
            return self._database.store_result(task_id, result, state, *args, **kwargs)
        except BackendStoreError as error:
            log.warning("results.lost", task_id=task_id, state=state, error=str(error))
            return result

    @override
    def get_task_meta(self, task_id: str, cache: bool = True) -> dict[str, Any]:
        """What is known of a task: its `status`, `result` and so on."""
        meta: dict[str, Any] = self._database.get_task_meta(task_id, cache)
        return meta

    def _get_task_meta_for(self, task_id: str) -> Any:
        return self._database._get_task_meta_for(task_id)  # noqa: SLF001  (the part of a backend that workers ask too)

    @override
    def forget(self, task_id: str) -> None:
        """Delete what is known of a task."""
        self._database.forget(task_id)

    @override
    def cleanup(self) -> None:
        """Delete results that have expired; a task of Celery's does so every day."""
        self._database.cleanup()
