"""`dns://name`: the records of a name, as our name servers or one that the user names tell them."""

from time import monotonic
from typing import Final

import pycares
from pycares import errno as ares

from core.adapters.name_channel import ask_once
from core.adapters.probe_check import Check
from core.adapters.probe_kinds.answers import judged
from core.adapters.probe_kinds.workbench import Workbench
from core.adapters.probe_verdicts import UP, Verdict, down, unknown
from core.domain.dns_records import DnsQuestion, broken_expectation, found_form, read_server
from core.domain.outcomes import Outcome, Reason
from core.domain.urls import NormalisedUrl

TRIES: Final = 2
SERVERS_ASKED: Final = 3
"""Addresses of a name server that are tried at most."""
_TYPES: Final = {
    "A": pycares.QUERY_TYPE_A,
    "AAAA": pycares.QUERY_TYPE_AAAA,
    "CNAME": pycares.QUERY_TYPE_CNAME,
    "MX": pycares.QUERY_TYPE_MX,
    "TXT": pycares.QUERY_TYPE_TXT,
    "NS": pycares.QUERY_TYPE_NS,
}
_THEIRS: Final = frozenset({Reason.DNS_NXDOMAIN, Reason.DNS_NO_DATA, Reason.DNS_FAILURE})
_OF_A_NAMED_SERVER: Final = {
    ares.ARES_ENOTFOUND: (Reason.DNS_NXDOMAIN, "says that the name does not exist"),
    ares.ARES_ENODATA: (Reason.DNS_NO_DATA, "has no such record of the name"),
    ares.ARES_ETIMEOUT: (Reason.DNS_FAILURE, "did not answer"),
    ares.ARES_ECONNREFUSED: (Reason.DNS_FAILURE, "cannot be reached"),
    ares.ARES_ESERVFAIL: (Reason.DNS_FAILURE, "could not answer (SERVFAIL)"),
    ares.ARES_EREFUSED: (Reason.DNS_FAILURE, "refused to answer"),
    ares.ARES_ENOTIMP: (Reason.DNS_FAILURE, "does not answer such questions (NOTIMP)"),
    ares.ARES_EFORMERR: (Reason.DNS_FAILURE, "could not read the question (FORMERR)"),
    ares.ARES_EBADRESP: (Reason.DNS_FAILURE, "sent an answer that cannot be read"),
}


async def probe(bench: Workbench, check: Check, url: NormalisedUrl) -> Verdict:
    """Ask, and compare."""
    options = check.request.options
    question = (options.dns if options else None) or DnsQuestion()
    if question.server is None:
        answer = await bench.during(_ask_ours(bench, check, url.host, question))
    else:
        answer = await _ask_theirs(bench, check, url.host, question, question.server)
    if isinstance(answer, Verdict):
        return answer
    found = [record for record in answer.answer if record.type == _TYPES[question.record_type]]
    if not found:
        return down(Reason.DNS_NO_DATA, f"{url.host} has no {question.record_type} record")
    values = sorted(found_form(question.record_type, _text(record.data)) for record in found)
    broken = broken_expectation(url.host, question, values)
    return down(*broken) if broken else judged(check, UP)


async def _ask_ours(bench: Workbench, check: Check, name: str, question: DnsQuestion) -> pycares.DNSResult | Verdict:
    answer, resolution = await bench.resolver.records(name, _TYPES[question.record_type], max(check.left_ms(), 1) / 1000)
    check.add_dns(monotonic() - check.began)
    if answer is not None:
        return answer
    if resolution.reason is Reason.DNS_NO_DATA:
        return down(Reason.DNS_NO_DATA, f"{name} has no {question.record_type} record")
    outcome = Outcome.DOWN if resolution.reason in _THEIRS else Outcome.UNKNOWN
    return Verdict(outcome, resolution.reason, f"{name}: {resolution.detail}")


async def _ask_theirs(
    bench: Workbench, check: Check, name: str, question: DnsQuestion, server: str
) -> pycares.DNSResult | Verdict:
    """A name server that does not answer is what the check is about, not trouble of ours."""
    host, port = read_server(server)
    addresses = await bench.addresses(check, NormalisedUrl(f"dns://{host}", "dns", host, port))
    if isinstance(addresses, Verdict):
        return addresses
    check.address = addresses[0]
    left_s = max(check.left_ms(), 1) / 1000
    servers = [f"[{address}]:{port}" if ":" in address else f"{address}:{port}" for address in addresses[:SERVERS_ASKED]]
    answer, error = await bench.during(ask_once(servers, name, _TYPES[question.record_type], timeout_s=left_s, tries=TRIES))
    check.dns_us = int((monotonic() - check.began) * 1_000_000)
    if error is None and answer is not None:
        return answer
    if error == ares.ARES_ECONNREFUSED and not any(map(bench.has_route, addresses)):
        return unknown(Reason.LOCAL_NETWORK, f"there is no way to the name server {server}")
    reason, words = _OF_A_NAMED_SERVER.get(error or 0, (Reason.INTERNAL, f"could not be asked: {ares.strerror(error or 0)!s}"))
    return Verdict(
        Outcome.UNKNOWN if reason is Reason.INTERNAL else Outcome.DOWN, reason, f"{name}: the name server {server} {words}"
    )


def _text(data: object) -> str:
    match data:
        case pycares.ARecordData() | pycares.AAAARecordData():
            return data.addr
        case pycares.CNAMERecordData():
            return data.cname
        case pycares.NSRecordData():
            return data.nsdname
        case pycares.MXRecordData():
            return f"{data.priority} {data.exchange}"
        case pycares.TXTRecordData():
            return data.data.decode(errors="replace")
    raise TypeError(f"not a record that is asked for: {data!r}")
