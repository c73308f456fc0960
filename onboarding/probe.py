"""Test records: one of each signal, to send as the client does and to look for in the tables.

Their service is `telemetry-check`, so that no question about Claude Code counts them. They hold only a random id.
"""

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Final

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from otlp.signals import Signal

SERVICE: Final = "telemetry-check"
NAME: Final = "telemetry.check"
_KEY: Final = "check.id"
_FIND: Final = {
    Signal.LOGS: "SELECT count() FROM otel_logs WHERE TraceId = {id:String}",
    Signal.TRACES: "SELECT count() FROM otel_traces WHERE TraceId = {id:String}",
    Signal.METRICS: "SELECT count() FROM otel_metrics_gauge WHERE ServiceName = 'telemetry-check'"
    " AND MetricName = 'telemetry.check' AND Attributes['check.id'] = {id:String}",
}

Ask = Callable[[str, dict[str, str]], str]
"""Runs a query of one value with its parameters, and returns the value as text."""


def new_id() -> str:
    """Return a random id for test records, which is a trace id too."""
    return secrets.token_hex(16)


def record(signal: Signal, check_id: str) -> Message:
    """Return the request that holds a signal's test record."""
    now = time.time_ns()
    resource = Resource(attributes=[_pair("service.name", SERVICE)])
    trace, span = bytes.fromhex(check_id), bytes.fromhex(check_id[:16])
    match signal:
        case Signal.LOGS:
            logs = ExportLogsServiceRequest()
            group = logs.resource_logs.add(resource=resource).scope_logs.add()
            group.log_records.add(
                time_unix_nano=now,
                trace_id=trace,
                span_id=span,
                event_name=NAME,
                body=AnyValue(string_value=NAME),
            )
            return logs
        case Signal.TRACES:
            traces = ExportTraceServiceRequest()
            spans = traces.resource_spans.add(resource=resource).scope_spans.add().spans
            spans.add(
                trace_id=trace, span_id=span, name=NAME, start_time_unix_nano=now, end_time_unix_nano=now
            )
            return traces
        case Signal.METRICS:
            metrics = ExportMetricsServiceRequest()
            metric = (
                metrics.resource_metrics.add(resource=resource).scope_metrics.add().metrics.add(name=NAME)
            )
            metric.gauge.data_points.add(time_unix_nano=now, as_int=1, attributes=[_pair(_KEY, check_id)])
            return metrics


def missing(ask: Ask, signals: Sequence[Signal], check_id: str, seconds: float = 5.0) -> list[Signal]:
    """Look for the records until all are found or `seconds` are over. Return the signals whose record is missing."""
    deadline = time.monotonic() + seconds
    while absent := [signal for signal in signals if ask(_FIND[signal], {"id": check_id}) == "0"]:
        if time.monotonic() >= deadline:
            return absent
        time.sleep(0.1)
    return []


def _pair(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))
