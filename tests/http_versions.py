"""Servers of HTTP/2 and HTTP/3 on loopback that give one answer to everything."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import serve
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ProtocolNegotiated, QuicEvent
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived

from tests.hostile import accepting

type Headers = list[tuple[bytes, bytes]]

WELL: Headers = [(b":status", b"200"), (b"x-made-by", b"hand")]
BODY = b"all is well"


@asynccontextmanager
async def serving_h2(tls: ssl.SSLContext, spoil: Callable[[H2Connection, int], None] | None = None) -> AsyncIterator[int]:
    """HTTP/2 over TLS. `spoil` replaces the answer to a stream. Yields the port."""
    tls.set_alpn_protocols(["h2"])

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = H2Connection(H2Configuration(client_side=False))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        while data := await reader.read(65_536):
            for event in connection.receive_data(data):
                if isinstance(event, RequestReceived):
                    (spoil or _answer)(connection, event.stream_id)
            writer.write(connection.data_to_send())
            await writer.drain()

    async with accepting(script, tls) as port:
        yield port


def _answer(connection: H2Connection, stream_id: int) -> None:
    connection.send_headers(stream_id, WELL)
    connection.send_data(stream_id, BODY, end_stream=True)


class _H3Server(QuicConnectionProtocol):
    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ProtocolNegotiated):
            self._http = H3Connection(self._quic)
        for found in self._http.handle_event(event) if hasattr(self, "_http") else ():
            if isinstance(found, HeadersReceived):
                self._http.send_headers(found.stream_id, WELL)
                self._http.send_data(found.stream_id, BODY, end_stream=True)
                self.transmit()


@asynccontextmanager
async def serving_h3(pair: Path) -> AsyncIterator[int]:
    """HTTP/3 with the key and certificate in `pair`. Yields the port."""
    configuration = QuicConfiguration(alpn_protocols=H3_ALPN, is_client=False)
    configuration.load_cert_chain(pair, pair)
    server = await serve("127.0.0.1", 0, configuration=configuration, create_protocol=_H3Server)
    try:
        assert server._transport is not None
        yield server._transport.get_extra_info("sockname")[1]
    finally:
        server.close()
