"""The own store: a real server, filled over OTLP as anyone fills it, and asked as the user who only reads.

It is also the other ClickHouse of the adapter of that name, which asks over the guarded client.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2

from access.store import ClientStore
from clickhouse.client import Client
from clickhouse.endpoint import Endpoint
from connectors.adapters.clickhouse import CLICKHOUSE, ClickHouseConfig
from connectors.adapters.telemetry import TelemetryStore
from connectors.addresses import Policy
from connectors.contract import Adapter
from tests.connectors import shop, shop_metrics
from tests.connectors.subject import SECRET, LogsExample, MetricsExample, Subject, TracesExample
from tests.server import running

_LABEL = re.compile(r'(\w+)="((?:\\.|[^"\\])*)"')
_NUMBERS = {"DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17, "FATAL": 21, "": 0}
_BOUNDS = [0.1, 0.5]
_CUMULATIVE = 2


def opened(url: str, *, timeout_seconds: float = 30.0) -> Adapter:
    """Open the adapter over a client of the reading user."""
    endpoint = Endpoint(url, "telemetry_reader", SECRET, "telemetry", None, "TELEMETRY_READER_PASSWORD")
    return TelemetryStore(ClientStore(Client(endpoint, timeout_seconds, connect_seconds=timeout_seconds)))


def opened_as_another(url: str, *, timeout_seconds: float = 30.0) -> Adapter:
    """Open the adapter of another ClickHouse."""
    given = {
        "url": url,
        "user": "telemetry_reader",
        "password": SECRET,
        "database": "telemetry",
        "timeout_seconds": timeout_seconds,
    }
    return CLICKHOUSE.opened(ClickHouseConfig.model_validate(given), Policy())


@contextmanager
def stood_in(folder: Path) -> Iterator[str]:
    """Run a server that holds the shop's telemetry."""
    environment = {
        "TELEMETRY_BATCH_AGE_MS": "0",
        "TELEMETRY_RETENTION_DAYS": "3650",
        "TELEMETRY_READER_PASSWORD": SECRET,
        # The shop's attributes are kept as they are: what is private is another test's.
        "TELEMETRY_SANITIZE_LEVEL": "off",
    }
    with running(folder / "data", **environment) as server:
        for path, body in (
            ("traces", {"resourceSpans": shop.resource_spans()}),
            ("logs", {"resourceLogs": _logs()}),
            ("logs", {"resourceLogs": [_present()]}),
            ("metrics", {"resourceMetrics": _metrics()}),
        ):
            answer = httpx2.post(f"{server.http}/v1/{path}", json=body, timeout=180)
            answer.raise_for_status()
            assert "partialSuccess" not in answer.json(), answer.text
        yield f"http://{server.listening['clickhouse_http']}"


def _attributes(values: dict[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]


def _logs() -> list[dict[str, Any]]:
    return [
        {
            "resource": {
                "attributes": _attributes(
                    {
                        "service.name": line.service,
                        "k8s.pod.name": line.pod,
                        "k8s.namespace.name": line.namespace,
                    }
                )
            },
            "scopeLogs": [
                {
                    "logRecords": [
                        {
                            "timeUnixNano": str(line.time_ns),
                            "severityText": line.severity,
                            "severityNumber": _NUMBERS[line.severity],
                            "body": {"stringValue": line.message},
                            "traceId": line.trace_id,
                            "spanId": line.span_id,
                        }
                    ]
                }
            ],
        }
        for line in shop.LINES
    ]


def _present() -> dict[str, Any]:
    """Return a line of now: a store in which nothing arrives any more is not healthy."""
    line = {"timeUnixNano": str(time.time_ns()), "body": {"stringValue": "still here"}}
    return {
        "resource": {"attributes": _attributes({"service.name": "mail"})},
        "scopeLogs": [{"logRecords": [line]}],
    }


def _metrics() -> list[dict[str, Any]]:
    """Return the shop's metrics as OTLP, whose histograms are one point each."""
    points: dict[str, list[dict[str, Any]]] = {}
    histograms: dict[tuple[str, int], dict[str, Any]] = {}
    for number in range(shop_metrics.SAMPLES):
        at = str(shop.BEGIN_NS + number * shop_metrics.EVERY_SECONDS * shop.SECOND)
        for name, text, value in shop_metrics.samples(number):
            labels = {key: re.sub(r"\\(.)", r"\1", said) for key, said in _LABEL.findall(text)}
            edge = labels.pop("le", "")
            if not name.startswith("http_request_duration_seconds"):
                points.setdefault(name, []).append(
                    {"timeUnixNano": at, "asDouble": value, "attributes": _attributes(labels)}
                )
                continue
            made = histograms.setdefault(
                (labels["service"], number),
                {
                    "timeUnixNano": at, "attributes": _attributes(labels), "explicitBounds": _BOUNDS,
                    "bucketCounts": [], "count": "0", "sum": 0.0,
                },
            )  # fmt: skip
            if edge:
                before = sum(int(count) for count in made["bucketCounts"])
                made["bucketCounts"].append(str(int(value) - before))
            elif name.endswith("_sum"):
                made["sum"] = value
            else:
                made["count"] = str(int(value))
    metrics: list[dict[str, Any]] = [
        {
            "name": "http_request_duration", "unit": "s",
            "histogram": {"aggregationTemporality": _CUMULATIVE, "dataPoints": list(histograms.values())},
        }
    ]  # fmt: skip
    for name, found in points.items():
        is_counter = shop_metrics.METADATA[name][0] == "counter"
        data: dict[str, Any] = {"dataPoints": found}
        if is_counter:
            data |= {"aggregationTemporality": _CUMULATIVE, "isMonotonic": True}
        metrics.append({"name": name, "sum" if is_counter else "gauge": data})
    resource = {"attributes": _attributes({"service.name": "shop"})}
    return [{"resource": resource, "scopeMetrics": [{"metrics": metrics}]}]


_OWN = Subject(
    "telemetry",
    opened,
    frozenset({"shop", "payments", "mail"}),
    metrics=MetricsExample(
        query="http_requests_total",
        labels=frozenset({"__name__", "service", "pod", "namespace", "code", "job", "service_name"}),
        unknown_query="rate(no_such_metric_total[5m])",
        bad_queries={
            "rate(": "unclosed left parenthesis",
            "no_function(up)": "unknown function",
            "http_requests_total * on() http_requests_total": "many-to-many matching not allowed",
        },
        metric="http_requests_total",
        metric_type="counter",
        label="code",
        values=frozenset({"200", "500"}),
        undefined_query="process_resident_memory_bytes / 0",
    ),
    logs=LogsExample(
        text="payment declined",
        regex=r"payment\s+declined: card \d refused",
        service="payments",
        labels={"k8s.namespace.name": "production", "k8s.pod.name": "payments-1"},
        query="",
        bad_queries={},
    ),
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
    stood_in=stood_in,
    is_http=False,
)
SUBJECTS = (_OWN, replace(_OWN, name="clickhouse", opened=opened_as_another, is_http=True))
