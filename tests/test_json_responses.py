"""Responses in OTLP/JSON: success, partial success, warnings, statuses."""

import orjson
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceResponse,
)

from otlp.json_encoding import encode_response


def test_a_full_success_is_an_empty_object() -> None:
    """No partialSuccess is set."""
    assert encode_response(ExportTraceServiceResponse()) == b"{}"


def test_a_partial_success_counts_in_a_string() -> None:
    """A count is an int64, which JSON carries as a string."""
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = 3
    response.partial_success.error_message = "why"
    assert encode_response(response) == b'{"partialSuccess":{"rejectedSpans":"3","errorMessage":"why"}}'


def test_a_warning_has_a_message_only() -> None:
    """Nothing rejected, something said."""
    response = ExportTraceServiceResponse()
    response.partial_success.error_message = "why"
    assert encode_response(response) == b'{"partialSuccess":{"errorMessage":"why"}}'


def test_a_status_is_lower_camel_case_with_its_details() -> None:
    """google.rpc.Status, RetryInfo included."""
    status = status_pb2.Status(code=14, message="busy")
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromSeconds(5)
    status.details.add().Pack(retry)
    assert orjson.loads(encode_response(status)) == {
        "code": 14,
        "message": "busy",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "5s"}],
    }
