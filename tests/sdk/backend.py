"""An OTLP receiver over HTTP for tests, which can be slow or full."""

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Backend:
    """What was received, and where to send it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.requests = 0
        self.bodies: list[bytes] = []
        self.spans: list[Span] = []
        self.metrics: dict[str, list[Any]] = {}
        self.resource: dict[str, str] = {}

    def take(self, path: str, body: bytes) -> None:
        """Keep a request's spans or metrics."""
        self.bodies.append(body)
        if path == "/v1/traces":
            for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.resource = {one.key: one.value.string_value for one in group.resource.attributes}
                self.spans += [span for scope in group.scope_spans for span in scope.spans]
        else:
            for group in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for metric in (metric for scope in group.scope_metrics for metric in scope.metrics):
                    kind = metric.WhichOneof("data")
                    self.metrics[metric.name] = list(getattr(metric, kind).data_points)

    def names(self) -> list[str]:
        """Return the spans' names, sorted."""
        return sorted(span.name for span in self.spans)


def attributes(span: Any) -> dict[str, str]:
    """Return a span's or a point's attributes as text."""
    return {
        one.key: str(getattr(one.value, one.value.WhichOneof("value") or "string_value"))
        for one in span.attributes
    }


@contextmanager
def receiving(*, status: int = 200, delay: float = 0) -> Iterator[Backend]:
    """Receive at a free port of loopback; each request is answered with the status, after so many seconds."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            backend.requests += 1
            time.sleep(delay)
            if status == 200:
                backend.take(self.path, body)
            try:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except OSError:  # the client ended
                return

        def log_message(self, *_: Any) -> None:
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        backend = Backend(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield backend
        server.shutdown()
        thread.join()
