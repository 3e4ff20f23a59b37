"""Records of names: their one form, and which are as expected."""

from typing import Any

import pytest

from core.domain.dns_records import BadRecord, broken_expectation, check_question, found_form, one_form, read_server
from core.domain.outcomes import Reason
from core.domain.request_options import BadOption, parse_options
from core.domain.urls import BadUrl


def question(**members: Any) -> Any:
    return parse_options({"dns": members}).dns


@pytest.mark.parametrize(
    ("record_type", "value", "form"),
    [
        ("A", " 192.0.2.1 ", "192.0.2.1"),
        ("AAAA", "2001:DB8:0:0::1", "2001:db8::1"),
        ("CNAME", "WWW.Example.com.", "www.example.com"),
        ("NS", "b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example", "xn--bcher-kva.example"),
        ("MX", "010  Mail.Example.com.", "10 mail.example.com"),
        ("MX", "Mail.Example.com", "mail.example.com"),
        ("MX", "0 .", "0 ."),
        ("TXT", "v=spf1 -ALL", "v=spf1 -ALL"),
    ],
)
def test_values_have_one_form(record_type: str, value: str, form: str) -> None:
    assert one_form(record_type, value) == form
    assert one_form(record_type, form) == form


@pytest.mark.parametrize(
    ("record_type", "value"),
    [
        ("A", "2001:db8::1"),
        ("A", "192.0.2.01"),
        ("AAAA", "192.0.2.1"),
        ("CNAME", "a..b"),
        ("CNAME", "https://example.com"),
        ("NS", "ns.example.com:53"),
        ("MX", "70000 mail.example.com"),
        ("MX", "10 mail.example.com extra"),
        ("MX", "10"),
    ],
)
def test_values_that_no_record_has_are_refused(record_type: str, value: str) -> None:
    with pytest.raises(BadRecord):
        one_form(record_type, value)


def test_what_a_name_server_tells_need_not_make_sense() -> None:
    assert found_form("CNAME", "Strange Name.example.") == "strange name.example"
    assert found_form("MX", "10 Strange/Name.") == "10 strange/name"


@pytest.mark.parametrize(
    ("match", "values", "found", "is_well"),
    [
        ("all", [], ["192.0.2.1"], True),
        ("all", ["192.0.2.1"], ["192.0.2.1", "192.0.2.2"], True),
        ("all", ["192.0.2.1", "192.0.2.3"], ["192.0.2.1", "192.0.2.2"], False),
        ("exactly", ["192.0.2.2", "192.0.2.1"], ["192.0.2.1", "192.0.2.2"], True),
        ("exactly", ["192.0.2.1"], ["192.0.2.1", "192.0.2.2"], False),
        ("exactly", ["192.0.2.1", "192.0.2.2"], ["192.0.2.1"], False),
        ("any", ["192.0.2.1", "192.0.2.9"], ["192.0.2.1"], True),
        ("any", ["192.0.2.8", "192.0.2.9"], ["192.0.2.1"], False),
    ],
)
def test_records_are_compared_as_the_match_says(match: str, values: list[str], found: list[str], is_well: bool) -> None:
    broken = broken_expectation("example.com", question(match=match, values=values), found)
    assert (broken is None) is is_well
    if broken:
        assert broken[0] is Reason.ASSERTION_DNS
        assert f"A of example.com is {found[0]}" in broken[1]


def test_an_mx_without_a_priority_stands_for_any() -> None:
    asked = question(record_type="MX", match="exactly", values=["mail.example.com"])
    assert broken_expectation("example.com", asked, ["10 mail.example.com", "20 mail.example.com"]) is None
    assert broken_expectation("example.com", asked, ["10 notmail.example.com"]) is not None
    prior = question(record_type="MX", values=["20 mail.example.com"])
    assert broken_expectation("example.com", prior, ["10 mail.example.com"]) is not None


def test_long_lists_and_values_are_told_shortly() -> None:
    asked = question(record_type="TXT", values=["x"])
    broken = broken_expectation("example.com", asked, ["y" * 500, *"abcdef"])
    assert broken is not None
    assert "and 2 more" in broken[1]
    assert len(broken[1]) < 250


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("9.9.9.9", ("9.9.9.9", 53)),
        ("9.9.9.9:5353", ("9.9.9.9", 5353)),
        ("2620:fe::fe", ("2620:fe::fe", 53)),
        ("[2620:fe::fe]:5353", ("2620:fe::fe", 5353)),
        ("NS1.example.com.", ("ns1.example.com", 53)),
        ("0x7f.1", ("127.0.0.1", 53)),
    ],
)
def test_name_servers_are_read(text: str, place: tuple[str, int]) -> None:
    assert read_server(text) == place


@pytest.mark.parametrize("text", ["", "a/b", "user@host", "1.1.1.1:0", "1.1.1.1:99999", "a..b", "[::1", "1.1.1.1:x"])
def test_what_is_no_name_server_is_refused(text: str) -> None:
    with pytest.raises(BadUrl):
        read_server(text)


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"record_type": "SRV"}, "dns.record_type"),
        ({"values": ["x"]}, "dns.values.0"),
        ({"record_type": "MX", "values": ["mail.example.com", "1 2 3"]}, "dns.values.1"),
        ({"server": "a/b"}, "dns.server"),
        ({"match": "some"}, "dns.match"),
        ({"colour": "red"}, "dns"),
    ],
)
def test_each_bad_member_is_named(members: dict[str, Any], field: str) -> None:
    with pytest.raises(BadOption) as refused:
        parse_options({"dns": members})
    assert refused.value.field == field


def test_a_good_question_has_nothing_wrong() -> None:
    assert check_question(question(record_type="MX", values=["10 a.example"], server="ns.example:5353")) is None
