"""The three OTLP signals: their messages, and a survey of each request before it is queued.

A survey parses the request (in C), which proves it well-formed except inside the attributes of its records, and
counts its records by target table. It walks down to scopes and metrics, never to spans or attributes.

Source: https://github.com/open-telemetry/opentelemetry-proto
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from otlp.outline import outline, sketch
from otlp.status import Reason, Rejected

RECORDS = frozenset(
    {
        "opentelemetry.proto.trace.v1.Span",
        "opentelemetry.proto.logs.v1.LogRecord",
        "opentelemetry.proto.metrics.v1.NumberDataPoint",
        "opentelemetry.proto.metrics.v1.HistogramDataPoint",
        "opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint",
        "opentelemetry.proto.metrics.v1.SummaryDataPoint",
    }
)
"""The message types of which each one is a row."""


class Signal(StrEnum):
    """An OTLP signal, as its HTTP path spells it."""

    TRACES = "traces"
    LOGS = "logs"
    METRICS = "metrics"


@dataclass(frozen=True, slots=True)
class Survey:
    """The contents of a well-formed request: records by target table, and metrics that have no type."""

    tables: Mapping[str, int]
    untyped_metrics: int = 0
    records: int = field(init=False, compare=False)
    """The number of rows that the request makes, in all tables."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "records", sum(self.tables.values()))


@dataclass(frozen=True, slots=True)
class Kind:
    """One signal's part of the protocol."""

    service: str
    """The full name of its gRPC service, whose one method is Export."""
    request: type[Message]
    response: type[Message]
    rejected_field: str
    """The member of the response's partial_success that counts refused records."""
    records: str
    """The name of its records in messages."""
    survey: Callable[[Any], Survey]
    sketch: type[Message]
    """The message class that the survey parses."""
    outline: type[Message]
    """The one that it parses for a look at what records hold."""


def survey(signal: Signal, body: bytes, look: Callable[[Any], None] | None = None) -> Survey:
    """Parse what is not inside attributes of a serialized Export request, and count its records.

    `look` is handed its outline. Raises Rejected when it is malformed, and what `look` raises.
    """
    kind = KINDS[signal]
    request = _parsed(kind, kind.outline if look else kind.sketch, body)
    if look:
        look(request)
    return kind.survey(request)


def canonical(signal: Signal, body: bytes) -> bytes:
    """Return the request encoded again with each field once: of a repeated field only the last one, which counts.

    Fields that are unknown, or of another type than theirs, are left out, as every parser ignores them.
    Raises Rejected when it is malformed, inside its attributes too.
    Source: https://protobuf.dev/programming-guides/encoding/#last-one-wins
    """
    kind = KINDS[signal]
    message = _parsed(kind, kind.request, body)
    message.DiscardUnknownFields()
    return message.SerializeToString()


def _parsed(kind: Kind, message: type[Message], body: bytes) -> Message:
    try:
        return message.FromString(body)
    except DecodeError:
        raise _malformed(kind) from None


def malformed(signal: Signal) -> Rejected:
    """Return the failure of a request that is no Export request of the signal."""
    return _malformed(KINDS[signal])


def _malformed(kind: Kind) -> Rejected:
    return Rejected(
        Reason.MALFORMED,
        f"The body is not a well-formed {kind.request.DESCRIPTOR.name} in protobuf encoding. "
        "Check the client's exporter, and that nothing between it and this server changes the body.",
    )


def _survey_traces(request: Any) -> Survey:
    spans = 0
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            spans += len(scope.spans)
    return _of_one_table("otel_traces", spans)


def _survey_logs(request: Any) -> Survey:
    records = 0
    for resource in request.resource_logs:
        for scope in resource.scope_logs:
            records += len(scope.log_records)
    return _of_one_table("otel_logs", records)


@lru_cache(1024)
def _of_one_table(table: str, records: int) -> Survey:
    """Return the survey of a request of so many records; they are few different ones, and never changed."""
    return Survey({table: records} if records else {})


METRIC_TABLES = {
    "gauge": "otel_metrics_gauge",
    "sum": "otel_metrics_sum",
    "summary": "otel_metrics_summary",
    "histogram": "otel_metrics_histogram",
    "exponential_histogram": "otel_metrics_exp_histogram",
}


def _survey_metrics(request: Any) -> Survey:
    points: Counter[str] = Counter()
    untyped = 0
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                data = metric.WhichOneof("data")
                if data is None:
                    untyped += 1
                else:
                    points[METRIC_TABLES[data]] += len(getattr(metric, data).data_points)
    return Survey({table: count for table, count in points.items() if count}, untyped)


KINDS: Mapping[Signal, Kind] = {
    Signal.TRACES: Kind(
        service="opentelemetry.proto.collector.trace.v1.TraceService",
        request=ExportTraceServiceRequest,
        response=ExportTraceServiceResponse,
        rejected_field="rejected_spans",
        records="spans",
        survey=_survey_traces,
        sketch=sketch(ExportTraceServiceRequest),
        outline=outline(ExportTraceServiceRequest),
    ),
    Signal.LOGS: Kind(
        service="opentelemetry.proto.collector.logs.v1.LogsService",
        request=ExportLogsServiceRequest,
        response=ExportLogsServiceResponse,
        rejected_field="rejected_log_records",
        records="log records",
        survey=_survey_logs,
        sketch=sketch(ExportLogsServiceRequest),
        outline=outline(ExportLogsServiceRequest),
    ),
    Signal.METRICS: Kind(
        service="opentelemetry.proto.collector.metrics.v1.MetricsService",
        request=ExportMetricsServiceRequest,
        response=ExportMetricsServiceResponse,
        rejected_field="rejected_data_points",
        records="data points",
        survey=_survey_metrics,
        # Metrics are a few hundred bytes a minute, in many kinds of record.
        sketch=ExportMetricsServiceRequest,
        outline=ExportMetricsServiceRequest,
    ),
}


def response(signal: Signal, rejected: int, message: str) -> Message:
    """Build the Export response: full success leaves partial_success unset."""
    kind = KINDS[signal]
    built: Any = kind.response()
    if rejected or message:
        setattr(built.partial_success, kind.rejected_field, rejected)
        built.partial_success.error_message = message
    return built  # type: ignore[no-any-return]
