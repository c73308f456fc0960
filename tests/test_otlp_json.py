"""OTLP/JSON to OTLP Protobuf: every rule of the encoding, each wrong field, and hostile input."""

import base64
import contextlib
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from receiver.otlp_json import Decoded, MalformedJson, decode, encode_response

REQUESTS: dict[str, Any] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}
CAPTURES = sorted((Path(__file__).parent / "data/captures/session-http-json").glob("*.json"))
IDS = {"traceId", "spanId", "parentSpanId"}


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


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_a_captured_request_is_what_protobuf_would_read(path: Path) -> None:
    """Claude Code's own requests come out as Protobuf's JSON parser reads them, and whole."""
    signal = path.stem.partition("-")[2]
    request, decoded = run(signal, orjson.loads(path.read_bytes()))
    assert request == oracle(signal, orjson.loads(path.read_bytes()))
    holder = {"traces": "spans", "logs": "logRecords", "metrics": "dataPoints"}[signal]
    expected = sum(map(len, find(orjson.loads(path.read_bytes()), holder)))
    assert decoded == Decoded(decoded.body, records=expected, refused=0, message="")
    assert expected > 0


def find(value: Any, name: str) -> list[list[Any]]:
    if isinstance(value, list):
        return [found for one in value for found in find(one, name)]
    if isinstance(value, dict):
        below = [found for one in value.values() for found in find(one, name)]
        return below + ([value[name]] if name in value else [])
    return []


# The rules of the encoding.


def test_ids_are_hex_of_either_case() -> None:
    """traceId, spanId and parentSpanId are hex, in spans, links, log records and exemplars."""
    ids = {"traceId": "0123456789ABCDEF0123456789abcdef", "spanId": "eEe19b7ec3c1b174"}
    trace_id, span_id = bytes.fromhex(ids["traceId"]), bytes.fromhex(ids["spanId"])
    found = span({**ids, "parentSpanId": ids["spanId"], "links": [ids]})
    assert (found.trace_id, found.span_id, found.parent_span_id) == (trace_id, span_id, span_id)
    assert (found.links[0].trace_id, found.links[0].span_id) == (trace_id, span_id)
    assert (log(ids).trace_id, log(ids).span_id) == (trace_id, span_id)
    exemplar = metric({"gauge": {"dataPoints": [{"exemplars": [ids]}]}}).gauge.data_points[0].exemplars[0]
    assert (exemplar.trace_id, exemplar.span_id) == (trace_id, span_id)


@pytest.mark.parametrize("wrong", ["abc", "zz", "AAE=", "01 23", "\u0660\u0661", "0x12", 12, ["ab"], {}])
def test_an_id_that_is_not_hex_is_wrong(wrong: object) -> None:
    """Base64, spaces, odd lengths and other types are no ids."""
    assert why_log({"traceId": wrong}).startswith(".traceId: expected ")


@pytest.mark.parametrize("text", ["+/8A", "-_8A", "+/8", "-_8", "-_8=", ""])
def test_bytes_values_are_base64(text: str) -> None:
    """Bytes are base64, standard or URL-safe, padded or not."""
    expected = base64.urlsafe_b64decode(text.replace("+", "-").replace("/", "_") + "=" * (-len(text) % 4))
    assert log({"body": {"bytesValue": text}}).body == AnyValue(bytes_value=expected)


@pytest.mark.parametrize("wrong", ["!!!!", "a", "a=aa", "é", 1, []])
def test_a_bytes_value_that_is_not_base64_is_wrong(wrong: object) -> None:
    """What is not base64 is not skipped over."""
    assert why_log({"body": {"bytesValue": wrong}}).startswith(".body.bytesValue: expected ")


def test_enums_are_integers() -> None:
    """Known and unknown numbers pass, integral floats too."""
    assert [log({"severityNumber": number}).severity_number for number in (9, 9.0, 77, -1)] == [9, 9, 77, -1]


@pytest.mark.parametrize("wrong", ["SEVERITY_NUMBER_INFO", "9", 9.5, 2**31, True, {}])
def test_an_enum_name_is_wrong(wrong: object) -> None:
    """Names of enum values are not allowed, nor numbers in strings."""
    assert why_log({"severityNumber": wrong}).startswith(".severityNumber: expected ")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("1795313886525000001", 1795313886525000001),
        (1795313886525000001, 1795313886525000001),
        (1.0, 1),
        (1e3, 1000),
        ("1e3", 1000),
        ("10.50e1", 105),
        ("9007199254740993.0", 9007199254740993),
        (2**64 - 1, 2**64 - 1),
        (str(2**64 - 1), 2**64 - 1),
        (-0.0, 0),
        ("-0", 0),
    ],
)
def test_integers_are_numbers_or_decimal_strings(sent: object, expected: int) -> None:
    """A 64-bit integer is a string or a number, exact, and integral however it is written."""
    assert log({"timeUnixNano": sent}).time_unix_nano == expected


@pytest.mark.parametrize(
    "wrong",
    [
        -1,
        "-1",
        2**64,
        str(2**64),
        0.5,
        "0.5",
        "",
        " 1",
        "1 ",
        "0x1",
        "1_0",
        "\u0661",
        "NaN",
        "1e999999999",
        "1e-1",
        "9" * 5000,
        "1e9999",
        1e300,
        True,
        [],
        {},
    ],
)
def test_an_integer_out_of_range_or_form_is_wrong(wrong: object) -> None:
    """Nothing is rounded, clipped or guessed."""
    assert why_log({"timeUnixNano": wrong}).startswith(".timeUnixNano: expected an integer of 0 to 1844")


def test_signed_integers_hold_their_whole_range() -> None:
    """An intValue holds both ends of int64, and not one more."""
    for edge in (-(2**63), 2**63 - 1):
        assert log({"body": {"intValue": edge}}).body.int_value == edge
        assert log({"body": {"intValue": str(edge)}}).body.int_value == edge
    for beyond in (-(2**63) - 1, 2**63):
        assert why_log({"body": {"intValue": beyond}}).startswith(".body.intValue: expected an integer")
        assert why_log({"body": {"intValue": str(beyond)}}).startswith(".body.intValue: expected an integer")
    assert why_log({"flags": 2**32}).startswith(".flags: expected an integer of 0 to 4294967295")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [(1.5, 1.5), (2, 2.0), ("1.5e3", 1500.0), ("-Infinity", -math.inf), ("Infinity", math.inf), ("1", 1.0)],
)
def test_doubles_are_numbers_or_strings(sent: object, expected: float) -> None:
    """A double is a number, a decimal string, or one of the three that JSON cannot write."""
    assert log({"body": {"doubleValue": sent}}).body == AnyValue(double_value=expected)


def test_a_double_may_be_nan() -> None:
    """NaN is written as a string."""
    assert math.isnan(log({"body": {"doubleValue": "NaN"}}).body.double_value)


@pytest.mark.parametrize("wrong", ["nan", "inf", "-NaN", "1e400", "", " 1", "1_0", "0x1p3", True, {}, []])
def test_a_double_of_another_form_is_wrong(wrong: object) -> None:
    """Python's own float syntax is not JSON's; an empty object is what one real client sends."""
    assert why_log({"body": {"doubleValue": wrong}}).startswith(".body.doubleValue: expected a number")


@pytest.mark.parametrize("wrong", ["true", 1, 0, [], {}])
def test_a_bool_is_true_or_false(wrong: object) -> None:
    """No other value is a bool."""
    assert log({"body": {"boolValue": False}}).body == AnyValue(bool_value=False)
    assert why_log({"body": {"boolValue": wrong}}) == ".body.boolValue: expected true or false"


@pytest.mark.parametrize("wrong", [1, 1.5, True, [], {}])
def test_a_string_is_a_string(wrong: object) -> None:
    """Numbers are not turned into strings."""
    assert log({"body": {"stringValue": ""}}).body == AnyValue(string_value="")
    assert why_log({"body": {"stringValue": wrong}}) == ".body.stringValue: expected a string"


def test_names_are_lower_camel_case_only_and_unknown_names_are_ignored() -> None:
    """snake_case is an unknown field; unknown fields are ignored, whatever they hold."""
    sent = {"event_name": 5, "time_unix_nano": [], "new": {"deep": [[]]}, "eventName": "kept"}
    assert log(sent) == LogRecord(event_name="kept")
    request, decoded = run("logs", {**logs({}), "resource_logs": 5, "more": {}})
    assert (decoded.records, decoded.refused, len(request.resource_logs)) == (1, 0, 1)


def test_null_is_absent() -> None:
    """A field that is null is as one not sent, at every level."""
    sent = {
        "body": None,
        "attributes": None,
        "timeUnixNano": None,
        "severityNumber": None,
        "eventName": "kept",
    }
    assert log(sent) == LogRecord(event_name="kept")
    assert log({"body": {"stringValue": None, "intValue": 1}}).body == AnyValue(int_value=1)
    request, decoded = run("logs", {"resourceLogs": [{"resource": None, "scopeLogs": None}]})
    assert (decoded.records, decoded.refused, len(request.resource_logs)) == (0, 0, 1)
    assert decode("logs", b'{"resourceLogs":null}') == Decoded(b"", 0, 0, "")


def test_null_is_no_element() -> None:
    """A list's element has no name to be absent under, so null is wrong there."""
    assert why_log({"attributes": [None]}) == ".attributes[0]: expected an object"
    assert why_log(None) == ": expected an object"


def test_an_empty_any_value_is_an_absent_value() -> None:
    """{} is a value of no kind, in attributes, bodies and arrays."""
    sent = {"body": {}, "attributes": [{"key": "k", "value": {}}, {"key": "l"}]}
    assert log(sent).body.WhichOneof("value") is None
    assert [one.value.WhichOneof("value") for one in log(sent).attributes] == [None, None]
    assert log({"body": {"arrayValue": {"values": [{}]}}}).body.array_value.values == [AnyValue()]


def test_two_values_of_a_oneof_are_wrong() -> None:
    """A value is of one kind; we do not choose which."""
    assert why_log({"body": {"stringValue": "a", "intValue": 1}}).startswith(
        ".body: expected one of stringValue"
    )
    request, decoded = run(
        "metrics", metrics({"gauge": {"dataPoints": [{}, {}]}, "sum": {"dataPoints": [{}]}})
    )
    assert (decoded.records, decoded.refused) == (0, 3)
    assert not request.resource_metrics[0].scope_metrics[0].metrics


def test_a_duplicate_key_is_the_last_one() -> None:
    """As most JSON parsers have it."""
    text = json.dumps(logs({"eventName": "x"})).replace('"eventName"', '"eventName": "first", "eventName"')
    request = ExportLogsServiceRequest.FromString(decode("logs", text.encode()).body)
    assert request.resource_logs[0].scope_logs[0].log_records[0].event_name == "x"


# What a wrong field refuses.


def test_a_wrong_event_or_link_refuses_its_span() -> None:
    """An event or link is part of its span."""
    request, decoded = run(
        "traces",
        traces({"name": "a", "events": [{}, {"name": 1}]}, {"links": [{"flags": -1}]}, {"name": "c"}),
    )
    assert [one.name for one in request.resource_spans[0].scope_spans[0].spans] == ["c"]
    assert (decoded.records, decoded.refused) == (1, 2)
    assert decoded.message == (
        "resourceSpans[0].scopeSpans[0].spans[0].events[1].name: expected a string; "
        "resourceSpans[0].scopeSpans[0].spans[1].links[0].flags: "
        "expected an integer of 0 to 4294967295, as a number or a decimal string"
    )


def test_a_wrong_exemplar_refuses_its_data_point() -> None:
    """And no other data point of the metric."""
    points = [{"asInt": "1"}, {"exemplars": [{"asInt": "x"}]}, {"asDouble": 2}]
    request, decoded = run(
        "metrics", metrics({"name": "m", "sum": {"dataPoints": points, "isMonotonic": True}})
    )
    found = request.resource_metrics[0].scope_metrics[0].metrics[0]
    assert (decoded.records, decoded.refused, found.name, found.sum.is_monotonic) == (2, 1, "m", True)
    assert [one.WhichOneof("value") for one in found.sum.data_points] == ["as_int", "as_double"]


@pytest.mark.parametrize("wrong", [{"name": 1}, {"unit": []}, {"metadata": {}}, {"metadata": [{"key": 1}]}])
def test_a_wrong_field_of_a_metric_refuses_its_data_points(wrong: dict[str, Any]) -> None:
    """All of them, and at least one is counted; other metrics are kept."""
    gauge = {"gauge": {"dataPoints": [{}, {}, {}]}}
    request, decoded = run("metrics", metrics({**gauge, **wrong}, {"name": "good", **gauge}, wrong))
    assert [one.name for one in request.resource_metrics[0].scope_metrics[0].metrics] == ["good"]
    assert (decoded.records, decoded.refused) == (3, 4)


def test_a_wrong_field_of_the_metrics_data_refuses_its_data_points() -> None:
    """A temporality by name makes the whole sum unreadable."""
    sent = {"sum": {"aggregationTemporality": "DELTA", "dataPoints": [{}, {}]}}
    _, decoded = run("metrics", metrics(sent, {"histogram": []}))
    assert (decoded.records, decoded.refused) == (0, 3)
    assert "metrics[0].sum.aggregationTemporality: expected an enum's number" in decoded.message


@pytest.mark.parametrize("wrong", [[], {"attributes": 1}, {"attributes": [{"value": {"intValue": "x"}}]}])
def test_a_wrong_resource_refuses_all_below_it(wrong: object) -> None:
    """Its records cannot be told whose they are; other resources keep theirs."""
    bad = {"resource": wrong, "scopeSpans": [{"spans": [{}, {}]}, {"spans": [{}]}, {}]}
    request, decoded = run("traces", {"resourceSpans": [bad, *traces({})["resourceSpans"]]})
    assert (decoded.records, decoded.refused, len(request.resource_spans)) == (1, 3, 1)
    assert decoded.message.startswith("resourceSpans[0].resource")


def test_a_wrong_scope_refuses_all_below_it() -> None:
    """A scope's records go with it, its neighbours stay."""
    sent = {
        "resourceLogs": [
            {"scopeLogs": [{"scope": {"name": 1}, "logRecords": [{}, {}]}, {"logRecords": [{}]}]}
        ]
    }
    _, decoded = run("logs", sent)
    assert (decoded.records, decoded.refused) == (1, 2)
    assert decoded.message == "resourceLogs[0].scopeLogs[0].scope.name: expected a string"


@pytest.mark.parametrize("wrong", ["x", 1, {}, True])
def test_a_holder_that_is_no_array_counts_as_one(wrong: object) -> None:
    """What cannot be counted is counted once."""
    sent = {
        "resourceSpans": [
            {"scopeSpans": wrong},
            {"scopeSpans": [{"spans": wrong}]},
            *traces({})["resourceSpans"],
        ]
    }
    _, decoded = run("traces", sent)
    assert (decoded.records, decoded.refused) == (1, 2)
    assert decoded.message == (
        "resourceSpans[0].scopeSpans: expected an array; "
        "resourceSpans[1].scopeSpans[0].spans: expected an array"
    )


def test_an_element_that_is_no_object_counts_as_one() -> None:
    """At every level that holds records."""
    _, decoded = run("traces", {"resourceSpans": [1, {"scopeSpans": ["x", {"spans": [[], {}]}]}]})
    assert (decoded.records, decoded.refused) == (1, 3)


def test_the_message_is_short_and_holds_nothing_of_the_client() -> None:
    """The first few reasons, by schema names and indexes only."""
    secret = "hunter2"
    wrong = {secret: secret, "attributes": [{"key": secret, "value": {"stringValue": [secret], secret: 1}}]}
    _, decoded = run("traces", traces(*[wrong] * 50, {"traceId": secret, "kind": secret}))
    assert decoded.refused == 51
    assert secret not in decoded.message
    assert len(decoded.message) <= 300
    assert decoded.message.startswith(
        "resourceSpans[0].scopeSpans[0].spans[0].attributes[0].value.stringValue: expected a string; "
    )


# Hostile input.


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b"1",
        b'"x"',
        b"{",
        b"{}{}",
        b"\xff",
        b'{"a":"\xc3"}',
        b"\xef\xbb\xbf{}",
        b"NaN",
        b'{"resourceLogs":[{"a":NaN}]}',
        b'{"a":1e400}',
        b'{"a":Infinity}',
        b'{"a":"\\ud800"}',
        b"{'a':1}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"resourceLogs":"x"}',
        b'{"resourceLogs":{}}',
        b'{"resourceLogs":0}',
        b'{"resourceLogs":false}',
        b'{"resourceLogs":""}',
    ],
    ids=lambda text: repr(text[:20]),
)
def test_what_is_not_a_request_is_malformed(text: bytes) -> None:
    """Nothing of it can be told apart, so all of it is refused, without a word of it in the error."""
    with pytest.raises(
        MalformedJson, match=re.compile(r"^(the body is not|resourceLogs: expected an array)")
    ) as why:
        decode("logs", text)
    assert why.value.__suppress_context__ or why.value.__context__ is None


@pytest.mark.parametrize("signal", REQUESTS)
def test_an_empty_request_has_no_records(signal: Any) -> None:
    """{} is a request."""
    assert decode(signal, b"{}") == Decoded(body=b"", records=0, refused=0, message="")


def in_array(value: dict[str, Any]) -> dict[str, Any]:
    return {"arrayValue": {"values": [value]}}


def in_map(value: dict[str, Any]) -> dict[str, Any]:
    return {"kvlistValue": {"values": [{"key": "k", "value": value}]}}


@pytest.mark.parametrize(("wrap", "deepest"), [(in_array, 41), (in_map, 27)])
def test_nesting_is_bounded_by_what_protobuf_reads(
    wrap: Callable[[dict[str, Any]], dict[str, Any]], deepest: int
) -> None:
    """The deepest value that we take can be read by any parser; a deeper one refuses its record."""
    value: dict[str, Any] = {"stringValue": "x"}
    for levels in range(1, 200):
        value = wrap(value)
        request, decoded = run(
            "traces", traces({"events": [{"attributes": [{"value": value}]}]}, {"name": "good"})
        )
        if levels <= deepest:
            assert (decoded.records, decoded.refused) == (2, 0)
        else:
            assert [one.name for one in request.resource_spans[0].scope_spans[0].spans] == ["good"]
            assert decoded.refused == 1
            assert decoded.message.endswith("...: expected at most 90 nested messages")


def test_unknown_fields_may_nest_as_deep_as_json_may() -> None:
    """What is ignored is not walked."""
    assert decode("logs", b'{"a":' + b"[" * 1000 + b"]" * 1000 + b"}").refused == 0


@pytest.mark.parametrize("signal", REQUESTS)
@given(text=st.binary(max_size=200))
def test_arbitrary_bytes_are_malformed_or_a_request(signal: Any, text: bytes) -> None:
    """No other error exists."""
    with contextlib.suppress(MalformedJson):
        decode(signal, text)


# Arbitrary messages: a generator and an encoder that share nothing with the decoder.

INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.CPPTYPE_ENUM: st.integers(-(2**31), 2**31 - 1),
}


def fill(draw: st.DrawFn, message: Any, depth: int = 0) -> None:
    for field in message.DESCRIPTOR.fields:
        is_message = field.message_type is not None
        goes_down = is_message and any(
            name in field.name for name in ("resource", "scope", "spans", "log_rec")
        )
        if (is_message and depth > 8) or not (goes_down or draw(st.integers(0, 2)) == 0):
            continue
        if is_message:
            if field.is_repeated:
                for _ in range(draw(st.integers(1 if goes_down else 0, 2))):
                    fill(draw, getattr(message, field.name).add(), depth + 1)
            else:
                getattr(message, field.name).SetInParent()
                fill(draw, getattr(message, field.name), depth + 1)
        elif field.is_repeated:
            getattr(message, field.name).extend(draw(st.lists(scalar(field), max_size=3)))
        else:
            setattr(message, field.name, draw(scalar(field)))


def scalar(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.type == FieldDescriptor.TYPE_STRING:
        return st.text(max_size=5)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=16)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return st.booleans()
    if field.type == FieldDescriptor.TYPE_DOUBLE:
        return st.floats(allow_nan=False)
    return INTEGERS[field.cpp_type]


def to_json(draw: st.DrawFn, message: Message) -> dict[str, Any]:
    out: dict[str, Any] = {"unknownField": [{}]} if draw(st.booleans()) else {}
    for field, value in message.ListFields():
        each = [one_to_json(draw, field, one) for one in (value if field.is_repeated else [value])]
        out[field.json_name] = each if field.is_repeated else each[0]
    return out


def one_to_json(draw: st.DrawFn, field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is not None:
        return to_json(draw, value)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return value.hex() if field.json_name in IDS else base64.b64encode(value).decode()
    if field.type == FieldDescriptor.TYPE_DOUBLE and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if field.cpp_type in INTEGERS and field.type != FieldDescriptor.TYPE_ENUM and draw(st.booleans()):
        return str(value)
    return value


@pytest.mark.parametrize("signal", REQUESTS)
@settings(suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_message_survives(signal: Any, data: st.DataObject) -> None:
    """Whatever OTLP can say in Protobuf, it can say to us in JSON: all fields of all messages, exactly."""

    @st.composite
    def both(draw: st.DrawFn) -> tuple[Any, Any]:
        message = REQUESTS[signal]()
        fill(draw, message)
        return message, to_json(draw, message)

    message, request = data.draw(both())
    decoded = decode(signal, orjson.dumps(request))
    assert REQUESTS[signal].FromString(decoded.body) == message
    assert (decoded.refused, decoded.message) == (0, "")


NAMES = sorted(
    {"resourceLogs", "scopeLogs", "logRecords", "resourceSpans", "scopeSpans", "spans", "resourceMetrics"}
    | {
        "scopeMetrics",
        "metrics",
        "sum",
        "gauge",
        "dataPoints",
        "attributes",
        "value",
        "key",
        "intValue",
        "body",
    }
    | {
        "stringValue",
        "arrayValue",
        "values",
        "resource",
        "traceId",
        "kind",
        "doubleValue",
        "bytesValue",
        "events",
    }
)
ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=5),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.sampled_from(NAMES), below, max_size=4),
    max_leaves=30,
)


@pytest.mark.parametrize("signal", REQUESTS)
@given(value=ANY_JSON, where=st.integers(0, 6))
def test_arbitrary_json_is_malformed_or_a_request(signal: Any, value: Any, where: int) -> None:
    """Any value anywhere is taken, refused and counted, or malformed; what is taken can be read."""
    names = {
        "traces": ["resourceSpans", "scopeSpans", "spans", "attributes", "value"],
        "logs": ["resourceLogs", "scopeLogs", "logRecords", "attributes", "value"],
        "metrics": ["resourceMetrics", "scopeMetrics", "metrics", "gauge", "dataPoints"],
    }[signal]
    for name in reversed(names[:where]):
        value = {name: value if name in {"value", "gauge"} else [value]}
    try:
        decoded = decode(signal, orjson.dumps(value))
    except MalformedJson:
        return
    holder = {"traces": "spans", "logs": "logRecords", "metrics": "dataPoints"}[signal]
    kept = json_format.MessageToDict(REQUESTS[signal].FromString(decoded.body))
    assert sum(map(len, find(kept, holder))) == decoded.records
    assert (decoded.refused > 0) == (decoded.message != "")


# Responses.


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
