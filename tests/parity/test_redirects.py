"""Where redirects lead: every behaviour against its expected outcome and against httpx, cookies and all."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from core.domain.outcomes import Outcome, Reason
from core.domain.probes import Hop
from core.domain.request_options import parse_options
from tests.hostile import Authority, HostileServer, Script, Zone, answer, hang, naming, redirect, send_then_hang, serving
from tests.parity import oracle
from tests.probing import ask, checking, run

OK = answer("200 OK", b"all is well")


@dataclass(frozen=True)
class Journey:
    """What is served by path, what must be found, and the paths that were asked for. `differs` is why httpx finds otherwise."""

    name: str
    scripts: dict[str, bytes | Script]
    reason: Reason
    paths: list[str]
    status: int | None = 200
    asked: dict[str, object] = field(default_factory=dict)
    differs: str = ""


def to(location: str, name: str = "", path: str = "/next", status: str = "302 Found", differs: str = "") -> Journey:
    scripts: dict[str, bytes | Script] = {"/": redirect(location, status), path: OK}
    return Journey(name or f"to {location!r}", scripts, Reason.OK, ["/", path], differs=differs)


def nowhere(location: str, name: str = "", reason: Reason = Reason.PROTOCOL_ERROR, status: int | None = 302) -> Journey:
    return Journey(name or f"to {location!r}", {"/": redirect(location)}, reason, ["/"], status)


def steps(count: int) -> dict[str, bytes | Script]:
    last: dict[str, bytes | Script] = {f"/{count}": OK}
    return {"/": redirect("/1"), **{f"/{n}": redirect(f"/{n + 1}") for n in range(1, count)}, **last}


def heads(*lines: str, status: str = "302 Found") -> bytes:
    return answer(status, b"", *lines)


async def _endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 1000000000\r\n\r\n")
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


JOURNEYS = [
    *(to("/next", f"{status}", status=f"{status} x") for status in (301, 302, 303, 307, 308)),
    to("next", "relative"),
    to("?q=1", "a query alone", "/?q=1"),
    to("../../next", "above the root"),
    to("./a/../next", "with dots"),
    to("/next#part", "with a fragment"),
    to("//127.0.0.1:PORT/next", "to the same scheme"),
    to("http://127.0.0.1:PORT/next", "to a whole URL"),
    to("HTTP://127.0.0.1:PORT/next", "to a scheme in capitals"),
    to("  /next  ", "with spaces around"),
    to("/a b", "with a space within", "/a%20b"),
    to("/%C3%BC%2F", "with percent signs", "/%C3%BC%2F"),
    to("/ü", "with Latin-1", "/%FC", differs="httpx reads the header as UTF-8 or Latin-1 and asks for another path"),
    to("http://2130706433:PORT/next", "to an address in decimal"),
    to("http://0x7f.1:PORT/next", "to an address in hexadecimal"),
    Journey("ten redirects", steps(10), Reason.OK, ["/", *(f"/{n}" for n in range(1, 11))]),
    Journey("eleven redirects", steps(11), Reason.REDIRECT_LIMIT, ["/", *(f"/{n}" for n in range(1, 11))], 302),
    Journey("a hundred redirects", steps(100), Reason.REDIRECT_LIMIT, ["/", *(f"/{n}" for n in range(1, 11))], 302),
    Journey("to itself", {"/": redirect("/")}, Reason.REDIRECT_LIMIT, ["/"] * 11, 302),
    Journey("round and round", {"/": redirect("/a"), "/a": redirect("/")}, Reason.REDIRECT_LIMIT, ["/", "/a"] * 5 + ["/"], 302),
    Journey(
        "twenty, which are allowed", steps(20), Reason.OK, ["/", *(f"/{n}" for n in range(1, 21))], 200, {"max_redirects": 20}
    ),
    nowhere("file:///etc/passwd"),
    nowhere("ftp://127.0.0.1/"),
    nowhere("gopher://127.0.0.1/"),
    nowhere("javascript:alert(1)"),
    nowhere("data:text/plain,well"),
    nowhere("mailto:a@example.com"),
    nowhere("http://", "to no host"),
    nowhere("http:///etc", "to an empty host"),
    nowhere("http://[::1", "to half an address"),
    nowhere("http://127.0.0.1:99999/", "to no port"),
    nowhere("http://a..b/", "to an empty label"),
    nowhere("http://user:pw@127.0.0.1/", "to a password"),
    nowhere("http://" + "a" * 3000 + "/", "to a host too long"),
    nowhere("http://169.254.169.254/latest/", "to a metadata service", Reason.BLOCKED_ADDRESS, None),
    nowhere("http://[::ffff:169.254.169.254]/", "to one within IPv6", Reason.BLOCKED_ADDRESS, None),
    nowhere("http://0xa9fea9fe/", "to one in hexadecimal", Reason.BLOCKED_ADDRESS, None),
    nowhere("http://127.0.0.1:1/", "to a port where nobody listens", Reason.CONNECT_REFUSED, None),
    nowhere("http://nowhere.test/", "to a name that does not exist", Reason.DNS_NXDOMAIN, None),
    Journey("without Location", {"/": heads()}, Reason.HTTP_STATUS, ["/"], 302),
    Journey("with an empty Location", {"/": heads("Location:")}, Reason.HTTP_STATUS, ["/"], 302),
    Journey("to two places", {"/": heads("Location: /next", "Location: /b"), "/next": OK}, Reason.PROTOCOL_ERROR, ["/"], 302),
    Journey(
        "to one place, said twice",
        {"/": heads("Location: /next", "Location: /next"), "/next": OK},
        Reason.OK,
        ["/", "/next"],
        differs="httpx joins both with a comma",
    ),
    Journey("300 is an answer", {"/": redirect("/next", "300 Multiple Choices"), "/next": OK}, Reason.HTTP_STATUS, ["/"], 300),
    Journey("304 is an answer", {"/": redirect("/next", "304 Not Modified"), "/next": OK}, Reason.HTTP_STATUS, ["/"], 304),
    Journey("305 is an answer", {"/": redirect("/next", "305 Use Proxy"), "/next": OK}, Reason.HTTP_STATUS, ["/"], 305),
    Journey("201 with a Location is an answer", {"/": redirect("/next", "201 Created")}, Reason.OK, ["/"], 201),
    Journey("200 with Refresh is an answer", {"/": heads("Refresh: 0; url=/next", status="200 OK")}, Reason.OK, ["/"]),
    Journey(
        "with an interim answer",
        {"/": heads("Link: </no>", status="103 x") + redirect("/next"), "/next": OK},
        Reason.OK,
        ["/", "/next"],
    ),
    Journey(
        "with a body that never comes",
        {"/": send_then_hang(b"HTTP/1.1 302 x\r\nLocation: /next\r\nContent-Length: 9\r\n\r\n"), "/next": OK},
        Reason.OK,
        ["/", "/next"],
        differs="httpx waits for the body of a redirect; browsers do not",
    ),
    Journey(
        "with a body that never ends",
        {"/": _endless, "/next": OK},
        Reason.OK,
        ["/", "/next"],
        differs="httpx reads the body of a redirect; we do not",
    ),
    Journey("to an error", {"/": redirect("/next"), "/next": answer("500 Oops")}, Reason.HTTP_STATUS, ["/", "/next"], 500),
    Journey("to silence", {"/": redirect("/next"), "/next": hang}, Reason.TIMEOUT, ["/", "/next"], None),
]


def placed(scripts: dict[str, bytes | Script], server: HostileServer) -> dict[str, bytes | Script]:
    port = str(server.port).encode()
    return {path: script.replace(b"PORT", port) if isinstance(script, bytes) else script for path, script in scripts.items()}


def paths(server: HostileServer) -> list[str]:
    return [head.split(" ")[1] for head in server.requests]


@pytest.mark.parametrize("journey", [pytest.param(each, id=each.name) for each in JOURNEYS])
def test_a_journey_ends_as_expected_and_as_that_of_httpx(journey: Journey) -> None:
    async def test() -> None:
        scripts: dict[str, bytes | Script] = {}
        async with serving(scripts) as server, naming({}) as names, checking(names=names) as engine:
            scripts |= placed(journey.scripts, server)
            asked = {"timeout_ms": 600, "max_redirects": 10, **journey.asked}
            result = await engine.probe(ask(server.url(), **asked))
            assert (result.reason, result.status_code) == (journey.reason, journey.status), result.detail
            assert (result.outcome is Outcome.UP) is (journey.reason is Reason.OK)
            assert paths(server) == journey.paths
            assert [hop.url for hop in result.hops] == [server.url(), *result.redirects][: len(result.hops)]
            assert len(result.hops) == len(result.redirects)
            assert {hop.address for hop in result.hops} <= {"127.0.0.1"}
            seen = await oracle.is_up(server.url(), timeout_s=0.6, redirects=int(str(asked["max_redirects"])))
        assert (seen is (result.outcome is Outcome.UP)) is not bool(journey.differs), f"httpx sees it {'up' if seen else 'down'}"

    run(test)


# --- from https to http ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("refuses", "reason"), [(False, Reason.OK), (True, Reason.INSECURE_REDIRECT)])
def test_a_way_from_https_to_http_is_followed_and_flagged_or_refused(refuses: bool, reason: Reason, tmp_path: Path) -> None:
    async def test() -> None:
        authority = Authority.create(tmp_path)
        async with (
            naming({"secure.test": Zone(("127.0.0.1",))}) as names,
            serving({"/": OK}) as plain,
            serving({"/": redirect(plain.url())}, authority.server(host="secure.test")) as server,
            checking(names=names, ca_file=authority.ca_file) as engine,
        ):
            url = server.url(scheme="https", host="secure.test")
            wanted = parse_options({"refuse_downgrade": True}) if refuses else None
            result = await engine.probe(ask(url, options=wanted))
            assert (result.reason, result.is_downgraded, len(plain.requests)) == (reason, not refuses, not refuses)
            if refuses:
                assert (result.outcome, result.detail) == (Outcome.DOWN, f"{url} redirects to {plain.url()}")
            else:
                assert result.hops == (Hop(url, "127.0.0.1", 302),)

    run(test)


def test_a_way_from_http_to_https_is_not_flagged(tmp_path: Path) -> None:
    async def test() -> None:
        authority = Authority.create(tmp_path)
        async with (
            naming({"secure.test": Zone(("127.0.0.1",))}) as names,
            serving({"/": OK}, authority.server(host="secure.test")) as server,
            serving({"/": redirect(server.url(scheme="https", host="secure.test"))}) as plain,
            checking(names=names, ca_file=authority.ca_file) as engine,
        ):
            wanted = parse_options({"refuse_downgrade": True})
            result = await engine.probe(ask(plain.url(), options=wanted))
            assert (result.outcome, result.is_downgraded) == (Outcome.UP, False)

    run(test)


# --- cookies -------------------------------------------------------------------------------------------------------------------


def wants_cookie(server: Callable[[], HostileServer], cookie: str) -> Script:
    """Well for who brings the cookie; everybody else is sent to get it."""

    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK if f"Cookie: {cookie}\r\n" in server().requests[-1] else redirect("/login"))
        await writer.drain()

    return script


@pytest.mark.parametrize(
    ("set_cookie", "sent"),
    [
        ("session=1", "session=1"),
        ("session=1; Path=/", "session=1"),
        ("session=1; Path=/; HttpOnly; SameSite=Lax", "session=1"),
        ("session=1; Max-Age=60", "session=1"),
        ("session=1; Expires=Wed, 21 Oct 2048 07:28:00 GMT", "session=1"),
        ('session="a b"', 'session="a b"'),
        ("session=ü", "session=ü"),
        ("session=a b=c", "session=a b=c"),
        ("session=", "session="),
    ],
)
def test_a_cookie_lives_across_the_hops_of_one_check_and_not_across_checks(set_cookie: str, sent: str) -> None:
    async def test() -> None:
        scripts: dict[str, bytes | Script] = {"/login": heads("Location: /", f"Set-Cookie: {set_cookie}")}
        async with serving(scripts) as server, checking() as engine:
            scripts["/"] = wants_cookie(lambda: server, sent)
            for _ in range(2):
                server.requests.clear()
                result = await engine.probe(ask(server.url()))
                assert result.outcome is Outcome.UP, result
                assert paths(server) == ["/", "/login", "/"]
                assert "Cookie:" not in server.requests[0]
            if sent.isascii():  # httpx cannot send any other
                assert await oracle.is_up(server.url())

    run(test)


@pytest.mark.parametrize(
    "set_cookie",
    [
        "session=1; Path=/elsewhere",
        "session=1; Secure",
        "session=1; Max-Age=0",
        "session=1; Expires=Wed, 21 Oct 2015 07:28:00 GMT",
        "session=1; Domain=other.test",
        "session=1; Domain=test",
        "session=" + "x" * 5000,
    ],
)
def test_a_cookie_that_does_not_belong_there_is_not_sent(set_cookie: str) -> None:
    async def test() -> None:
        scripts: dict[str, bytes | Script] = {"/": heads("Location: /next", f"Set-Cookie: {set_cookie}"), "/next": OK}
        async with (
            serving(scripts) as server,
            naming({"www.shop.test": Zone(("127.0.0.1",))}) as names,
            checking(names=names) as engine,
        ):
            assert (await engine.probe(ask(server.url(host="www.shop.test")))).outcome is Outcome.UP
            assert "Cookie:" not in server.requests[1]

    run(test)


@pytest.mark.parametrize(
    ("set_cookie", "to_host", "goes"),
    [
        ("a=1", "other.test", False),
        ("a=1", "sub.www.shop.test", False),
        ("a=1; Domain=shop.test", "api.shop.test", True),
        ("a=1; Domain=shop.test", "other.test", False),
    ],
)
def test_a_cookie_goes_to_the_hosts_that_it_is_for(set_cookie: str, to_host: str, goes: bool) -> None:
    async def test() -> None:
        zones = {name: Zone(("127.0.0.1",)) for name in ("www.shop.test", to_host)}
        async with naming(zones) as names, serving({"/": OK}) as other, checking(names=names) as engine:
            first: dict[str, bytes | Script] = {
                "/": heads(f"Location: {other.url(host=to_host)}", f"Set-Cookie: {set_cookie}"),
            }
            async with serving(first) as server:
                assert (await engine.probe(ask(server.url(host="www.shop.test")))).outcome is Outcome.UP
            assert ("Cookie: a=1\r\n" in other.requests[0]) is goes

    run(test)


def test_cookies_that_are_given_join_those_of_the_options_and_replace_them_by_name() -> None:
    async def test() -> None:
        scripts: dict[str, bytes | Script] = {"/": heads("Location: /next", "Set-Cookie: b=new", "Set-Cookie: c=3"), "/next": OK}
        async with serving(scripts) as server, checking() as engine:
            wanted = parse_options({"headers": [{"name": "Cookie", "value": "a=1; b=old"}]})
            assert (await engine.probe(ask(server.url(), options=wanted))).outcome is Outcome.UP
            assert "Cookie: a=1; b=old\r\n" in server.requests[0]
            assert "Cookie: a=1; b=new; c=3\r\n" in server.requests[1]

    run(test)


def test_a_flood_of_cookies_is_cut() -> None:
    async def test() -> None:
        lines = [f"Set-Cookie: c{number}=1" for number in range(500)]
        async with serving({"/": heads("Location: /next", *lines), "/next": OK}) as server, checking() as engine:
            assert (await engine.probe(ask(server.url()))).outcome is Outcome.UP
            assert server.requests[1].count("=1") == 50

    run(test)
