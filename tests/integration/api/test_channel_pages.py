"""The link in a mail: a GET asks, a POST disables, and the others are told."""

from uuid import UUID, uuid4

import pytest
from django.test import Client

from core.api import edge
from core.api.channels.models import Channel
from core.api.incidents.models import Alert
from core.contracts.channel_links import link_url, opened
from tests.integration.api.conftest import Caller, Edge
from tests.integration.api.test_channels import create


def link(channel: str, version: int = 1) -> str:
    return link_url(edge.vault_cipher(), "https://monitor.example.com", "unsubscribe", UUID(channel), version).removeprefix(
        "https://monitor.example.com"
    )


def test_a_get_asks_and_a_post_does_it(alice: Caller, outside: Edge) -> None:
    made = create(alice, "email")
    address, client = link(made["id"]), Client()
    Channel.objects.update(name="<b>Ops</b>")
    page = client.get(address)
    assert page.status_code == 200
    assert "&lt;b&gt;Ops&lt;/b&gt;" in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    assert Channel.objects.get().disabled_at is None
    for _ in range(2):
        one_click = client.post(address, "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded")
        assert one_click.status_code == 200
    assert Channel.objects.get().disabled_reason == "the recipient wants no more mail"
    alert = Alert.objects.get(alert_type="channel_disabled")
    assert "(email) any more: the recipient wants no more mail." in alert.facts["text"]
    assert alert.only_channel is None
    assert Client().put(address).status_code == 405


def test_a_link_for_an_old_address_changes_nothing(alice: Caller, outside: Edge) -> None:
    made = create(alice, "email")
    alice.client.patch(f"/api/v1/channels/{made['id']}/", {"config": {"address": "new@example.com"}}, format="json")
    page = Client().post(link(made["id"]))
    assert page.status_code == 200
    assert "older mail" in page.content.decode()
    assert Channel.objects.get().disabled_at is None


def test_an_old_link_says_that_it_ends_nothing_where_the_address_is_the_same(alice: Caller, outside: Edge) -> None:
    made = create(alice, "email")
    Client().post(link(made["id"]))
    alice.client.patch(f"/api/v1/channels/{made['id']}/", {"enabled": True}, format="json")
    for page in (Client().get(link(made["id"])), Client().post(link(made["id"]))):
        assert "older mail" in page.content.decode()
        assert "No more mail" not in page.content.decode()
    assert Channel.objects.get().disabled_at is None


def test_a_link_goes_on_to_work_where_its_address_is_entered_once_more(alice: Caller, outside: Edge) -> None:
    made = create(alice, "email", address=alice.user.email)
    Channel.objects.update(unverified_since=None)
    address = f"/api/v1/channels/{made['id']}/"
    again = alice.client.patch(address, {"config": {"address": f" {alice.user.email}"}}, format="json").json()
    assert (again["config_version"], again["enabled"]) == (1, True)
    assert "has been told" in Client().post(link(made["id"])).content.decode()
    assert Channel.objects.get().disabled_at is not None


@pytest.mark.parametrize("token", ["nonsense", "gAAAAABnonsense", "ü"])
def test_a_link_that_is_not_ours(alice: Caller, outside: Edge, token: str) -> None:
    assert Client().post(f"/unsubscribe/{token}/").status_code == 404
    page = Client().get(link(str(uuid4())))
    assert page.status_code == 404
    assert page["Content-Type"].startswith("text/html")
    assert "This link is not one of ours" in page.content.decode()


def test_a_sealed_configuration_is_no_link(alice: Caller, outside: Edge) -> None:
    create(alice, "email")
    assert opened(edge.vault_cipher(), "unsubscribe", Channel.objects.get().config_ciphertext) is None
    assert Client().post(f"/unsubscribe/{Channel.objects.get().config_ciphertext}/").status_code == 404
