"""Apprise: what arrives, and that its process reaches nothing else: addresses, our environment, programs, files."""

import json
import os
import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest

from core.contracts.channels.apprise import SERVICES, AppriseConfig
from core.contracts.channels.config import BadConfig
from core.contracts.channels.registry import parse_config
from lambdas.alert_dispatch.apprise_child import _names
from lambdas.alert_dispatch.channels.apprise import AppriseSender, bare_environment, without_secrets
from lambdas.alert_dispatch.errors import Transient
from tests.services import Call, Reply, Service, always, outgoing, service

TOKEN = "AbCdEfGhIjKlMnO"


def gotify(call: Call) -> Reply:
    """What Gotify checks of a message: https://gotify.net/api-docs."""
    fits = call.path == "/message" and call.headers.get("x-gotify-key") == TOKEN and call.content["message"]
    return Reply(200, {"id": 1}) if fits else Reply(401, {"error": "Unauthorized"})


def address(running: Service, token: str = TOKEN) -> str:
    return running.url.replace("http://", "gotify://") + f"/{token}"


def send(url: str, message: Any = None, *, private_targets: bool = True) -> None:
    AppriseSender(private_targets=private_targets)(message or outgoing(), AppriseConfig(url=url))


def test_a_message_arrives() -> None:
    with service(gotify) as running:
        send(address(running))
    [call] = running.calls
    assert call.content["title"] == "DOWN: Shop - There was no complete answer in time"
    assert "Shop is down." in call.content["message"]


@pytest.mark.parametrize(
    "reply",
    [Reply(400), Reply(401), Reply(404), Reply(410), Reply(429, headers={"Retry-After": "5"}), Reply(500), Reply(reset=True)],
)
def test_every_failure_is_tried_again(reply: Reply) -> None:
    with service(always(reply)) as running, pytest.raises(Transient, match="gotify did not take the message") as raised:
        send(address(running))
    assert TOKEN not in str(raised.value)


def test_what_a_plugin_refuses_is_not_repeated() -> None:
    with pytest.raises(Transient, match=r"invalid Twilio Account SID \(…\)"):
        send("twilio://secret%2Dsid:secret-token@+15551234567/+15557654321")


def test_what_is_left_of_a_complaint_can_be_read() -> None:
    said = "TypeError: An invalid Gotify Token (SecretToken) was specified, for https://push.example.com/?token=Se%2Fcret."
    url = "gotifys://push.example.com/SecretToken?token=Se%2Fcret&to=me"
    assert without_secrets(said, url) == "TypeError: An invalid Gotify Token (…) was specified, for https://…/?token=…."


def test_a_service_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lambdas.alert_dispatch.channels.apprise.START_S", 0.5)
    with service(always(Reply(hang=True))) as running, pytest.raises(Transient, match="in time") as raised:
        send(address(running), outgoing(timeout_s=1.0))
    assert raised.value.timed_out


def test_private_addresses_are_refused_where_they_are_not_allowed() -> None:
    with service(gotify) as running, pytest.raises(Transient):
        send(address(running), private_targets=False)
    assert running.calls == []


def test_lambdas_own_api_is_refused_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    with service(gotify) as running:
        monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", running.url.removeprefix("http://"))
        with pytest.raises(Transient):
            send(address(running))
    assert running.calls == []


def test_a_redirect_leads_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    with service(gotify) as secret:
        monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", secret.url.removeprefix("http://"))
        moved = Reply(307, headers={"Location": f"{secret.url}/message"})
        with service(always(moved)) as running, pytest.raises(Transient):
            send(address(running))
        assert len(running.calls) == 1
    assert secret.calls == []


GUARDED = """
import socket, subprocess, os, sys
from lambdas.alert_dispatch.apprise_child import guard
guard(private_targets=False, forbidden=[])
try:
    {attempt}
except OSError as error:
    print("refused", error)
else:
    print("done")
"""


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.create_connection(('127.0.0.1', 9001), 1)",
        "socket.create_connection(('169.254.169.254', 80), 1)",
        "socket.create_connection(('10.0.0.1', 80), 1)",
        "socket.create_connection(('::1', 80), 1)",
        "socket.create_connection(('::ffff:127.0.0.1', 80), 1)",
        "socket.create_connection(('localhost', 80), 1)",
        "socket.socket().connect(('localhost', 80))",
        "socket.socket().connect_ex(('127.0.0.1', 80))",
        "socket.socket(socket.AF_UNIX).connect('/tmp/x')",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 53))",
        "subprocess.run(['true'])",
        "os.system('true')",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "open('/tmp/uptimemonitor-apprise', 'w')",
        "os.remove('/tmp/uptimemonitor-apprise')",
    ],
)
def test_the_guard_refuses(attempt: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", GUARDED.format(attempt=attempt)],
        capture_output=True,
        text=True,
        env=bare_environment(),
        check=False,
    )
    assert done.stdout.startswith("refused"), done.stdout + done.stderr


def test_the_process_knows_nothing_of_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    show = "import json, os; print(json.dumps(dict(os.environ)))"
    done = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, env=bare_environment(), check=True)
    assert set(json.loads(done.stdout)) - {"LC_CTYPE"} == {"PYTHONPATH", "HOME", "NETRC", "PYTHONDONTWRITEBYTECODE"}


def test_alert_dispatch_does_not_load_the_library() -> None:
    show = "import sys, lambdas.alert_dispatch.handler; print([m for m in ('apprise', 'requests') if m in sys.modules])"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_LAMBDA")}
    done = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, env=environ, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("scheme", sorted(SERVICES))
def test_every_scheme_has_its_plugin(scheme: str) -> None:
    found = [
        plugin
        for plugin in vars(import_module(f"apprise.plugins.{SERVICES[scheme]}")).values()
        if isinstance(plugin, type) and scheme in _names(plugin, "protocol") | _names(plugin, "secure_protocol")
    ]
    assert len(found) == 1


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "exec://x", "json://127.0.0.1", "syslog://", "mailto://a:b@c", "dbus://", "x"]
)
def test_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(BadConfig) as raised:
        parse_config("apprise", {"url": url})
    assert (raised.value.field, raised.value.code) == ("url", "unknown_service")


def test_a_summary_names_the_service_alone() -> None:
    assert parse_config("apprise", {"url": "pover://user@token"}).summary() == "pover://…"
