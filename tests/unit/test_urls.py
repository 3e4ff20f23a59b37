from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.domain import urls
from core.domain.urls import BadUrl, NormalisedUrl, literal_address, normalise, resolve_location

NORMALISED = [
    ("http://example.com", "http://example.com/"),
    ("HTTPS://Example.COM/Path?Q=1", "https://example.com/Path?Q=1"),
    ("http://example.com:80/", "http://example.com/"),
    ("https://example.com:443", "https://example.com/"),
    ("https://example.com:0443", "https://example.com/"),
    ("http://example.com:/", "http://example.com/"),
    ("http://example.com:8080?x=1#fragment", "http://example.com:8080/?x=1"),
    ("http://example.com/#/route", "http://example.com/"),
    ("http://example.com./a", "http://example.com/a"),
    ("http://ex%61mple.com/", "http://example.com/"),
    ("http://b%C3%BCcher.de/", "http://xn--bcher-kva.de/"),
    ("http://bücher.de/ü?q=ä", "http://xn--bcher-kva.de/%C3%BC?q=%C3%A4"),
    ("http://BÜCHER.de/", "http://xn--bcher-kva.de/"),
    ("http://faß.de/", "http://xn--fa-hia.de/"),
    ("http://☃.net/", "http://xn--n3h.net/"),
    ("http://xn--n3h.net/", "http://xn--n3h.net/"),
    ("http://\uff45\uff58\uff41\uff4d\uff50\uff4c\uff45。com/", "http://example.com/"),
    ("http://my_service/", "http://my_service/"),
    ("http://r3---sn.example.com/", "http://r3---sn.example.com/"),
    ("http://127.0.0.1/", "http://127.0.0.1/"),
    ("http://127.1/", "http://127.0.0.1/"),
    ("http://2130706433/", "http://127.0.0.1/"),
    ("http://0x7f000001/", "http://127.0.0.1/"),
    ("http://0X7F.1/", "http://127.0.0.1/"),
    ("http://017700000001/", "http://127.0.0.1/"),
    ("http://0177.0.0.01/", "http://127.0.0.1/"),
    ("http://%31%32%37.0.0.1/", "http://127.0.0.1/"),
    ("http://\uff11\uff12\uff17.0.0.1/", "http://127.0.0.1/"),
    ("http://127.0.0.1./", "http://127.0.0.1/"),
    ("http://0/", "http://0.0.0.0/"),
    ("http://[::1]:8000/", "http://[::1]:8000/"),
    ("http://[2001:DB8:0:0::1]/", "http://[2001:db8::1]/"),
    ("http://example.com/100%", "http://example.com/100%"),
    ("http://example.com/a%20b", "http://example.com/a%20b"),
    ("http://example.com/{a}|<b>\\", "http://example.com/%7Ba%7D%7C%3Cb%3E%5C"),
    ("http://example.com//double", "http://example.com//double"),
]
REFUSED = [
    ("", "scheme"),
    ("example.com", "scheme"),
    ("ftp://example.com/", "scheme"),
    ("file:///etc/passwd", "scheme"),
    ("gopher://example.com/", "scheme"),
    ("javascript:alert(1)", "scheme"),
    ("//example.com/", "scheme"),
    ("http://user@example.com/", "userinfo"),
    ("http://user:password@example.com/", "userinfo"),
    ("http://@example.com/", "userinfo"),
    ("http://good.example\\@evil.example/", "userinfo"),
    ("http://", "host"),
    ("http:///path", "host"),
    ("http:example.com", "host"),
    ("http:/example.com", "host"),
    ("http://:80/", "host"),
    ("http://./", "host"),
    ("http://a..b/", "host"),
    ("http://a../", "host"),
    ("http://.a/", "host"),
    ("http://a%2Fb/", "host"),
    ("http://a%00b/", "host"),
    ("http://a%20b/", "host"),
    ("http://a%40b/", "host"),
    ("http://a%FF/", "host"),
    ("http://a\\b/", "host"),
    ("http://a,b/", "host"),
    ("http://xn--/", "host"),
    ("http://xn--zz/", "host"),
    ("http://xn--abc-/", "host"),
    ("http://" + "a" * 64 + ".com/", "host"),
    ("http://" + ".".join(["a" * 50] * 6) + "/", "host"),
    ("http://256.1.1.1/", "host"),
    ("http://1.2.3.4.5/", "host"),
    ("http://1.2.3.256/", "host"),
    ("http://4294967296/", "host"),
    ("http://08.1.1.1/", "host"),
    ("http://foo.1/", "host"),
    ("http://foo.0x1/", "host"),
    ("http://[::1/", "host"),
    ("http://[::g]/", "host"),
    ("http://[1.2.3.4]/", "host"),
    ("http://[fe80::1%25eth0]/", "host"),
    ("http://[fe80::1%eth0]/", "host"),
    ("http://[::1]x/", "host"),
    ("http://::1/", "host"),
    ("http://a:b/", "host"),
    ("http://a:80:80/", "host"),
    ("http://a:-1/", "host"),
    ("http://a:\uff18\uff10/", "host"),
    ("http://example.com:0/", "port"),
    ("http://example.com:65536/", "port"),
    ("http://example.com/a b", "character"),
    (" http://example.com/", "character"),
    ("http://example.com/\n", "character"),
    ("http://exa\tmple.com/", "character"),
    ("http://example.com/\x00", "character"),
    ("http://example.com/\x7f", "character"),
    ("http://example.com/\u3000", "character"),
    ("http://example.com/\ud800", "character"),
    ("http://example.com/" + "a" * 2048, "length"),
    ("http://example.com/" + "ü" * 500, "length"),
]


@pytest.mark.parametrize(("url", "expected"), NORMALISED)
def test_urls_have_one_form(url: str, expected: str) -> None:
    assert normalise(url).url == expected
    assert normalise(expected).url == expected


@pytest.mark.parametrize(("url", "code"), REFUSED)
def test_what_cannot_be_checked_is_refused_with_a_code(url: str, code: str) -> None:
    with pytest.raises(BadUrl) as refused:
        normalise(url)
    assert refused.value.code == code
    assert refused.value.message


def test_the_message_about_userinfo_says_what_to_do_and_never_shows_the_password() -> None:
    with pytest.raises(BadUrl, match="authentication options") as refused:
        normalise("http://admin:hunter2@example.com/")
    assert "hunter2" not in str(refused.value)


def test_the_parts_are_ready_to_connect() -> None:
    assert normalise("https://[::1]:8443/x") == NormalisedUrl("https://[::1]:8443/x", "https", "::1", 8443)
    assert normalise("http://Example.com") == NormalisedUrl("http://example.com/", "http", "example.com", 80)


def test_literal_addresses_are_told_from_names() -> None:
    assert literal_address("127.0.0.1") == IPv4Address("127.0.0.1")
    assert literal_address("::1") == IPv6Address("::1")
    assert literal_address("example.com") is None


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        (b"/a", "http://example.com/a"),
        (b"b?c=d", "http://example.com/x/b?c=d"),
        (b"?q", "http://example.com/x/y?q"),
        (b"../z", "http://example.com/z"),
        (b"//other.example/", "http://other.example/"),
        (b"https://other.example", "https://other.example/"),
        (b"HTTPS://other.example/../a", "https://other.example/../a"),
        (b"/a b", "http://example.com/a%20b"),
        ("/\u00fc".encode(), "http://example.com/%C3%BC"),
        (b"/\xfc", "http://example.com/%FC"),
        ("http://b\u00fccher.de/".encode(), "http://xn--bcher-kva.de/"),
        (b"/100%", "http://example.com/100%"),
    ],
)
def test_a_location_is_read_against_the_url_it_came_from(location: bytes, expected: str) -> None:
    assert normalise(resolve_location("http://example.com/x/y", location)).url == expected


@pytest.mark.parametrize(
    "location",
    [b"http://", b"http:///etc", b"https:///", b"http://[::1/", b"javascript:alert(1)", b"mailto:a@b", b"http://b\xfccher.de/"],
)
def test_a_location_that_is_no_url_to_check_is_refused(location: bytes) -> None:
    with pytest.raises(BadUrl):
        normalise(resolve_location("http://example.com/", location))


@st.composite
def spellings(draw: st.DrawFn, address: IPv4Address) -> str:
    """One of the ways to write an IPv4 address in a URL: fewer parts, other bases, other digits and dots, percent signs."""
    number = int(address)
    kept = draw(st.integers(0, 3))
    parts = [number >> (24 - 8 * place) & 255 for place in range(kept)] + [number & (1 << (32 - 8 * kept)) - 1]
    forms = [draw(st.sampled_from([str(part), hex(part), f"0X{part:08X}", f"0{part:o}"])) for part in parts]
    text = draw(st.sampled_from([".", "\u3002", "\uff0e", "\uff61", "%2e"])).join(forms)
    text += draw(st.sampled_from(["", "."]))
    digit = draw(st.sampled_from(["{}", "%3{}", "fullwidth", "mathematical"]))
    zero = {"fullwidth": 0xFF10, "mathematical": 0x1D7CE}.get(digit)
    spelt = [chr(zero + number) if zero else digit.format(number) for number in range(10)]
    return text if "%" in text else "".join(spelt[int(each)] if each.isdigit() else each for each in text)


@given(st.data(), st.ip_addresses(v=4))
def test_an_ipv4_address_is_known_however_it_is_written(data: st.DataObject, address: IPv4Address) -> None:
    assert normalise(f"http://{data.draw(spellings(address))}/").host == str(address)


@given(st.ip_addresses(v=6), st.booleans())
def test_an_ipv6_address_is_known_however_it_is_written(address: IPv6Address, mixed: bool) -> None:
    tail = IPv4Address(int(address) & 0xFFFFFFFF)
    text = f"{':'.join(address.exploded.split(':')[:6])}:{tail}" if mixed else address.exploded.upper()
    assert normalise(f"http://[{text}]/").host == str(address)


hosts = st.from_regex(r"[a-z0-9_.-]{1,30}", fullmatch=True)
tails = st.from_regex(r"/[a-zA-Z0-9%/?=&;:@~-]{0,20}", fullmatch=True)


@given(
    scheme=st.sampled_from(["http", "https"]),
    host=hosts,
    port=st.sampled_from(["", ":80", ":443", ":8080", ":65536", ":0"]),
    tail=tails,
)
@example(scheme="http", host="xn--n3h.net", port="", tail="/")
@example(scheme="http", host="example.com", port=":8080", tail="/?")
@example(scheme="https", host="10.0.0.255", port=":443", tail="/")
@example(scheme="https", host="10.0.0.255", port=":80", tail="/a?b")
@example(scheme="http", host="1.2.3.4.5", port="", tail="/")
@example(scheme="http", host="01.2.3.4", port="", tail="/")
def test_the_short_way_agrees_with_the_long_way(scheme: str, host: str, port: str, tail: str) -> None:
    url = f"{scheme}://{host}{port}{tail}"
    if short := urls._as_it_is(url):
        assert short == urls._rebuilt(urls.split_url(url))


@given(url=st.one_of(st.text(), st.text().map(lambda tail: "http://" + tail)))
def test_any_text_is_normalised_once_or_refused(url: str) -> None:
    try:
        normal = normalise(url)
    except BadUrl:
        return
    assert normal.url.isascii()
    assert normalise(normal.url) == normal
