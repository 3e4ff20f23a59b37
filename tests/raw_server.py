"""A server that answers from a script, byte for byte: for tests of clients that must live with any server."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

type Script = Sequence[Sequence[bytes | None]]
"""For each connection its answers, one a request; None hangs up instead. After the last one the connection is closed."""


@dataclass
class RawServer:
    """A listening server; `requests` are those that came in, whole."""

    port: int
    requests: list[bytes] = field(default_factory=list)


@contextmanager
def raw_server(script: Script) -> Iterator[RawServer]:
    """Serve the connections of the script one after the other, then no more."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = RawServer(listener.getsockname()[1])
        thread = threading.Thread(target=_serve, args=(listener, script, server), daemon=True)
        thread.start()
        yield server
        listener.close()
        thread.join(5)


def _serve(listener: socket.socket, script: Script, server: RawServer) -> None:
    listener.settimeout(10)
    for answers in script:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            for answer in answers:
                request = _read(connection)
                if request is None or answer is None:
                    break
                server.requests.append(request)
                connection.sendall(answer)


def _read(connection: socket.socket) -> bytes | None:
    """One request with its body; None when the client has hung up."""
    connection.settimeout(10)
    received = b""
    while True:
        head, separator, body = received.partition(b"\r\n\r\n")
        lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        if separator and len(body) >= sum(lengths):
            return received
        part = connection.recv(65_536)
        if not part:
            return None
        received += part
