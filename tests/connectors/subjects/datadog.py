"""Datadog, stood in: it runs nowhere but at Datadog."""

from contextlib import AbstractContextManager
from pathlib import Path

from connectors.adapters.datadog import BACKENDS, DatadogConfig
from connectors.addresses import Policy
from connectors.contract import Adapter
from tests.connectors.datadog_server import datadog
from tests.connectors.subject import SECRET, LogsExample, MetricsExample, Subject, TracesExample


def opened(url: str, *, timeout_seconds: float = 30.0) -> Adapter:
    """Open the adapter."""
    config = DatadogConfig(api_key=SECRET, app_key=SECRET, url=url, timeout_seconds=timeout_seconds)
    return BACKENDS[0].opened(config, Policy())


def stood_in(folder: Path) -> AbstractContextManager[str]:
    """Serve the fixed rows."""
    del folder
    return datadog()


SUBJECTS = (
    Subject(
        "datadog",
        opened,
        frozenset({"checkout", "payments"}),
        metrics=MetricsExample(
            query="avg:system.cpu.user{*} by {host}",
            labels=frozenset({"host", "env"}),
            unknown_query="avg:system.no.such{*}",
            bad_queries={"avg:system.cpu.user": "scope_expr"},
            metric="system.cpu.user",
            metric_type="gauge",
            label="host",
            values=frozenset({"host-0", "host-1", "host-2"}),
        ),
        logs=LogsExample(
            text="payment failed",
            regex="",
            service="checkout",
            labels={"env": "prod"},
            query='service:"checkout" "payment failed"',
            bad_queries={"(status:error": "unbalanced"},
        ),
        traces=TracesExample(
            service="checkout",
            operation="POST /pay",
            tags={"http.status_code": "500"},
            trace_id=f"{2:032x}",
            spans=2,
            failed_trace_id=f"{2:032x}",
            slow_ns=500_000_000,
        ),
        stood_in=stood_in,
    ),
)
