"""People are asked before alerts come to them: who is asked, what counts as an answer, and that nothing gives the code away."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.db.models import F
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from core.api import edge
from core.api.channels.models import Channel
from core.api.incidents.models import Alert
from core.contracts.channel_links import code, is_code, link_url
from core.contracts.channel_vault import VaultCipher
from tests.integration.api.calls import fields, problem
from tests.integration.api.conftest import PASSWORD, Caller, Edge
from tests.integration.api.test_channels import create


@pytest.fixture(autouse=True)
def _asking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "VERIFY_ADDRESSES", True)
    monkeypatch.setattr(settings, "SMS_CHANNELS", True)


def the_code(channel: dict[str, Any], version: int = 1) -> str:
    return code(edge.vault_cipher(), UUID(channel["id"]), version)


def verify(caller: Caller, channel: dict[str, Any], given: str) -> Any:
    return caller.client.post(f"/api/v1/channels/{channel['id']}/verify/", {"code": given}, format="json")


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("email", {"address": "somebody@example.com"}),
        ("sms", {"to": "+4915123456789"}),
        ("whatsapp", {"phone_number_id": "106540352242922", "token": "x" * 40, "to": "+4915123456789"}),
    ],
)
def test_a_person_is_asked_and_the_code_agrees(alice: Caller, outside: Edge, kind: str, config: dict[str, Any]) -> None:
    made = create(alice, kind, **config)
    assert (made["verified"], made["enabled"]) == (False, True)
    question = Alert.objects.get(alert_type="verification")
    assert str(question.only_channel_id) == made["id"]
    assert the_code(made) not in str(question.facts)
    assert the_code(made) not in alice.client.get("/api/v1/alerts/").content.decode()
    problem(alice.client.post(f"/api/v1/channels/{made['id']}/test/"), "conflict")
    wrong = "00000000" if the_code(made) != "00000000" else "00000001"
    assert fields(verify(alice, made, wrong)) == {"code": "invalid"}
    spaced = f"{the_code(made)[:4]} {the_code(made)[4:]}"
    assert verify(alice, made, spaced).json()["verified"] is True
    assert alice.client.post(f"/api/v1/channels/{made['id']}/test/").status_code == 202


def test_services_are_not_asked(alice: Caller, outside: Edge) -> None:
    assert create(alice)["verified"] is True
    assert not Alert.objects.exists()


def test_who_registers_with_somebody_elses_address_has_nothing_sent_there(outside: Edge, database: None) -> None:
    victim, client = "victim@example.com", APIClient()
    assert client.post("/api/v1/auth/register/", {"email": victim, "password": PASSWORD}, format="json").status_code == 201
    tokens = client.post("/api/v1/auth/login/", {"email": victim, "password": PASSWORD}, format="json").json()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens['access']}")
    body = {"name": "Mine", "kind": "email", "config": {"address": victim}}
    made = client.post("/api/v1/channels/", body, format="json").json()
    assert made["verified"] is False
    assert [alert.alert_type for alert in Alert.objects.all()] == ["verification"], "one question, and that alone"
    changed = client.patch(f"/api/v1/channels/{made['id']}/", {"config": {"address": victim.upper()}}, format="json").json()
    assert changed["verified"] is False
    problem(client.post(f"/api/v1/channels/{made['id']}/test/"), "conflict")


def test_a_link_agrees_by_post_only_and_only_for_its_version(alice: Caller, outside: Edge) -> None:
    made = create(alice, "email", address="somebody@example.com")
    link = link_url(edge.vault_cipher(), "x", "verify", UUID(made["id"]), 1)[1:]
    assert Client().get(link).status_code == 200
    assert Channel.objects.get().unverified_since is not None
    unsubscribe = link_url(edge.vault_cipher(), "x", "unsubscribe", UUID(made["id"]), 1)[1:]
    assert Client().post(unsubscribe.replace("unsubscribe", "verify")).status_code == 404
    assert Client().post(link).status_code == 200
    assert Channel.objects.get().unverified_since is None
    alice.client.patch(f"/api/v1/channels/{made['id']}/", {"config": {"address": "other@example.com"}}, format="json")
    assert Channel.objects.get().unverified_since is not None
    assert Client().post(link).status_code == 404
    assert Channel.objects.get().unverified_since is not None
    assert fields(verify(alice, made, the_code(made, 1))) == {"code": "invalid"}
    assert verify(alice, made, the_code(made, 2)).status_code == 200


@pytest.mark.parametrize("change", [{"enabled": True}, {"config": {"address": "somebody@example.com"}}])
@pytest.mark.parametrize("reason", ["the recipient wants no more mail", "the recipient complained about our mail (abuse)"])
def test_whoever_has_left_is_asked_before_they_are_written_to_again(
    alice: Caller, outside: Edge, change: dict[str, Any], reason: str
) -> None:
    made = create(alice, "email", address="somebody@example.com")
    verify(alice, made, the_code(made))
    Channel.objects.update(disabled_at=timezone.now(), disabled_reason=reason)
    address = f"/api/v1/channels/{made['id']}/"
    renamed = alice.client.patch(address, {"name": "Night"}, format="json").json()
    assert (renamed["enabled"], renamed["verified"]) == (False, True)
    enabled = alice.client.patch(address, change, format="json").json()
    assert (enabled["enabled"], enabled["verified"]) == (True, False)
    assert Alert.objects.filter(alert_type="verification").count() == 2


def test_a_channel_that_was_disabled_otherwise_is_enabled_without_a_question(alice: Caller, outside: Edge) -> None:
    made = create(alice, "email", address="somebody@example.com")
    verify(alice, made, the_code(made))
    address = f"/api/v1/channels/{made['id']}/"
    alice.client.patch(address, {"enabled": False}, format="json")
    assert alice.client.patch(address, {"enabled": True}, format="json").json()["verified"] is True


def test_the_same_address_is_not_asked_twice(alice: Caller, outside: Edge) -> None:
    made = create(alice, "sms", to="+4915123456789")
    verify(alice, made, the_code(made))
    address = f"/api/v1/channels/{made['id']}/"
    changed = alice.client.patch(address, {"config": {"to": "+49 151 23456789", "sender_id": "Uptime"}}, format="json")
    assert changed.json()["verified"] is True
    assert Alert.objects.filter(alert_type="verification").count() == 1


@pytest.mark.parametrize("reason", ["the recipient wants no more mail", "the recipient complained about our mail (abuse)"])
@pytest.mark.parametrize("change", [{"enabled": True}, {"config": {"address": "somebody@example.com"}}])
def test_who_had_left_is_asked_before_mail_comes_again(alice: Caller, outside: Edge, reason: str, change: dict[str, Any]) -> None:
    made = create(alice, "email", address="somebody@example.com")
    verify(alice, made, the_code(made))
    Channel.objects.update(disabled_at=Channel.objects.get().created_at, disabled_reason=reason)
    again = alice.client.patch(f"/api/v1/channels/{made['id']}/", change, format="json").json()
    assert (again["enabled"], again["verified"], again["config_version"]) == (True, False, 2)
    assert Alert.objects.filter(alert_type="verification").count() == 2
    assert fields(verify(alice, made, the_code(made, 1))) == {"code": "invalid"}, "that is known by now"
    assert verify(alice, made, the_code(made, 2)).json()["verified"] is True


@pytest.mark.parametrize("reason", ["disabled by hand", "the mail server refused the recipient: 550 5.1.1 unknown"])
def test_who_had_not_left_is_not_asked_again(alice: Caller, outside: Edge, reason: str) -> None:
    made = create(alice, "email", address="somebody@example.com")
    verify(alice, made, the_code(made))
    Channel.objects.update(disabled_at=Channel.objects.get().created_at, disabled_reason=reason)
    again = alice.client.patch(f"/api/v1/channels/{made['id']}/", {"enabled": True}, format="json").json()
    assert (again["enabled"], again["verified"], again["config_version"]) == (True, True, 1)


def test_guessing_ends_after_ten_codes(alice: Caller, outside: Edge) -> None:
    made = create(alice, "sms", to="+4915123456789")
    wrong = "00000000" if the_code(made) != "00000000" else "00000001"
    for _ in range(10):
        assert fields(verify(alice, made, wrong)) == {"code": "invalid"}
    problem(verify(alice, made, the_code(made)), "conflict")
    alice.client.patch(f"/api/v1/channels/{made['id']}/", {"config": {"to": "+4915123456789"}}, format="json")
    assert verify(alice, made, the_code(made, 2)).json()["verified"] is True


def test_the_question_is_repeated_once_a_minute(alice: Caller, outside: Edge) -> None:
    made = create(alice, "email", address="somebody@example.com")
    ask = f"/api/v1/channels/{made['id']}/ask/"
    problem(alice.client.post(ask), "conflict")
    Channel.objects.update(unverified_since=F("unverified_since") - timedelta(minutes=2))
    assert alice.client.post(ask).status_code == 202
    assert Alert.objects.filter(alert_type="verification").count() == 2
    verify(alice, made, the_code(made))
    problem(alice.client.post(ask), "conflict")


def test_a_workspace_cannot_pester_people_with_questions(
    alice: Caller, bob: Caller, outside: Edge, redis_cache: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "QUESTIONS_PER_HOUR", 3)
    channel = {"name": "Ops", "kind": "email", "config": {"address": "somebody@example.com"}}
    answers = []
    for _ in range(8):
        answers.append(alice.client.post("/api/v1/channels/", channel, format="json"))
        Channel.objects.all().delete()  # what was made may be deleted: the person was asked
    assert [answer.status_code for answer in answers].count(201) in (3, 6), "six where an hour ended meanwhile"
    assert len(outside.vault.versions) == [answer.status_code for answer in answers].count(201), (
        "the edge keeps nothing of the others"
    )
    refused = next(answer for answer in answers if answer.status_code == 429)
    problem(refused, "throttled")
    assert 1 <= int(refused.headers["Retry-After"]) <= 3601
    assert create(bob, "email", address="somebody@example.com")["verified"] is False
    assert create(alice)["verified"] is True, "services are not asked"


def test_nobody_is_asked_where_the_operator_says_so(alice: Caller, outside: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "VERIFY_ADDRESSES", False)
    assert create(alice, "email", address="somebody@example.com")["verified"] is True


def test_others_cannot_verify(alice: Caller, bob: Caller, outside: Edge) -> None:
    made = create(alice, "email", address="somebody@example.com")
    assert verify(bob, made, the_code(made)).status_code == 404


def test_codes_belong_to_keys_channels_and_versions() -> None:
    old, new = "x" * 43 + "=", "y" * 43 + "="
    channel, other = UUID(int=1), UUID(int=2)
    before, after = VaultCipher([old]), VaultCipher([new, old])
    sent = code(before, channel, 1)
    assert len(sent) == 8
    assert is_code(after, channel, 1, sent)
    assert len({sent, code(after, channel, 1), code(before, other, 1), code(before, channel, 2)}) == 4
    assert not is_code(after, channel, 1, "")
