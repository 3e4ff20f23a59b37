"""RDAP against a registry on loopback: where to ask, what comes back, and what is refused."""

import json
import socket
from importlib.resources import files

import pytest

from core.adapters import guarded_http
from core.adapters.rdap import REFRESH_RETRY_S, REFRESH_S, AskedTooOften, LookupFailed, Rdap, read_bootstrap
from tests.conftest import free_port
from tests.registries import Reply, registration, registry

NOWHERE = f"http://127.0.0.1:{free_port()}/dns.json"


def test_a_registration_is_found_where_the_list_of_iana_says() -> None:
    with registry({"/rdap/domain/example.com": registration("2027-05-06T07:08:09Z")}) as running:
        rdap = Rdap(running.bootstrap_url, private_targets=True)
        server = rdap.server_of("example.com")
        assert server == f"{running.url}/rdap/"
        assert (rdap.server_of("example.co.uk"), rdap.server_of("example.de")) == (server, None)
        found = rdap.look_up(server, "example.com")
        assert (found.ends_at.isoformat(), found.registrar) == ("2027-05-06T07:08:09+00:00", "Registrar Inc.")
        assert running.asked == ["/dns.json", "/rdap/domain/example.com"]


def test_without_a_network_the_shipped_list_is_used_and_a_newer_one_is_tried_daily() -> None:
    now = [0.0]
    with registry() as running:
        bad = Reply(body=b'{"services": []}')
        good, running.replies["/dns.json"] = running.replies["/dns.json"], bad
        rdap = Rdap(running.bootstrap_url, private_targets=True, clock=lambda: now[0])
        assert rdap.server_of("example.com") == "https://rdap.verisign.com/com/v1/"
        assert rdap.server_of("example.net") is not None
        running.replies["/dns.json"] = good
        now[0] = REFRESH_RETRY_S - 1
        assert rdap.server_of("example.com") == "https://rdap.verisign.com/com/v1/"
        now[0] = REFRESH_RETRY_S
        assert rdap.server_of("example.com") == f"{running.url}/rdap/"
        running.replies["/dns.json"] = Reply(500)
        now[0] += REFRESH_S
        assert rdap.server_of("example.com") == f"{running.url}/rdap/"
        assert running.asked == ["/dns.json"] * 3
    assert Rdap(NOWHERE, private_targets=True).server_of("example.org") == "https://rdap.publicinterestregistry.org/rdap/"


def test_the_shipped_list_knows_most_top_level_domains() -> None:
    servers = read_bootstrap(files("core.adapters").joinpath("rdap_bootstrap.json").read_bytes())
    assert len(servers) > 1000
    assert all(url.startswith(("https://", "http://")) and url.endswith("/") for url in servers.values())
    assert sum(url.startswith("https://") for url in servers.values()) > 0.99 * len(servers)


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"services": []}', b'{"services": [[["com"], []]]}', b'{"services": [1]}'])
def test_what_is_no_list_of_servers_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="bootstrap file"):
        read_bootstrap(text)


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(404), "does not know the domain"),
        (Reply(503), "status 503"),
        (Reply(body=b"<html>"), "not JSON"),
        (Reply(body=b"[" * 100_000), "not JSON"),
        (Reply(body=json.dumps({"events": []}).encode()), "does not say when"),
        (Reply(body=b" " * (guarded_http.BODY_LIMIT + 1)), "too large"),
        (Reply(302, headers={"Location": "/rdap/domain/example.com"}), "redirects"),
        (Reply(302, headers={"Location": "file:///etc/passwd"}), "cannot be reached"),
    ],
)
def test_whatever_else_comes_back_is_unknown_with_the_reason(reply: Reply, why: str) -> None:
    with registry({"/rdap/domain/example.com": reply}) as running, pytest.raises(LookupFailed, match=why):
        Rdap(running.bootstrap_url, private_targets=True).look_up(f"{running.url}/rdap/", "example.com")


def test_a_redirect_is_followed() -> None:
    moved = Reply(301, headers={"Location": "/elsewhere"})
    with registry({"/rdap/domain/example.com": moved, "/elsewhere": registration("2027-05-06T07:08:09Z")}) as running:
        found = Rdap(running.bootstrap_url, private_targets=True).look_up(f"{running.url}/rdap/", "example.com")
        assert found.ends_at.year == 2027


def test_a_limit_of_the_registry_is_told_with_its_time() -> None:
    with registry({"/rdap/domain/example.com": Reply(429, headers={"Retry-After": "90"})}) as running:
        with pytest.raises(AskedTooOften) as caught:
            Rdap(running.bootstrap_url, private_targets=True).look_up(f"{running.url}/rdap/", "example.com")
        assert caught.value.retry_after == "90"


def test_no_registry_leads_us_to_a_private_address() -> None:
    with registry({"/rdap/domain/example.com": registration("2027-05-06T07:08:09Z")}) as running:
        with pytest.raises(LookupFailed, match="not allowed"):
            Rdap(running.bootstrap_url, private_targets=False).look_up(f"{running.url}/rdap/", "example.com")
        assert running.asked == []


def test_a_registry_that_is_away_or_silent_is_waited_for_a_while_only() -> None:
    with pytest.raises(guarded_http.RequestFailed, match="refused"):
        guarded_http.get(NOWHERE, {}, timeout_s=2, private_targets=True)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(guarded_http.RequestFailed, match="no answer in time"):
            guarded_http.get(url, {}, timeout_s=0.2, private_targets=True)
    with pytest.raises(guarded_http.RequestFailed, match="could not be resolved"):
        guarded_http.get(f"http://{'a' * 64}.test/", {}, timeout_s=2, private_targets=True)
