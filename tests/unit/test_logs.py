"""One JSON object a line, the same fields in every line, whoever wrote it."""

import json
import os
import subprocess
import sys
import textwrap
from datetime import datetime
from pathlib import Path
from typing import Any

from core.logs import FIELDS

ROOT = Path(__file__).parents[2]


def lines_of(program: str) -> list[dict[str, Any]]:
    """What `program` logs, in a process of its own: logging is configured once for a process."""
    source = "from core import logs\nlogs.configure('worker')\nlog = logs.get_logger('example')\n" + textwrap.dedent(program)
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT, env=dict(os.environ), check=True, capture_output=True, text=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_line_has_every_field_and_what_the_event_adds() -> None:
    (line,) = lines_of("log.info('flush.committed', results=250, duration_ms=12)")

    moment = datetime.fromisoformat(line.pop("timestamp"))
    assert moment.utcoffset() is not None
    assert line == {
        "level": "info",
        "service": "worker",
        "request_id": None,
        "user_id": None,
        "duration_ms": 12,
        "status_code": None,
        "message": "flush.committed",
        "results": 250,
    }


def test_lines_of_libraries_have_the_same_fields() -> None:
    (line,) = lines_of("import logging\nlogging.getLogger('library').warning('slow: %s', 'query')")

    assert (line["level"], line["service"], line["message"]) == ("warning", "worker", "slow: query")
    assert set(FIELDS) < line.keys()


def test_bound_context_is_in_every_line() -> None:
    first, second = lines_of("""
        import structlog
        structlog.contextvars.bind_contextvars(request_id='r-1')
        log.info('request.began')
        log.info('request.ended', status_code=200)
    """)

    assert (first["request_id"], second["request_id"], second["status_code"]) == ("r-1", "r-1", 200)


def test_a_traceback_stays_in_its_line() -> None:
    (line,) = lines_of("""
        try:
            raise ValueError('no\\nnews')
        except ValueError:
            log.exception('probe.crashed')
    """)

    assert line["level"] == "error"
    assert "ValueError: no\nnews" in line["exception"]


def test_below_the_level_nothing_is_written() -> None:
    assert lines_of("log.debug('tick')") == []


def test_secrets_are_not_written() -> None:
    (line,) = lines_of("from core.env import Secret\nlog.info('started', key=Secret('hunter2'))")

    assert line["key"] == "***"
