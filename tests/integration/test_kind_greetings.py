"""`smtp://`, `imap://` and `ftp://` checks, with and without TLS: what servers say, and whose trouble it is when they do not."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from core.domain.outcomes import Outcome, Reason
from core.domain.probes import ProbeResult
from core.domain.request_options import RequestOptions, parse_options
from tests.hostile import Authority, Zone, naming
from tests.probing import ask, checking, run
from tests.talking import Guest, Talk, closing, counting_turns, hosting, saying, silent

UP = (Outcome.UP, Reason.OK)
USER = {"kind": "basic", "username": "joe@mail.test", "password": "s3cret"}
HELLO = b"220 mail.test ESMTP"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


def found(result: ProbeResult) -> tuple[Outcome, Reason]:
    return result.outcome, result.reason


def options(**members: Any) -> RequestOptions:
    return parse_options(members)


def said(text: str) -> RequestOptions:
    return options(assertions=[{"kind": "keyword", "text": text}])


async def smtp(guest: Guest) -> None:
    await guest.say(HELLO)
    assert (await guest.hear()).startswith(b"EHLO")
    await guest.say(b"250-mail.test", b"250-SIZE 1000", b"250 8BITMIME")
    await guest.rest()


async def imap(guest: Guest) -> None:
    await guest.say(b"* OK [CAPABILITY IMAP4rev1] ready")
    tag = (await guest.hear()).split()[0]
    await guest.say(b"* CAPABILITY IMAP4rev1 IDLE", tag + b" OK done")
    await guest.rest()


async def ftp(guest: Guest) -> None:
    await guest.say(b"220-Welcome", b"220 Files here")
    await guest.rest()


SERVERS: dict[str, Talk] = {"smtp": smtp, "imap": imap, "ftp": ftp}
ASKED = {"smtp": [b"EHLO uptimemonitor.invalid"], "imap": [b"CAPABILITY"], "ftp": []}


def check(
    scheme: str, talk: Talk, tls: ssl.SSLContext | None = None, authority: Authority | None = None, **changes: Any
) -> ProbeResult:
    """Serve and check once."""
    results: list[ProbeResult] = []

    async def test() -> None:
        async with (
            naming({"mail.test": Zone(("127.0.0.1",))}) as names,
            hosting(talk, tls) as server,
            checking(names=names, ca_file=authority.ca_file if authority else None) as engine,
        ):
            results.append(await engine.probe(ask(f"{scheme}://mail.test:{server.port}", **changes)))

    run(test)
    return results[0]


@pytest.mark.parametrize("scheme", SERVERS)
def test_a_greeting_is_well_and_nothing_more_is_asked_than_needed(scheme: str) -> None:
    async def test() -> None:
        async with hosting(SERVERS[scheme]) as server, checking() as engine:
            result = await engine.probe(ask(f"{scheme}://127.0.0.1:{server.port}"))
            assert found(result) == UP
            assert result.address == "127.0.0.1"
            assert None not in (result.connect_us, result.first_byte_us, result.total_us)
            assert (result.tls_us, result.status_code, result.certificate_not_after) == (None, None, None)
            await server.left.wait()
            assert [line.split(b" ", 1)[1] if scheme == "imap" else line for line in server.heard] == ASKED[scheme]

    run(test)


@pytest.mark.parametrize("scheme", SERVERS)
def test_tls_from_the_start(scheme: str, authority: Authority) -> None:
    result = check(f"{scheme}s", SERVERS[scheme], authority.server(host="mail.test"), authority)
    assert found(result) == UP
    assert result.certificate_not_after is not None
    assert None not in (result.connect_us, result.tls_us, result.first_byte_us)


@pytest.mark.parametrize("scheme", SERVERS)
@pytest.mark.parametrize(
    ("host", "ends_in_days", "reason"), [("mail.test", -1, Reason.TLS_EXPIRED), ("other.test", 30, Reason.TLS_HOSTNAME)]
)
def test_a_bad_certificate_has_its_reason(
    scheme: str, host: str, ends_in_days: int, reason: Reason, authority: Authority
) -> None:
    tls = authority.server(host=host, ends_in_days=ends_in_days)
    result = check(f"{scheme}s", SERVERS[scheme], tls, authority)
    assert found(result) == (Outcome.DOWN, reason)
    assert result.certificate_not_after is not None


@pytest.mark.parametrize(("scheme", "text"), [("smtp", "SIZE 1000"), ("imap", "IDLE"), ("ftp", "Files here")])
def test_what_the_server_says_can_be_asserted(scheme: str, text: str) -> None:
    assert found(check(scheme, SERVERS[scheme], options=said(text))) == UP
    missing = check(scheme, SERVERS[scheme], options=said("XYZZY"))
    assert found(missing) == (Outcome.DOWN, Reason.ASSERTION_KEYWORD)


@pytest.mark.parametrize(
    ("scheme", "talk", "reason"),
    [
        ("smtp", saying(b"554 no service for you"), Reason.SERVICE_REFUSED),
        ("smtp", saying(b"421 too busy"), Reason.SERVICE_REFUSED),
        ("ftp", saying(b"421 too many users"), Reason.SERVICE_REFUSED),
        ("ftp", saying(b"120 ready in 5 minutes"), Reason.SERVICE_REFUSED),
        ("imap", saying(b"* BYE overloaded"), Reason.SERVICE_REFUSED),
        ("smtp", saying(b"HTTP/1.1 400 Bad Request"), Reason.PROTOCOL_ERROR),
        ("ftp", saying(b"SSH-2.0-OpenSSH_9.9"), Reason.PROTOCOL_ERROR),
        ("imap", saying(HELLO), Reason.PROTOCOL_ERROR),
        ("smtp", saying(b"\xff\x00garbage"), Reason.PROTOCOL_ERROR),
        ("smtp", saying(*[b"220-" + b"x" * 900] * 30), Reason.PROTOCOL_ERROR),
        ("imap", saying(b"y" * 100_000), Reason.PROTOCOL_ERROR),
        ("smtp", closing, Reason.EMPTY_REPLY),
        ("imap", closing, Reason.EMPTY_REPLY),
        ("ftp", closing, Reason.EMPTY_REPLY),
        ("smtp", silent, Reason.TIMEOUT),
        ("imap", silent, Reason.TIMEOUT),
        ("ftp", silent, Reason.TIMEOUT),
        ("smtp", saying(HELLO), Reason.TIMEOUT),
        ("imap", saying(b"* OK ready"), Reason.TIMEOUT),
        ("ftp", saying(b"220-never ends"), Reason.TIMEOUT),
    ],
)
def test_each_failure_has_its_reason(scheme: str, talk: Talk, reason: Reason) -> None:
    result = check(scheme, talk, timeout_ms=500)
    assert found(result) == (Outcome.DOWN, reason), result.detail
    assert result.detail
    assert "\x00" not in result.detail


def test_what_is_refused_after_the_greeting_is_a_refusal_too() -> None:
    async def picky(guest: Guest) -> None:
        await guest.say(HELLO)
        while await guest.hear():
            await guest.say(b"550 go away")

    result = check("smtp", picky)
    assert found(result) == (Outcome.DOWN, Reason.SERVICE_REFUSED)
    assert "go away" in result.detail


def test_more_than_a_word_before_tls_is_no_consent(authority: Authority) -> None:
    """What comes before the handshake could be anybody's (CVE-2021-22947)."""

    async def injecting(guest: Guest) -> None:
        await guest.say(HELLO)
        await guest.hear()
        await guest.say(b"250-mail.test", b"250 STARTTLS")
        await guest.hear()
        await guest.say(b"220 go", b"250 already fine")
        await guest.rest()

    result = check("smtp", injecting, authority=authority, options=options(starttls=True))
    assert found(result) == (Outcome.DOWN, Reason.PROTOCOL_ERROR), result.detail


def test_a_server_that_goes_after_its_greeting_broke_the_protocol() -> None:
    async def goes(guest: Guest) -> None:
        await guest.say(HELLO)
        await guest.hear()

    assert found(check("smtp", goes)) == (Outcome.DOWN, Reason.PROTOCOL_ERROR)


def test_a_cut_connection_is_a_reset() -> None:
    async def cut(guest: Guest) -> None:
        await guest.say(HELLO)
        await guest.hear()
        guest.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        guest.writer.transport.abort()

    assert found(check("smtp", cut)) == (Outcome.DOWN, Reason.CONNECTION_RESET)


def test_a_closed_port_and_a_private_address_are_as_for_http() -> None:
    async def test() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            url = f"smtp://127.0.0.1:{taken.getsockname()[1]}"
            async with checking() as engine:
                assert found(await engine.probe(ask(url))) == (Outcome.DOWN, Reason.CONNECT_REFUSED)
        async with checking(private_targets=False) as engine:
            assert found(await engine.probe(ask(url))) == (Outcome.UNKNOWN, Reason.BLOCKED_ADDRESS)

    run(test)


# --- STARTTLS and logins against a real server -------------------------------------------------------------------------------


class Mailbox:
    """A handler that wants no mail."""

    async def handle_MAIL(self, *_: object) -> str:  # noqa: N802  (aiosmtpd names it)
        raise AssertionError("no message must ever be begun")


def knows_joe(_server: object, _session: object, _envelope: object, mechanism: str, data: object) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"joe@mail.test", b"s3cret")
    return AuthResult(success=good and mechanism in ("PLAIN", "LOGIN"), handled=False)


@asynccontextmanager
async def real_smtp(tls: ssl.SSLContext | None, **settings: Any) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(Mailbox(), tls_context=tls, authenticator=knows_joe, loop=loop, **settings), "127.0.0.1", 0
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def check_real(authority: Authority, tls: ssl.SSLContext | None, wanted: RequestOptions, **settings: Any) -> ProbeResult:
    results: list[ProbeResult] = []

    async def test() -> None:
        async with (
            naming({"mail.test": Zone(("127.0.0.1",))}) as names,
            real_smtp(tls, **settings) as port,
            checking(names=names, ca_file=authority.ca_file) as engine,
        ):
            results.append(await engine.probe(ask(f"smtp://mail.test:{port}", options=wanted)))

    run(test)
    return results[0]


def test_a_real_server_changes_to_tls(authority: Authority) -> None:
    days = [{"kind": "certificate_days", "at_least": 14}]
    result = check_real(authority, authority.server(host="mail.test"), options(starttls=True, assertions=days))
    assert found(result) == UP
    assert result.certificate_not_after is not None
    assert result.tls_us is not None
    assert result.total_us is not None
    assert 0 < result.tls_us < result.total_us


def test_a_bad_certificate_after_starttls_has_its_reason(authority: Authority) -> None:
    result = check_real(authority, authority.server(host="mail.test", ends_in_days=-1), options(starttls=True))
    assert found(result) == (Outcome.DOWN, Reason.TLS_EXPIRED)
    assert result.certificate_not_after is not None


def test_a_server_without_starttls_does_not_offer_it(authority: Authority) -> None:
    assert found(check_real(authority, None, options(starttls=True))) == (Outcome.DOWN, Reason.TLS_NOT_OFFERED)


@pytest.mark.parametrize(("password", "expected"), [("s3cret", UP), ("wr0ng", (Outcome.DOWN, Reason.LOGIN_REFUSED))])
def test_a_real_server_lets_the_right_user_in(password: str, expected: tuple[Outcome, Reason], authority: Authority) -> None:
    wanted = options(starttls=True, auth={**USER, "password": password})
    result = check_real(authority, authority.server(host="mail.test"), wanted, auth_require_tls=True)
    assert found(result) == expected
    assert password not in result.detail


def test_a_server_without_a_way_to_log_in_refuses(authority: Authority) -> None:
    result = check_real(authority, authority.server(host="mail.test"), options(auth=USER), auth_require_tls=True)
    assert found(result) == (Outcome.DOWN, Reason.LOGIN_REFUSED)


@pytest.mark.parametrize("scheme", ["smtp", "imap"])
def test_a_handshake_that_stalls_after_starttls_holds_nobody_up(scheme: str, authority: Authority) -> None:
    async def stalls(guest: Guest) -> None:
        await guest.say(b"220 hi" if scheme == "smtp" else b"* OK hi")
        while line := await guest.hear():
            tag = line.split()[0]
            if line.endswith(b"STARTTLS"):
                await guest.say(b"220 go" if scheme == "smtp" else tag + b" OK go")
                await asyncio.sleep(3600)
            await guest.say(*((b"250-me", b"250 STARTTLS") if scheme == "smtp" else (b"* CAPABILITY STARTTLS", tag + b" OK")))

    async def test() -> None:
        async with hosting(stalls) as server, checking(ca_file=authority.ca_file) as engine, counting_turns() as turns:
            url = f"{scheme}://127.0.0.1:{server.port}"
            result = await engine.probe(ask(url, options=options(starttls=True), timeout_ms=900))
            assert found(result) == (Outcome.DOWN, Reason.TIMEOUT)
            assert len(turns) > 5, "of some forty"

    run(test)


@pytest.mark.parametrize(
    ("able", "answer", "expected"),
    [
        (b"AUTH=PLAIN", b"OK in", UP),
        (b"", b"OK in", UP),
        (b"", b"NO [AUTHENTICATIONFAILED] wrong", (Outcome.DOWN, Reason.LOGIN_REFUSED)),
        (b"LOGINDISABLED", b"OK in", (Outcome.DOWN, Reason.LOGIN_REFUSED)),
    ],
)
def test_imap_logs_in_where_it_can(able: bytes, answer: bytes, expected: tuple[Outcome, Reason]) -> None:
    heard: list[bytes] = []

    async def lets_in(guest: Guest) -> None:
        await guest.say(b"* OK ready")
        while line := await guest.hear():
            tag, command = line.split(b" ", 1)
            heard.append(command)
            if command == b"CAPABILITY":
                await guest.say(b"* CAPABILITY IMAP4rev1 " + able, tag + b" OK done")
            else:
                await guest.say(tag + b" " + answer)

    assert found(check("imap", lets_in, options=options(auth=USER))) == expected
    assert heard[1:] == ([] if able == b"LOGINDISABLED" else [b"LOGIN joe@mail.test s3cret"])


@pytest.mark.parametrize(("answer", "expected"), [(b"230 in", UP), (b"530 no", (Outcome.DOWN, Reason.LOGIN_REFUSED))])
def test_ftp_logs_in_where_there_is_a_user(answer: bytes, expected: tuple[Outcome, Reason]) -> None:
    heard: list[bytes] = []

    async def files(guest: Guest) -> None:
        await guest.say(b"220 Files here")
        for reply in (b"331 password?", answer, b'257 "/"'):
            heard.append(await guest.hear())
            await guest.say(reply)
        await guest.rest()

    assert found(check("ftp", files, options=options(auth=USER))) == expected
    assert heard[:2] == [b"USER joe@mail.test", b"PASS s3cret"]


@pytest.mark.parametrize("scheme", SERVERS)
def test_a_server_that_never_answers_a_goodbye_holds_nobody_up(scheme: str) -> None:
    """libcurl would wait for the answer to QUIT with the loop standing still; it must not say it."""

    async def test() -> None:
        async with hosting(SERVERS[scheme]) as server, checking() as engine:
            await asyncio.gather(*(engine.probe(ask(f"{scheme}://127.0.0.1:{server.port}")) for _ in range(10)))
            assert not {b"QUIT", b"LOGOUT"} & {word for line in server.heard for word in line.split()}

    run(test)


def test_closing_the_engine_ends_a_check_as_unknown() -> None:
    async def test() -> None:
        async with hosting(saying(HELLO)) as server, checking() as engine:
            probing = asyncio.ensure_future(engine.probe(ask(f"smtp://127.0.0.1:{server.port}")))
            await server.was_told.wait()
            await engine.close()
            assert found(await probing) == (Outcome.UNKNOWN, Reason.SHUTTING_DOWN)

    run(test)
