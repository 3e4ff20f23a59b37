"""Proxies and name servers as users type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.request_route import BadRoute, NameServer, ProxyServer, name_server, proxy_server


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("http://proxy.example.com:3128", ProxyServer("http", "proxy.example.com", 3128)),
        ("HTTPS://Proxy.Example.com.:443/", ProxyServer("https", "proxy.example.com", 443)),
        ("socks5://10.0.0.1:1080", ProxyServer("socks5", "10.0.0.1", 1080)),
        ("socks5h://[2001:DB8::1]:1080", ProxyServer("socks5h", "2001:db8::1", 1080)),
        ("http://0x7f.1:80", ProxyServer("http", "127.0.0.1", 80)),
        ("http://b\u00fccher.de:80", ProxyServer("http", "xn--bcher-kva.de", 80)),
    ],
)
def test_a_proxy_is_read(url: str, server: ProxyServer) -> None:
    assert proxy_server(url) == server
    assert proxy_server(server.url) == server
    assert server.wants_address is url.startswith("socks5:")


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "proxy.example.com:3128",
            "http://proxy.example.com",
            "http://:3128",
            "http://a:0",
            "http://a:65536",
            "http://a:-1",
        ),
        *("ftp://a:21", "socks4://a:1", "http://a:1/path", "http://a:1?q", "http://a:1#f", "http://user:pw@a:1", "http://a b:1"),
        *("http://a:1\r\n", "http://[::1]x:1", "http://[fe80::1%eth0]:1", "http://a..b:1", "http://1.2.3.4.5:1", "http://a:1:2"),
    ],
)
def test_what_is_no_proxy_is_refused(url: str) -> None:
    with pytest.raises(BadRoute) as refused:
        proxy_server(url)
    assert (refused.value.field, refused.value.code) == ("proxy.url", "invalid")
    assert "pw" not in refused.value.message


@pytest.mark.parametrize(
    ("text", "server", "shown"),
    [
        ("9.9.9.9", NameServer("9.9.9.9", 53), "9.9.9.9:53"),
        ("9.9.9.9:5353", NameServer("9.9.9.9", 5353), "9.9.9.9:5353"),
        ("2620:FE::fe", NameServer("2620:fe::fe", 53), "[2620:fe::fe]:53"),
        ("[2620:fe::fe]:5353", NameServer("2620:fe::fe", 5353), "[2620:fe::fe]:5353"),
    ],
)
def test_a_name_server_is_read(text: str, server: NameServer, shown: str) -> None:
    assert name_server(text) == server
    assert server.text == shown
    assert name_server(shown) == server


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "dns.example.com",
            "9.9.9",
            "9.9.9.9:",
            "9.9.9.9:0",
            "9.9.9.9:65536",
            "9.9.9.9:-1",
            "9.9.9.9:53:53",
            " 9.9.9.9",
            "127.1",
        ),
        *("[::1]", "[9.9.9.9", "[fe80::1%eth0]:53", "fe80::1%eth0", "::1:99999", "9.9.9.9,8.8.8.8", "9.9.9.9\n", "09.9.9.9"),
    ],
)
def test_what_is_no_name_server_is_refused(text: str) -> None:
    with pytest.raises(BadRoute) as refused:
        name_server(text)
    assert (refused.value.field, refused.value.code) == ("name_server", "invalid")


@given(st.text(max_size=60))
def test_any_text_is_a_name_server_in_its_one_form_or_refused(text: str) -> None:
    try:
        server = name_server(text)
    except BadRoute:
        return
    assert name_server(server.text) == server
