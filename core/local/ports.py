"""The ports of one box: one base, a fixed offset for each purpose, and who holds a port that we cannot have."""

import errno
import socket
from dataclasses import dataclass

import psutil


class PortTaken(Exception):
    """Somebody else listens on a port that the box needs; the message names both and says what to do."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Every port of a box, from `base` on. Only `web` and `gateway` listen on the bind address, the others on loopback."""

    base: int

    @property
    def web(self) -> int:
        """REST API."""
        return self.base

    @property
    def gateway(self) -> int:
        """Ping gateway."""
        return self.base + 1

    @property
    def aws(self) -> int:
        """AWS stand-in."""
        return self.base + 2

    @property
    def smtp(self) -> int:
        """Mail catcher, SMTP side."""
        return self.base + 3

    @property
    def mail(self) -> int:
        """Mail catcher, reading side."""
        return self.base + 4

    @property
    def postgres(self) -> int:
        """PostgreSQL."""
        return self.base + 5

    @property
    def valkey(self) -> int:
        """Valkey, the broker."""
        return self.base + 6

    @property
    def worker_metrics(self) -> int:
        """Metrics of the worker."""
        return self.base + 7

    @property
    def schedule_metrics(self) -> int:
        """Metrics of the schedule worker."""
        return self.base + 8

    @property
    def inbox_metrics(self) -> int:
        """Metrics of the inbox."""
        return self.base + 9

    @property
    def demo(self) -> int:
        """Demo target and webhook receiver."""
        return self.base + 10


@dataclass(frozen=True, slots=True)
class WantedPort:
    """A port that a process of the box will listen on."""

    process: str
    host: str
    number: int


def require_free(base: int, wanted: list[WantedPort]) -> None:
    """Check that every wanted port can be listened on.

    Raises:
        PortTaken: at least one cannot; all of them are named.
    """
    problems = [
        f"port {port.number}, wanted by {port.process} (UPTIME_PORT_BASE={base} + {port.number - base}), {problem}"
        for port in wanted
        if (problem := _why_not(port))
    ]
    if problems:
        advice = "Stop what holds it, or choose other ports: UPTIME_PORT_BASE=9000 make up"
        raise PortTaken("\n".join([*problems, advice]))


def _why_not(port: WantedPort) -> str | None:
    family = socket.AF_INET6 if ":" in port.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((port.host, port.number))
        except PermissionError:
            return f"may not be opened by this account on {port.host}"
        except OSError as error:
            return (
                f"is taken by {_holder(port.number)}"
                if error.errno == errno.EADDRINUSE
                else f"cannot be opened: {error.strerror}"
            )
    return None


def _holder(number: int) -> str:
    """The process that listens on a port, as far as this account may see it."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return "another process"
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == number and connection.pid:
            return _describe(connection.pid)
    return "another process"


def _describe(pid: int) -> str:
    try:
        command = " ".join(psutil.Process(pid).cmdline())[:120]
    except psutil.Error:
        return f"process {pid}"
    return f"process {pid} ({command})"
