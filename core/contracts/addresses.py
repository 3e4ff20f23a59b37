"""Which addresses must not be connected to. Users choose what we connect to, so every address passes here before a socket opens.

The tables follow the IANA special-purpose registries for IPv4 and IPv6, plus the metadata services of clouds. The standard
library's `is_global` is no guard: it changes between versions and looks through few of the ways to write an IPv4 address in IPv6.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

_METADATA_V4: Final = {
    IPv4Network("100.100.100.200/32"): "metadata service",
    IPv4Network("168.63.129.16/32"): "metadata service",
    IPv4Network("169.254.0.0/16"): "link-local address",
}
_METADATA_V6: Final = {
    IPv6Network("fd00:ec2::/32"): "metadata service",
    IPv6Network("fd20:ce::/64"): "metadata service",
}
_PRIVATE_V4: Final = {
    IPv4Network("10.0.0.0/8"): "private address",
    IPv4Network("100.64.0.0/10"): "carrier-grade NAT address",
    IPv4Network("127.0.0.0/8"): "loopback address",
    IPv4Network("172.16.0.0/12"): "private address",
    IPv4Network("192.168.0.0/16"): "private address",
}
_PRIVATE_V6: Final = {
    IPv6Network("::1/128"): "loopback address",
    IPv6Network("fc00::/7"): "unique local address",
}
_RESERVED_V4: Final = {
    IPv4Network("0.0.0.0/8"): "address of this network",
    IPv4Network("192.0.0.0/24"): "address reserved for IETF protocols",
    IPv4Network("192.0.2.0/24"): "documentation address",
    IPv4Network("192.88.99.0/24"): "6to4 relay address",
    IPv4Network("198.18.0.0/15"): "benchmarking address",
    IPv4Network("198.51.100.0/24"): "documentation address",
    IPv4Network("203.0.113.0/24"): "documentation address",
    IPv4Network("224.0.0.0/4"): "multicast address",
    IPv4Network("255.255.255.255/32"): "broadcast address",
    IPv4Network("240.0.0.0/4"): "reserved address",
}
_TEREDO: Final = IPv6Network("2001::/32")
_RESERVED_V6: Final = {
    IPv6Network("::/128"): "unspecified address",
    IPv6Network("64:ff9b:1::/48"): "local NAT64 address",
    IPv6Network("100::/64"): "discard-only address",
    IPv6Network("100:0:0:1::/64"): "dummy address",
    IPv6Network("2001:2::/48"): "benchmarking address",
    IPv6Network("2001:10::/28"): "ORCHID",
    IPv6Network("2001:20::/28"): "ORCHID",
    IPv6Network("2001:30::/28"): "drone identifier",
    IPv6Network("2001:db8::/32"): "documentation address",
    IPv6Network("3fff::/20"): "documentation address",
    IPv6Network("5f00::/16"): "segment routing identifier",
    IPv6Network("fe80::/10"): "link-local address",
    IPv6Network("fec0::/10"): "site-local address",
    IPv6Network("ff00::/8"): "multicast address",
}
_IETF_V6: Final = IPv6Network("2001::/23")
_GLOBAL_UNICAST_V6: Final = IPv6Network("2000::/3")
_LAST_32_BITS: Final = (
    IPv6Network("::/96"),  # compatible
    IPv6Network("::ffff:0:0/96"),  # mapped
    IPv6Network("::ffff:0:0:0/96"),  # translated (SIIT)
    IPv6Network("64:ff9b::/96"),  # NAT64
)
_SIX_TO_FOUR: Final = IPv6Network("2002::/16")
_ISATAP: Final = frozenset({0x0000_5EFE, 0x0200_5EFE})
_MASK_32: Final = 0xFFFF_FFFF


def refusal(address: IPv4Address | IPv6Address, *, private_targets: bool) -> str | None:
    """Why `address` must not be connected to, or None if it may.

    `private_targets` allows loopback, RFC 1918, carrier-grade NAT and unique local addresses; everything else that is not global
    stays refused, metadata services above all. An IPv4 address inside an IPv6 one is judged itself.
    """
    if isinstance(address, IPv4Address):
        return _refusal_v4(address, private_targets=private_targets)
    return _refusal_v6(address, private_targets=private_targets)


def _refusal_v4(address: IPv4Address, *, private_targets: bool) -> str | None:
    if why := _found(address, _METADATA_V4):
        return why
    if why := _found(address, _PRIVATE_V4):
        return None if private_targets else why
    return _found(address, _RESERVED_V4)


def _refusal_v6(address: IPv6Address, *, private_targets: bool) -> str | None:
    if why := _found(address, _METADATA_V6) or _found(address, _RESERVED_V6):
        return why
    if why := _found(address, _PRIVATE_V6):
        return None if private_targets else why
    for embedded in _embedded(address):
        if why := _refusal_v4(embedded, private_targets=private_targets):
            return f"{why} within IPv6"
    return _not_global_v6(address)


def _not_global_v6(address: IPv6Address) -> str | None:
    if address in _IETF_V6 and address not in _TEREDO:
        return "address reserved for IETF protocols"
    if address in _GLOBAL_UNICAST_V6 or _last_32_bits(address):
        return None
    return "address outside the global unicast range"


def _found[N: (IPv4Network, IPv6Network)](address: IPv4Address | IPv6Address, table: dict[N, str]) -> str | None:
    return next((why for network, why in table.items() if address in network), None)


def _last_32_bits(address: IPv6Address) -> bool:
    return any(address in network for network in _LAST_32_BITS)


def _embedded(address: IPv6Address) -> list[IPv4Address]:
    """Every IPv4 address that a gateway on the way might take out of `address`."""
    number = int(address)
    found = []
    if _last_32_bits(address):
        found.append(number)
    if address in _SIX_TO_FOUR:
        found.append(number >> 80)
    if address in _TEREDO:  # its server, and its client with every bit turned over (RFC 4380)
        found += [number >> 64, ~number]
    if (number >> 32) & _MASK_32 in _ISATAP:
        found.append(number)
    return [IPv4Address(part & _MASK_32) for part in found]
