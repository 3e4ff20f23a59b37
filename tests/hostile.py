"""Servers that misbehave on purpose: an HTTP server told by its path what to do, a name server told by the name, and certificates."""

import asyncio
import os
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

type Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class HostileServer:
    """A running server. `requests` are the request heads it has read, one text each."""

    port: int
    requests: list[str] = field(default_factory=list)
    was_asked: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, path: str = "/", *, scheme: str = "http", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


@asynccontextmanager
async def serving(
    scripts: dict[str, bytes | Script], tls: ssl.SSLContext | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[HostileServer]:
    """Serve `scripts` by path: bytes are sent and the connection is closed; a script does as it likes."""
    requests: list[str] = []
    was_asked = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        requests.append(head)
        was_asked.set()
        script = scripts.get(head.split(" ")[1], answer("404 Not Found"))
        if isinstance(script, bytes):
            writer.write(script)
            await writer.drain()
        else:
            await script(reader, writer)

    async with accepting(serve, tls, host=host, port=port) as bound:
        yield HostileServer(bound, requests, was_asked)


@asynccontextmanager
async def accepting(
    script: Script, tls: ssl.SSLContext | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[int]:
    """Run `script` for every connection, before anything was read from it. Yields the port."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the other side went away, which is its right
        finally:
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(handle(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, host, port, ssl=tls, backlog=1024)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    """A well-formed HTTP/1.1 answer, e.g. `answer("200 OK", b"hello")`."""
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers))
    return f"{head}\r\n".encode("latin-1") + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    return answer(status, b"", f"Location: {location}")


async def hang(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


def send_then_hang(data: bytes) -> Script:
    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(3600)

    return script


def send_then_reset(data: bytes) -> Script:
    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return script


def drip(data: bytes, every_s: float) -> Script:
    """Send one byte at a time, so that there is always some progress."""

    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in data:
            writer.write(bytes([number]))
            await writer.drain()
            await asyncio.sleep(every_s)

    return script


@contextmanager
def one_secure_connection(tls: ssl.SSLContext, data: bytes) -> Iterator[int]:
    """A blocking TLS server on a thread: it tells its alerts, and after `data` it closes without telling. Yields the port."""

    def serve() -> None:
        connection, _ = listener.accept()
        with tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as secured:
            try:
                secured.do_handshake()
                secured.recv(65_536)
                secured.sendall(data)
                os.close(secured.detach())
            except ssl.SSLError:  # its alert is sent: let the client read it before the connection goes
                secured.shutdown(socket.SHUT_WR)
                while secured.recv(65_536):
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


CNAME = 5

# --- names -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Zone:
    """What the name server says about a name: addresses, or a response code (2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED), or nothing at all."""

    addresses: tuple[str, ...] = ()
    rcode: int = 0
    ttl: int = 60
    silent: bool = False
    silent_for_v6: bool = False
    records: tuple[tuple[int, bytes], ...] = ()
    """Record types and data of any other kind, e.g. `(16, b"\\x05hello")`."""


class NameServer(asyncio.DatagramProtocol):
    """A name server on loopback. `asked` are the names and record types of all questions."""

    def __init__(self, zones: dict[str, Zone], otherwise: Zone) -> None:
        self.zones = zones
        self.otherwise = otherwise
        self.asked: list[tuple[str, int]] = []
        self.was_asked = asyncio.Event()
        self.address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.address = "{}:{}".format(*transport.get_extra_info("sockname"))

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        name, end = _question_name(data)
        (record_type,) = struct.unpack_from("!H", data, end)
        self.asked.append((name, record_type))
        self.was_asked.set()
        zone = self.zones.get(name, self.otherwise)
        if zone.silent or (zone.silent_for_v6 and record_type == 28):
            return
        found = [ip_address(text) for text in zone.addresses]
        records = [_record(28 if one.version == 6 else 1, one.packed, zone.ttl) for one in found]
        records += [_record(of_type, data, zone.ttl) for of_type, data in zone.records]
        records = [record for record in records if struct.unpack_from("!H", record, 2)[0] in (record_type, CNAME)]
        head = struct.pack("!2sHHHHH", data[:2], 0x8180 | zone.rcode, 1, len(records), 0, 0)
        self._transport.sendto(head + data[12 : end + 4] + b"".join(records), addr)


def _question_name(data: bytes) -> tuple[str, int]:
    labels, at = [], 12
    while length := data[at]:
        labels.append(data[at + 1 : at + 1 + length].decode("latin-1").lower())
        at += 1 + length
    return ".".join(labels), at + 1


def _record(of_type: int, data: bytes, ttl: int) -> bytes:
    return struct.pack("!HHHIH", 0xC00C, of_type, 1, ttl, len(data)) + data


def wire_name(name: str) -> bytes:
    """A name as it is in records."""
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


@asynccontextmanager
async def naming(zones: dict[str, Zone], otherwise: Zone | None = None) -> AsyncIterator[NameServer]:
    """Answer questions about `zones`, and `otherwise` (NXDOMAIN unless told) about everything else."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: NameServer(zones, otherwise or Zone(rcode=3)), local_addr=("127.0.0.1", 0)
    )
    try:
        yield protocol
    finally:
        transport.close()


# --- certificates ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Authority:
    """A certificate authority for the tests; `ca_file` is what a client must trust."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    ca_file: Path
    chain: bytes = b""
    """What servers send beside their own certificate (PEM)."""

    @classmethod
    def create(cls, folder: Path) -> "Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("Hostile Test Authority")
        now = datetime.now(UTC)
        certificate = _builder(name, name, key, now - timedelta(days=400), now + timedelta(days=400)).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        signed = certificate.sign(key, hashes.SHA256())
        ca_file = folder / "authority.pem"
        ca_file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        return cls(folder, key, signed, ca_file)

    def intermediate(self, *, begins_in_days: int = -100, ends_in_days: int = 100) -> "Authority":
        """An authority below this one, whose servers send its certificate too."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        begins, ends = now + timedelta(days=begins_in_days), now + timedelta(days=ends_in_days)
        builder = _builder(_name("Hostile Intermediate"), self.certificate.subject, key, begins, ends)
        signed = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(
            self.key, hashes.SHA256()
        )
        chain = signed.public_bytes(serialization.Encoding.PEM)
        return Authority(self.folder, key, signed, self.ca_file, chain)

    def server(self, *, host: str = "localhost", begins_in_days: int = -10, ends_in_days: int = 30) -> ssl.SSLContext:
        """A server context whose certificate is for `host` and signed by this authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        begins, ends = now + timedelta(days=begins_in_days), now + timedelta(days=ends_in_days)
        builder = _builder(_name(host), self.certificate.subject, key, begins, ends)
        signed = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False).sign(
            self.key, hashes.SHA256()
        )
        return self._context(key, signed, f"{host}{begins_in_days}{ends_in_days}")

    def self_signed(self, host: str) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        builder = _builder(_name(host), _name(host), key, now - timedelta(days=1), now + timedelta(days=30))
        signed = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        return self._context(key, signed.sign(key, hashes.SHA256()), "self-signed")

    def _context(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate, name: str) -> ssl.SSLContext:
        pair = self.folder / f"{name}.pem"
        pair.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            + certificate.public_bytes(serialization.Encoding.PEM)
            + self.chain
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair)
        return context


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    return builder.serial_number(x509.random_serial_number()).not_valid_before(begins).not_valid_after(ends)
