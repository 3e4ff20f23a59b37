"""A network namespace with all websites and the name server in it, which can be cut off. It needs root."""

import asyncio
import os
import secrets
import shutil
import subprocess
import sys

import pytest

from tests.conftest import free_port
from tests.hostile import NameServer, Zone

WHAT_IS_MISSING = (
    "this test cuts off a network namespace, which needs root and ip(8): apt-get install -y iproute2; sudo make test-faults"
)


class Internet:
    """Another network, reached through one link. `address` is where everything in it is."""

    def __init__(self) -> None:
        if os.geteuid() != 0 or not shutil.which("ip"):
            pytest.fail(WHAT_IS_MISSING)
        self.name = f"faults{secrets.token_hex(3)}"
        prefix = f"10.{secrets.randbelow(200) + 20}.{secrets.randbelow(256)}"
        self.address = f"{prefix}.2"
        self.prefix = ("ip", "netns", "exec", self.name)
        inner = f"i{self.name}"
        _ip("netns", "add", self.name)
        _ip("link", "add", self.name, "type", "veth", "peer", "name", inner, "netns", self.name)
        _ip("address", "add", f"{prefix}.1/30", "dev", self.name)
        _ip("link", "set", self.name, "up")
        _ip("-n", self.name, "address", "add", f"{self.address}/30", "dev", inner)
        _ip("-n", self.name, "link", "set", inner, "up")
        _ip("-n", self.name, "link", "set", "lo", "up")
        self._inner = inner
        port = free_port()
        self.name_server = f"{self.address}:{port}"
        command = [*self.prefix, sys.executable, "-m", "tests.faults.internet", self.address, str(port)]
        self._names = subprocess.Popen(command)

    def cut_off(self) -> None:
        """What was sent before is lost as well."""
        _ip("-n", self.name, "link", "set", self._inner, "down")

    def reconnect(self) -> None:
        """As before."""
        _ip("-n", self.name, "link", "set", self._inner, "up")

    def close(self) -> None:
        """Remove it with all that is in it."""
        self._names.kill()
        self._names.wait(10)
        _ip("netns", "delete", self.name)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


async def _serve(address: str, port: int) -> None:
    """Every name is here."""
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: NameServer({}, Zone((address,), ttl=5)), local_addr=(address, port))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2])))
