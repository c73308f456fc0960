"""The survey: well-formed or refused, counted by table, and the responses of the three signals."""

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from otlp.signals import KINDS, Signal, Survey, response, survey
from otlp.status import Reason, Rejected


def test_spans_are_counted_over_all_resources_and_scopes() -> None:
    """Every span makes a row, in any scope; empty scopes make none."""
    request = ExportTraceServiceRequest()
    for spans in (2, 0, 3):
        resource = request.resource_spans.add()
        for _ in range(spans):
            resource.scope_spans.add().spans.add(name="span")
    assert survey(Signal.TRACES, request.SerializeToString()) == Survey({"otel_traces": 5})


def test_log_records_are_counted() -> None:
    """Every log record makes a row."""
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for _ in range(4):
        records.add()
    assert survey(Signal.LOGS, request.SerializeToString()) == Survey({"otel_logs": 4})


def test_data_points_are_counted_by_the_table_of_their_metric() -> None:
    """Every kind of metric has its table; a metric without points needs none."""
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    for kind, points in (
        ("gauge", 1), ("sum", 2), ("summary", 3), ("histogram", 4), ("exponential_histogram", 5), ("sum", 6),
    ):  # fmt: skip
        metric = metrics.add(name=kind)
        for _ in range(points):
            getattr(metric, kind).data_points.add()
    metrics.add(name="no points").gauge.SetInParent()
    found = survey(Signal.METRICS, request.SerializeToString())
    assert found == Survey(
        {
            "otel_metrics_gauge": 1,
            "otel_metrics_sum": 8,
            "otel_metrics_summary": 3,
            "otel_metrics_histogram": 4,
            "otel_metrics_exp_histogram": 5,
        }
    )
    assert found.records == 21


def test_a_metric_without_a_type_is_counted_apart() -> None:
    """It makes no row, and its neighbours do."""
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    metrics.add(name="untyped")
    metrics.add(name="typed").gauge.data_points.add(as_int=1)
    metrics.add(name="untyped too")
    assert survey(Signal.METRICS, request.SerializeToString()) == Survey({"otel_metrics_gauge": 1}, 2)


@pytest.mark.parametrize("signal", list(Signal))
def test_an_empty_request_is_well_formed_and_holds_nothing(signal: Signal) -> None:
    """A body of no bytes is a message with no fields."""
    assert survey(signal, b"") == Survey({})


@pytest.mark.parametrize("signal", list(Signal))
@pytest.mark.parametrize("body", [b"\xff", b"\x0a\x05abc", b"hunter2 is not protobuf", b"{}"])
def test_what_is_not_protobuf_is_rejected_by_the_message_s_name(signal: Signal, body: bytes) -> None:
    """A malformed body is never to be sent again, and the answer says nothing of it."""
    with pytest.raises(Rejected) as caught:
        survey(signal, body)
    assert caught.value.reason is Reason.MALFORMED
    assert KINDS[signal].request.DESCRIPTOR.name in caught.value.message
    assert "hunter2" not in caught.value.message
    assert caught.value.__cause__ is None


def test_a_name_that_is_not_utf8_is_rejected() -> None:
    """Proto3 strings are UTF-8; the generated classes check a request for it."""
    body = ExportTraceServiceRequest()
    body.resource_spans.add().scope_spans.add().spans.add(name="AB")
    with pytest.raises(Rejected):
        survey(Signal.TRACES, body.SerializeToString().replace(b"AB", b"\xff\xfe"))


@pytest.mark.parametrize("signal", list(Signal))
def test_full_success_leaves_partial_success_unset(signal: Signal) -> None:
    """The specification wants an empty message then."""
    assert response(signal, 0, "").SerializeToString() == b""


def test_a_partial_success_counts_in_the_signal_s_own_field() -> None:
    """Each signal's response calls its records by their name."""
    traces, logs, metrics = (response(signal, 3, "why") for signal in Signal)
    assert isinstance(traces, ExportTraceServiceResponse)
    assert traces.partial_success.rejected_spans == 3
    assert logs.partial_success.rejected_log_records == 3
    assert metrics.partial_success.rejected_data_points == 3
    assert [made.partial_success.error_message for made in (traces, logs, metrics)] == ["why"] * 3


def test_a_warning_without_refusals_is_carried() -> None:
    """A message alone is a warning, which the specification allows."""
    assert response(Signal.LOGS, 0, "slow down").partial_success.error_message == "slow down"
