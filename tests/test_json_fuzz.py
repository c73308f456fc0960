"""OTLP/JSON at random: every message survives, and arbitrary input is malformed or a request."""

import base64
import contextlib
import math
from typing import Any

import orjson
import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otlp.json_encoding import MalformedJson, decode
from tests.json_requests import IDS, REQUESTS, find, logs, run


@pytest.mark.parametrize("signal", REQUESTS)
@given(text=st.binary(max_size=200))
def test_arbitrary_bytes_are_malformed_or_a_request(signal: Any, text: bytes) -> None:
    """No other error exists."""
    with contextlib.suppress(MalformedJson):
        decode(signal, text)


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
    """Every OTLP message in Protobuf can also be sent in JSON: all fields of all messages, exactly."""

    @st.composite
    def both(draw: st.DrawFn) -> tuple[Any, Any]:
        message = REQUESTS[signal]()
        fill(draw, message)
        return message, to_json(draw, message)

    message, request = data.draw(both())
    decoded = decode(signal, orjson.dumps(request))
    assert REQUESTS[signal].FromString(decoded.body) == message
    # A part with nothing but unknown fields is warned of; nothing else is said.
    assert (decoded.refused, decoded.message != "", dict(decoded.repairs)) == (0, decoded.unknown > 0, {})


EDGES = [size + near for size in (0, 127, 512, 16_384) for near in (-2, -1, 0, 1)]
"""Around the sizes at which lengths get another byte, and other ways begin."""
TEXTS = [letter * size for letter in ("a", "\u00e9", "\u20ac") for size in EDGES if size >= 0]
NUMBERS = [
    str(sign * (2**power + near))
    for sign in (1, -1)
    for power in (0, 7, 10, 14, 17, 21, 28, 35, 56, 62)
    for near in (-1, 0, 1)
]
VALUES: list[dict[str, Any]] = [
    *({"stringValue": text} for text in TEXTS),
    *({"intValue": number} for number in NUMBERS),
    *({"doubleValue": number} for number in (0.0, -0.0, 1.5, 1e308, 5e-324)),
    *({"boolValue": said} for said in (True, False)),
    {"arrayValue": {"values": [{"stringValue": TEXTS[-1]}, {"intValue": "1"}]}},
    {},
]


@pytest.mark.parametrize("key", ["", *(text for text in TEXTS if len(text) < 600)])
def test_attributes_of_every_length_are_what_protobuf_would_read(key: str) -> None:
    """Lengths, numbers and kinds around every edge, in one array, so that one wrong length breaks those behind it."""
    request = logs({"attributes": [{"key": key, "value": value} for value in VALUES]})
    found, decoded = run("logs", request)
    assert found == json_format.ParseDict(request, REQUESTS["logs"]())
    assert (decoded.records, decoded.refused, decoded.message) == (1, 0, "")


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
    """Any value anywhere is taken, refused and counted, or malformed; accepted values can be read."""
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
    told = decoded.refused or decoded.unknown or decoded.repairs
    assert bool(told) == (decoded.message != "")
