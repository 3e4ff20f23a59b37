"""One JSON object a line on stdout, with the fields that every process of the system logs (`core.logs` costs too much to load here)."""

import json
import sys
from datetime import UTC, datetime
from typing import Final

SERVICE: Final = "ping"


def write(
    level: str,
    message: str,
    *,
    request_id: str | None = None,
    duration_ms: float | None = None,
    status_code: int | None = None,
    **facts: object,
) -> None:
    """Log an event; `message` is a dotted constant such as `ping.recorded`."""
    line = {
        "timestamp": datetime.now(UTC).isoformat(),
        "level": level,
        "service": SERVICE,
        "request_id": request_id,
        "user_id": None,
        "duration_ms": duration_ms,
        "status_code": status_code,
        "message": message,
        **facts,
    }
    sys.stdout.write(json.dumps(line, default=str) + "\n")
