"""OTLP/JSON requests around a span, a log record or a metric, decoded by the project's parser and by Protobuf's."""

import base64
import json
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otlp.json_encoding import Decoded, decode

REQUESTS: dict[str, Any] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}


def traces(*spans: Any) -> dict[str, Any]:
    return {"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}


def logs(*records: Any) -> dict[str, Any]:
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": list(records)}]}]}


def metrics(*each: Any) -> dict[str, Any]:
    return {"resourceMetrics": [{"scopeMetrics": [{"metrics": list(each)}]}]}


def run(signal: Any, request: Any) -> tuple[Any, Decoded]:
    decoded = decode(signal, json.dumps(request).encode())
    return REQUESTS[signal].FromString(decoded.body), decoded


def span(fields: dict[str, Any]) -> Span:
    request, decoded = run("traces", traces(fields))
    assert (decoded.records, decoded.refused, decoded.message) == (1, 0, "")
    return request.resource_spans[0].scope_spans[0].spans[0]


def log(fields: dict[str, Any]) -> LogRecord:
    request, decoded = run("logs", logs(fields))
    assert (decoded.records, decoded.refused, decoded.message) == (1, 0, "")
    return request.resource_logs[0].scope_logs[0].log_records[0]


def metric(fields: dict[str, Any]) -> Metric:
    request, decoded = run("metrics", metrics(fields))
    assert (decoded.refused, decoded.message) == (0, "")
    return request.resource_metrics[0].scope_metrics[0].metrics[0]


def why_log(fields: Any) -> str:
    """Why a log record is refused, its good neighbours being kept."""
    request, decoded = run("logs", logs({"eventName": "before"}, fields, {"eventName": "after"}))
    kept = request.resource_logs[0].scope_logs[0].log_records
    assert [record.event_name for record in kept] == ["before", "after"]
    assert (decoded.records, decoded.refused) == (2, 1)
    return decoded.message.removeprefix("resourceLogs[0].scopeLogs[0].logRecords[1]")


IDS = {"traceId", "spanId", "parentSpanId"}


def oracle(signal: str, request: Any) -> Any:
    """Read a request as Protobuf's own JSON parser does, once its ids are base64."""

    def rewrite(value: Any) -> Any:
        if isinstance(value, list):
            return [rewrite(one) for one in value]
        if isinstance(value, dict):
            return {
                name: base64.b64encode(bytes.fromhex(one)).decode() if name in IDS else rewrite(one)
                for name, one in value.items()
            }
        return value

    return json_format.ParseDict(rewrite(request), REQUESTS[signal](), ignore_unknown_fields=True)


def find(value: Any, name: str) -> list[list[Any]]:
    if isinstance(value, list):
        return [found for one in value for found in find(one, name)]
    if isinstance(value, dict):
        below = [found for one in value.values() for found in find(one, name)]
        return below + ([value[name]] if name in value else [])
    return []
