"""Cookies that one check is given on its way: they go where they belong on its later hops, and end with it.

Some sites redirect a visitor without a certain cookie to where it is set, and back; without a memory that is an endless loop.
"""

from collections.abc import Sequence
from email.message import Message
from http.client import HTTPResponse
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import cast
from urllib.request import Request


class CookieMemory:
    """The cookies of one check."""

    def __init__(self) -> None:
        self._jar = CookieJar(DefaultCookiePolicy(strict_ns_domain=DefaultCookiePolicy.DomainStrictNonDomain))

    def learn(self, url: str, values: Sequence[bytes]) -> None:
        """Remember what an answer of `url` set: values of Set-Cookie."""
        self._jar.extract_cookies(cast("HTTPResponse", _Answer(values)), Request(url))

    def pairs(self, url: str) -> str:
        """What `url` gets to see, as a Cookie header has it; empty if nothing."""
        asking = Request(url)
        self._jar.add_cookie_header(asking)
        return asking.get_header("Cookie") or ""


class _Answer:
    """The part of an answer that the jar reads."""

    def __init__(self, values: Sequence[bytes]) -> None:
        self._head = Message()
        for value in values:
            self._head["Set-Cookie"] = value.decode("latin-1")

    def info(self) -> Message:
        return self._head
