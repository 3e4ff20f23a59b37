"""Brings one ping to the gateway, by the standard library alone: what runs with a job every minute must start quickly (ADR 132)."""

import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Final, override

ATTEMPT_S: Final = 10.0
"""How long one attempt may wait for each of connection, handshake and answer."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 8.0
USER_AGENT: Final = "uptimemonitor-client/1"
AGAIN: Final = frozenset({408, 425, 429})
"""Answers below 500 that another attempt may turn into a success."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended. `problem` is empty when the ping is recorded; `again_after_s` is None when trying again is of no use."""

    problem: str = ""
    again_after_s: float | None = None


def deliver(
    address: str, body: bytes, *, give_up_at: float, attempt_s: float = ATTEMPT_S, enough: Callable[[], bool] = lambda: False
) -> str:
    """Try until the ping is recorded, refused, or it is `give_up_at` (`time.monotonic()`); returns the last problem, empty if recorded.

    There is one attempt at least, none longer than `attempt_s`, and none begins after the first once `enough()` is true.
    """
    pause = FIRST_PAUSE_S
    while True:
        outcome = attempt(address, body, min(attempt_s, max(give_up_at - time.monotonic(), 0.1)))
        if outcome.again_after_s is None:
            return outcome.problem
        wait = max(outcome.again_after_s, pause * _jitter())
        if enough() or time.monotonic() + wait >= give_up_at or not _sleep(wait, enough):
            return outcome.problem
        pause = min(2 * pause, LONGEST_PAUSE_S)


def attempt(address: str, body: bytes, timeout_s: float) -> Outcome:
    """POST once."""
    request = urllib.request.Request(
        address,
        data=body,
        headers={"User-Agent": USER_AGENT, "Content-Type": "application/octet-stream", "Connection": "close"},
        method="POST",
    )
    try:
        with _opener(address).open(request, timeout=timeout_s):
            return Outcome()
    except urllib.error.HTTPError as error:
        with error:
            return _refused(error)
    except urllib.error.URLError as error:
        return Outcome(f"cannot reach the gateway: {error.reason}", again_after_s=0)
    except (OSError, http.client.HTTPException) as error:
        return Outcome(f"no answer from the gateway: {str(error) or type(error).__name__}", again_after_s=0)


class _SamePost(urllib.request.HTTPRedirectHandler):
    """A moved gateway gets the same POST: the standard library would send a GET, and the job's output would be lost."""

    @override
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request:
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise urllib.error.URLError("it leads from https to http")
        return urllib.request.Request(newurl, data=req.data, headers=dict(req.headers), method="POST")

    http_error_307 = http_error_308 = urllib.request.HTTPRedirectHandler.http_error_302


def _opener(address: str) -> urllib.request.OpenerDirector:
    """Proxies come from the environment (HTTPS_PROXY, NO_PROXY), as with curl."""
    if address.startswith("https:"):
        return urllib.request.build_opener(_SamePost, urllib.request.HTTPSHandler(context=_trust()))
    return urllib.request.build_opener(_SamePost)


def _trust() -> ssl.SSLContext:
    """The certificate authorities of the system; those of certifi where a Python was built for another system's paths."""
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    if not any(path and Path(path).exists() for path in (paths.cafile, paths.capath)):
        import certifi  # noqa: PLC0415  (a twentieth of a second that almost nobody needs)

        context.load_verify_locations(certifi.where())
    return context


def _refused(error: urllib.error.HTTPError) -> Outcome:
    problem = f"the gateway answered {error.code} {error.reason}".rstrip()
    if error.code < http.HTTPStatus.INTERNAL_SERVER_ERROR and error.code not in AGAIN:
        return Outcome(problem)
    wait = error.headers.get("Retry-After", "")
    return Outcome(problem, again_after_s=float(wait) if wait.isascii() and wait.isdigit() else 0)


def _sleep(seconds: float, enough: Callable[[], bool]) -> bool:
    """Wait, unless it is enough; says whether the wait was a whole one."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if enough():
            return False
        time.sleep(min(left, 0.1))
    return True


def _jitter() -> float:
    """0.5 to 1: jobs that all start on the minute do not come back together."""
    return 0.5 + int.from_bytes(os.urandom(2)) / 2**17
