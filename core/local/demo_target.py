"""The demo's other side, on loopback: a website that can be taken down, and a webhook receiver that checks signatures.

| request | does |
|---|---|
| `GET /` | 200, or 503 while the target is down |
| `PUT /state` `{"up": false}` | takes it down or up |
| `PUT /secret` `{"secret": "whsec_..."}` | signatures are verified from now on |
| `POST /hook` | takes a webhook; 401 if its signature is wrong |
| `GET /hooks` | what arrived, and when (`DELETE` forgets it) |
"""

import argparse
import base64
import binascii
import hashlib
import hmac
import threading
from collections import deque
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import msgspec

from core.local.http_listener import HttpListener, Request, Response
from core.logs import configure, get_logger

BODY_LIMIT = 1024 * 1024
KEPT_HOOKS = 1000
SIGNATURE_TOLERANCE_S = 300
SECRET_PREFIX = "whsec_"  # noqa: S105  (a prefix, not a secret)

_log = get_logger(__name__)


class Hook(msgspec.Struct, frozen=True):
    """A webhook that arrived. `verified` is None when there was no secret to verify with."""

    id: str
    arrived_at: datetime
    verified: bool | None
    body: Any


class StateChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `PUT /state`."""

    up: bool


class SecretChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `PUT /secret`."""

    secret: str


def verify(secret: str, request: Request, now: datetime) -> bool:
    """Whether the request carries a fresh Standard Webhooks signature (`v1`) made with `secret`."""
    message_id, timestamp = request.header("webhook-id") or "", request.header("webhook-timestamp") or ""
    if not timestamp.isdigit() or abs(now.timestamp() - int(timestamp)) > SIGNATURE_TOLERANCE_S:
        return False
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        return False
    signed = hmac.new(key, f"{message_id}.{timestamp}.".encode() + request.body, hashlib.sha256).digest()
    wanted = "v1," + base64.b64encode(signed).decode()
    offered = (request.header("webhook-signature") or "").split()
    return any(hmac.compare_digest(wanted.encode(), signature.encode()) for signature in offered)


class DemoTarget:
    """The website and the receiver; all state is in memory."""

    def __init__(self, secret: str | None = None) -> None:
        self._up = True
        self._secret = secret
        self._hooks: deque[Hook] = deque(maxlen=KEPT_HOOKS)
        self._turn = threading.Lock()
        self._routes = {
            ("GET", "/"): self._show,
            ("HEAD", "/"): self._show,
            ("PUT", "/state"): self._change_state,
            ("PUT", "/secret"): self._change_secret,
            ("POST", "/hook"): self._receive,
            ("GET", "/hooks"): self._list,
            ("DELETE", "/hooks"): self._forget,
        }

    def answer(self, request: Request) -> Response:
        """One request."""
        route = self._routes.get((request.method, request.path))
        if route is None:
            return _message(HTTPStatus.NOT_FOUND, "no such page")
        try:
            return route(request)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return _message(HTTPStatus.BAD_REQUEST, str(error))

    def _show(self, _request: Request) -> Response:
        return _message(HTTPStatus.OK, "up") if self._up else _message(HTTPStatus.SERVICE_UNAVAILABLE, "down")

    def _change_state(self, request: Request) -> Response:
        self._up = msgspec.json.decode(request.body, type=StateChange).up
        _log.info("demo.state", up=self._up)
        return Response(HTTPStatus.OK, msgspec.json.encode({"up": self._up}))

    def _change_secret(self, request: Request) -> Response:
        self._secret = msgspec.json.decode(request.body, type=SecretChange).secret
        return Response(HTTPStatus.NO_CONTENT)

    def _receive(self, request: Request) -> Response:
        now = datetime.now(UTC)
        verified = verify(self._secret, request, now) if self._secret else None
        hook = Hook(request.header("webhook-id") or "", now, verified, msgspec.json.decode(request.body))
        with self._turn:
            self._hooks.append(hook)
        _log.info("demo.hook", webhook_id=hook.id, verified=verified)
        return _message(HTTPStatus.UNAUTHORIZED, "bad signature") if verified is False else _message(HTTPStatus.OK, "taken")

    def _list(self, _request: Request) -> Response:
        with self._turn:
            hooks = list(self._hooks)
        return Response(HTTPStatus.OK, msgspec.json.encode(hooks))

    def _forget(self, _request: Request) -> Response:
        with self._turn:
            self._hooks.clear()
        return Response(HTTPStatus.NO_CONTENT)


def _message(status: HTTPStatus, text: str) -> Response:
    return Response(status, msgspec.json.encode({"message": text}))


def main() -> None:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser(prog="core.local.demo_target", description="The demo's website and webhook receiver.")
    parser.add_argument("--host", default="127.0.0.1", choices=["127.0.0.1", "::1"])
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    configure("demo-target")
    listener = HttpListener(options.host, options.port, DemoTarget().answer, body_limit=BODY_LIMIT)
    _log.info("demo.ready", port=listener.port)
    listener.serve_until_signal()


if __name__ == "__main__":
    main()
