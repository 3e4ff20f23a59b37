"""The metrics port of a process without a web server."""

import httpx
import pytest

from core.adapters.metrics_server import serve_metrics
from tests.conftest import free_port


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "::1"])
def test_metrics_are_served(address: str) -> None:
    port = free_port()
    serve_metrics(port, address)
    host = f"[{address}]" if ":" in address else address
    answer = httpx.get(f"http://{host}:{port}/metrics/", trust_env=False)
    assert answer.status_code == 200
    assert "process_cpu_seconds_total" in answer.text


def test_a_port_that_is_taken_is_said() -> None:
    port = free_port()
    serve_metrics(port, "127.0.0.1")
    with pytest.raises(OSError, match="in use"):
        serve_metrics(port, "127.0.0.1")
