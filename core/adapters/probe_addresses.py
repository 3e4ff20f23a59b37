"""Which of a name's addresses a check may use."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import ip_address
from time import monotonic
from typing import Final

from core.contracts.addresses import refusal

ROUTE_GOOD_S: Final = 10.0
_ANY_V6: Final = "2001:4860:4860::8888"


class AddressFilter:
    """`has_route` says whether this machine knows a way to an address."""

    def __init__(self, *, private_targets: bool, has_route: Callable[[str], bool]) -> None:
        @lru_cache(maxsize=4096)
        def refused(address: str) -> str | None:
            return refusal(ip_address(address), private_targets=private_targets)

        self.refused: Callable[[str], str | None] = refused
        self._has_route = has_route
        self._v6_is_routed = False
        self._route_good_until = float("-inf")

    def usable(self, addresses: Sequence[str]) -> list[str]:
        """Addresses that are not refused.

        IPv6 ones are left out where this machine has no IPv6 and the target has IPv4: their errors would hide the real one.
        """
        allowed = [address for address in addresses if self.refused(address) is None]
        v4 = [address for address in allowed if ":" not in address]
        return allowed if len(v4) in (0, len(allowed)) or self._routes_v6() else v4

    def _routes_v6(self) -> bool:
        now = monotonic()
        if now >= self._route_good_until:
            self._v6_is_routed = self._has_route(_ANY_V6)
            self._route_good_until = now + ROUTE_GOOD_S
        return self._v6_is_routed
