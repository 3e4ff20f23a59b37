"""Chains read out of handshakes: what is in them, when they are read, and whose they are when redirects lead through several."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from core.domain.certificate_facts import UnreadableCertificate, read_certificate
from core.domain.certificates import SeenChain
from core.domain.outcomes import Outcome, Reason
from core.domain.probes import ProbeResult
from core.flows.certificates import chain_facts
from tests.hostile import Authority, Zone, answer, naming, redirect, serving
from tests.probing import ask, checking, run

ZONES = {name: Zone(("127.0.0.1",)) for name in ("early.test", "late.test", "plain.test")}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


def ends_in(result: ProbeResult) -> int | None:
    """Days until the certificate of a result ends."""
    if result.certificate is None:
        return None
    assert result.certificate.not_after
    return round((result.certificate.not_after - datetime.now(UTC)) / timedelta(days=1))


def test_a_chain_tells_what_is_in_it(authority: Authority) -> None:
    between = authority.intermediate()

    async def test() -> None:
        async with (
            serving({"/": answer("200 OK")}, between.server(host="late.test", ends_in_days=60)) as server,
            naming(ZONES) as names,
            checking(names=names, ca_file=authority.ca_file) as engine,
        ):
            seen = (await engine.probe(ask(server.url(scheme="https", host="late.test")))).certificate
            assert seen is not None
            assert (seen.host, seen.port, seen.verified, seen.error) == ("late.test", server.port, True, "")
            own, above = chain_facts(seen)
            assert (own.subject, own.issuer, own.names) == ("CN=late.test", "CN=Hostile Intermediate", ("late.test",))
            assert own.not_after == seen.not_after
            assert own.not_before < datetime.now(UTC) - timedelta(days=9)
            assert own.fingerprint_sha256 == seen.fingerprint
            assert (above.subject, above.issuer) == (own.issuer, "CN=Hostile Test Authority")
            assert above.serial == f"{between.certificate.serial_number:x}"

    run(test)


def test_a_chain_is_read_once_in_a_while_by_each_website(authority: Authority) -> None:
    async def test() -> None:
        async with (
            serving({"/": answer("200 OK")}, authority.server(host="late.test", ends_in_days=60)) as server,
            naming(ZONES) as names,
            checking(names=names, ca_file=authority.ca_file) as engine,
        ):
            url = server.url(scheme="https", host="late.test")
            results = [await engine.probe(ask(url, monitor_id=number)) for number in (1, 1, 2, 1)]
            assert [result.certificate is not None for result in results] == [True, False, True, False]
            assert {result.certificate_not_after for result in results} == {results[0].certificate_not_after}

    run(test)


def test_who_waits_for_a_chain_sees_it_although_it_is_not_due(authority: Authority) -> None:
    async def test() -> None:
        async with (
            serving({"/": answer("200 OK")}, authority.server(host="late.test", ends_in_days=60)) as server,
            naming(ZONES) as names,
            checking(names=names, ca_file=authority.ca_file) as engine,
        ):
            url = server.url(scheme="https", host="late.test")
            shown = [await engine.probe(ask(url, shows_certificate=wanted)) for wanted in (False, False, True)]
            assert [result.certificate is not None for result in shown] == [True, False, True]

    run(test)


@pytest.mark.parametrize("order", [("early", "late"), ("late", "early")])
def test_of_several_hops_the_certificate_that_ends_first_counts(order: tuple[str, str], authority: Authority) -> None:
    days = {"early": 20, "late": 60}

    async def test() -> None:
        first, second = (authority.server(host=f"{name}.test", ends_in_days=days[name]) for name in order)
        async with (
            serving({"/": answer("200 OK")}, second) as target,
            serving({"/": redirect(target.url(scheme="https", host=f"{order[1]}.test"))}, first) as server,
            naming(ZONES) as names,
            checking(names=names, ca_file=authority.ca_file) as engine,
        ):
            result = await engine.probe(ask(server.url(scheme="https", host=f"{order[0]}.test")))
            assert (result.outcome, ends_in(result)) == (Outcome.UP, 20)
            assert result.certificate is not None
            assert result.certificate.host == "early.test"
            assert result.certificate_not_after is not None

    run(test)


def test_a_refused_certificate_counts_before_one_that_ends_first(authority: Authority) -> None:
    async def test() -> None:
        async with (
            serving({"/": answer("200 OK")}, authority.server(host="other.test", ends_in_days=60)) as target,
            serving(
                {"/": redirect(target.url(scheme="https", host="late.test"))},
                authority.server(host="early.test", ends_in_days=20),
            ) as server,
            naming(ZONES) as names,
            checking(names=names, ca_file=authority.ca_file) as engine,
        ):
            for _ in range(2):
                result = await engine.probe(ask(server.url(scheme="https", host="early.test")))
                assert (result.reason, ends_in(result)) == (Reason.TLS_HOSTNAME, 60)
                assert result.certificate is not None
                assert "no alternative certificate subject name" in result.certificate.error

    run(test)


def test_without_tls_there_is_no_certificate() -> None:
    async def test() -> None:
        async with serving({"/": answer("200 OK")}) as server, checking() as engine:
            for scheme, outcome in (("http", Outcome.UP), ("https", Outcome.DOWN)):
                result = await engine.probe(ask(server.url(scheme=scheme), timeout_ms=500))
                assert (result.outcome, result.certificate) == (outcome, None)

    run(test)


@pytest.mark.parametrize("der", [b"", b"nonsense", b"\x30\x03\x02\x01\x01"])
def test_what_is_no_certificate_is_said_to_be_none(der: bytes) -> None:
    with pytest.raises(UnreadableCertificate):
        read_certificate(der)


def test_the_rest_of_a_chain_is_told_up_to_what_cannot_be_read(authority: Authority) -> None:
    good = authority.certificate.public_bytes(Encoding.DER)
    assert len(chain_facts(SeenChain("a.test", 443, (good, b"nonsense", good), None))) == 1
    assert chain_facts(SeenChain("a.test", 443, (b"nonsense",), None)) == ()
