"""Stopping while gRPC calls are under way whose clients have gone, in every phase of a call: the end is orderly."""

import signal
import socket
import struct
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otlp.signals import KINDS, Signal
from tests.server import Server, eventually

Start = Callable[..., Server]
Vanish = Callable[["Client"], None]

_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING = 0x0, 0x1, 0x3, 0x4, 0x6
_END_STREAM, _ACK, _END_HEADERS = 0x1, 0x1, 0x4
_INITIAL_WINDOW_SIZE = 0x4
_CANCEL = 8
_GRACE_SECONDS = 4
# Time that the start of Python's exit and a busy machine may add.
_EXIT_SECONDS = _GRACE_SECONDS + 100


class Client:
    """A gRPC client that can stop anywhere in a call, and be gone in any way (RFC 9113 has the frames)."""

    def __init__(self, server: Server, window: int = 65_535) -> None:
        """Connect; let the server send so many bytes of each answer."""
        self.socket = server.connect("otlp_grpc")
        self._streams: list[int] = []
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self._send(_SETTINGS, payload=struct.pack(">HI", _INITIAL_WINDOW_SIZE, window))

    def call(self, flags: int = 0, *, right: bool = True) -> int:
        """Begin an Export call of spans, and return its stream."""
        stream = 2 * len(self._streams) + 1
        self._streams.append(stream)
        fields = {
            ":method": "POST",
            ":scheme": "http",
            ":path": f"/{KINDS[Signal.TRACES].service}/Export",
            ":authority": "localhost",
            "content-type": "application/grpc",
            "te": "trailers",
            "authorization": "Bearer right" if right else "Bearer wrong",
        }
        # As literals: RFC 7541, section 6.2.2.
        block = b"".join(
            b"\0%c%b%c%b" % (len(name), name.encode(), len(value), value.encode())
            for name, value in fields.items()
        )
        self._send(_HEADERS, _END_HEADERS | flags, stream, block)
        return stream

    def send(self, body: bytes, size: int | None = None) -> None:
        """Make a call with this message, or with so many bytes of it."""
        message = struct.pack(">BI", 0, len(body)) + body
        self._send(_DATA, _END_STREAM if size is None else 0, self.call(), message[:size])

    def cancel(self) -> None:
        """Take all calls back, and keep the connection."""
        for stream in self._streams:
            self._send(_RST_STREAM, 0, stream, struct.pack(">I", _CANCEL))

    def reset(self) -> None:
        """Be gone as a process is that was killed, with answers unread."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def arrive(self) -> None:
        """Wait until the server has read all that was sent: it answers a ping after that."""
        self._send(_PING, payload=b"arrived?")
        wanted = struct.pack(">BBI", _PING, _ACK, 0) + b"arrived?"
        seen = b""
        while wanted not in seen:
            read = self.socket.recv(1 << 16)
            assert read, "the server closed the connection"
            seen += read

    def _send(self, kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> None:
        length = struct.pack(">I", len(payload))[1:]
        self.socket.sendall(length + struct.pack(">BBI", kind, flags, stream) + payload)


WAYS: dict[str, Vanish] = {
    "killed": Client.reset,
    "closed": lambda client: client.socket.close(),
    "cancelled": Client.cancel,
    "silent": lambda _: None,
}


def span(name: str) -> bytes:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(
        name=name, trace_id=uuid.uuid4().bytes, start_time_unix_nano=time.time_ns()
    )
    return request.SerializeToString()


@contextmanager
def in_every_phase(server: Server, ways: Sequence[str]) -> Iterator[list[tuple[Client, Vanish]]]:
    """For each way to be gone, leave a call in each phase before its end; whole messages wait for the store."""
    clients = [(client, WAYS[way]) for way in ways for client in left_by(server, way)]
    eventually(lambda: server.metric("telemetry_received_records_total") == 21 * len(ways))
    yield clients
    for client, _ in clients:
        client.socket.close()


def left_by(server: Server, way: str) -> list[Client]:
    """Begin the calls of one way's clients, and wait until the server has read all that they sent."""
    clients = [Client(server) for _ in range(6)]
    _, named, begun, empty, refused, waiting = clients  # the first calls nothing
    named.call()
    begun.send(span("begun"), 20)
    empty.call(flags=_END_STREAM)
    refused.call(right=False)
    for number in range(20):
        waiting.send(span(f"{way} waiting {number}"))
    for client in clients:
        client.arrive()
    stalled = Client(server, window=0)  # nothing of its answer can be sent
    stalled.send(span(f"{way} stalled"))
    stalled.arrive()
    return [*clients, stalled]


def end(server: Server) -> None:
    """Wait for the end that was asked for: in time, in order, and not by the core's own checks."""
    assert server.process.wait(_EXIT_SECONDS) == 0
    log = server.log.read_text()
    assert "Check failed" not in log
    assert "gRPC did not stop in time." not in log
    assert "unforeseen" not in log
    assert "Traceback" not in log
    assert "Stopped; everything acknowledged is stored." in log


@pytest.fixture
def silent_store() -> Iterator[str]:
    """Listen as a ClickHouse server would, and never answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        yield f"http://{host}:{port}"


@pytest.mark.slow
@pytest.mark.parametrize("ways", [("killed", "closed", "cancelled"), ("silent",)], ids=["gone", "silent"])
def test_clients_that_are_gone_before_the_stop(start: Start, ways: Sequence[str]) -> None:
    """The server stops within the grace, frees its directory for the next, and the records that it took are stored."""
    server = start(
        TELEMETRY_INGEST_TOKENS="right",
        TELEMETRY_BATCH_AGE_MS="60000",
        TELEMETRY_SHUTDOWN_SECONDS=str(_GRACE_SECONDS),
    )
    with in_every_phase(server, ways) as clients:
        for client, vanish in clients:
            vanish(client)
        server.process.send_signal(signal.SIGTERM)
        end(server)
    names = [f"{way} {name}" for way in ways for name in ("stalled", *(f"waiting {n}" for n in range(20)))]
    assert server.rows("SELECT SpanName FROM otel_traces ORDER BY ALL") == [
        [{"SpanName": name} for name in sorted(names)]
    ]
    next_one = start()
    assert next_one.stop() == 0


@pytest.mark.slow
def test_clients_that_go_while_the_store_is_waited_for(start: Start, silent_store: str) -> None:
    """Blocks that the store does not take by half of the grace go to the spool; clients that are gone get no answer."""
    server = start(
        TELEMETRY_INGEST_TOKENS="right",
        TELEMETRY_BATCH_AGE_MS="0",
        TELEMETRY_SHUTDOWN_SECONDS=str(_GRACE_SECONDS),
        CLICKHOUSE_URL=silent_store,
        CLICKHOUSE_CONNECT_SECONDS="1",
        CLICKHOUSE_PASSWORD="any",
    )
    with in_every_phase(server, ["killed", "cancelled"]) as clients:
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: "Stopping: " in server.log.read_text())
        for client, vanish in clients:
            vanish(client)
        end(server)
