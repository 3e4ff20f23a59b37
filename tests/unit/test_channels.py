"""Channel configurations, and what the answers of targets mean."""

import base64
import socket
import threading
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import msgspec
import pytest
from msgspec.structs import fields
from standardwebhooks import Webhook

from core.contracts.channels import registry, webhook
from core.contracts.channels.config import BadConfig
from core.contracts.channels.email import EmailConfig
from core.contracts.channels.webhook import WebhookConfig
from lambdas.alert_dispatch.channels.email import refused_recipient
from lambdas.alert_dispatch.channels.webhook import signed_headers
from lambdas.alert_dispatch.connect import AddressRefused, NameNotResolved, permitted, resolve
from lambdas.alert_dispatch.errors import Permanent, RateLimited, Transient, retry_delay_s
from lambdas.alert_dispatch.posting import Answer, judge, seconds_of

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


def test_a_webhook_without_a_secret_gets_one() -> None:
    config = registry.parse_config("webhook", {"url": "https://hooks.example.com/t/token"})
    assert isinstance(config, WebhookConfig)
    assert len(webhook.signing_key(config.secret)) == 32
    assert registry.load_config("webhook", msgspec.to_builtins(config)) == config
    assert config.summary() == "https://hooks.example.com/…"


@pytest.mark.parametrize(
    ("kind", "config", "said"),
    [
        ("telegram", {"token": "x", "chat_id": -1001234567890}, "chat_id: must be a text"),
        ("webhook", {"url": "https://a.example/", "method": "GET"}, "method: must be one of POST, PUT, PATCH"),
        ("webhook", {"url": "https://a.example/", "headers": {"X-Level": 5}}, "headers: must be an object of texts"),
        ("webhook", {"url": "https://a.example/", "template": ["x"]}, "template: must be an object"),
        ("opsgenie", {"api_key": "x", "priority": "P0"}, "priority: must be one of P1, P2, P3, P4, P5"),
        ("email", {"adress": "ops@example.com"}, "adress: is not known; there are address"),
    ],
)
def test_a_value_of_another_form_is_told_what_it_must_be(kind: str, config: dict[str, Any], said: str) -> None:
    with pytest.raises(BadConfig) as raised:
        registry.parse_config(kind, config)
    assert str(raised.value) == said


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [(kind, field.name, value) for kind, shape in registry.KINDS.items() for field in fields(shape) for value in (None, 5, [5])],
)
def test_no_field_takes_a_value_of_another_form(kind: str, name: str, value: Any) -> None:
    needed = {field.name: "x" for field in fields(registry.KINDS[kind]) if field.required}
    with pytest.raises(BadConfig, match="must be ") as raised:
        registry.parse_config(kind, {**needed, name: value})
    assert (raised.value.field, raised.value.code) == (name, "invalid")


@pytest.mark.parametrize("tail", ["/?x=1", "/#x"])
@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("opsgenie", {"api_key": "eb243592-faa2-4ba2-a551-1afdf565c889"}),
        ("pagerduty", {"routing_key": "e93facc04764012d7bfb002500d5d1a6"}),
        ("whatsapp", {"phone_number_id": "106540352242922", "token": "x" * 20, "to": "+4915123456789"}),
    ],
)
def test_a_server_to_which_no_path_can_be_added_is_refused(kind: str, config: dict[str, Any], tail: str) -> None:
    with pytest.raises(BadConfig) as raised:
        registry.parse_config(kind, {**config, "api": f"http://127.0.0.1:1{tail}"}, private_targets=True)
    assert raised.value.field == "api"


@pytest.mark.parametrize(
    ("kind", "config", "private"),
    [
        ("email", {"address": "a@b.de"}, {"a@b.de"}),
        ("sms", {"to": "+49 151 23456789", "sender_id": "Uptime"}, {"+4915123456789", "Uptime"}),
        (
            "webhook",
            {
                "url": "https://a.example/t",
                "secret": SECRET,
                "headers": {"authorization": "Bearer x"},
                "template": {"a": "{{subject}}"},
            },
            {"https://a.example/t", SECRET, "Bearer x"},
        ),
        ("ntfy", {"topic": "ops-k3v9x2q7", "priority": "urgent"}, {"ops-k3v9x2q7", "https://ntfy.sh"}),
    ],
)
def test_what_is_private_of_a_configuration(kind: str, config: dict[str, Any], private: set[str]) -> None:
    assert registry.parse_config(kind, config).private() == private


def test_an_email_address_is_kept_without_blanks() -> None:
    config = registry.parse_config("email", {"address": " ops@example.com "})
    assert config == EmailConfig(address="ops@example.com")
    assert config.summary() == "ops@example.com"


@pytest.mark.parametrize(
    ("kind", "config", "field", "code"),
    [
        ("pigeon", {}, "kind", "unknown_kind"),
        ("webhook", {}, "url", "required"),
        ("webhook", {"url": 5}, "url", "invalid"),
        ("webhook", {"url": None}, "url", "invalid"),
        ("webhook", {"url": "https://a.example/", "colour": "red"}, "colour", "unknown_field"),
        ("webhook", {"url": "ftp://a.example/"}, "url", "invalid"),
        ("webhook", {"url": "https:///path"}, "url", "invalid"),
        ("webhook", {"url": "https://[::1"}, "url", "invalid"),
        ("webhook", {"url": "https://a.example:99999/"}, "url", "invalid"),
        ("webhook", {"url": "https://a.example/\r\nX: y"}, "url", "invalid"),
        ("webhook", {"url": "https://a.example/ x"}, "url", "invalid"),
        ("webhook", {"url": "https://user:pw@a.example/"}, "url", "userinfo"),
        ("webhook", {"url": "https://a.example/" + "x" * 2048}, "url", "too_long"),
        ("webhook", {"url": "http://169.254.169.254/latest"}, "url", "refused_address"),
        ("webhook", {"url": "http://[::1]/"}, "url", "refused_address"),
        ("webhook", {"url": "http://localhost:9000/"}, "url", "refused_address"),
        ("webhook", {"url": "https://a.example/", "secret": "hunter2"}, "secret", "invalid"),
        ("webhook", {"url": "https://a.example/", "secret": "whsec_c2hvcnQ="}, "secret", "invalid"),
        ("webhook", {"url": "https://a.example/", "secret": "whsec_!!!!"}, "secret", "invalid"),
        ("email", {}, "address", "required"),
        ("email", {"address": "nobody"}, "address", "invalid"),
        ("email", {"address": "a@b@c.example"}, "address", "invalid"),
        ("email", {"address": "a@c.example, b@c.example"}, "address", "invalid"),
        ("email", {"address": "a@c.example\nBcc: x@y.example"}, "address", "invalid"),
        ("email", {"address": "Ops <ops@c.example>"}, "address", "invalid"),
        ("email", {"address": "x" * 250 + "@c.example"}, "address", "too_long"),
    ],
)
def test_a_bad_configuration_names_its_field(kind: str, config: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(BadConfig) as raised:
        registry.parse_config(kind, config)
    assert (raised.value.field, raised.value.code) == (field, code)


def test_private_targets_are_a_setting_and_metadata_stays_refused() -> None:
    allowed = registry.parse_config("webhook", {"url": "http://127.0.0.1:9/"}, private_targets=True)
    assert allowed.summary() == "http://127.0.0.1:9/…"
    with pytest.raises(BadConfig):
        registry.parse_config("webhook", {"url": "http://169.254.169.254/"}, private_targets=True)


def test_the_signature_verifies_with_the_reference_library() -> None:
    body = b'{"type":"alert.down"}'
    headers = signed_headers("msg-1", datetime.now(UTC), body, SECRET)
    assert Webhook(SECRET).verify(body, headers) == {"type": "alert.down"}


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_means_taken(status: int) -> None:
    judge(Answer(status), NOW, "the webhook")


@pytest.mark.parametrize(
    ("status", "error", "disable"),
    [
        (404, Permanent, True),
        (410, Permanent, True),
        (400, Permanent, False),
        (401, Permanent, False),
        (301, Permanent, False),
        (308, Permanent, False),
        (408, Transient, None),
        (425, Transient, None),
        (429, RateLimited, None),
        (500, Transient, None),
        (503, Transient, None),
    ],
)
def test_what_other_answers_mean(status: int, error: type[Exception], disable: bool | None) -> None:
    with pytest.raises(error) as raised:
        judge(Answer(status), NOW, "the webhook")
    assert getattr(raised.value, "disable_channel", None) is disable


@pytest.mark.parametrize(
    ("status", "error", "disable"),
    [(400, Permanent, True), (403, Permanent, True), (429, RateLimited, None), (500, Transient, None)],
)
def test_what_a_service_says_of_a_target_that_is_gone_outweighs_its_status(
    status: int, error: type[Exception], disable: bool | None
) -> None:
    with pytest.raises(error, match=rf"^Slack answered {status} \(no_service\)$") as raised:
        judge(Answer(status), NOW, "Slack", reason="no_service", gone=True)
    assert getattr(raised.value, "disable_channel", None) is disable


def test_retry_after_is_honoured_within_an_hour() -> None:
    assert seconds_of("120", NOW) == 120
    assert seconds_of("Mon, 23 Nov 2026 12:02:00 GMT", NOW) == 120
    assert seconds_of("Mon, 23 Nov 2026 11:00:00 GMT", NOW) == 0
    assert seconds_of("soon", NOW) is None
    assert seconds_of("", NOW) is None
    assert seconds_of(f"Mon, 23 Nov {10**20} 12:02:00 GMT", NOW) is None
    assert seconds_of(f"Mon, 23 Nov 2026 12:02:00 +{10**20}", NOW) is None
    assert [retry_delay_s(attempt) for attempt in (1, 2, 3, 7, 8, 60)] == [10, 20, 40, 640, 900, 900]
    assert retry_delay_s(1, 120) == 120
    assert retry_delay_s(1, 10**8) == 3600
    assert retry_delay_s(8, 5) == 900


@pytest.mark.parametrize(
    ("code", "reply", "error", "disable"),
    [
        (450, b"4.2.2 mailbox full", Transient, None),
        (550, b"5.1.1 no such user", Permanent, True),
        (550, b"no such user", Permanent, True),
        (550, b"5.7.1 looks like spam", Permanent, False),
        (552, b"too large", Permanent, False),
    ],
)
def test_what_a_refused_recipient_means(code: int, reply: bytes, error: type[Exception], disable: bool | None) -> None:
    refused = refused_recipient(code, reply)
    assert type(refused) is error
    assert getattr(refused, "disable_channel", None) is disable


def test_only_permitted_addresses_are_left() -> None:
    public, private = ip_address("93.184.215.14"), ip_address("10.0.0.1")
    assert permitted([private, public], private_targets=False) == [public]
    assert permitted([private, public], private_targets=True) == [private, public]
    with pytest.raises(AddressRefused, match=r"10\.0\.0\.1"):
        permitted([private], private_targets=False)


def test_a_name_without_an_address_is_told_from_a_slow_name_server() -> None:
    def no_such_name(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(NameNotResolved, match="Name or service not known"):
        resolve("gone.example", 443, 1.0, no_such_name)

    def never(*_: Any, **__: Any) -> list[Any]:
        threading.Event().wait(5)
        return []

    with pytest.raises(TimeoutError):
        resolve("slow.example", 443, 0.05, never)


def test_numeric_forms_of_addresses_are_judged_as_addresses() -> None:
    assert resolve("2130706433", 80, 1.0) == [ip_address("127.0.0.1")]
    assert resolve("0x7f.1", 80, 1.0) == [ip_address("127.0.0.1")]
