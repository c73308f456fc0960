"""The three OTLP signals: their messages, and a survey of each request before it is queued.

A survey parses the request (in C), which proves it well-formed but for the inside of its records' attributes, and
counts its records by the table they go to. It walks down to scopes and metrics, never to spans or attributes.

Source: https://github.com/open-telemetry/opentelemetry-proto
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
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

from receiver.outline import outline
from receiver.status import Reason, Rejected


class Signal(StrEnum):
    """An OTLP signal, as its HTTP path spells it."""

    TRACES = "traces"
    LOGS = "logs"
    METRICS = "metrics"


@dataclass(frozen=True, slots=True)
class Survey:
    """What a well-formed request holds: records by target table, and metrics that have no type."""

    tables: Mapping[str, int]
    untyped_metrics: int = 0

    @property
    def records(self) -> int:
        """How many rows the request makes, in all tables."""
        return sum(self.tables.values())


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
    """What its records are called, in messages."""
    survey: Callable[[Any], Survey]
    outline: type[Message]
    """What a request is surveyed as."""


def survey(signal: Signal, body: bytes) -> Survey:
    """Parse the outline of a serialized Export request and count it; `Rejected` when it is malformed."""
    kind = KINDS[signal]
    return kind.survey(_parsed(kind, kind.outline, body))


def canonical(signal: Signal, body: bytes) -> bytes:
    """Write a request anew, each field once: where protobuf lets the last one count, it alone is left.

    `Rejected` when it is malformed, be it inside of its attributes.
    Source: https://protobuf.dev/programming-guides/encoding/#last-one-wins
    """
    kind = KINDS[signal]
    return _parsed(kind, kind.request, body).SerializeToString()


def _parsed(kind: Kind, message: type[Message], body: bytes) -> Message:
    try:
        return message.FromString(body)
    except DecodeError:
        raise Rejected(
            Reason.MALFORMED,
            f"The body is not a well-formed {kind.request.DESCRIPTOR.name} in protobuf encoding. "
            "Check the client's exporter and that nothing on the way changes the body.",
        ) from None


def _survey_traces(request: Any) -> Survey:
    spans = sum(len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans)
    return Survey({"otel_traces": spans} if spans else {})


def _survey_logs(request: Any) -> Survey:
    records = sum(
        len(scope.log_records) for resource in request.resource_logs for scope in resource.scope_logs
    )
    return Survey({"otel_logs": records} if records else {})


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
        outline=outline(ExportTraceServiceRequest),
    ),
    Signal.LOGS: Kind(
        service="opentelemetry.proto.collector.logs.v1.LogsService",
        request=ExportLogsServiceRequest,
        response=ExportLogsServiceResponse,
        rejected_field="rejected_log_records",
        records="log records",
        survey=_survey_logs,
        outline=outline(ExportLogsServiceRequest),
    ),
    Signal.METRICS: Kind(
        service="opentelemetry.proto.collector.metrics.v1.MetricsService",
        request=ExportMetricsServiceRequest,
        response=ExportMetricsServiceResponse,
        rejected_field="rejected_data_points",
        records="data points",
        survey=_survey_metrics,
        # A few hundred bytes a minute, of many kinds of record.
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
