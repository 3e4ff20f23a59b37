import ipaddress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.contracts.addresses import refusal

REFUSED_ALWAYS = [
    "0.0.0.0", "0.1.2.3", "169.254.0.1", "169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16",
    "192.0.0.1", "192.0.0.192", "192.0.0.255", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.255", "198.51.100.7",
    "203.0.113.254", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.254", "255.255.255.255",
    "::", "::2", "fe80::1", "febf::1", "fec0::1", "ff02::1", "ff0e::1", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254",
    "2001:db8::1", "3fff::1", "3fff:fff::1", "100::1", "100:0:0:1::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:30::1",
    "2001:1::1", "5f00::1", "64:ff9b:1::1", "64:ff9b:1::808:808", "4000::1", "200::1", "1000::1", "a000::1", "e000::1",
    "::ffff:169.254.169.254", "::169.254.169.254", "::ffff:0:169.254.169.254", "64:ff9b::169.254.169.254", "2002:a9fe:a9fe::1",
    "2001:0:808:808::5601:5601", "2001:0:a9fe:a9fe:0:0:f7f7:f7f7", "2a00::5efe:a9fe:a9fe", "2a00::200:5efe:a9fe:a9fe",
]  # fmt: skip
REFUSED_UNLESS_PRIVATE_IS_ALLOWED = [
    "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.255", "172.16.0.1", "172.31.255.255",
    "192.168.0.1", "192.168.255.255", "::1", "fc00::1", "fd12:3456::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::7f00:1",
    "64:ff9b::10.0.0.1", "2002:7f00:1::", "2002:c0a8:101::1",
]  # fmt: skip
ALLOWED = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
    "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.1", "192.167.255.255", "192.169.0.0", "198.17.255.255",
    "198.20.0.0", "223.255.255.255", "192.31.196.1", "2606:4700:4700::1111", "2a00:1450:4001:800::200e", "2001:4860:4860::8888",
    "64:ff9b::8.8.8.8", "2002:808:808::1", "::ffff:8.8.8.8", "2001:0:808:808:0:0:f7f7:f7f7",
]  # fmt: skip


@pytest.mark.parametrize("address", REFUSED_ALWAYS)
def test_what_is_never_a_target_stays_refused_even_where_private_targets_are_allowed(address: str) -> None:
    assert refusal(ip_address(address), private_targets=True)
    assert refusal(ip_address(address), private_targets=False)


@pytest.mark.parametrize("address", REFUSED_UNLESS_PRIVATE_IS_ALLOWED)
def test_private_addresses_depend_on_the_setting(address: str) -> None:
    assert refusal(ip_address(address), private_targets=False)
    assert refusal(ip_address(address), private_targets=True) is None


@pytest.mark.parametrize("address", ALLOWED)
def test_public_addresses_are_allowed(address: str) -> None:
    assert refusal(ip_address(address), private_targets=False) is None


EMBEDDINGS = {
    "compatible": lambda v4: v4,
    "mapped": lambda v4: 0xFFFF << 32 | v4,
    "translated": lambda v4: 0xFFFF << 48 | v4,
    "nat64": lambda v4: 0x0064_FF9B << 96 | v4,
    "local nat64 /96": lambda v4: 0x0064_FF9B_0001 << 80 | v4,
    "local nat64 /64": lambda v4: 0x0064_FF9B_0001 << 80 | v4 << 24,
    "local nat64 /48": lambda v4: 0x0064_FF9B_0001 << 80 | (v4 >> 16) << 64 | (v4 & 0xFFFF) << 40,
    "6to4": lambda v4: 0x2002 << 112 | v4 << 80 | 1,
    "teredo server": lambda v4: 0x2001_0000 << 96 | v4 << 64 | 0xF7F7_F7F7,
    "teredo client": lambda v4: 0x2001_0000 << 96 | 0x0808_0808 << 64 | (v4 ^ 0xFFFF_FFFF),
    "isatap": lambda v4: 0x2A00_1450 << 96 | 0x0000_5EFE << 32 | v4,
    "isatap, global": lambda v4: 0x2A00_1450 << 96 | 0x0200_5EFE << 32 | v4,
}
SPECIAL_V4 = [ip_network(text) for text in ("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
              "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
              "224.0.0.0/4", "240.0.0.0/4")]  # fmt: skip
special_v4 = st.sampled_from(SPECIAL_V4).flatmap(lambda network: st.ip_addresses(network=network))


@given(
    address=st.one_of(special_v4, st.ip_addresses(v=4)), form=st.sampled_from(sorted(EMBEDDINGS)), private_targets=st.booleans()
)
def test_no_embedded_form_of_a_refused_ipv4_address_is_allowed(address: IPv4Address, form: str, private_targets: bool) -> None:
    if refusal(address, private_targets=private_targets):
        assert refusal(IPv6Address(EMBEDDINGS[form](int(address))), private_targets=private_targets)


@given(address=special_v4)
def test_every_special_ipv4_range_is_refused(address: IPv4Address) -> None:
    assert refusal(address, private_targets=False)


@given(address=st.ip_addresses(v=6))
def test_nothing_that_python_knows_not_to_be_global_is_allowed(address: IPv6Address) -> None:
    teredo_or_6to4 = address in ipaddress.IPv6Network("2001::/32") or address in ipaddress.IPv6Network("2002::/16")
    if not address.is_global and not teredo_or_6to4:
        assert refusal(address, private_targets=False)
