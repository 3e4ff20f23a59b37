"""Which domain of a host name was registered, by the Public Suffix List as the installed package has it: nothing is downloaded."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # reading the list takes 50 ms and some megabytes: only for who watches a domain
    from publicsuffixlist import PublicSuffixList


def registered_domain(host: str) -> str | None:
    """The domain that somebody registered for `host` (lower case, ASCII): `example.co.uk` of `www.example.co.uk`.

    None for addresses, for names of no public suffix, and for hosts below the domain of a platform, such as `someone.github.io`: what
    ends there is not theirs.
    """
    own = _registries().privatesuffix(host)
    return own if own == _registries_and_platforms().privatesuffix(host) else None


@cache
def _registries() -> "PublicSuffixList":
    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415  (as above)

    return PublicSuffixList(accept_unknown=False, only_icann=True)


@cache
def _registries_and_platforms() -> "PublicSuffixList":
    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415  (as above)

    return PublicSuffixList(accept_unknown=False)
