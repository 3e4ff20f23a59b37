"""Proxies on loopback: HTTP (with tunnels) and SOCKS5, which note what they are asked for and may refuse it."""

import asyncio
import ssl
import struct
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address

from tests.hostile import accepting, answer


@dataclass
class ProxyServer:
    """A running proxy. `asked` are the targets as they were named to it, `heads` the heads that an HTTP proxy has read.

    `names` are the ports' hosts by name: whatever is not in it and no address does not exist.
    """

    port: int = 0
    credentials: tuple[str, str] | None = None
    asked: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    def url(self, scheme: str, host: str = "127.0.0.1") -> str:
        return f"{scheme}://{host}:{self.port}"

    async def connect(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self.asked.append(f"{host}:{port}")
        return await asyncio.open_connection(self.names.get(host, host), port)


@asynccontextmanager
async def http_proxy(
    *, credentials: tuple[str, str] | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[ProxyServer]:
    proxy = ProxyServer(credentials=credentials)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        proxy.heads.append(head)
        wanted = "Proxy-Authorization: Basic " + b64encode(":".join(credentials).encode()).decode() if credentials else ""
        if wanted not in head:
            writer.write(answer("407 Proxy Authentication Required", b"", 'Proxy-Authenticate: Basic realm="x"'))
            return
        method, target, _ = head.split(" ", 2)
        host, _, port = target.removeprefix("http://").partition("/")[0].rpartition(":")
        try:
            far_reader, far_writer = await proxy.connect(host.strip("[]"), int(port))
        except OSError:
            writer.write(answer("502 Bad Gateway"))
            return
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n")
        else:
            path = "/" + target.removeprefix("http://").partition("/")[2]
            far_writer.write(f"{method} {path} {head.split(' ', 2)[2]}".encode("latin-1"))
        await _both_ways(reader, writer, far_reader, far_writer)

    async with accepting(serve, tls) as proxy.port:
        yield proxy


@asynccontextmanager
async def socks_proxy(*, credentials: tuple[str, str] | None = None) -> AsyncIterator[ProxyServer]:
    """SOCKS5 as RFC 1928 and RFC 1929 have it."""
    proxy = ProxyServer(credentials=credentials)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, count = await reader.readexactly(2)
        method = 2 if credentials else 0
        if method not in await reader.readexactly(count):
            writer.write(b"\x05\xff")
            return
        writer.write(bytes((5, method)))
        if credentials and not await _is_known(reader, writer, credentials):
            return
        _, _, _, kind = await reader.readexactly(4)
        host = await _host(reader, kind)
        (port,) = struct.unpack("!H", await reader.readexactly(2))
        try:
            far_reader, far_writer = await proxy.connect(host, port)
        except ConnectionRefusedError:
            writer.write(b"\x05\x05\x00\x01" + bytes(6))
            return
        except OSError:
            writer.write(b"\x05\x04\x00\x01" + bytes(6))
            return
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        await _both_ways(reader, writer, far_reader, far_writer)

    async with accepting(serve) as proxy.port:
        yield proxy


async def _is_known(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, credentials: tuple[str, str]) -> bool:
    await reader.readexactly(1)
    given = tuple([(await reader.readexactly((await reader.readexactly(1))[0])).decode() for _ in range(2)])
    writer.write(b"\x01\x00" if given == credentials else b"\x01\x01")
    return given == credentials


async def _host(reader: asyncio.StreamReader, kind: int) -> str:
    if kind == 3:
        return (await reader.readexactly((await reader.readexactly(1))[0])).decode()
    return str(ip_address(await reader.readexactly({1: 4, 4: 16}[kind])))


async def _both_ways(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    far_reader: asyncio.StreamReader,
    far_writer: asyncio.StreamWriter,
) -> None:
    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()

    back = asyncio.ensure_future(pump(far_reader, writer))
    forth = asyncio.ensure_future(pump(reader, far_writer))
    try:
        await asyncio.wait((back, forth), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pumping in (back, forth):
            pumping.cancel()
        await asyncio.gather(back, forth, return_exceptions=True)
        far_writer.close()
