"""How a body is delimited, encoded and broken off."""

import gzip
import zlib

from core.domain.outcomes import Reason
from core.domain.request_options import parse_options
from tests.hostile import answer, drip, send_then_hang, send_then_reset
from tests.parity.behaviours import Behaviour, down, up

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
PAGE = b"all is well"
WELL = parse_options({"assertions": [{"kind": "keyword", "text": "well"}]})
BROTLI = bytes.fromhex("0b0580") + PAGE + b"\x03"
"""An uncompressed meta-block, written by hand."""
ZSTD = bytes.fromhex("28b52ffd200b590000") + PAGE
"""One raw block, written by hand."""


def length(value: bytes, body: bytes = PAGE) -> bytes:
    return OK + b"Content-Length: " + value + b"\r\n\r\n" + body


def encoded(coding: str, body: bytes) -> bytes:
    return answer("200 OK", body, f"Content-Encoding: {coding}")


CHUNKS: list[Behaviour] = [
    up("chunked", CHUNKED + b"b\r\nall is well\r\n0\r\n\r\n"),
    up("chunked with trailers", CHUNKED + b"b\r\nall is well\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n"),
    up("chunked with an extension", CHUNKED + b'b;name="v"\r\nall is well\r\n0\r\n\r\n'),
    up("chunk sizes in capitals and with zeros", CHUNKED + b"00B\r\nall is well\r\n00\r\n\r\n"),
    up("a chunk for each byte", CHUNKED + b"".join(b"1\r\nx\r\n" for _ in range(2000)) + b"0\r\n\r\n"),
    down("a chunk size that is no number", CHUNKED + b"zz\r\nxx\r\n0\r\n\r\n", Reason.PROTOCOL_ERROR, status=200),
    down("a negative chunk size", CHUNKED + b"-1\r\nx\r\n0\r\n\r\n", Reason.PROTOCOL_ERROR, status=200),
    down("a chunk size beyond 64 bits", CHUNKED + b"f" * 20 + b"\r\nx\r\n0\r\n\r\n", Reason.PROTOCOL_ERROR, status=200),
    down("an empty chunk size", CHUNKED + b"\r\nx\r\n0\r\n\r\n", Reason.PROTOCOL_ERROR, status=200),
    down("a chunk longer than it says", CHUNKED + b"3\r\nall is well\r\n0\r\n\r\n", Reason.PROTOCOL_ERROR, status=200),
    down("closed within a chunk", CHUNKED + b"b\r\nall is", Reason.PROTOCOL_ERROR, status=200),
    down("closed between chunks", CHUNKED + b"b\r\nall is well\r\n", Reason.PROTOCOL_ERROR, status=200),
    down("closed within the trailers", CHUNKED + b"b\r\nall is well\r\n0\r\nX-Sum: ", Reason.PROTOCOL_ERROR, status=200),
    down("silent within a chunk", send_then_hang(CHUNKED + b"b\r\nall"), Reason.TIMEOUT, status=200),
    down("reset within a chunk", send_then_reset(CHUNKED + b"b\r\nall"), Reason.CONNECTION_RESET, status=200),
    down("dripping chunks", drip(CHUNKED + b"1\r\nx\r\n" * 500, 0.02), Reason.TIMEOUT, status=200),
    up("a length beside chunks", OK + b"Content-Length: 3\r\n" + CHUNKED[17:] + b"b\r\nall is well\r\n0\r\n\r\n"),
    up(
        "chunked that says so twice",
        OK + b"Transfer-Encoding: chunked, chunked\r\n\r\nb\r\nall is well\r\n0\r\n\r\n",
        differs="browsers read it as chunked",
    ),
    down(
        "a transfer coding nobody knows",
        OK + b"Transfer-Encoding: rot13\r\n\r\nnyy vf jryy",
        Reason.PROTOCOL_ERROR,
        status=200,
    ),
]

LENGTHS: list[Behaviour] = [
    up("a right length", length(b"11")),
    up("a length that is too short", length(b"3")),
    down("a length that is too long, closed", length(b"99"), Reason.PROTOCOL_ERROR, status=200),
    down("a length that is too long, silent", send_then_hang(length(b"99")), Reason.TIMEOUT, status=200),
    down("a length that is too long, reset", send_then_reset(length(b"99")), Reason.CONNECTION_RESET, status=200),
    down("two lengths that differ", length(b"11\r\nContent-Length: 3"), Reason.PROTOCOL_ERROR, status=200),
    down("two lengths that differ in one line", length(b"11, 3"), Reason.PROTOCOL_ERROR, status=200),
    up("the same length twice", length(b"11\r\nContent-Length: 11")),
    up("the same length twice in one line", length(b"11, 11")),
    down("a negative length", length(b"-1"), Reason.PROTOCOL_ERROR, status=200),
    down("a length with a sign", length(b"+11"), Reason.PROTOCOL_ERROR, status=200),
    down("a length in words", length(b"eleven"), Reason.PROTOCOL_ERROR, status=200),
    down("a length in hexadecimal", length(b"0xb"), Reason.PROTOCOL_ERROR, status=200),
    down("a length with something behind it", length(b"11 bytes"), Reason.PROTOCOL_ERROR, status=200),
    up("a length beyond 64 bits", length(b"9" * 25), differs="browsers pass over it and read until the end"),
    up("no length, closed", OK + b"\r\n" + PAGE),
    down("no length, never closed", send_then_hang(OK + b"\r\n" + PAGE), Reason.TIMEOUT, status=200),
    down("a dripping body", drip(length(b"500", b"x" * 500), 0.02), Reason.TIMEOUT, status=200),
    up("something after the body", length(b"11") + b"HTTP/1.1 500 Oops\r\n\r\n"),
    up("204 with a body", b"HTTP/1.1 204 No Content\r\nContent-Length: 11\r\n\r\n" + PAGE, status=204),
    up("204 that says it is chunked", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", status=204),
    down("304 with a body", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 11\r\n\r\n" + PAGE, Reason.HTTP_STATUS, status=304),
    up("205 with a body", b"HTTP/1.1 205 Reset Content\r\nContent-Length: 11\r\n\r\n" + PAGE, status=205),
    up("HEAD answered with a body", length(b"11"), method="HEAD"),
    up("HEAD answered with a length alone", send_then_hang(length(b"99", b"")), method="HEAD"),
    up("HEAD answered with chunks alone", send_then_hang(CHUNKED), method="HEAD"),
]

_ZEROS = bytes(32 * 1024 * 1024)

CODINGS: list[Behaviour] = [
    up("gzip", encoded("gzip", gzip.compress(PAGE)), options=WELL),
    up("gzip that is not read", encoded("gzip", gzip.compress(PAGE))),
    up("x-gzip", encoded("x-gzip", gzip.compress(PAGE)), options=WELL),
    up("deflate", encoded("deflate", zlib.compress(PAGE)), options=WELL),
    up("deflate without its frame", encoded("deflate", zlib.compress(PAGE, wbits=-15)), options=WELL),
    up("br", encoded("br", BROTLI), options=WELL),
    up("br that is not read", encoded("br", BROTLI)),
    up("identity", encoded("identity", PAGE), options=WELL),
    up("zstd that is not read", encoded("zstd", ZSTD)),
    down(
        "zstd that nobody asked for",
        encoded("zstd", ZSTD),
        Reason.PROTOCOL_ERROR,
        status=200,
        options=WELL,
        differs="httpx hands out what it cannot decode; an assertion about it would be wrong",
    ),
    down(
        "a coding that does not exist",
        encoded("rot13", b"jryy"),
        Reason.PROTOCOL_ERROR,
        status=200,
        options=WELL,
        differs="httpx hands out what it cannot decode; an assertion about it would be wrong",
    ),
    down("gzip that is not gzip", encoded("gzip", PAGE), Reason.PROTOCOL_ERROR, status=200, options=WELL),
    up(
        "gzip that is not gzip and is not read",
        encoded("gzip", PAGE),
        differs="nobody wants the body, so it is not decoded",
    ),
    down(
        "gzip that ends early",
        encoded("gzip", gzip.compress(b"x" * 100 + PAGE)[:20]),
        Reason.ASSERTION_KEYWORD,
        status=200,
        options=WELL,
        differs="httpx hands out what there is, as we do; the keyword was in the rest",
    ),
    down(
        "a bomb that an assertion reads",
        encoded("gzip", gzip.compress(_ZEROS)),
        Reason.BODY_LIMIT,
        status=200,
        options=WELL,
        differs="httpx decodes all of it",
    ),
    up("a bomb that nobody reads", encoded("gzip", gzip.compress(_ZEROS))),
    down(
        "a deflate bomb that an assertion reads",
        encoded("deflate", zlib.compress(_ZEROS)),
        Reason.BODY_LIMIT,
        status=200,
        options=WELL,
        differs="httpx decodes all of it",
    ),
    down(
        "a bomb within a bomb",
        encoded("gzip, gzip", gzip.compress(gzip.compress(_ZEROS))),
        Reason.PROTOCOL_ERROR,
        status=200,
        options=WELL,
        differs="httpx decodes all of it",
    ),
    down(
        "a keyword beyond what is read",
        answer("200 OK", b"." * (1024 * 1024) + PAGE),
        Reason.BODY_LIMIT,
        status=200,
        options=WELL,
        differs="httpx has no limit",
    ),
    up("a keyword beyond what a plain check reads", answer("200 OK", b"." * 20_000 + PAGE), options=WELL),
    up("a body beyond what a plain check reads", answer("200 OK", b"." * 2_000_000)),
    up(
        "silence beyond what a plain check reads",
        send_then_hang(length(b"99999", b"." * 20_000)),
        differs="httpx waits for all of the body; a capped body is fine",
    ),
]

FRAMING: list[Behaviour] = [*CHUNKS, *LENGTHS, *CODINGS]
