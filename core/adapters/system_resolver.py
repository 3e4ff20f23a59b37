"""The resolver of the operating system, bounded in time: for a judgement at creation, and for requests of our own to what was judged."""

import socket
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address

THREADS = 4


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="resolve")


def resolve(host: str, timeout_s: float) -> tuple[IPv4Address | IPv6Address, ...]:
    """The addresses of `host`; none when it has none, or when no answer came in time."""
    try:
        found = _threads().submit(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM).result(timeout_s)
    except (OSError, UnicodeError, TimeoutError):
        return ()
    return tuple(ip_address(str(entry[4][0]).partition("%")[0]) for entry in found)
