"""`/metrics/` of a process that has no web server, by prometheus-client, which would look twice a second whether it should stop."""

import threading
from socket import AF_INET6
from typing import Final
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

LOOK_S: Final = 3600.0
"""Nobody stops it but the end of the process."""


class _Server6(ThreadingWSGIServer):
    """For an address of IPv6."""

    address_family = AF_INET6


class _Quiet(WSGIRequestHandler):
    """Logs no request."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name that the base class gave it)
        """Nothing."""


def serve_metrics(port: int, address: str) -> None:
    """Answer on a thread of its own until the process ends. `address` is an IP address or a name of IPv4.

    Raises:
        OSError: the port is taken.
    """
    family = _Server6 if ":" in address else ThreadingWSGIServer
    server = make_server(address, port, make_wsgi_app(), family, handler_class=_Quiet)
    threading.Thread(target=server.serve_forever, args=(LOOK_S,), name="metrics", daemon=True).start()
