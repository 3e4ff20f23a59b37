"""Channels: secrets go in and never come out, versions are in the vault before anything refers to them, tests of channels."""

from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.utils import timezone
from rest_framework.test import APIClient

from core.api import edge
from core.api.channels.models import Channel
from core.api.incidents.models import Alert
from tests.integration.api.calls import fields, problem
from tests.integration.api.conftest import Caller, Edge

HOOK = "https://hooks.example.com/services/T0/secret-path"


def create(caller: Caller, kind: str = "webhook", **config: Any) -> dict[str, Any]:
    config = config or ({"url": HOOK} if kind == "webhook" else {"address": "ops@example.com"})
    answer = caller.client.post("/api/v1/channels/", {"name": "Ops", "kind": kind, "config": config}, format="json")
    assert answer.status_code == 201, answer.content
    body: dict[str, Any] = answer.json()
    return body


def opened(channel: dict[str, Any], version: int, outside: Edge) -> dict[str, Any]:
    return edge.vault_cipher().open(outside.vault.versions[UUID(channel["id"]), version])


def test_a_webhook_gets_a_secret_that_is_shown_once(alice: Caller, outside: Edge) -> None:
    made = create(alice)
    assert made["secret"].startswith("whsec_")
    kept = opened(made, 1, outside)
    assert (kept["url"], kept["secret"], kept["previous_secret"]) == (HOOK, made["secret"], "")
    shown = alice.client.get(f"/api/v1/channels/{made['id']}/")
    assert "secret" not in shown.json()
    assert "secret-path" not in shown.content.decode()
    assert "secret-path" not in Channel.objects.get().config_ciphertext
    assert shown.json()["summary"] == "https://hooks.example.com/…"


def test_a_secret_of_ones_own_is_kept_and_not_repeated(alice: Caller, outside: Edge) -> None:
    secret = "whsec_" + "QUJD" * 8
    made = create(alice, url=HOOK, secret=secret)
    assert made["secret"] is None
    assert opened(made, 1, outside)["secret"] == secret


def test_an_email_channel_shows_its_address(alice: Caller) -> None:
    made = create(alice, "email")
    assert (made["summary"], made["enabled"], made["secret"]) == ("ops@example.com", True, None)


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("slack", {"url": "https://hooks.slack.com/services/T0123ABCD/B0456EFGH/secretpart"}),
        ("slack", {"token": "xoxb-1234567890-secretpart", "channel": "C0123456789"}),
        ("teams", {"url": "https://prod-1.westeurope.logic.azure.com/workflows/1/triggers/manual/paths/invoke?sig=secretpart"}),
        ("discord", {"url": "https://discord.com/api/webhooks/123456789012345678/secretpart-0123456789012"}),
        ("telegram", {"token": "123456789:secretpart-0123456789-0123456789", "chat_id": "-1001234567890"}),
        ("ntfy", {"topic": "secretpart", "token": "tk_secretpart0123456789012345678", "priority": "urgent"}),
    ],
)
def test_secrets_of_chat_services_are_in_the_vault_alone(alice: Caller, outside: Edge, kind: str, config: dict[str, str]) -> None:
    made = create(alice, kind, **config)
    assert made["secret"] is None
    assert config.items() <= opened(made, 1, outside).items()
    assert "secretpart" not in alice.client.get("/api/v1/channels/").content.decode()
    assert "secretpart" not in str(Channel.objects.values().get())
    assert alice.client.post(f"/api/v1/channels/{made['id']}/test/").status_code == 202


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "pigeon"}, "kind"),
        ({"config": {}}, "config.url"),
        ({"config": "x"}, "config"),
        ({"config": {"url": "http://169.254.169.254/"}}, "config.url"),
        ({"config": {"url": "http://127.0.0.1:9001/"}}, "config.url"),
        ({"config": {"url": HOOK, "secret": "short"}}, "config.secret"),
        ({"config": {"url": HOOK, "adress": "x"}}, "config.adress"),
        ({"config": {"url": 5}}, "config.url"),
        ({"config": {"url": "https://a.example/\x00"}}, "config.url"),
        ({"kind": "email", "config": {"address": "nobody"}}, "config.address"),
        ({"kind": "email", "config": {"url": HOOK}}, "config.url"),
        ({"kind": "slack", "config": {"url": HOOK}}, "config.url"),
        ({"kind": "telegram", "config": {"token": "x", "chat_id": "1"}}, "config.token"),
        ({"kind": "ntfy", "config": {"topic": "ops", "priority": "loud"}}, "config.priority"),
        ({"enabled": True}, "enabled"),
    ],
)
def test_each_bad_field_is_named(alice: Caller, change: dict[str, Any], field: str) -> None:
    body = {"name": "Ops", "kind": "webhook", "config": {"url": HOOK}} | change
    assert list(fields(alice.client.post("/api/v1/channels/", body, format="json"))) == [field]
    assert Channel.objects.count() == 0


def test_without_the_edge_nothing_is_created_or_changed(alice: Caller, outside: Edge) -> None:
    made = create(alice)
    outside.vault.reachable = False
    body = {"name": "Ops", "kind": "email", "config": {"address": "ops@example.com"}}
    problem(alice.client.post("/api/v1/channels/", body, format="json"), "edge-unreachable")
    change = {"name": "New", "config": {"url": HOOK}}
    problem(alice.client.patch(f"/api/v1/channels/{made['id']}/", change, format="json"), "edge-unreachable")
    stored = Channel.objects.get()
    assert (stored.name, stored.config_version) == ("Ops", 1)


def test_a_new_configuration_is_a_new_version_and_enables_the_channel(alice: Caller, outside: Edge) -> None:
    made = create(alice)
    Channel.objects.update(disabled_at=timezone.now(), disabled_reason="410 Gone")
    change = {"config": {"url": "https://new.example.com/"}}
    edited = alice.client.patch(f"/api/v1/channels/{made['id']}/", change, format="json").json()
    assert (edited["config_version"], edited["enabled"], edited["disabled_reason"]) == (2, True, "")
    assert opened(made, 1, outside)["url"] == HOOK, "deliveries under way still refer to it"
    assert opened(made, 2, outside)["url"] == "https://new.example.com/"


def test_a_new_name_is_no_new_version(alice: Caller) -> None:
    made = create(alice)
    Channel.objects.update(disabled_at=timezone.now(), disabled_reason="410 Gone")
    edited = alice.client.patch(f"/api/v1/channels/{made['id']}/", {"name": "Night"}, format="json").json()
    assert (edited["name"], edited["config_version"], edited["enabled"]) == ("Night", 1, False)


def test_the_kind_is_for_ever(alice: Caller) -> None:
    made = create(alice)
    assert fields(alice.client.patch(f"/api/v1/channels/{made['id']}/", {"kind": "email"}, format="json")) == {
        "kind": "unknown_field"
    }


def test_disabling_and_enabling_by_hand(alice: Caller) -> None:
    made = create(alice)
    address = f"/api/v1/channels/{made['id']}/"
    assert alice.client.patch(address, {"enabled": False}, format="json").json()["disabled_reason"] == "disabled by hand"
    assert alice.client.get("/api/v1/channels/", {"enabled": "true"}).json()["results"] == []
    problem(alice.client.post(address + "test/"), "conflict")
    assert alice.client.patch(address, {"enabled": True}, format="json").json()["enabled"] is True
    assert len(alice.client.get("/api/v1/channels/", {"enabled": "true", "kind": "webhook"}).json()["results"]) == 1


def test_a_test_is_an_alert_for_this_channel_alone(alice: Caller, outside: Edge) -> None:
    made = create(alice)
    answer = alice.client.post(f"/api/v1/channels/{made['id']}/test/")
    assert answer.status_code == 202
    alert = Alert.objects.get()
    assert answer.json() == {"alert": str(alert.id)}
    assert (alert.alert_type, alert.sequence, alert.order_key, str(alert.only_channel_id)) == ("test", 1, alert.id, made["id"])
    assert "Ops" in alert.facts["text"]
    assert alert.routed_at is None
    assert outside.tasks.sent == [("handle_alert", (str(alert.id),))]


def test_deleting_removes_its_versions_from_the_edge(alice: Caller, outside: Edge) -> None:
    made = create(alice)
    alice.client.post(f"/api/v1/channels/{made['id']}/test/")
    assert alice.client.delete(f"/api/v1/channels/{made['id']}/").status_code == 204
    assert outside.vault.versions == {}
    assert not Channel.objects.exists()


def test_deleting_does_not_wait_for_the_edge(alice: Caller, outside: Edge) -> None:
    made = create(alice)
    outside.vault.reachable = False
    assert alice.client.delete(f"/api/v1/channels/{made['id']}/").status_code == 204


def test_others_find_nothing_behind_any_address(alice: Caller, bob: Caller) -> None:
    made = create(alice)
    for method, path in [("get", ""), ("patch", ""), ("delete", ""), ("post", "test/")]:
        problem(getattr(bob.client, method)(f"/api/v1/channels/{made['id']}/{path}", format="json"), "not-found")
    problem(APIClient().get(f"/api/v1/channels/{made['id']}/"), "unauthenticated")


def test_sms_is_there_where_the_operator_wants_it(alice: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"name": "Me", "kind": "sms", "config": {"to": "+49 151 2345678"}}
    refused = alice.client.post("/api/v1/channels/", body, format="json")
    assert fields(refused)["kind"] == "not_available"
    monkeypatch.setattr(settings, "SMS_CHANNELS", True)
    assert alice.client.post("/api/v1/channels/", body, format="json").json()["summary"] == "SMS +491…678"


def test_a_configuration_may_hold_lists(alice: Caller, outside: Edge) -> None:
    basics = {"phone_number_id": "106540352242922", "token": "x" * 40, "to": "+49 151 2345678"}
    made = create(alice, "whatsapp", **basics, parameters=["why", "link"])
    assert opened(made, 1, outside)["parameters"] == ["why", "link"]
    for wrong in (["why\x00"], ["colour"], "why", [["why"]]):
        body = {"name": "Me", "kind": "whatsapp", "config": {**basics, "parameters": wrong}}
        assert alice.client.post("/api/v1/channels/", body, format="json").status_code == 400
    half = '{"name": "Me", "kind": "whatsapp", "config": {"to": ["\\ud800"]}}'
    assert alice.client.post("/api/v1/channels/", half, content_type="application/json").status_code == 400
    deep: Any = "x"
    for _ in range(50):
        deep = [deep]
    body = {"name": "Me", "kind": "whatsapp", "config": {**basics, "parameters": deep}}
    assert alice.client.post("/api/v1/channels/", body, format="json").status_code == 400


def test_a_signing_secret_is_rotated_in_two_steps(alice: Caller, outside: Edge) -> None:
    made = create(alice)
    address = f"/api/v1/channels/{made['id']}/rotate-secret/"
    rotated = alice.client.post(address).json()
    assert rotated["secret"] not in {None, made["secret"]}
    assert rotated["config_version"] == 2
    assert opened(made, 2, outside) == {
        "url": HOOK,
        "secret": rotated["secret"],
        "previous_secret": made["secret"],
        "method": "POST",
        "headers": {},
        "template": {},
    }
    assert alice.client.delete(address).status_code == 204
    assert opened(made, 3, outside)["previous_secret"] == ""
    assert opened(made, 3, outside)["secret"] == rotated["secret"]
    assert alice.client.delete(address).status_code == 204
    assert Channel.objects.get().config_version == 3


def test_only_webhooks_have_a_secret_to_rotate(alice: Caller, bob: Caller) -> None:
    mail, hook = create(alice, "email"), create(alice)
    problem(alice.client.post(f"/api/v1/channels/{mail['id']}/rotate-secret/"), "conflict")
    assert bob.client.post(f"/api/v1/channels/{hook['id']}/rotate-secret/").status_code == 404


def test_a_webhook_has_the_form_that_its_user_wants(alice: Caller, outside: Edge) -> None:
    template = {"text": "{{subject}}", "n": [1, True, None]}
    made = create(alice, url=HOOK, method="PUT", headers={"Authorization": "Bearer x"}, template=template)
    kept = opened(made, 1, outside)
    assert (kept["method"], kept["headers"], kept["template"]) == ("PUT", {"Authorization": "Bearer x"}, template)
