"""`tls://` checks: the same findings about certificates as HTTPS has, of services that never say a word of HTTP."""

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.domain.outcomes import Outcome, Reason
from core.domain.probes import ProbeResult
from core.domain.request_options import parse_options
from tests.hostile import Authority, Zone, naming
from tests.probing import ask, checking, run
from tests.talking import Talk, closing, hosting, saying, silent

type Certificate = Callable[[Authority], ssl.SSLContext]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


def found(result: ProbeResult) -> tuple[Outcome, Reason]:
    return result.outcome, result.reason


def check(
    authority: Authority, tls: ssl.SSLContext | None, talk: Talk = silent, scheme: str = "tls", **changes: object
) -> ProbeResult:
    results: list[ProbeResult] = []

    async def test() -> None:
        zones = {"shop.test": Zone(("127.0.0.1",))}
        async with (
            naming(zones) as names,
            hosting(talk, tls) as server,
            checking(names=names, ca_file=authority.ca_file) as engine,
        ):
            results.append(await engine.probe(ask(f"{scheme}://shop.test:{server.port}", **changes)))

    run(test)
    return results[0]


def test_a_good_certificate_is_enough_whatever_the_service_says(authority: Authority) -> None:
    result = check(authority, authority.server(host="shop.test"), saying(b"* OK this is not HTTP"))
    assert found(result) == (Outcome.UP, Reason.OK)
    assert result.certificate_not_after is not None
    assert timedelta(days=29) < result.certificate_not_after - datetime.now(UTC) < timedelta(days=31)
    assert None not in (result.dns_us, result.connect_us, result.tls_us, result.address)
    assert (result.first_byte_us, result.status_code) == (None, None)


BAD: list[tuple[Certificate, Reason]] = [
    (lambda authority: authority.server(host="shop.test", ends_in_days=-1), Reason.TLS_EXPIRED),
    (lambda authority: authority.server(host="shop.test", begins_in_days=5), Reason.TLS_NOT_YET_VALID),
    (lambda authority: authority.server(host="other.test"), Reason.TLS_HOSTNAME),
    (lambda authority: authority.self_signed("shop.test"), Reason.TLS_UNTRUSTED),
]


@pytest.mark.parametrize(("certificate", "reason"), BAD)
def test_a_bad_certificate_has_its_reason_and_is_read_all_the_same(
    authority: Authority, certificate: Certificate, reason: Reason
) -> None:
    tls = certificate(authority)
    result = check(authority, tls)
    assert found(result) == (Outcome.DOWN, reason)
    assert result.certificate_not_after is not None
    oracle = check(authority, tls, scheme="https")
    assert (oracle.reason, oracle.certificate_not_after) == (reason, result.certificate_not_after)


def test_verification_can_be_turned_off(authority: Authority) -> None:
    result = check(authority, authority.self_signed("shop.test"), verify_tls=False)
    assert found(result) == (Outcome.UP, Reason.OK)
    assert result.certificate_not_after is not None


@pytest.mark.parametrize(("days", "outcome"), [(14, Outcome.UP), (60, Outcome.DOWN)])
def test_days_that_are_left_can_be_asserted(authority: Authority, days: int, outcome: Outcome) -> None:
    options = parse_options({"assertions": [{"kind": "certificate_days", "at_least": days}]})
    result = check(authority, authority.server(host="shop.test"), options=options)
    assert result.outcome is outcome
    assert result.reason is (Reason.OK if outcome is Outcome.UP else Reason.ASSERTION_CERTIFICATE)


def test_one_server_can_be_checked_under_its_site_s_name(authority: Authority) -> None:
    async def test() -> None:
        async with hosting(silent, authority.server(host="shop.test")) as server, checking(ca_file=authority.ca_file) as engine:
            options = parse_options({"connect_to": "127.0.0.1"})
            result = await engine.probe(ask(f"tls://shop.test:{server.port}", options=options))
            assert found(result) == (Outcome.UP, Reason.OK)

    run(test)


def test_an_old_protocol_is_refused_where_a_newer_is_wanted(authority: Authority) -> None:
    tls = authority.server(host="shop.test")
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    assert found(check(authority, tls)) == (Outcome.UP, Reason.OK)
    result = check(authority, tls, options=parse_options({"min_tls_version": "1.3"}))
    assert found(result) == (Outcome.DOWN, Reason.TLS_OTHER)


@pytest.mark.parametrize(
    ("talk", "reason"),
    [(saying(b"220 no TLS here"), Reason.TLS_OTHER), (silent, Reason.TIMEOUT), (closing, Reason.TLS_OTHER)],
)
def test_a_service_without_tls_has_the_reason_that_https_gives(authority: Authority, talk: Talk, reason: Reason) -> None:
    result = check(authority, None, talk, timeout_ms=400)
    assert found(result) == (Outcome.DOWN, reason)
    assert check(authority, None, talk, scheme="https", timeout_ms=400).reason is reason


def test_many_at_once_do_not_see_each_other_s_certificates(authority: Authority) -> None:
    async def test() -> None:
        good, bad = authority.server(host="shop.test"), authority.server(host="shop.test", ends_in_days=-1)
        zones = {"shop.test": Zone(("127.0.0.1",))}
        async with (
            naming(zones) as names,
            hosting(silent, good) as well,
            hosting(silent, bad) as ill,
            checking(names=names, ca_file=authority.ca_file) as engine,
        ):
            ports = [well.port, ill.port] * 20
            results = await asyncio.gather(*(engine.probe(ask(f"tls://shop.test:{port}")) for port in ports))
            assert [result.reason for result in results] == [Reason.OK, Reason.TLS_EXPIRED] * 20

    run(test)


def test_the_fixture_is_not_trusted_by_itself(authority: Authority, tmp_path: Path) -> None:
    other = Authority.create(tmp_path)
    assert found(check(other, authority.server(host="shop.test"))) == (Outcome.DOWN, Reason.TLS_UNTRUSTED)
