"""A registry for tests: IANA's bootstrap file and an RDAP server on loopback."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """One answer."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def registration(ends: str, registrar: str = "Registrar Inc.") -> Reply:
    """What a registry says about a domain."""
    answer = {
        "objectClassName": "domain",
        "events": [
            {"eventAction": "registration", "eventDate": "2001-01-01T00:00:00Z"},
            {"eventAction": "expiration", "eventDate": ends},
        ],
        "entities": [
            {"roles": ["registrar"], "vcardArray": ["vcard", [["version", {}, "text", "4.0"], ["fn", {}, "text", registrar]]]}
        ],
    }
    return Reply(body=json.dumps(answer).encode(), headers={"Content-Type": "application/rdap+json"})


class Registry:
    """Answers by path; anything else is not found. `/dns.json` names it as the server of `.com` and `.co.uk`."""

    def __init__(self, replies: dict[str, Reply]) -> None:
        self.replies = replies
        self.asked: list[str] = []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.asked.append(self.path)
                reply = registry.replies.get(self.path, Reply(404))
                self.send_response(reply.status)
                for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the name that the base class gave it)
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        services = {"services": [[["com", "co.uk"], [f"{self.url}/rdap"]]]}
        self.replies.setdefault("/dns.json", Reply(body=json.dumps(services).encode()))

    @property
    def bootstrap_url(self) -> str:
        return f"{self.url}/dns.json"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def registry(replies: dict[str, Reply] | None = None) -> Iterator[Registry]:
    """A registry that is closed at the end; domains are at `/rdap/domain/<name>`."""
    running = Registry(dict(replies or {}))
    try:
        yield running
    finally:
        running.close()
