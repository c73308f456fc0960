"""The straightforward receiver: generated classes, a Python loop over spans and attributes, one regex each.

The obvious design, written well: the sync gRPC server, the same privacy as this server (the same keys hashed with
SHA256, known-safe keys left alone, a dozen patterns replaced in every other string), rows collected under
a lock and inserted 10,000 at a time as JSONEachRow by clickhouse-connect, orjson as the encoder. It
acknowledges when the rows are in memory, so it promises less than this server, and it takes traces only.

`python -m benchmarks.naive --clickhouse-port PORT` prints its own port on the first line and serves until
SIGTERM.
"""

import argparse
import hashlib
import re
import signal
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import clickhouse_connect
import grpc
import orjson
from clickhouse_connect.driver.client import Client
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from benchmarks.peer_rules import HASHED, PATTERNS, SAFE

BATCH_ROWS = 10_000
FLUSH_SECONDS = 1.0
MAX_MESSAGE_BYTES = 16 << 20

Row = dict[str, object]


def main() -> None:
    """Serve until SIGTERM, then insert the remaining rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0 means any free port")
    parser.add_argument("--clickhouse-port", type=int, required=True)
    options = parser.parse_args()
    client = clickhouse_connect.get_client(
        host="127.0.0.1", port=options.clickhouse_port, autogenerate_session_id=False
    )
    receiver = Receiver(client)
    server = grpc.server(
        ThreadPoolExecutor(max_workers=8), options=[("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)]
    )
    add_TraceServiceServicer_to_server(receiver, server)
    port = server.add_insecure_port(f"127.0.0.1:{options.port}")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    server.start()
    print(port, flush=True)
    while not stop.wait(FLUSH_SECONDS):
        receiver.flush()
    server.stop(grace=5).wait()
    receiver.flush()


class Receiver(TraceServiceServicer):
    """Turns requests into rows and inserts them in batches."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.lock = threading.Lock()
        self.rows: list[Row] = []

    def Export(  # noqa: N802  the generated base class names it
        self,
        request: ExportTraceServiceRequest,
        context: grpc.ServicerContext,  # noqa: ARG002  part of the signature
    ) -> ExportTraceServiceResponse:
        """Collect the request's spans; insert when a batch is full."""
        rows = []
        for group in request.resource_spans:
            resource = attributes(group.resource.attributes)
            for scope in group.scope_spans:
                for span in scope.spans:
                    rows.append(row(span, resource, scope.scope.name, scope.scope.version))  # noqa: PERF401
        with self.lock:
            self.rows += rows
            full = len(self.rows) >= BATCH_ROWS
        if full:
            self.flush()
        return ExportTraceServiceResponse()

    def flush(self) -> None:
        """Insert everything collected."""
        with self.lock:
            rows, self.rows = self.rows, []
        if rows:
            block = b"\n".join(map(orjson.dumps, rows))
            self.client.raw_insert("otel_traces", insert_block=block, fmt="JSONEachRow")


def row(span: Span, resource: dict[str, str], scope_name: str, scope_version: str) -> Row:
    """Return the table row of one span."""
    return {
        "Timestamp": span.start_time_unix_nano,
        "TraceId": span.trace_id.hex(),
        "SpanId": span.span_id.hex(),
        "ParentSpanId": span.parent_span_id.hex(),
        "TraceState": redact(span.trace_state),
        "SpanName": redact(span.name),
        "SpanKind": span.kind,
        "ServiceName": resource.get("service.name", ""),
        "ResourceAttributes": resource,
        "ScopeName": scope_name,
        "ScopeVersion": scope_version,
        "SpanAttributes": attributes(span.attributes),
        "Duration": span.end_time_unix_nano - span.start_time_unix_nano,
        "StatusCode": span.status.code,
        "StatusMessage": redact(span.status.message),
        "Events.Timestamp": [event.time_unix_nano for event in span.events],
        "Events.Name": [redact(event.name) for event in span.events],
        "Events.Attributes": [attributes(event.attributes) for event in span.events],
        "Links.TraceId": [link.trace_id.hex() for link in span.links],
        "Links.SpanId": [link.span_id.hex() for link in span.links],
        "Links.Attributes": [attributes(link.attributes) for link in span.links],
    }


def attributes(pairs: Iterable[KeyValue]) -> dict[str, str]:
    """Return attributes as strings, hashed or redacted as their keys ask for."""
    result = {}
    for pair in pairs:
        key, value = pair.key, text(pair.value)
        if key in HASHED:
            value = hashlib.sha256(value.encode()).hexdigest()
        elif key not in SAFE and pair.value.HasField("string_value"):
            value = redact(value)
        result[key] = value
    return result


def text(value: AnyValue) -> str:
    """Return an attribute value as a string."""
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "int_value":
            return str(value.int_value)
        case "double_value":
            return repr(value.double_value)
        case "bool_value":
            return "true" if value.bool_value else "false"
        case None:
            return ""
        case kind:
            return redact(str(getattr(value, kind)))


def redact(value: str) -> str:
    """Replace everything that looks private."""
    for pattern, replacement in COMPILED:
        value = pattern.sub(replacement, value)
    return value


COMPILED = [(re.compile(pattern), f"[{name}]") for name, pattern in PATTERNS.items()]


if __name__ == "__main__":
    main()
