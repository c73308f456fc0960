"""A ClickHouse server that accepts every insert and keeps none: the far end of a benchmark.

`python -m benchmarks.sink --port 0` prints its port on the first line and serves until SIGTERM. It speaks
as much HTTP/1.1 as ClickHouse's clients use: keep-alive, Content-Length and chunked bodies, and
Expect: 100-continue. Bodies are read into one buffer and never copied, so it takes little of the machine
that it shares.

It answers what clickhouse-connect asks when it connects and what the Collector's exporter asks (the version, and the
columns of a table), 200 with nothing to any other statement (which a client reads as no rows), and on GET /stats how
many inserts and body bytes it has seen, so that a benchmark can check that a peer did send the records that it
acknowledged. It never reads a block and never refuses one.
"""

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import orjson

from clickhouse.varint import varint

ANSWERS = {
    # https://clickhouse.com/docs/interfaces/http; these decide which features the client uses
    "select version(), timezone()": b"26.9.2.1\tUTC\n",
    "select version()": b"26.9.2.1\n",
    "select 1": b"1\n",
}
BUFFER_BYTES = 1 << 20
STATEMENT_BYTES = 4096
HEADER_END = b"\r\n\r\n"
# Of the protocol: blocks begin with their info, and columns say how they are serialized.
REVISION = 54460
_ATTRIBUTES = "Map(LowCardinality(String), String)"
_LABEL = "LowCardinality(String)"
COLUMNS = {
    # As the exporter of the Collector's contrib distribution creates them.
    "otel_traces": {
        "Timestamp": "DateTime64(9)",
        **dict.fromkeys(("TraceId", "SpanId", "ParentSpanId", "TraceState"), "String"),
        **dict.fromkeys(("SpanName", "SpanKind", "ServiceName"), _LABEL),
        "ResourceAttributes": _ATTRIBUTES,
        **dict.fromkeys(("ScopeName", "ScopeVersion"), "String"),
        "SpanAttributes": _ATTRIBUTES,
        "Duration": "UInt64",
        "StatusCode": _LABEL,
        "StatusMessage": "String",
        "Events.Timestamp": "Array(DateTime64(9))",
        "Events.Name": f"Array({_LABEL})",
        "Events.Attributes": f"Array({_ATTRIBUTES})",
        **dict.fromkeys(("Links.TraceId", "Links.SpanId", "Links.TraceState"), "Array(String)"),
        "Links.Attributes": f"Array({_ATTRIBUTES})",
    },
    "otel_logs": {
        "Timestamp": "DateTime64(9)",
        **dict.fromkeys(("TraceId", "SpanId"), "String"),
        "TraceFlags": "UInt8",
        "SeverityText": _LABEL,
        "SeverityNumber": "UInt8",
        "ServiceName": _LABEL,
        "Body": "String",
        "ResourceSchemaUrl": _LABEL,
        "ResourceAttributes": _ATTRIBUTES,
        "ScopeSchemaUrl": _LABEL,
        "ScopeName": "String",
        "ScopeVersion": _LABEL,
        "ScopeAttributes": _ATTRIBUTES,
        "LogAttributes": _ATTRIBUTES,
        "EventName": "String",
    },
}


def main() -> None:
    """Serve until the process is told to stop."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0 means any free port")
    asyncio.run(serve(parser.parse_args().port))


async def serve(port: int) -> None:
    """Listen on 127.0.0.1 and print the port."""
    stats = Stats()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(stats), "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@dataclass(slots=True)
class Stats:
    """The requests that the sink has taken."""

    inserts: int = 0
    body_bytes: int = 0


@dataclass(slots=True)
class Request:
    """A request whose body is being read: the statement is the start of both."""

    path: str
    statement: bytearray
    expects: int
    """Bytes of the body, or of the current chunk, still to come."""
    chunked: bool
    encoded: bool
    """clickhouse-connect compresses an insert with its statement, and nothing else."""
    size: int = 0

    def take(self, data: memoryview) -> None:
        """Count body bytes, keeping only as many as a statement may take."""
        self.size += len(data)
        missing = STATEMENT_BYTES - len(self.statement)
        if missing > 0:
            self.statement += data[:missing]


class Connection(asyncio.BufferedProtocol):
    """One client connection, parsed in place."""

    def __init__(self, stats: Stats) -> None:
        self.stats = stats
        self.buffer = memoryview(bytearray(BUFFER_BYTES))
        self.line = bytearray()
        self.request: Request | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to answer on."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  what create_server hands a stream protocol
        self.transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  the protocol's signature
        """Return where the next bytes go."""
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Consume what has arrived: headers, body bytes and chunk sizes, in whatever pieces they come."""
        data = self.buffer[:nbytes]
        while data:
            if self.request is None:
                data = self.read_head(data)
            elif self.request.expects:
                count = min(self.request.expects, len(data))
                self.request.take(data[:count])
                self.request.expects -= count
                data = data[count:]
                if not self.request.expects and not self.request.chunked:
                    self.answer(self.request)
            else:
                data = self.read_chunk_size(self.request, data)

    def read_head(self, data: memoryview) -> memoryview:
        """Collect the request line and headers; return the bytes that follow them."""
        seen = len(self.line)
        self.line += data[:STATEMENT_BYTES]
        end = self.line.find(HEADER_END, max(0, seen - 3))
        if end < 0:
            return data[STATEMENT_BYTES:]
        head, self.line = self.line[:end].decode("latin-1"), bytearray()
        request_line, *lines = head.split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        url = urlsplit(request_line.split(" ")[1])
        chunked = "chunked" in headers.get("transfer-encoding", "")
        length = int(headers.get("content-length", 0))
        query = parse_qs(url.query).get("query", [""])[0]
        self.request = Request(
            url.path, bytearray(query.encode()), length, chunked, "content-encoding" in headers
        )
        if "expect" in headers:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not chunked and not length:
            self.answer(self.request)
        return data[end + len(HEADER_END) - seen :]

    def read_chunk_size(self, request: Request, data: memoryview) -> memoryview:
        """Collect the line before a chunk, and the empty line after it; return the bytes that follow.

        https://www.rfc-editor.org/rfc/rfc9112#name-chunked-transfer-coding; trailers are not expected.
        """
        for at, byte in enumerate(data):
            self.line.append(byte)
            if not self.line.endswith(b"\r\n"):
                continue
            line, self.line = self.line.strip(), bytearray()
            if line == b"0":
                request.expects, request.chunked, self.line = 2, False, bytearray()
                return data[at + 1 :]
            if line:
                request.expects = int(line.split(b";")[0], 16)
                return data[at + 1 :]
        return data[:0]

    def answer(self, request: Request) -> None:
        """Answer 200 to everything, with a body where the client needs one."""
        self.request = None
        statement = " ".join(request.statement[:200].decode("utf-8", "replace").lower().split())
        if request.path == "/stats":
            body = orjson.dumps({"inserts": self.stats.inserts, "bytes": self.stats.body_bytes})
        elif request.path == "/ping":
            body = b"Ok.\n"
        else:
            body = ANSWERS.get(statement.removesuffix(";"), b"") or described(statement)
        if statement.startswith("insert") or request.encoded:
            self.stats.inserts += 1
            self.stats.body_bytes += request.size
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Type: text/plain; charset=UTF-8\r\n"
            b"X-ClickHouse-Query-Id: sink\r\n"
            b"X-ClickHouse-Summary: {}\r\n\r\n%b" % (len(body), body)
        )


def described(statement: str) -> bytes:
    """Answer the two questions of clickhouse-go, which the Collector uses, in Native format; nothing to others."""
    if statement.startswith("select displayname()"):
        hello = {
            "displayName()": "sink",
            "version()": "26.9.2.1",
            "revision()": REVISION,
            "timezone()": "UTC",
        }
        return native({name: [value] for name, value in hello.items()})
    if not statement.startswith("desc"):
        return b""
    columns = next((columns for table, columns in COLUMNS.items() if table in statement), {})
    rest = ("default_type", "default_expression", "comment", "codec_expression", "ttl_expression")
    return native(
        {"name": list(columns), "type": list(columns.values())} | {name: [""] * len(columns) for name in rest}
    )


def native(columns: Mapping[str, Sequence[str | int]]) -> bytes:
    """Return a block of texts and UInt32 in Native format, as clients of `REVISION` read it.

    Source: https://clickhouse.com/docs/interfaces/formats/Native, and BlockInfo of ClickHouse's native protocol
    """
    rows = len(next(iter(columns.values())))
    block = b"\x01\x00\x02\xff\xff\xff\xff\x00" + varint(len(columns)) + varint(rows)
    for name, values in columns.items():
        kind = "UInt32" if all(isinstance(value, int) for value in values) and values else "String"
        block += text(name) + text(kind) + b"\0"
        for value in values:
            block += value.to_bytes(4, "little") if isinstance(value, int) else text(value)
    return block


def text(value: str) -> bytes:
    """Return a text after its length."""
    data = value.encode()
    return varint(len(data)) + data


if __name__ == "__main__":
    main()
