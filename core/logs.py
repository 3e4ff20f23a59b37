"""JSON logs, one object a line: the fields of `FIELDS` in every line, and what the event adds."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

FIELDS = ("request_id", "user_id", "duration_ms", "status_code")
"""Present in every line, null where they do not apply, so that log queries need no existence checks."""


def configure(service: str, level: str = "INFO") -> None:
    """Send structlog and the standard library's logging to stdout as JSON. Call once, first thing in a process."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_formatter(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger; event names are dotted constants such as `flush.committed`."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger


def _formatter(service: str) -> logging.Formatter:
    def shape(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        message = event.pop("event", "")
        head = {"timestamp": event.pop("timestamp"), "level": event.pop("level", "info"), "service": service}
        fields = {name: event.pop(name, None) for name in FIELDS}
        return {**head, **fields, "message": message, **event}

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_log_level],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            shape,
            structlog.processors.JSONRenderer(default=str),
        ],
    )
