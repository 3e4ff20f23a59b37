"""The peer of the check benchmark: prometheus-blackbox-exporter probing the same pages. It schedules, decides and stores nothing."""

import asyncio
import os
import subprocess
from pathlib import Path
from urllib.parse import urlencode

from tests.conftest import free_port
from tests.perf.machine import Meter
from tests.perf.websites import ZONE, Websites, find_program
from tests.processes import wait_for_port

AT_ONCE = 16
_CONFIG = f"""
modules:
  page:
    prober: http
    timeout: 5s
    http:
      preferred_ip_protocol: ip4
      tls_config: {{server_name: shop.{ZONE}}}
"""


def probe_cpu_ms(folder: Path, sites: Websites, probes: int) -> dict[str, float]:
    """Milliseconds of its CPU for each of `probes` probes, over HTTP and over HTTPS. By address: it would use the system's name servers."""
    config = folder / "blackbox.yml"
    config.write_text(_CONFIG)
    port = free_port()
    command = [
        find_program("prometheus-blackbox-exporter", "prometheus-blackbox-exporter"),
        f"--config.file={config}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    environ = {**os.environ, "SSL_CERT_FILE": str(sites.ca_file), "SSL_CERT_DIR": "/nonexistent"}
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for_port(port)
            return {
                f"blackbox_{scheme}_probe_cpu_ms": _measure(process.pid, port, f"{scheme}://127.0.0.1:{target}/", probes)
                for scheme, target in (("http", sites.http_port), ("https", sites.https_port))
            }
        finally:
            process.terminate()


def _measure(pid: int, port: int, url: str, probes: int) -> float:
    request = f"GET /probe?{urlencode({'module': 'page', 'target': url})} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    asyncio.run(_ask(port, request, AT_ONCE * 10))
    meter = Meter({"blackbox": pid})
    asyncio.run(_ask(port, request, probes))
    return 1000 * meter.spent()["blackbox"] / probes


async def _ask(port: int, request: bytes, probes: int) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(_ask_in_turn(port, request, probes // AT_ONCE))


async def _ask_in_turn(port: int, request: bytes, probes: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(probes):
        writer.write(request)
        await reader.readuntil(b"\r\n\r\n")
        body = await reader.readuntil(b"\r\n0\r\n\r\n")  # its answer is chunked
        assert b"\nprobe_success 1\n" in body, body.decode()
    writer.close()
