"""Jaeger, recorded from version 1.76 with its storage in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from connectors.adapters.jaeger import BACKEND, JaegerConfig
from connectors.addresses import Policy
from connectors.backend import Auth
from connectors.contract import Adapter
from tests.connectors import shop
from tests.connectors.programs import free_port, program_running
from tests.connectors.subject import SECRET, Subject, TracesExample

_PORTS = (
    "query.http-server", "collector.otlp.http", "query.grpc-server", "collector.otlp.grpc", "collector.http-server",
    "collector.grpc-server", "admin.http",
)  # fmt: skip


def opened(url: str, *, timeout_seconds: float = 30.0) -> Adapter:
    """Open the adapter."""
    auth = Auth.model_validate({"type": "bearer", "token": SECRET})
    return BACKEND.opened(JaegerConfig(url=url, auth=auth, timeout_seconds=timeout_seconds), Policy())


@contextmanager
def started(program: Path, folder: Path) -> Iterator[str]:
    """Run Jaeger, filled with the shop's traces."""
    ports = [free_port() for _ in _PORTS]
    flags = [f"--{name}.host-port=127.0.0.1:{port}" for name, port in zip(_PORTS, ports, strict=True)]
    url = f"http://127.0.0.1:{ports[0]}"
    with program_running(
        [str(program), *flags], folder, f"{url}/api/services", {"SPAN_STORAGE_TYPE": "memory"}
    ):
        body = {"resourceSpans": shop.resource_spans()}
        httpx2.post(f"http://127.0.0.1:{ports[1]}/v1/traces", json=body, timeout=180).raise_for_status()
        yield url


SUBJECTS = (
    Subject(
        "jaeger",
        opened,
        frozenset({"shop", "payments", "mail"}),
        traces=TracesExample(
            service="shop",
            operation="GET /checkout",
            tags={"http.status_code": "500"},
            trace_id=shop.SLOW,
            spans=3,
            failed_trace_id=shop.FAILED,
            slow_ns=1_000_000_000,
            bad_trace_id="not-an-id",
        ),
        started=started,
    ),
)
