import errno
import ssl
from datetime import UTC, datetime, timedelta

import pycurl
import pytest

from core.adapters.probe_addresses import AddressFilter
from core.adapters.probe_certificates import READ_AGAIN_S, CertificateMemory
from core.adapters.probe_head import Head
from core.adapters.probe_verdicts import Failure, from_errno, has_route, judge
from core.domain.outcomes import Outcome, Reason
from core.domain.urls import normalise

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def failure(code: int, message: str = "", **changes: object) -> Failure:
    defaults: dict[str, object] = {
        "errno": 0,
        "connected": False,
        "answered": False,
        "address": "192.0.2.1",
        "verify_result": 0,
        "certificate_not_after": None,
        "at": NOW,
    }
    return Failure(code, message, **{**defaults, **changes})  # type: ignore[arg-type]  # the keys are those of Failure


@pytest.mark.parametrize(
    ("number", "outcome", "reason"),
    [
        (errno.ECONNREFUSED, Outcome.DOWN, Reason.CONNECT_REFUSED),
        (errno.ETIMEDOUT, Outcome.DOWN, Reason.CONNECT_TIMEOUT),
        (errno.ECONNRESET, Outcome.DOWN, Reason.CONNECT_FAILED),
        (0, Outcome.DOWN, Reason.CONNECT_FAILED),
        (errno.ENETUNREACH, Outcome.UNKNOWN, Reason.LOCAL_NETWORK),
        (errno.ENETDOWN, Outcome.UNKNOWN, Reason.LOCAL_NETWORK),
        (errno.EADDRNOTAVAIL, Outcome.UNKNOWN, Reason.LOCAL_NETWORK),
        (errno.EACCES, Outcome.UNKNOWN, Reason.LOCAL_NETWORK),
        (errno.EMFILE, Outcome.UNKNOWN, Reason.INTERNAL),
        (errno.ENOBUFS, Outcome.UNKNOWN, Reason.INTERNAL),
    ],
)
def test_a_failed_connect_is_judged_by_the_system_s_error(number: int, outcome: Outcome, reason: Reason) -> None:
    verdict = judge(failure(pycurl.E_COULDNT_CONNECT, "could not", errno=number), has_route=lambda _: True)
    assert (verdict.outcome, verdict.reason) == (outcome, reason)
    assert "192.0.2.1" in verdict.detail


@pytest.mark.parametrize(("routed", "outcome"), [(True, Outcome.DOWN), (False, Outcome.UNKNOWN)])
def test_an_unreachable_host_is_ours_where_we_have_no_way_to_it(routed: bool, outcome: Outcome) -> None:
    verdict = judge(failure(pycurl.E_COULDNT_CONNECT, errno=errno.EHOSTUNREACH), has_route=lambda _: routed)
    assert verdict.outcome is outcome


@pytest.mark.parametrize(
    ("verify_result", "ends_in_days", "reason"),
    [
        (10, -1, Reason.TLS_EXPIRED),
        (10, None, Reason.TLS_EXPIRED),
        (10, 20, Reason.TLS_CHAIN_EXPIRED),
        (9, 20, Reason.TLS_NOT_YET_VALID),
        (62, 20, Reason.TLS_HOSTNAME),
        (64, 20, Reason.TLS_HOSTNAME),
        (18, 20, Reason.TLS_UNTRUSTED),
        (20, 20, Reason.TLS_UNTRUSTED),
        (23, 20, Reason.TLS_UNTRUSTED),
    ],
)
def test_a_certificate_that_does_not_verify_says_why(verify_result: int, ends_in_days: int | None, reason: Reason) -> None:
    ends = None if ends_in_days is None else NOW + timedelta(days=ends_in_days)
    code = pycurl.E_PEER_FAILED_VERIFICATION
    verdict = judge(failure(code, "x", verify_result=verify_result, certificate_not_after=ends, connected=True))
    assert (verdict.outcome, verdict.reason) == (Outcome.DOWN, reason)


@pytest.mark.parametrize(
    ("code", "message", "reason"),
    [
        (pycurl.E_SSL_CONNECT_ERROR, "wrong version number", Reason.TLS_OTHER),
        (pycurl.E_SSL_CONNECT_ERROR, "Recv failure: Connection reset by peer", Reason.CONNECTION_RESET),
        (pycurl.E_RECV_ERROR, "error:0A00045C:SSL routines::tlsv13 alert certificate required", Reason.TLS_CLIENT_CERT_REQUIRED),
        (pycurl.E_RECV_ERROR, "Recv failure: Connection reset by peer", Reason.CONNECTION_RESET),
        (pycurl.E_SEND_ERROR, "Send failure: Broken pipe", Reason.CONNECTION_RESET),
        (pycurl.E_GOT_NOTHING, "", Reason.EMPTY_REPLY),
        (100, "", Reason.PROTOCOL_ERROR),
    ],
)
def test_a_connection_that_breaks_is_the_target_s_trouble(code: int, message: str, reason: Reason) -> None:
    verdict = judge(failure(code, message, connected=True))
    assert (verdict.outcome, verdict.reason) == (Outcome.DOWN, reason)
    assert verdict.detail


@pytest.mark.parametrize("code", [pycurl.E_OUT_OF_MEMORY, pycurl.E_COULDNT_RESOLVE_HOST, pycurl.E_SSL_CACERT_BADFILE, 43, 9999])
def test_an_error_that_says_nothing_about_the_target_is_ours(code: int) -> None:
    verdict = judge(failure(code, "what"))
    assert (verdict.outcome, verdict.reason) == (Outcome.UNKNOWN, Reason.INTERNAL)


def test_a_time_out_says_in_which_phase() -> None:
    assert judge(failure(pycurl.E_OPERATION_TIMEDOUT)).reason is Reason.CONNECT_TIMEOUT
    assert judge(failure(pycurl.E_OPERATION_TIMEDOUT, "late", connected=True)).reason is Reason.TIMEOUT


def test_a_socket_that_cannot_be_opened_is_ours() -> None:
    assert from_errno(errno.EMFILE)[:2] == (Outcome.UNKNOWN, Reason.INTERNAL)
    assert from_errno(errno.EAFNOSUPPORT)[:2] == (Outcome.UNKNOWN, Reason.LOCAL_NETWORK)


def test_loopback_has_a_route_and_an_address_of_no_network_has_none() -> None:
    assert has_route("127.0.0.1")
    assert not has_route("256.0.0.1")


def test_ipv6_routes_are_looked_up_rarely() -> None:
    asked: list[str] = []

    def no_route(address: str) -> bool:
        asked.append(address)
        return False

    addresses = AddressFilter(private_targets=False, has_route=no_route)
    for _ in range(3):
        assert addresses.usable(["1.1.1.1", "2606:4700:4700::1111", "10.0.0.1"]) == ["1.1.1.1"]
        assert addresses.usable(["2606:4700:4700::1111"]) == ["2606:4700:4700::1111"]
    assert len(asked) == 1


def test_certificates_are_read_again_after_a_while_and_after_trouble() -> None:
    memory = CertificateMemory(limit=2)
    first, second, third = (normalise(f"https://{host}.test/") for host in "abc")
    assert memory.is_due(1, first, 0.0)
    memory.learn(1, first, NOW, 0.0)
    assert not memory.is_due(1, first, READ_AGAIN_S - 1)
    assert memory.is_due(1, first, READ_AGAIN_S)
    assert memory.not_after(1, first) == NOW
    assert memory.is_due(2, first, 1.0), "each website reads for itself"
    memory.forget(1, first)
    assert memory.is_due(1, first, 1.0)
    for url in (first, second, third):
        memory.learn(1, url, NOW, 0.0)
    assert [memory.not_after(1, url) for url in (first, second, third)] == [None, NOW, NOW]


def test_the_head_of_the_last_answer_counts() -> None:
    head = Head()
    for line in (b"HTTP/1.1 103 Early Hints\r\n", b"Location: /hint\r\n", b"Content-Length: 3\r\n", b"\r\n"):
        assert head.take(line)
    assert (head.status_code, head.location, head.is_complete, head.is_delimited) == (103, None, True, True)
    for line in (b"HTTP/1.1 302\r\n", b"LOCATION:  /x \r\n", b"set-cookie: a=b\r\n", b"Set-Cookie2: no\r\n"):
        assert head.take(line)
    assert (head.status_code, head.location, head.is_complete, head.is_delimited) == (302, b"/x", False, False)
    assert (head.is_redirect, head.cookies, head.http_version) == (True, [b"a=b"], "1.1")


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/1.1 2000 OK\r\n",
        b"HTTP/1.1 20\r\n",
        b"HTTP/1.1\r\n",
        b"HTTP/1.1 099 x\r\n",
        b"HTTP/1.1 200OK\r\n",
        b"HTTP/3.7 200 OK\r\n",
    ],
)
def test_a_line_without_three_digits_is_no_status_line(line: bytes) -> None:
    head = Head()
    assert not head.take(line)
    assert head.bad_status_line == line


def test_openssl_writes_dates_as_they_are_read() -> None:
    assert ssl.cert_time_to_seconds("Dec  2 13:00:01 2026 GMT") == datetime(2026, 12, 2, 13, 0, 1, tzinfo=UTC).timestamp()
