"""Webhooks as users shape them: method, headers, a template of their own, and two secrets while one is rotated."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from core.contracts.channels.config import BadConfig
from core.contracts.channels.registry import parse_config
from core.contracts.channels.templates import NAMES
from core.contracts.channels.webhook import WebhookConfig, new_webhook_secret
from core.contracts.events import ExpiryFacts, IncidentFacts, MonitorFacts
from lambdas.alert_dispatch.channels.webhook import WebhookSender, payload
from lambdas.alert_dispatch.filling import filled, values
from lambdas.alert_dispatch.places import Newer
from tests.dispatching import BEGAN
from tests.services import Call, Reply, always, outgoing, poster, service

OLD, NEW = new_webhook_secret(), new_webhook_secret()
URL: Final = "https://hooks.example.com/x"


def webhook(url: str = URL, **config: Any) -> WebhookConfig:
    parsed = parse_config("webhook", {"url": url, **config}, private_targets=True)
    assert isinstance(parsed, WebhookConfig)
    return parsed


def sent(config: dict[str, Any], message: Any = None) -> Call:
    with service(always(Reply())) as running:
        WebhookSender(poster())(message or outgoing(), webhook(f"{running.url}/hook", **config))
    [call] = running.calls
    return call


def test_while_a_secret_is_rotated_both_verify() -> None:
    call = sent({"secret": NEW, "previous_secret": OLD})
    assert len(call.headers["webhook-signature"].split(" ")) == 2
    for secret in (OLD, NEW):
        assert Webhook(secret).verify(call.body, call.headers)["type"] == "alert.down"
    with pytest.raises(WebhookVerificationError):
        Webhook(new_webhook_secret()).verify(call.body, call.headers)


def test_a_rotation_that_has_ended_leaves_one_signature() -> None:
    rotated = webhook(secret=OLD).rotated(NEW)
    assert rotated.secrets() == (NEW, OLD)
    call = sent({"secret": NEW})
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD).verify(call.body, call.headers)


def test_method_headers_and_template_are_the_users() -> None:
    template = {
        "incident": {"name": "{{subject}}", "since": "{{incident.began_at}}", "tags": ["uptime", "{{monitor.kind}}"], "n": 5}
    }
    call = sent(
        {
            "secret": NEW,
            "method": "PUT",
            "headers": {"X-Api-Key": "k3y", "Content-Type": "application/vnd.x+json"},
            "template": template,
        }
    )
    assert (call.method, call.headers["x-api-key"], call.headers["content-type"]) == ("PUT", "k3y", "application/vnd.x+json")
    assert call.content == {
        "incident": {
            "name": "DOWN: Shop - There was no complete answer in time",
            "since": "2026-11-23T12:00:00Z",
            "tags": ["uptime", "website"],
            "n": 5,
        }
    }
    Webhook(NEW).verify(call.body, call.headers)


def test_what_an_alert_does_not_have_is_null_or_nothing() -> None:
    message = outgoing("test", monitor=None, incident=None)
    assert json.loads(filled({"a": "{{ incident.reason }}", "b": "in {{monitor.name}}."}, message)) == {"a": None, "b": "in ."}


def test_every_placeholder_has_a_value_somewhere() -> None:
    ending = ExpiryFacts(name="example.com", ends_at=BEGAN, days_left=7)
    incident = IncidentFacts(id=uuid4(), reason="timeout", detail="x", began_at=BEGAN, opened_at=BEGAN, resolved_at=BEGAN)
    message = replace(outgoing("recovered", incident=incident, expiry=ending), newer=Newer(BEGAN))
    assert set(values(message)) == NAMES


def test_a_message_that_comes_late_says_what_came_since() -> None:
    late = replace(outgoing("recovered"), newer=Newer(BEGAN, BEGAN + timedelta(minutes=3)))
    since = {"began_at": "2026-11-23T12:00:00Z", "ended_at": "2026-11-23T12:03:00Z"}
    assert json.loads(payload(late))["data"]["newer"] == since
    assert json.loads(filled({"began_at": "{{newer.began_at}}", "ended_at": "{{newer.ended_at}}"}, late)) == since
    assert "newer" not in json.loads(payload(outgoing("recovered")))["data"]


def test_numbers_stay_numbers() -> None:
    incident = IncidentFacts(id=uuid4(), reason="timeout", detail="x", began_at=BEGAN, opened_at=BEGAN, resolved_at=BEGAN)
    message = outgoing("recovered", incident=incident)
    assert json.loads(filled({"s": "{{incident.duration_s}}", "t": "{{incident.duration_s}} s"}, message)) == {"s": 0, "t": "0 s"}


@given(st.text(max_size=300), st.text(max_size=300))
@settings(deadline=None)
def test_no_name_breaks_out_of_its_text(name: str, detail: str) -> None:
    facts = MonitorFacts(id=uuid4(), kind="website", name=name, target="https://shop.example.com/")
    incident = IncidentFacts(id=uuid4(), reason="timeout", detail=detail, began_at=BEGAN, opened_at=BEGAN)
    message = outgoing(monitor=facts, incident=incident)
    template = {"a": "{{monitor.name}}", "b": "<{{monitor.name}}|{{incident.detail}}>", "c": [{"d": True}]}
    assert json.loads(filled(template, message)) == {"a": name, "b": f"<{name}|{detail}>", "c": [{"d": True}]}


def test_a_value_is_no_placeholder_in_turn() -> None:
    facts = MonitorFacts(id=uuid4(), kind="website", name="{{incident.detail}}", target="x")
    assert json.loads(filled({"a": "x{{monitor.name}}"}, outgoing(monitor=facts))) == {"a": "x{{incident.detail}}"}


def deep(levels: int) -> Any:
    nested: Any = "x"
    for _ in range(levels):
        nested = [nested]
    return nested


@pytest.mark.parametrize(
    ("config", "field", "code"),
    [
        ({"method": "DELETE"}, "method", "invalid"),
        ({"previous_secret": "hunter2"}, "previous_secret", "invalid"),
        ({"previous_secret": "whsec_c2hvcnQ="}, "previous_secret", "invalid"),
        ({"headers": {"Host": "other.example"}}, "headers", "reserved"),
        ({"headers": {"Webhook-Signature": "v1,x"}}, "headers", "reserved"),
        ({"headers": {"transfer-encoding": "chunked"}}, "headers", "reserved"),
        ({"headers": {"X-A": "1\r\nX-B: 2"}}, "headers", "invalid"),
        ({"headers": {"X A": "1"}}, "headers", "invalid"),
        ({"headers": {"X-A": ""}}, "headers", "invalid"),
        ({"headers": {"X-A": "ü"}}, "headers", "invalid"),
        ({"headers": {"X-A": 5}}, "headers", "invalid"),
        ({"headers": {"X-A": "1", "x-a": "2"}}, "headers", "repeated"),
        ({"headers": {f"X-{number}": "1" for number in range(21)}}, "headers", "too_many"),
        ({"template": "{}"}, "template", "invalid"),
        ({"template": {"a": "{{colour}}"}}, "template", "unknown_placeholder"),
        ({"template": {"a": "{{ subject"}}, "template", "invalid"),
        ({"template": {"a": "{{Subject}}"}}, "template", "invalid"),
        ({"template": {"{{subject}}": "a"}}, "template", "invalid"),
        ({"template": {"a": "{{text}}" * 101}}, "template", "too_many"),
        ({"template": {"a": "x" * 17_000}}, "template", "too_long"),
        ({"template": {"a": deep(12)}}, "template", "too_deep"),
    ],
)
def test_a_bad_form_names_its_field(config: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(BadConfig) as raised:
        webhook(**config)
    assert (raised.value.field, raised.value.code) == (field, code)
