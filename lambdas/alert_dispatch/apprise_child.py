"""The process in which Apprise sends one message: nothing of it can reach what an alert must not reach.

Apprise makes its connections itself, in a hundred ways. So it gets a process of its own, without our environment, whose every connection is
judged by an audit hook. That cannot be removed, and sees what is really connected to: a name that is resolved to something else the second
time gains nothing. It takes a document on standard input and says on standard output what became of it.
"""

import ctypes  # noqa: F401  (Apprise imports it; it opens the interpreter itself, which the guard would refuse)
import json
import logging
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from ipaddress import ip_address
from typing import Any, Final

from core.contracts.addresses import refusal

NEVER: Final = frozenset(
    {
        *("socket.sendto", "socket.sendmsg"),
        *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "os.spawn", "pty.spawn"),
        *(
            "ctypes.dlopen",
            "os.remove",
            "os.rename",
            "os.rmdir",
            "os.mkdir",
            "os.symlink",
            "os.link",
            "os.chmod",
            "shutil.rmtree",
        ),
    }
)
"""Nothing that sends one message over HTTP does any of these."""


class Refused(OSError):
    """Something that a message must not do."""


def guard(*, private_targets: bool, forbidden: Sequence[tuple[str, int]]) -> None:
    """From now on this process connects to permitted addresses only. `forbidden` (host, port) are refused in any case."""

    def judge(event: str, args: tuple[Any, ...]) -> None:
        if event in NEVER:
            raise Refused(f"{event} is not allowed")
        if event == "open" and _writes(args):
            raise Refused("writing files is not allowed")
        if event == "socket.connect":
            _judge_connection(args[0], args[1], private_targets=private_targets, forbidden=forbidden)

    sys.addaudithook(judge)


def _judge_connection(
    connecting: socket.socket, address: Any, *, private_targets: bool, forbidden: Sequence[tuple[str, int]]
) -> None:
    if connecting.family not in {socket.AF_INET, socket.AF_INET6} or not isinstance(address, tuple):
        raise Refused("only connections over IP are allowed")
    host, port = str(address[0]), int(address[1])
    try:
        found = ip_address(host)
    except ValueError:
        raise Refused(f"{host} is not an address") from None
    if (host, port) in forbidden:
        raise Refused(f"{host} port {port} is not allowed")
    if reason := refusal(found, private_targets=private_targets):
        raise Refused(f"{host} is not allowed: {reason}")


def _writes(args: tuple[Any, ...]) -> bool:
    path, _mode, flags = args
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) and path != os.devnull


def send(order: Mapping[str, Any]) -> bool:
    """Let one plugin of Apprise send; False where it could not."""
    scheme = order["scheme"]
    plugin = next(
        found
        for found in vars(import_module(f"apprise.plugins.{order['module']}")).values()
        if isinstance(found, type) and scheme in _names(found, "protocol") | _names(found, "secure_protocol")
    )
    results = plugin.parse_url(order["url"])  # type: ignore[attr-defined]  # of a plugin
    if not results:
        logging.getLogger("apprise").error("the URL cannot be read")
        return False
    from apprise import AppriseAsset  # noqa: PLC0415  (the library is loaded where it is guarded)

    service = plugin(**{**results, "asset": AppriseAsset(storage_path=None)})
    return bool(service.notify(body=order["body"], title=order["title"], notify_type=order["type"]))


def _names(plugin: type, attribute: str) -> set[str]:
    found = getattr(plugin, attribute, None) or ()
    return {found} if isinstance(found, str) else set(found)


class Said(logging.Handler):
    """The last complaint of Apprise: its calls only say whether they worked."""

    last = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.last = record.getMessage()


def main() -> None:
    """Read the order, send, and say what became of it."""
    order = json.load(sys.stdin)
    said = Said(level=logging.WARNING)
    logging.getLogger("apprise").addHandler(said)
    guard(private_targets=order["private_targets"], forbidden=[(host, port) for host, port in order["forbidden"]])
    socket.setdefaulttimeout(order["timeout_s"])
    try:
        answer = {"sent": send(order), "said": said.last}
    except Exception as error:  # noqa: BLE001  (a plugin may raise anything; it becomes a failed attempt with these words)
        answer = {"sent": False, "said": f"{type(error).__name__}: {error}"}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
