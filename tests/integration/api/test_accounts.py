"""Accounts: registering, logging in, keys, roles."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import hashers
from django.utils import timezone
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from core.api.accounts.models import ApiKey, Membership, Role, User
from tests.integration.api.calls import count, problem
from tests.integration.api.conftest import PASSWORD, Caller, make_caller


def test_registering_makes_a_user_with_a_workspace_of_their_own(anonymous: APIClient) -> None:
    before = count("uptime_user_registrations_total")
    answer = anonymous.post("/api/v1/auth/register/", {"email": "Carol@Example.com", "password": PASSWORD}, format="json")
    assert answer.status_code == 201, answer.content
    assert answer.json()["email"] == "carol@example.com"
    membership = Membership.objects.get(user__email="carol@example.com")
    assert membership.role == Role.OWNER
    assert count("uptime_user_registrations_total") == before + 1


def test_registering_twice_names_the_field(anonymous: APIClient) -> None:
    body = {"email": "carol@example.com", "password": PASSWORD}
    anonymous.post("/api/v1/auth/register/", body, format="json")
    again = problem(anonymous.post("/api/v1/auth/register/", body | {"email": "CAROL@example.com"}, format="json"), "validation")
    assert again["errors"] == [{"field": "email", "code": "taken", "message": "is registered already"}]
    assert User.objects.count() == 1


@pytest.mark.parametrize("password", ["short", "1234567890123", "password123", "carol@example.com"])
def test_weak_passwords_are_refused(anonymous: APIClient, password: str) -> None:
    answer = anonymous.post("/api/v1/auth/register/", {"email": "carol@example.com", "password": password}, format="json")
    assert {error["field"] for error in problem(answer, "validation")["errors"]} == {"password"}


def test_login_gives_tokens_that_work_and_refresh(alice: Caller) -> None:
    client = APIClient()
    tokens = client.post("/api/v1/auth/login/", {"email": "ALICE@example.com", "password": PASSWORD}, format="json").json()
    me = client.get("/api/v1/me/", headers={"Authorization": f"Bearer {tokens['access']}"}).json()
    assert me["user"]["email"] == "alice@example.com"
    assert me["workspace"] == {"id": str(alice.workspace.id), "name": "alice", "role": "owner"}
    again = client.post("/api/v1/auth/refresh/", {"refresh": tokens["refresh"]}, format="json").json()
    assert client.get("/api/v1/me/", headers={"Authorization": f"Bearer {again['access']}"}).status_code == 200


def test_wrong_password_unknown_address_and_closed_account_answer_alike(alice: Caller, bob: Caller) -> None:
    User.objects.filter(pk=bob.user.pk).update(is_active=False)
    before = count("uptime_api_auth_attempts_total", status="failure")
    tries = [("alice@example.com", "wrong wrong wrong"), ("nobody@example.com", PASSWORD), ("bob@example.com", PASSWORD)]
    answers = [APIClient().post("/api/v1/auth/login/", {"email": e, "password": p}, format="json") for e, p in tries]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert all(answer.headers["WWW-Authenticate"] == 'Bearer realm="api"' for answer in answers)
    assert count("uptime_api_auth_attempts_total", status="failure") == before + 3


def test_an_unknown_address_costs_a_password_hash_like_a_known_one(alice: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    real = hashers.MD5PasswordHasher.encode

    def encode(self: Any, password: str, *arguments: Any) -> str:
        hashed.append(password)
        return str(real(self, password, *arguments))

    monkeypatch.setattr(hashers.MD5PasswordHasher, "encode", encode)
    for email in ("alice@example.com", "nobody@example.com"):
        hashed.clear()
        APIClient().post("/api/v1/auth/login/", {"email": email, "password": "wrong wrong wrong"}, format="json")
        assert hashed == ["wrong wrong wrong"]


def test_expired_and_forged_tokens_are_refused(alice: Caller) -> None:
    token = AccessToken.for_user(alice.user)
    token.set_exp(from_time=timezone.now() - timedelta(hours=1))
    for bad in (str(token), "nonsense", "a.b.c", "upt_unknown", "", "\u00e9"):
        answer = APIClient().get("/api/v1/me/", headers={"Authorization": f"Bearer {bad}"})
        problem(answer, "unauthenticated")
        assert answer.headers["WWW-Authenticate"]


def test_a_refresh_token_is_no_access_token_and_dies_with_the_account(alice: Caller) -> None:
    tokens = APIClient().post("/api/v1/auth/login/", {"email": alice.user.email, "password": PASSWORD}, format="json").json()
    answer = APIClient().get("/api/v1/me/", headers={"Authorization": f"Bearer {tokens['refresh']}"})
    problem(answer, "unauthenticated")
    User.objects.filter(pk=alice.user.pk).update(is_active=False)
    answer = APIClient().post("/api/v1/auth/refresh/", {"refresh": tokens["refresh"]}, format="json")
    problem(answer, "unauthenticated")
    problem(alice.client.get("/api/v1/me/"), "unauthenticated")


def test_without_credentials_everything_is_401(anonymous: APIClient) -> None:
    for path in ("me", "websites", "heartbeats", "channels", "incidents", "deliveries", "api-keys"):
        problem(anonymous.get(f"/api/v1/{path}/"), "unauthenticated")


def test_a_key_is_shown_once_and_stored_hashed(alice: Caller) -> None:
    made = alice.client.post("/api/v1/api-keys/", {"name": "ci"}, format="json").json()
    assert made["key"].startswith("upt_")
    assert made["role"] == "editor"
    stored = ApiKey.objects.get()
    assert bytes(stored.digest) == hashlib.sha256(made["key"].encode()).digest()
    [listed] = alice.client.get("/api/v1/api-keys/").json()["results"]
    assert "key" not in listed
    assert made["key"].startswith(listed["prefix"])


@pytest.mark.parametrize("header", ["Authorization", "X-Api-Key"])
def test_a_key_opens_its_workspace_by_either_header(alice: Caller, header: str) -> None:
    key = alice.client.post("/api/v1/api-keys/", {"name": "ci"}, format="json").json()["key"]
    value = f"Bearer {key}" if header == "Authorization" else key
    me = APIClient().get("/api/v1/me/", headers={header: value}).json()
    assert me["user"] is None
    assert me["workspace"]["id"] == str(alice.workspace.id)
    assert ApiKey.objects.get().last_used_at is not None


def test_viewers_look_and_do_not_change(alice: Caller) -> None:
    key = alice.client.post("/api/v1/api-keys/", {"name": "tv", "role": "viewer"}, format="json").json()["key"]
    viewer = APIClient()
    viewer.credentials(HTTP_X_API_KEY=key)
    assert viewer.get("/api/v1/websites/").status_code == 200
    problem(viewer.post("/api/v1/websites/", {}, format="json"), "forbidden")


def test_a_key_cannot_make_keys(alice: Caller) -> None:
    key = alice.client.post("/api/v1/api-keys/", {"name": "ci"}, format="json").json()["key"]
    problem(APIClient().post("/api/v1/api-keys/", {"name": "x"}, format="json", headers={"X-Api-Key": key}), "forbidden")


def test_a_deleted_key_opens_nothing(alice: Caller) -> None:
    made = alice.client.post("/api/v1/api-keys/", {"name": "ci"}, format="json").json()
    assert alice.client.delete(f"/api/v1/api-keys/{made['id']}/").status_code == 204
    problem(APIClient().get("/api/v1/me/", headers={"X-Api-Key": made["key"]}), "unauthenticated")


def test_workspace_id_chooses_among_ones_own_workspaces(alice: Caller, bob: Caller) -> None:
    Membership.objects.create(user=bob.user, workspace=alice.workspace, role=Role.VIEWER)
    mine = bob.client.get("/api/v1/me/").json()
    assert mine["workspace"]["id"] == str(bob.workspace.id)
    assert [w["role"] for w in mine["workspaces"]] == ["owner", "viewer"]
    there = bob.client.get("/api/v1/me/", headers={"Workspace-Id": str(alice.workspace.id)}).json()
    assert there["workspace"]["role"] == "viewer"
    for foreign in (str(bob.workspace.id), "nonsense"):
        problem(alice.client.get("/api/v1/me/", headers={"Workspace-Id": foreign}), "not-found")


def test_nobody_sees_or_deletes_the_keys_of_others(alice: Caller, bob: Caller) -> None:
    made = alice.client.post("/api/v1/api-keys/", {"name": "ci"}, format="json").json()
    problem(bob.client.get(f"/api/v1/api-keys/{made['id']}/"), "not-found")
    problem(bob.client.delete(f"/api/v1/api-keys/{made['id']}/"), "not-found")
    assert bob.client.get("/api/v1/api-keys/").json()["results"] == []


def test_logins_from_one_address_are_throttled(
    anonymous: APIClient, redis_cache: None, settings_change: pytest.MonkeyPatch
) -> None:
    settings_change.setattr(settings, "LOGINS_PER_MINUTE", 3)
    body = {"email": "nobody@example.com", "password": PASSWORD}
    answers = [anonymous.post("/api/v1/auth/login/", body, format="json") for _ in range(7)]
    statuses = [answer.status_code for answer in answers]
    assert 429 in statuses
    assert statuses.count(401) in range(3, 7), "a window may end in between"
    problem(answers[statuses.index(429)], "throttled")
    assert 0 < int(answers[statuses.index(429)].headers["Retry-After"]) <= 62
    elsewhere = anonymous.post("/api/v1/auth/login/", body, format="json", REMOTE_ADDR="192.0.2.7")
    assert elsewhere.status_code == 401


def test_a_lost_redis_does_not_lock_anybody_out(alice: Caller) -> None:
    answer = APIClient().post("/api/v1/auth/login/", {"email": alice.user.email, "password": PASSWORD}, format="json")
    assert answer.status_code == 200


def test_bootstrap_makes_the_same_user_once(database: None, outside: object) -> None:
    first = make_caller("demo@example.com")
    second = make_caller("demo@example.com")
    assert (first.user.id, first.workspace.id) == (second.user.id, second.workspace.id)
