"""The long tail, by Apprise in a process of its own (`lambdas.alert_dispatch.apprise_child`)."""

import os
import re
import subprocess
import sys
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from core.contracts.channels.apprise import SERVICES, AppriseConfig
from core.contracts.lines import one_line
from lambdas.alert_dispatch.answers import hidden, json_fields
from lambdas.alert_dispatch.dispatch import Outgoing
from lambdas.alert_dispatch.errors import Transient

START_S: Final = 5.0
"""What the process may need to load the library where there is little CPU."""

CHILD: Final = "lambdas.alert_dispatch.apprise_child"
RUNTIME_API: Final = "AWS_LAMBDA_RUNTIME_API"
TYPES: Final = {
    "down": "failure",
    "escalated": "failure",
    "reminder": "failure",
    "recovered": "success",
    "monitored_again": "success",
    "test": "info",
}
SAID_LIMIT: Final = 200
SHORTEST_SECRET: Final = 4
"""Characters; what is shorter, no service takes for a token, and it would be found in every other word."""


class AppriseSender:
    """Starts a process for each message; it knows nothing but the message and its service."""

    def __init__(self, *, private_targets: bool) -> None:
        self._private_targets = private_targets

    def __call__(self, outgoing: Outgoing, config: AppriseConfig) -> None:
        """Send; see `Sender`. Apprise does not tell a refusal from an outage, so every failure is tried again."""
        order = msgspec.json.encode(self._order(outgoing, config))
        try:
            done = subprocess.run(
                [sys.executable, "-m", CHILD],
                input=order,
                capture_output=True,
                timeout=outgoing.timeout_s + START_S,
                env=bare_environment(),
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Transient(f"{config.scheme()} did not answer in time", timed_out=True) from error
        answer = json_fields(done.stdout)
        if answer.get("sent") is not True:
            said = without_secrets(one_line(str(answer.get("said") or f"the process ended with {done.returncode}")), config.url)
            raise Transient(f"{config.scheme()} did not take the message: {said[:SAID_LIMIT]}")

    def _order(self, outgoing: Outgoing, config: AppriseConfig) -> dict[str, Any]:
        return {
            "module": SERVICES[config.scheme()],
            "scheme": config.scheme(),
            "url": config.url,
            "title": outgoing.message.subject,
            "body": outgoing.message.text,
            "type": "info" if outgoing.newer else TYPES.get(outgoing.request.data.alert_type, "warning"),
            "private_targets": self._private_targets,
            "forbidden": runtime_api(),
            "timeout_s": outgoing.timeout_s,
        }


def without_secrets(said: str, url: str) -> str:
    """What Apprise complained about, without anything of the URL but its scheme: its plugins repeat tokens that they refuse."""
    address, _, query = url.partition("://")[2].partition("?")
    parts = [*re.split(r"[/:@,#]+", address), *(pair.partition("=")[2] for pair in query.split("&"))]
    return hidden(said, {form for part in parts for form in (part, unquote(part)) if len(form) >= SHORTEST_SECRET})


def bare_environment() -> dict[str, str]:
    """What the process needs to find its modules: no credentials, no proxies, no home."""
    return {"PYTHONPATH": os.pathsep.join(sys.path), "HOME": os.devnull, "NETRC": os.devnull, "PYTHONDONTWRITEBYTECODE": "1"}


def runtime_api() -> list[tuple[str, int]]:
    """The address of Lambda's own API, where there is one: also where private targets are allowed nothing may reach it."""
    host, colon, port = os.environ.get(RUNTIME_API, "").rpartition(":")
    return [(host, int(port))] if colon else []
