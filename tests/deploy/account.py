"""An AWS account for the rehearsal: moto's server as a process of its own, with all services that moto has.

`python -m tests.deploy.account` prints the port that it listens at. The corrections that one box makes are in it, too: an event carries its
account, and a queue hands out messages although a Lambda is mapped to it.
"""

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from core.local import aws_moto
from tests.deploy import corrections, taught

type Environ = dict[str, Any]
type StartResponse = Callable[..., Any]


def main() -> None:
    """Serve until killed, or until nobody holds the other end of standard input: whoever started it may be killed as well."""
    threading.Thread(target=leave_with_starter, daemon=True).start()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    aws_moto.install()
    corrections.install()
    taught.install()
    moto = DomainDispatcherApplication(create_backend_app)

    def serve(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """One request at a time: moto's models are not made for threads."""
        with aws_moto.STATE:
            return list(moto(environ, start_response))

    server = make_server("127.0.0.1", 0, serve, threaded=True, request_handler=MotoRequestHandler)
    print(server.port, flush=True)  # noqa: T201  (how the rehearsal learns it)
    server.serve_forever()


def leave_with_starter() -> None:
    """Wait for the end of standard input, which is that of the process that started this one; and end."""
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
