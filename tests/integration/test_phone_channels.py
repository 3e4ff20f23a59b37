"""WhatsApp and SMS: a receiver that judges as the Cloud API does, SNS of moto, and everything that both may answer."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final
from uuid import uuid4

import boto3
import msgspec
import pytest
from botocore.config import Config
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws
from moto.sns.models import sns_backends

from core.contracts.channels.config import BadConfig
from core.contracts.channels.registry import load_config, parse_config
from core.contracts.channels.sms import SmsConfig
from core.contracts.channels.whatsapp import WhatsAppConfig
from core.contracts.events import MonitorFacts
from lambdas.alert_dispatch.channels.sms import SnsSender
from lambdas.alert_dispatch.channels.whatsapp import WhatsAppSender, template_message
from lambdas.alert_dispatch.errors import Permanent, RateLimited, Transient
from lambdas.alert_dispatch.message import compose
from lambdas.alert_dispatch.message_brief import sms
from tests.services import PUBLIC_URL, Call, Reply, always, outgoing, poster, service

TOKEN: Final = "EAAJB" + "x" * 40
BASICS: Final = {"phone_number_id": "106540352242922", "token": TOKEN, "to": "+49 151 234-56789"}


def whatsapp(call: Call) -> Reply:
    """What the Cloud API checks of a template message."""
    content = call.content
    if call.headers.get("authorization") != f"Bearer {TOKEN}":
        return error(401, 190, "Access token has expired")
    if not re.fullmatch(r"/v\d+\.\d/106540352242922/messages", call.path) or content["messaging_product"] != "whatsapp":
        return error(400, 100, "Unsupported post request", error_subcode=33)
    if not re.fullmatch(r"\+\d{7,15}", content["to"]) or content["type"] != "template":
        return error(400, 131009, "Parameter value is not valid")
    [body] = content["template"]["components"]
    values = [one["text"] for one in body["parameters"]]
    wrong = [
        *[132000] * (len(values) != 2),
        *[132018] * any(not value or re.search(r"[\n\t]| {5}", value) for value in values),
        *[132005] * (sum(len(value) for value in values) > 1024),
    ]
    if wrong:
        return error(400, wrong[0], "the template does not take this")
    return Reply(200, {"messaging_product": "whatsapp", "messages": [{"id": "wamid.x"}]})


def error(status: int, code: int, message: str = "said", **more: Any) -> Reply:
    return Reply(status, {"error": {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "A", **more}})


def send(url: str, message: Any = None, **config: Any) -> None:
    parsed = parse_config("whatsapp", {**BASICS, "api": url, **config}, private_targets=True)
    assert isinstance(parsed, WhatsAppConfig)
    WhatsAppSender(poster())(message or outgoing(), parsed)


def test_a_template_is_filled_and_sent() -> None:
    with service(whatsapp) as running:
        send(running.url, template="outage", language="en_US")
    [call] = running.calls
    assert call.content["to"] == "+4915123456789"
    assert (call.content["template"]["name"], call.content["template"]["language"]) == ("outage", {"code": "en_US"})
    subject, details = (one["text"] for one in call.content["template"]["components"][0]["parameters"])
    assert subject == "DOWN: Shop - There was no complete answer in time"
    assert details.startswith("What: https://shop.example.com/; Why: There was no complete answer in time.; Since: 2026-11-23")


def test_parameters_are_the_users_and_may_be_none() -> None:
    chosen = parse_config("whatsapp", {**BASICS, "parameters": ["monitor", "why", "since", "until", "link"]})
    assert isinstance(chosen, WhatsAppConfig)
    values = [one["text"] for one in template_message(outgoing(), chosen)["template"]["components"][0]["parameters"]]
    assert values[:4] == ["Shop", "There was no complete answer in time.", "2026-11-23 12:00:00 UTC", "-"]
    assert values[4].startswith(f"{PUBLIC_URL}/api/v1/incidents/")
    none = parse_config("whatsapp", {**BASICS, "parameters": []})
    assert isinstance(none, WhatsAppConfig)
    assert "components" not in template_message(outgoing(), none)["template"]


@pytest.mark.parametrize("alert_type", ["test", "recovered", "not_monitored", "flapping"])
def test_every_alert_fits_the_template(alert_type: str) -> None:
    with service(whatsapp) as running:
        send(running.url, outgoing(alert_type, monitor=None, incident=None) if alert_type == "test" else outgoing(alert_type))


@pytest.mark.parametrize(
    ("reply", "raised_type", "disables"),
    [
        (error(401, 190, "Access token has expired"), Permanent, True),
        (error(401, 0, "AuthException"), Permanent, True),
        (error(403, 10, "Permission denied"), Permanent, True),
        (error(403, 200, "API permission"), Permanent, True),
        (error(400, 100, "Unsupported post request", error_subcode=33), Permanent, True),
        (error(400, 100, "Invalid parameter"), Permanent, False),
        (error(404, 132001, "Template does not exist"), Permanent, True),
        (error(400, 132000, "Number of parameters"), Permanent, True),
        (error(400, 132015, "Template is paused"), Transient, None),
        (error(400, 131026, "Message undeliverable"), Permanent, True),
        (error(400, 131042, "Business eligibility payment issue"), Transient, None),
        (error(403, 368, "Temporarily blocked for policies violations"), Permanent, True),
        (error(429, 130429, "Rate limit hit"), RateLimited, None),
        (error(400, 131056, "Pair rate limit hit"), RateLimited, None),
        (error(400, 80007, "Rate limit issues"), RateLimited, None),
        (error(500, 131000, "Something went wrong"), Transient, None),
        (error(503, 2, "API service"), Transient, None),
        (error(400, 999999, "not known yet"), Transient, None),
        (Reply(400), Permanent, False),
        (Reply(401), Permanent, True),
        (Reply(403), Transient, None),
        (Reply(404), Transient, None),
        (Reply(410), Transient, None),
        (Reply(429, headers={"Retry-After": "17"}), RateLimited, None),
        (Reply(500), Transient, None),
        (Reply(reset=True), Transient, None),
        (Reply(200, "not an object"), None, None),
    ],
)
def test_what_meta_may_answer(reply: Reply, raised_type: type[Exception] | None, disables: bool | None) -> None:
    with service(always(reply)) as running:
        if raised_type is None:
            send(running.url)
            return
        with pytest.raises(raised_type) as raised:
            send(running.url)
    assert type(raised.value) is raised_type
    assert getattr(raised.value, "disable_channel", None) is disables
    assert TOKEN not in str(raised.value)
    if reply.headers:
        assert getattr(raised.value, "retry_after_s", None) == 17


def test_a_number_that_says_nothing_times_out() -> None:
    with service(always(Reply(hang=True))) as running, pytest.raises(Transient) as raised:
        send(running.url, outgoing(timeout_s=0.3))
    assert raised.value.timed_out


@given(st.text(max_size=2000), st.text(max_size=2000))
def test_whatever_is_in_a_name_the_parameters_fit(name: str, text: str) -> None:
    monitor = MonitorFacts(id=uuid4(), kind="website", name=name, target="https://shop.example.com/\t" + text)
    config = parse_config("whatsapp", dict(BASICS))
    assert isinstance(config, WhatsAppConfig)
    content = template_message(outgoing(monitor=monitor, text=text), config)
    for one in content["template"]["components"][0]["parameters"]:
        assert one["text"].isprintable()
        assert 0 < len(one["text"]) <= 400
        assert " " * 5 not in one["text"]


@pytest.fixture
def sns(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield boto3.client("sns", region_name="eu-west-1")


def test_an_sms_is_published(sns: Any) -> None:
    asked: list[str] = []
    sns.meta.events.register("before-send.sns.Publish", lambda request, **_: asked.append(str(request.body)))
    SnsSender(lambda: sns)(outgoing(), SmsConfig(to="+4915123456789", sender_id="Uptime"))
    [(number, text)] = sns_backends["123456789012"]["eu-west-1"].sms_messages.values()
    assert number == "+4915123456789"
    assert text.startswith("DOWN: Shop - There was no complete answer in time\nhttps://monitor.example.com/api/v1/incidents/")
    assert "Transactional" in asked[0]
    assert "Uptime" in asked[0]


@pytest.mark.parametrize(
    ("code", "text", "raised_type", "disables"),
    [
        ("InvalidParameter", "Invalid parameter: PhoneNumber Reason: +1 is not valid to publish to", Permanent, True),
        ("InvalidParameter", "Invalid parameter: Message Reason: Empty message", Permanent, False),
        ("InvalidParameter", "Invalid parameter: phone number is opted out", Permanent, True),
        ("OptedOut", "The number is opted out", Permanent, True),
        ("Throttling", "Rate exceeded", RateLimited, None),
        ("Throttled", "Rate exceeded", RateLimited, None),
        ("AuthorizationError", "is not authorized to perform: SNS:Publish", Transient, None),
        ("InternalError", "internal", Transient, None),
        ("NotFound", "gone", Transient, None),
    ],
)
def test_what_sns_may_answer(sns: Any, code: str, text: str, raised_type: type[Exception], disables: bool | None) -> None:
    with Stubber(sns) as stub:
        stub.add_client_error("publish", code, text)
        with pytest.raises(raised_type, match=code) as raised:
            SnsSender(lambda: sns)(outgoing(), SmsConfig(to="+4915123456789"))
    assert type(raised.value) is raised_type
    assert getattr(raised.value, "disable_channel", None) is disables


@pytest.mark.parametrize("reply", [Reply(hang=True), Reply(reset=True)])
def test_an_sns_that_cannot_be_reached_is_transient(reply: Reply) -> None:
    with service(always(reply)) as running:
        client = boto3.client(
            "sns",
            region_name="eu-west-1",
            endpoint_url=running.url,
            aws_access_key_id="x",
            aws_secret_access_key="x",
            config=Config(read_timeout=0.3, retries={"total_max_attempts": 1}),
        )
        with pytest.raises(Transient) as raised:
            SnsSender(lambda: client)(outgoing(), SmsConfig(to="+4915123456789"))
    assert (raised.value.timed_out, raised.value.in_doubt) == (reply.hang, True)


@given(st.text(max_size=2000), st.text(max_size=2000))
def test_an_sms_is_short_and_has_no_more_lines_than_it_should(name: str, text: str) -> None:
    monitor = MonitorFacts(id=uuid4(), kind="website", name=name, target="https://shop.example.com/")
    said = sms(outgoing(monitor=monitor, text=text).message)
    assert 0 < len(said) <= 306
    assert len(said.split("\n")) <= 3


@pytest.mark.parametrize("length", range(60, 200, 7))
def test_an_sms_has_a_link_as_a_whole_or_not_at_all(length: int) -> None:
    monitor = MonitorFacts(id=uuid4(), kind="website", name="…" * 40, target="https://shop.example.com/")
    request = outgoing(monitor=monitor, text="x" * length).request.data
    link = f"{PUBLIC_URL}/acknowledge/{'t' * 70}/"
    said = sms(compose(request, PUBLIC_URL, acknowledge=link))
    assert len(said) <= 306
    assert said.endswith(f"\n{link}") or PUBLIC_URL not in said


def test_an_sms_says_why_it_is_late_where_there_is_room() -> None:
    said = sms(
        outgoing(text="This was held back during a \u201cmaintenance window\u201d \u2013 it has ended.", incident=None).message
    )
    assert said.isascii()
    assert '"maintenance window" - it has ended.' in said


@pytest.mark.parametrize(
    ("kind", "config", "field", "code"),
    [
        ("whatsapp", {**BASICS, "to": "0151 23456789"}, "to", "invalid"),
        ("whatsapp", {**BASICS, "phone_number_id": "+49151"}, "phone_number_id", "invalid"),
        ("whatsapp", {**BASICS, "token": "with blank " * 3}, "token", "invalid"),
        ("whatsapp", {**BASICS, "template": "My Template"}, "template", "invalid"),
        ("whatsapp", {**BASICS, "language": "english"}, "language", "invalid"),
        ("whatsapp", {**BASICS, "parameters": ["colour"]}, "parameters", "invalid"),
        ("whatsapp", {**BASICS, "parameters": ["why"] * 11}, "parameters", "too_many"),
        ("whatsapp", {**BASICS, "version": "23"}, "version", "invalid"),
        ("whatsapp", {**BASICS, "api": "https://elsewhere.example"}, "api", "wrong_host"),
        ("sms", {"to": "4915123456789"}, "to", "invalid"),
        ("sms", {"to": "+٤٩١٥١٢٣٤٥٦٧٨"}, "to", "invalid"),
        ("sms", {"to": "+49 151 2345678", "sender_id": "12345"}, "sender_id", "invalid"),
        ("pagerduty", {"routing_key": "short"}, "routing_key", "invalid"),
        ("pagerduty", {"routing_key": "e" * 32, "region": "mars"}, "region", "invalid"),
        ("pagerduty", {"routing_key": "e" * 32, "severity": "awful"}, "severity", "invalid"),
        ("pagerduty", {"routing_key": "e" * 32, "api": "https://elsewhere.example"}, "api", "wrong_host"),
        ("opsgenie", {"api_key": "a b"}, "api_key", "invalid"),
        ("opsgenie", {"api_key": "e" * 36, "priority": "P9"}, "priority", "invalid"),
        ("opsgenie", {"api_key": "e" * 36, "api": "http://api.opsgenie.com"}, "api", "wrong_host"),
    ],
)
def test_a_bad_configuration_names_its_field(kind: str, config: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(BadConfig) as raised:
        parse_config(kind, config)
    assert (raised.value.field, raised.value.code) == (field, code)


@pytest.mark.parametrize(
    ("kind", "config", "summary"),
    [
        ("whatsapp", dict(BASICS), "WhatsApp +491…789"),
        ("sms", {"to": "+49 151 2345678"}, "SMS +491…678"),
        ("pagerduty", {"routing_key": "e" * 28 + "d1a6", "region": "eu"}, "PagerDuty (eu), key …d1a6"),
        ("opsgenie", {"api_key": "eb243592-faa2-4ba2-a551-1afdf565c889"}, "Opsgenie (us), key …c889"),
    ],
)
def test_a_summary_tells_no_secret_and_what_is_kept_can_be_read(kind: str, config: dict[str, Any], summary: str) -> None:
    parsed = parse_config(kind, config)
    assert parsed.summary() == summary
    assert load_config(kind, json.loads(json.dumps(msgspec.to_builtins(parsed)))) == parsed
