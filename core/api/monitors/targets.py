"""Which URLs may be watched. The probe judges each address again when it connects; this is for an answer at once."""

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address

from core.adapters import system_resolver
from core.contracts.addresses import refusal
from core.domain.request_options import BadOption, RequestOptions, host_to_connect_to
from core.domain.request_route import name_server, proxy_server
from core.domain.schemes import MAIL_PORT, SCHEMES, normalise_target
from core.domain.urls import BadUrl, literal_address

RESOLVE_TIMEOUT_S = 2.0

type Resolve = Callable[[str, float], Sequence[IPv4Address | IPv6Address]]


def accepted_url(
    url: str, *, private_targets: bool, mail_port_open: bool = False, resolve: Resolve = system_resolver.resolve
) -> str:
    """The URL in its normal form. A name is refused if all its addresses are; one that does not resolve today is accepted.

    Raises:
        BadUrl: with a code and a message for people.
    """
    target = normalise_target(url)
    if target.port == MAIL_PORT and not mail_port_open:
        raise BadUrl("port_closed", f"port {MAIL_PORT} cannot be reached from here; mail servers also listen on 587 and 465")
    if SCHEMES[target.scheme].default_port != 0:  # else nobody connects to the host: its records are asked for
        accepted_host(target.host, private_targets=private_targets, resolve=resolve)
    return target.url


def accepted_host(host: str, *, private_targets: bool, resolve: Resolve = system_resolver.resolve) -> None:
    """Refuse a host that the probe would refuse to connect to.

    Raises:
        BadUrl: with a code and a message for people.
    """
    literal = literal_address(host)
    if literal is not None:
        addresses: Sequence[IPv4Address | IPv6Address] = (literal,)
    elif host == "localhost" or host.endswith(".localhost"):
        addresses = (IPv4Address("127.0.0.1"),)
    else:
        addresses = () if private_targets else resolve(host, RESOLVE_TIMEOUT_S)
    reasons = [refusal(address, private_targets=private_targets) for address in addresses]
    if reasons and all(reasons):
        raise BadUrl("refused_address", f"points to an address that is not watched: {reasons[0]}")


def refuse_addresses(options: RequestOptions, *, private_targets: bool) -> None:
    """Refuse options with an address that would never be connected to. Names are left to the probe.

    Raises:
        BadOption: with the option to blame.
    """
    hosts = {
        "connect_to": options.connect_to and host_to_connect_to(options.connect_to),
        "name_server": options.name_server and name_server(options.name_server).address,
        "proxy.url": options.proxy and proxy_server(options.proxy.url).host,
    }
    for field, host in hosts.items():
        address = literal_address(host) if host else None
        if address is not None and (why := refusal(address, private_targets=private_targets)):
            raise BadOption(field, "refused_address", f"is an address that is not connected to: {why}")
