"""The cookies of one check: whose they are, and what a stranger may put into them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.adapters.probe_cookies import CookieMemory


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "[::1]", "[::1]:8080", "localhost", "example.com", "a.b.example.com:444"])
def test_a_host_gets_its_own_cookie_back(host: str) -> None:
    cookies = CookieMemory()
    cookies.learn(f"https://{host}/login", [b"a=1; Path=/; Secure"])
    assert cookies.pairs(f"https://{host}/home") == "a=1"
    assert cookies.pairs(f"http://{host}/home") == ""
    assert cookies.pairs("https://other.example/") == ""


def test_a_later_cookie_replaces_the_one_of_its_name() -> None:
    cookies = CookieMemory()
    cookies.learn("http://example.com/", [b"a=1", b"b=1"])
    cookies.learn("http://example.com/", [b"a=2", b"b=; Max-Age=0"])
    assert cookies.pairs("http://example.com/") == "a=2"


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_whatever_a_server_sets_it_is_sent_in_one_line(values: list[bytes]) -> None:
    """Values come from lines of a head, so they hold no line ends."""
    cookies = CookieMemory()
    cookies.learn("http://example.com/", [value.translate(None, b"\r\n\x00") for value in values])
    assert not set(cookies.pairs("http://example.com/").encode("latin-1")) & set(b"\r\n\x00")
