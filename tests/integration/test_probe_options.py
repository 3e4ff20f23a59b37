"""Request options and assertions against real servers: what is sent, to whom, and what answers are found to be."""

import asyncio
import gzip
import re
import ssl
import zlib
from pathlib import Path

import msgspec
import pytest

from core.domain.outcomes import Outcome, Reason
from core.domain.probes import ProbeResult, parse_accepted_status
from core.domain.request_options import RequestOptions, parse_options
from tests.hostile import Authority, Script, Zone, answer, naming, redirect, send_then_hang, serving
from tests.probing import ask, check_one, checking, run

SECRETS = {
    "headers": [
        {"name": "X-Api-Key", "value": "open sesame"},
        {"name": "Cookie", "value": "session=1"},
        {"name": "Accept-Language", "value": "de"},
    ],
    "auth": {"kind": "basic", "username": "jürgen", "password": "p:w"},
}


def options(**members: object) -> RequestOptions:
    return parse_options(members)


def asserting(*assertions: dict[str, object]) -> RequestOptions:
    return options(assertions=list(assertions))


def found(result: ProbeResult) -> tuple[Outcome, Reason]:
    return result.outcome, result.reason


def echo_body(seen: list[bytes]) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.read(65_536))
        writer.write(answer("200 OK"))
        await writer.drain()

    return script


# --- what is sent ------------------------------------------------------------------------------------------------------------


def test_headers_are_sent_and_replace_our_own() -> None:
    wanted = options(
        headers=[
            {"name": "X-Tier", "value": "gold"},
            {"name": "User-Agent", "value": "mine"},
            {"name": "X-Empty", "value": ""},
        ]
    )
    result, server = check_one(answer("200 OK"), options=wanted)
    assert result.outcome is Outcome.UP, result
    lines = server.requests[0].splitlines()
    assert {"X-Tier: gold", "User-Agent: mine", "X-Empty:"} <= set(lines)
    assert sum(line.startswith("User-Agent") for line in lines) == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_body_is_sent(method: str) -> None:
    seen: list[bytes] = []
    wanted = options(body='{"a": "ü"}', headers=[{"name": "Content-Type", "value": "application/json"}])
    result, server = check_one(echo_body(seen), method=method, options=wanted)
    assert result.outcome is Outcome.UP, result
    assert server.requests[0].startswith(f"{method} / HTTP/1.1\r\n")
    assert "content-type: application/json\r\n" in server.requests[0].lower()
    assert seen == ['{"a": "ü"}'.encode()]


@pytest.mark.parametrize(
    ("auth", "sent"),
    [
        ({"kind": "basic", "username": "jürgen", "password": "p:w"}, "Authorization: Basic asO8cmdlbjpwOnc="),
        ({"kind": "bearer", "token": "a.b-c"}, "Authorization: Bearer a.b-c"),
    ],
)
def test_credentials_are_sent_at_once(auth: dict[str, str], sent: str) -> None:
    result, server = check_one(answer("200 OK"), options=options(auth=auth))
    assert result.outcome is Outcome.UP
    assert sent in server.requests[0].splitlines()


def test_digest_answers_the_challenge_with_the_right_password_only() -> None:
    challenge = answer("401 Unauthorized", b"", 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256')

    async def test() -> None:
        async def guarded(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            proven = 'username="joe"' in server.requests[-1]
            writer.write(answer("200 OK") if proven else challenge)
            await writer.drain()

        async with serving({"/": guarded}) as server, checking() as engine:
            right = options(auth={"kind": "digest", "username": "joe", "password": "pw"})
            assert (await engine.probe(ask(server.url(), options=right))).status_code == 200
            assert "Authorization: Digest" not in server.requests[0]
            assert "pw" not in re.sub(r"response=\S+", "", server.requests[1]).split("cnonce")[0]
            plain = await engine.probe(ask(server.url()))
            assert plain.status_code == 401, "the next check knows nothing of it"

    run(test)


def test_no_other_host_sees_secrets_and_a_handle_forgets_them() -> None:
    async def test() -> None:
        zones = {name: Zone(("127.0.0.1",)) for name in ("first.test", "other.test")}
        async with naming(zones) as names, serving({}) as other, checking(names=names) as engine:
            async with serving({"/": redirect(other.url("/x", host="other.test"))}) as first:
                wanted = options(**SECRETS)
                await engine.probe(ask(first.url(host="first.test"), options=wanted))
                await engine.probe(ask(first.url(host="first.test")))
            for secret in ("X-Api-Key: open sesame", "Cookie: session=1", "Authorization: Basic"):
                assert secret in first.requests[0]
                assert secret not in other.requests[0]
            assert "Accept-Language: de" in other.requests[0]
            for request in (first.requests[1], other.requests[1]):
                assert not re.search("sesame|session|Authorization|Accept-Language", request)

    run(test)


def test_the_same_host_on_another_port_is_another_host_and_a_path_is_not() -> None:
    async def test() -> None:
        async with serving({}) as other, checking() as engine:
            scripts: dict[str, bytes | Script] = {"/": redirect("/in"), "/in": redirect(other.url("/out"))}
            async with serving(scripts) as first:
                await engine.probe(ask(first.url(), options=options(**SECRETS)))
            assert "Authorization: Basic" in first.requests[1]
            assert "Authorization" not in other.requests[0]

    run(test)


@pytest.mark.parametrize(("status", "keeps"), [("303 See Other", False), ("302 Found", False), ("307 Temporary Redirect", True)])
def test_a_redirected_body_goes_where_its_method_goes(status: str, keeps: bool) -> None:
    async def test() -> None:
        seen: list[bytes] = []
        async with serving({"/": redirect("/next", status), "/next": echo_body(seen)}) as server, checking() as engine:
            wanted = options(body="x=1", headers=[{"name": "Content-Type", "value": "text/x"}])
            probing = asyncio.ensure_future(engine.probe(ask(server.url(), method="POST", options=wanted, timeout_ms=1500)))
            await probing
            assert server.requests[1].startswith("POST" if keeps else "GET")
            assert ("text/x" in server.requests[1]) is keeps
            assert b"".join(seen) == (b"x=1" if keeps else b"")

    run(test)


def test_a_version_of_ip_is_kept_to() -> None:
    async def test() -> None:
        zones = {"both.test": Zone(("127.0.0.1", "::1")), "old.test": Zone(("127.0.0.1",))}
        async with naming(zones) as names, serving({"/": answer("200 OK")}) as server, checking(names=names) as engine:
            four = await engine.probe(ask(server.url(host="both.test"), options=options(ip_version=4)))
            assert (four.outcome, four.address) == (Outcome.UP, "127.0.0.1")
            six = await engine.probe(ask(server.url(host="both.test"), options=options(ip_version=6)))
            assert six.address == "::1"
            none = await engine.probe(ask(server.url(host="old.test"), options=options(ip_version=6)))
            assert found(none) == (Outcome.DOWN, Reason.DNS_NO_DATA)

    run(test)


def test_connecting_has_a_time_of_its_own() -> None:
    """A server that accepts and then says nothing: TLS belongs to connecting."""

    async def test() -> None:
        async with serving({}) as server, checking() as engine:
            asked = ask(server.url(scheme="https"), timeout_ms=20_000, options=options(connect_timeout_ms=200))
            result = await asyncio.wait_for(engine.probe(asked), 5)
            assert found(result) == (Outcome.DOWN, Reason.TIMEOUT)

    run(test)


# --- what is found -----------------------------------------------------------------------------------------------------------

PAGE = "<h1>Grüße</h1> 17 orders".encode()
JSON = b'{"status": "ok", "parts": [{"up": true, "ms": 3}, {"up": true, "ms": 40}], "empty": null}'


@pytest.mark.parametrize(
    ("assertion", "body", "reason"),
    [
        ({"kind": "keyword", "text": "Grüße"}, PAGE, Reason.OK),
        ({"kind": "keyword", "text": "grüSSe", "ignore_case": True}, PAGE, Reason.ASSERTION_KEYWORD),
        ({"kind": "keyword", "text": "GRÜßE", "ignore_case": True}, PAGE, Reason.OK),
        ({"kind": "keyword", "text": "Fehler"}, PAGE, Reason.ASSERTION_KEYWORD),
        ({"kind": "keyword", "text": "Fehler", "absent": True}, PAGE, Reason.OK),
        ({"kind": "keyword", "text": "orders", "absent": True}, PAGE, Reason.ASSERTION_KEYWORD),
        ({"kind": "regex", "pattern": r"\b[1-9]\d* orders"}, PAGE, Reason.OK),
        ({"kind": "regex", "pattern": r"^\d+ orders"}, PAGE, Reason.ASSERTION_REGEX),
        ({"kind": "regex", "pattern": r"Gr.{2}e<", "absent": True}, PAGE, Reason.ASSERTION_REGEX),
        ({"kind": "json", "path": "$.status", "comparison": "equals", "value": "ok"}, JSON, Reason.OK),
        ({"kind": "json", "path": "$.parts[*].up", "comparison": "equals", "value": True}, JSON, Reason.OK),
        ({"kind": "json", "path": "$.parts[*].ms", "comparison": "less_than", "value": 40}, JSON, Reason.ASSERTION_JSON),
        ({"kind": "json", "path": "$.absent"}, JSON, Reason.ASSERTION_JSON),
        ({"kind": "json", "path": "$"}, PAGE, Reason.ASSERTION_JSON),
        ({"kind": "header", "name": "X-Cache", "comparison": "equals", "value": "hit"}, PAGE, Reason.OK),
        ({"kind": "header", "name": "x-cache", "comparison": "absent"}, PAGE, Reason.ASSERTION_HEADER),
        ({"kind": "header", "name": "X-Nothing"}, PAGE, Reason.ASSERTION_HEADER),
        ({"kind": "certificate_days", "at_least": 1}, PAGE, Reason.ASSERTION_CERTIFICATE),
    ],
)
def test_assertions_are_judged(assertion: dict[str, object], body: bytes, reason: Reason) -> None:
    result, _ = check_one(answer("200 OK", body, "X-Cache: hit"), options=asserting(assertion))
    assert found(result) == (Outcome.DOWN if reason else Outcome.UP, reason), result.detail
    assert bool(result.detail) is bool(reason)


def test_the_status_comes_first_and_its_own_assertion_never_saves_it() -> None:
    result, _ = check_one(answer("500 Oops", b"well"), options=asserting({"kind": "keyword", "text": "well"}))
    assert result.reason is Reason.HTTP_STATUS


@pytest.mark.parametrize(("starts", "reason"), [(True, Reason.OK), (False, Reason.ASSERTION_FINAL_URL)])
def test_the_last_url_is_the_one_after_redirects(starts: bool, reason: Reason) -> None:
    async def test() -> None:
        async with serving({"/": redirect("/login"), "/login": answer("200 OK")}) as server, checking() as engine:
            value = server.url("/login" if starts else "/home")
            wanted = asserting({"kind": "final_url", "comparison": "starts_with", "value": value})
            assert (await engine.probe(ask(server.url(), options=wanted))).reason is reason

    run(test)


def test_a_body_is_read_to_a_mebibyte_and_what_lies_beyond_is_not_guessed() -> None:
    early, late = b"early" + b"." * 900_000 + b"middle", b"." * (1024 * 1024) + b"late"
    for body, text, absent, reason in [
        (early, "middle", False, Reason.OK),
        (late, "late", False, Reason.BODY_LIMIT),
        (late, "late", True, Reason.BODY_LIMIT),
        (b"early" + late, "early", False, Reason.OK),
        (b"early" + late, "early", True, Reason.ASSERTION_KEYWORD),
    ]:
        wanted = asserting({"kind": "keyword", "text": text, "absent": absent})
        assert check_one(answer("200 OK", body), options=wanted)[0].reason is reason
    wanted = asserting({"kind": "json", "path": "$"})
    assert check_one(answer("200 OK", b"[" + b"1," * 600_000 + b"1]"), options=wanted)[0].reason is Reason.BODY_LIMIT


@pytest.mark.parametrize("follows", [True, False])
def test_the_body_of_a_redirect_is_read_where_it_is_the_answer(follows: bool) -> None:
    async def test() -> None:
        scripts: dict[str, bytes | Script] = {
            "/": answer("302 Found", b"." * 500_000 + b"moved", "Location: /next"),
            "/next": answer("200 OK", b"arrived"),
        }
        async with serving(scripts) as server, checking() as engine:
            wanted = asserting({"kind": "keyword", "text": "arrived" if follows else "moved"})
            accepted = parse_accepted_status("200,302")
            asked = ask(server.url(), options=wanted, follow_redirects=follows, accepted_status=accepted)
            result = await engine.probe(asked)
            assert found(result) == (Outcome.UP, Reason.OK), result.detail
            assert len(server.requests) == 1 + follows

    run(test)


def test_a_costly_pattern_searches_less_of_a_body() -> None:
    costly = "(?:[ab]{1,20}){8}c"
    wanted = asserting({"kind": "regex", "pattern": costly})
    assert check_one(answer("200 OK", b"ab" * 400_000 + b"c"), options=wanted)[0].reason is Reason.BODY_LIMIT
    assert check_one(answer("200 OK", b"ab" * 1000 + b"c"), options=wanted)[0].reason is Reason.OK


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "identity"])
def test_encoded_bodies_are_decoded(encoding: str) -> None:
    body = {"gzip": gzip.compress(PAGE), "deflate": zlib.compress(PAGE), "identity": PAGE}[encoding]
    wanted = asserting({"kind": "keyword", "text": "Grüße"})
    result, server = check_one(answer("200 OK", body, f"Content-Encoding: {encoding}"), options=wanted)
    assert result.outcome is Outcome.UP, result
    assert "gzip" in server.requests[0].lower()


def test_a_bomb_is_cut_and_a_bomb_within_a_bomb_is_not_opened() -> None:
    zeros = gzip.compress(bytes(64 * 1024 * 1024))
    wanted = asserting({"kind": "keyword", "text": "x"})
    bomb, _ = check_one(answer("200 OK", zeros, "Content-Encoding: gzip"), options=wanted)
    assert bomb.reason is Reason.BODY_LIMIT
    for headers in (["Content-Encoding: gzip, gzip"], ["Content-Encoding: gzip", "Content-Encoding: gzip"]):
        nested, _ = check_one(answer("200 OK", gzip.compress(zeros), *headers), options=wanted)
        assert found(nested) == (Outcome.DOWN, Reason.PROTOCOL_ERROR)
        assert "more than once" in nested.detail


@pytest.mark.parametrize("charset", ["iso-8859-1", "windows-1252", "utf-16", '"UTF-8"', "punycode", "zlib", "nonsense"])
def test_a_body_is_read_in_its_character_set(charset: str) -> None:
    known = charset in ("iso-8859-1", "windows-1252", "utf-16")
    body = "Grüße".encode(charset if known else "utf-8")
    wanted = asserting({"kind": "keyword", "text": "Grüße"})
    result, _ = check_one(answer("200 OK", body, f"Content-Type: text/html; charset={charset}"), options=wanted)
    assert result.outcome is Outcome.UP, result.detail


def test_a_slow_answer_is_up_but_degraded_and_says_so() -> None:
    async def slowly(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.15)
        writer.write(answer("200 OK"))
        await writer.drain()

    result, _ = check_one(slowly, options=options(degraded_after_ms=100))
    assert found(result) == (Outcome.UP, Reason.DEGRADED)
    assert re.fullmatch(r"took \d+ ms, more than 100", result.detail)
    assert check_one(slowly, options=options(degraded_after_ms=2900))[0].reason is Reason.OK


def test_a_body_that_is_not_asked_for_is_not_read() -> None:
    wanted = asserting({"kind": "header", "name": "Content-Length"})
    result, _ = check_one(send_then_hang(answer("200 OK", b"x" * 20_000)), options=wanted)
    assert result.outcome is Outcome.UP


@pytest.mark.parametrize(("days", "reason"), [(20, Reason.OK), (40, Reason.ASSERTION_CERTIFICATE)])
def test_a_certificate_must_last(days: int, reason: Reason, tmp_path: Path) -> None:
    async def test() -> None:
        authority = Authority.create(tmp_path)
        zones = {"localhost.test": Zone(("127.0.0.1",))}
        tls = authority.server(host="localhost.test", ends_in_days=30)
        async with (
            naming(zones) as names,
            serving({"/": answer("200 OK")}, tls) as server,
            checking(names=names, ca_file=authority.ca_file) as engine,
        ):
            wanted = asserting({"kind": "certificate_days", "at_least": days})
            for _ in range(2):
                result = await engine.probe(ask(server.url(scheme="https", host="localhost.test"), options=wanted))
                assert result.reason is reason, result.detail

    run(test)


def test_plain_and_equipped_checks_share_handles_without_sharing_anything_else() -> None:
    """Fifty of each at once and again: every request is exactly what its check asked for."""

    async def test() -> None:
        async with serving({"/plain": answer("200 OK"), "/equipped": answer("200 OK", b"yes")}) as server, checking() as engine:
            wanted = options(**SECRETS, assertions=[{"kind": "keyword", "text": "yes"}])
            for _ in range(2):
                checks = [
                    engine.probe(ask(server.url(path), options=wanted if path == "/equipped" else None))
                    for path in ("/plain", "/equipped") * 50
                ]
                assert {result.outcome for result in await asyncio.gather(*checks)} == {Outcome.UP}
            for request in server.requests:
                assert ("sesame" in request) is request.startswith("GET /equipped"), request

    run(test)


def test_what_was_checked_survives_being_stored() -> None:
    wanted = options(**SECRETS, body="x", assertions=[{"kind": "json", "path": "$.a", "value": 1.5}])
    assert msgspec.json.decode(msgspec.json.encode(wanted), type=RequestOptions) == wanted


# --- other ways to get there -------------------------------------------------------------------------------------------------


def test_a_check_may_connect_elsewhere_under_the_same_name() -> None:
    async def test() -> None:
        zones = {"origin.test": Zone(("127.0.0.1",)), "far.test": Zone(("127.0.0.1",))}
        async with naming(zones) as names, checking(names=names) as engine, serving({"/x": answer("200 OK")}) as other:
            scripts: dict[str, bytes | Script] = {"/": redirect("/in"), "/in": redirect(other.url("/x", host="far.test"))}
            async with serving(scripts) as server:
                for wanted in ("origin.test", "127.0.0.1", "ORIGIN.test."):
                    result = await engine.probe(ask(server.url(host="www.test"), options=options(connect_to=wanted)))
                    assert result.outcome is Outcome.UP, result
                assert f"Host: www.test:{server.port}" in server.requests[1]
            gone = await engine.probe(ask(server.url(host="www.test"), options=options(connect_to="nowhere.test")))
            assert found(gone) == (Outcome.DOWN, Reason.DNS_NXDOMAIN)

    run(test)


def test_elsewhere_passes_the_filter_like_any_address() -> None:
    async def test() -> None:
        async with checking(private_targets=False) as engine:
            for host in ("127.0.0.1", "::1", "169.254.169.254", "0x7f.1"):
                result = await engine.probe(ask("http://www.test/", options=options(connect_to=host)))
                assert found(result) == (Outcome.UNKNOWN, Reason.BLOCKED_ADDRESS)

    run(test)


def test_an_old_version_of_tls_is_not_enough(tmp_path: Path) -> None:
    async def test() -> None:
        authority = Authority.create(tmp_path)
        tls = authority.server(host="tls.test")
        tls.maximum_version = ssl.TLSVersion.TLSv1_2
        async with (
            naming({"tls.test": Zone(("127.0.0.1",))}) as names,
            serving({"/": answer("200 OK")}, tls) as server,
            checking(names=names, ca_file=authority.ca_file) as engine,
        ):
            url = server.url(scheme="https", host="tls.test")
            for version, reason in (("1.2", Reason.OK), ("1.3", Reason.TLS_OTHER), (None, Reason.OK)):
                result = await engine.probe(ask(url, options=options(min_tls_version=version)))
                assert result.reason is reason, result.detail

    run(test)


def test_a_client_certificate_is_shown_to_its_site_only(tmp_path: Path) -> None:
    async def test() -> None:
        authority = Authority.create(tmp_path)
        tls, other_tls = authority.server(host="mtls.test"), authority.server(host="other.test")
        for context in (tls, other_tls):
            context.load_verify_locations(authority.ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
        zones = {name: Zone(("127.0.0.1",)) for name in ("mtls.test", "other.test")}
        async with (
            naming(zones) as names,
            serving({"/": answer("200 OK")}, other_tls) as other,
            serving({"/": answer("200 OK"), "/away": redirect(other.url(scheme="https", host="other.test"))}, tls) as server,
            checking(names=names, ca_file=authority.ca_file) as engine,
        ):
            url = server.url(scheme="https", host="mtls.test")
            wanted = options(client_certificate=key_pair(tmp_path))
            assert found(await engine.probe(ask(url, options=wanted))) == (Outcome.UP, Reason.OK)
            assert (await engine.probe(ask(url))).outcome is Outcome.DOWN, "the next check does not have it"
            assert len(server.requests) == 1
            away = await engine.probe(ask(server.url("/away", scheme="https", host="mtls.test"), options=wanted))
            assert (away.outcome, len(away.redirects)) == (Outcome.DOWN, 1)
            assert not other.requests

    run(test)


def key_pair(folder: Path) -> dict[str, str]:
    """The certificate and key that the authority made for other.test, which will do for a client."""
    (pair,) = (path.read_text() for path in folder.glob("other.test*.pem"))
    at = pair.index("-----BEGIN CERTIFICATE")
    return {"key": pair[:at], "certificate": pair[at:]}


def test_more_values_than_are_looked_at_are_beyond_the_limit() -> None:
    wanted = asserting({"kind": "json", "path": "$[*]", "comparison": "equals", "value": 1})
    for count, reason in ((10_000, Reason.OK), (10_001, Reason.BODY_LIMIT)):
        body = b"[" + b",".join([b"1"] * count) + b"]"
        assert check_one(answer("200 OK", body), options=wanted)[0].reason is reason
