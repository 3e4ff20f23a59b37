"""`python -m core.service.health [SERVICE]`: exit status 0 while the service of this container does its work, 1 with the reason if not.

It judges the process alone. A database or a broker that is away is no reason to restart what waits for it.
"""

import http.client
import os
import re
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from core.service.commands import SERVICES, Service

TIMEOUT_S: Final = 3.0
FRESH_S: Final = 60.0
NOTE: Final = Path(tempfile.gettempdir()) / "uptimemonitor-service"
"""What this container runs: its health check is the same command for every service."""


class Unwell(Exception):
    """The service does not do its work; the message says why."""


def note(name: str) -> None:
    """Write down which service is about to start here."""
    NOTE.write_text(name, encoding="ascii")


def look(service: Service, environ: Mapping[str, str], now: float) -> None:
    """Ask a service how it is. One that listens on nothing is well: it ends by itself.

    Raises:
        Unwell: it does not answer as it should.
    """
    if service.port is None:
        return
    port = int(environ.get("METRICS_PORT") or service.port) if service.environ else service.port
    body = _get(port, service.path)
    if service.text not in body:
        raise Unwell("it does not take work yet")
    if service.fresh:
        _judge_age(service.fresh, body, now)


def _get(port: int, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise Unwell(f"port {port}: {error}") from error
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise Unwell(f"port {port} answered {response.status}")
    return body


def _judge_age(metric: str, body: str, now: float) -> None:
    found = re.search(rf"^{metric} (\S+)$", body, re.MULTILINE)
    age_s = now - float(found[1]) if found else float("inf")
    if age_s > FRESH_S:
        raise Unwell(f"{metric} is {age_s:.0f} s old")


def main(arguments: Sequence[str]) -> int:
    """Entry point."""
    try:
        name = arguments[0] if arguments else NOTE.read_text(encoding="ascii")
        look(SERVICES[name], os.environ, time.time())
    except (Unwell, KeyError, OSError) as problem:
        sys.stdout.write(f"unwell: {problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
