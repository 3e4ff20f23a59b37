"""One easy handle of libcurl, prepared once and aimed at one target after the other.

Everything that never changes is set when the handle is made; a hop sets its URL, its addresses and its time. That is safe because
each hop sets everything that another may have set differently, and handles carry no cookies, credentials or connections. What
only some checks ask for (`core.adapters.probe_extras`) is set after `aim` and taken away by `strip`.
"""

import os
import socket
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import pycurl

from core.adapters.probe_head import Head
from core.domain.urls import NormalisedUrl

BODY_LIMIT: Final = 16 * 1024
"""Bytes of a body that are read; then the transfer is stopped, which is no error."""
KEY_SHARES: Final = "X25519:P-256:P-384:P-521"
"""No post-quantum key share: it costs every handshake a key pair, and grows the first message beyond what some middleboxes let through."""
_TAKES_BODY: Final = frozenset({"POST", "PUT", "PATCH"})

type Guard = Callable[[str], str | None]
"""Why an address must not be connected to, or None."""


def _user_agent() -> str:
    try:
        release = version("uptimemonitor")
    except PackageNotFoundError:  # run from a checkout that is not installed
        release = "source"
    return f"uptimemonitor/{release} (+https://github.com/uptimemonitor/uptimemonitor)"


USER_AGENT: Final = _user_agent()


class PinNames:
    """Names under which libcurl's cache holds addresses, one for each handle. Nothing ever leaves that cache, so they are used again.

    With a new name for every handle the cache grew for as long as a worker lived, and with it what each check costs.
    """

    def __init__(self) -> None:
        self.made = 0
        self._free: list[tuple[int, int]] = []

    def take(self) -> tuple[int, int]:
        """A number that no other handle has, and the port that is in the cache with it (0: none)."""
        if self._free:
            return self._free.pop()
        self.made += 1
        return self.made, 0

    def give_back(self, number: int, port: int) -> None:
        """Let another handle have it."""
        self._free.append((number, port))


class Handle:
    """One easy handle. After a transfer the attributes say what the callbacks saw."""

    def __init__(self, names: PinNames, guard: Guard, ca_file: str) -> None:
        self.curl: Any = pycurl.Curl()
        self.address: str | None = None
        self.refused: str | None = None
        self.local_errno = 0
        self.body_bytes = 0
        self.stopped = False
        self.head = Head()
        self.reads_certificate = False
        self.equipped = False
        self.body: bytearray | None = None
        self.sockets: list[socket.socket] | None = None
        self._body_limit = BODY_LIMIT
        self._names = names
        self._number, self._port = names.take()
        self._name = f"check-{self._number}.invalid"
        self._guard = guard
        self.ca_file = ca_file
        self._pinned: list[str] = []
        self._method = "GET"
        self._prepare()

    def _prepare(self) -> None:
        setopt = self.curl.setopt
        setopt(pycurl.NOSIGNAL, 1)
        setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        setopt(pycurl.USERAGENT, USER_AGENT)
        setopt(pycurl.PROXY, "")
        setopt(pycurl.FRESH_CONNECT, 1)
        setopt(pycurl.FORBID_REUSE, 1)
        setopt(pycurl.SSL_SESSIONID_CACHE, 0)
        setopt(pycurl.SSL_EC_CURVES, KEY_SHARES)
        setopt(pycurl.CAINFO, self.ca_file)
        self.curl.unsetopt(pycurl.CAPATH)
        setopt(pycurl.DNS_CACHE_TIMEOUT, -1)
        setopt(pycurl.CONNECT_TO, [f"::{self._name}:"])
        setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)
        setopt(pycurl.HEADERFUNCTION, self._on_header)
        setopt(pycurl.WRITEFUNCTION, self._on_body)

    def aim(
        self,
        url: NormalisedUrl,
        addresses: Sequence[str],
        *,
        method: str,
        timeout_ms: int,
        verify_tls: bool,
        read_certificate: bool,
    ) -> None:
        """Prepare for one hop. `addresses` are all that libcurl will ever know of the host's name."""
        self.address = self.refused = None
        self.local_errno = self.body_bytes = 0
        self.stopped = False
        self.head = Head()
        if method != self._method:
            self._set_method(method)
        setopt = self.curl.setopt
        setopt(pycurl.URL, url.url)
        self._pinned = self._pins(url.port, addresses)
        setopt(pycurl.RESOLVE, self._pinned)
        setopt(pycurl.TIMEOUT_MS, timeout_ms)
        self.reads_certificate = read_certificate and url.scheme == "https"
        if url.scheme == "https":
            setopt(pycurl.SSL_VERIFYPEER, verify_tls)
            setopt(pycurl.SSL_VERIFYHOST, 2 if verify_tls else 0)
            setopt(pycurl.OPT_CERTINFO, read_certificate)

    def keep_body(self, limit: int) -> None:
        """Keep `limit` bytes of the body of the coming transfer, as decoded."""
        self.body = bytearray()
        self._body_limit = limit

    def pin(self, host: str, port: int, addresses: Sequence[str]) -> None:
        """Let the coming transfer know the addresses of one more name."""
        self._pinned.append(f"{host}:{port}:{','.join(addresses)}")
        self.curl.setopt(pycurl.RESOLVE, self._pinned)

    def told_without_our_name(self, message: str, host: str) -> str:
        """A message of libcurl about `host`, which it knows by the handle's name."""
        return message.replace(f" via {self._name}:{self._port}", "").replace(self._name, host)

    def keep_sockets(self, into: list[socket.socket]) -> None:
        """Put a duplicate of each socket of the coming transfer into a list, whose owner closes them."""
        self.sockets = into

    def strip(self) -> None:
        """Forget whatever was set beyond `aim`: the next check may be somebody else's."""
        self.curl.reset()
        self._prepare()
        self._method = "GET"
        self.equipped = False
        self.body = self.sockets = None
        self._body_limit = BODY_LIMIT

    def close(self) -> None:
        """Free the handle; it must not be in a transfer."""
        self.curl.close()
        self._names.give_back(self._number, self._port)

    def _pins(self, port: int, addresses: Sequence[str]) -> list[str]:
        """A name of the handle's own for the addresses, so that no check ever sees those of another in libcurl's shared cache."""
        pins = [f"{self._name}:{port}:{','.join(addresses)}"]
        if self._port not in (0, port):
            pins.insert(0, f"-{self._name}:{self._port}")
        self._port = port
        return pins

    def _set_method(self, method: str) -> None:
        self.curl.reset()
        self._prepare()
        self._method = method
        if method == "HEAD":
            self.curl.setopt(pycurl.NOBODY, 1)
        elif method != "GET":
            self.curl.setopt(pycurl.CUSTOMREQUEST, method)
            if method in _TAKES_BODY:
                self.curl.setopt(pycurl.POSTFIELDS, "")

    def _open_socket(self, _purpose: int, address: Any) -> Any:
        """Called as libcurl is about to connect: judge the very address that it has, then give it a socket."""
        self.address = address.addr[0]
        self.refused = self._guard(self.address)
        if self.refused is not None:
            return pycurl.SOCKET_BAD
        try:
            opened = socket.socket(address.family, address.socktype, address.protocol)
            if self.sockets is not None:
                self.sockets.append(opened.dup())
            return _Handover(opened.detach())
        except OSError as error:
            self.local_errno = error.errno or 0
            return pycurl.SOCKET_BAD

    def _on_header(self, line: bytes) -> int | None:
        if line[0] not in self.head.telling or self.head.take(line):
            return None
        self.stopped = self.head.is_complete
        return 0

    def _on_body(self, data: bytes) -> int | None:
        self.body_bytes += len(data)
        if self.body is not None:
            self.body += data[: self._body_limit - len(self.body)]
        if self.head.is_redirect or self.body_bytes >= self._body_limit:
            self.stopped = True
            return 0
        return None


class _Handover:
    """A descriptor that pycurl duplicates; ours closes when pycurl lets go of this object."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        return self._fd

    def __del__(self) -> None:
        os.close(self._fd)
