"""OTLP/JSON to OTLP Protobuf: every rule of the encoding, and each value that breaks it."""

import base64
import json
import math
from pathlib import Path

import orjson
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otlp.json_encoding import Decoded, decode
from tests.json_requests import find, log, logs, metric, metrics, oracle, run, span, why_log

CAPTURES = sorted((Path(__file__).parent / "data/captures/session-http-json").glob("*.json"))


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
    """Characters that are not base64 are not skipped."""
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
    """snake_case is an unknown field; unknown fields are ignored with any content."""
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
    """A value is of one kind; the parser does not choose one."""
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
