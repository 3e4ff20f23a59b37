"""`python -m tests.permissions.stand_in PORT`: AWS for one test, which remembers what each access key was used for.

A call is seen where it arrives, whoever makes it: botocore, PynamoDB, or requests that we sign ourselves. `GET /needs` answers, for each
access key, what a role that made its calls must be allowed.
"""

import json
import os
import sys
import threading
from collections import defaultdict
from typing import Final

from core.local import aws_moto, slim_botocore
from core.local.http_listener import HttpListener, Request, Response
from tests.permissions.calls import AUTHORIZATION, Call, Need, needs

NEEDS_PATH: Final = "/needs"
NOBODY: Final = frozenset({"test", "mapping"})
"""Keys of the test itself, and of what the Lambda service does."""

BODY_LIMIT: Final = 16 * 1024 * 1024


class Recorder:
    """Notes what calls need, and passes them on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._needs: dict[str, set[Need]] = defaultdict(set)

    def answer(self, request: Request) -> Response:
        """Handle one request."""
        if request.path == NEEDS_PATH:
            return Response(200, json.dumps(self._recorded()).encode())
        response = aws_moto.answer(request)
        signed = AUTHORIZATION.search(request.header("authorization") or "")
        assert signed, "nobody but AWS clients comes here"
        if signed["key"] not in NOBODY:
            headers, asked = dict(request.headers), (request.method, request.target)
            found = needs(Call(signed["key"], signed["service"], *asked, headers, request.body, response.status))
            with self._lock:
                self._needs[signed["key"]].update(found)
        return response

    def _recorded(self) -> dict[str, list[str]]:
        with self._lock:
            return {role: sorted(map(str, found)) for role, found in sorted(self._needs.items())}


def main(port: str) -> None:
    """Run until SIGTERM."""
    os.environ.pop("AWS_ENDPOINT_URL", None)
    slim_botocore.install()
    aws_moto.SERVICES["sns"] = "sns"
    aws_moto.install()
    HttpListener("127.0.0.1", int(port), Recorder().answer, body_limit=BODY_LIMIT).serve_until_signal()


if __name__ == "__main__":
    main(*sys.argv[1:])
