"""Repairs: whatever is wrong with one record, at whatever place, all the others are kept as they were sent."""

import json
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickhouse.varint import varint
from otlp.json_encoding import decode, encode_request
from otlp.repairs import TOO_DEEP
from otlp.signals import KINDS, Signal, survey
from otlp.status import Rejected
from receiver.request_repair import repaired, unknown_field

RECORDS = {
    Signal.TRACES: ("resource_spans", "scope_spans", "spans"),
    Signal.LOGS: ("resource_logs", "scope_logs", "log_records"),
    Signal.METRICS: ("resource_metrics", "scope_metrics", "metrics"),
}
PLACE = "PLACE"
"""Stands in a text where the fault will be; as long as what takes its place in protobuf."""
NOT_UTF8 = [b"\xff\xfe\xfd\xc3(", b"caf\xe9!", b"\xed\xa0\xbdxy", b"abcd\xf0", b"\x80\x80\x80\x80\x80"]


def attribute(request: Any, key: str, text: str) -> None:
    request.add(key=key).value.string_value = text


def records_of(signal: Signal, request: Any) -> Iterator[Any]:
    resources, scopes, records = RECORDS[signal]
    for resource in getattr(request, resources):
        for scope in getattr(resource, scopes):
            yield from getattr(scope, records)


def a_request(signal: Signal, shares: list[list[int]]) -> Any:
    """Make a request with so many records in each scope of each resource; metrics have a point of each kind."""
    request = KINDS[signal].request()
    resources, scopes, records = RECORDS[signal]
    count = 0
    for resource_shares in shares:
        resource = getattr(request, resources).add()
        attribute(resource.resource.attributes, "service.name", "good")
        for share in resource_shares:
            scope = getattr(resource, scopes).add()
            scope.scope.name = "good"
            for _ in range(share):
                count += 1
                fill(signal, getattr(scope, records).add(), f"record {count}")
    return request


def fill(signal: Signal, record: Any, name: str) -> None:
    if signal is Signal.TRACES:
        record.name = name
        record.trace_state = record.status.message = PLACE
        attribute(record.attributes, PLACE, PLACE)
        event = record.events.add(name=PLACE)
        attribute(event.attributes, "k", PLACE)
        link = record.links.add(trace_state=PLACE)
        attribute(link.attributes, "k", PLACE)
    elif signal is Signal.LOGS:
        record.event_name = name
        record.severity_text = record.body.kvlist_value.values.add(key=PLACE).value.string_value = PLACE
        record.body.kvlist_value.values.add().value.array_value.values.add().string_value = PLACE
        attribute(record.attributes, PLACE, PLACE)
    else:
        record.name = name
        record.description = record.unit = PLACE
        point = record.sum.data_points.add(as_int=1)
        attribute(point.attributes, PLACE, PLACE)
        attribute(point.exemplars.add(as_int=1).filtered_attributes, "k", PLACE)


SHARES = st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=3), min_size=1, max_size=3)


@st.composite
def one_of_many(draw: st.DrawFn) -> tuple[Signal, Any, Any, list[bytes]]:
    """Draw a signal, a request with at least two records, one of them, and the bytes of the others."""
    signal = draw(st.sampled_from(Signal))
    request = a_request(signal, draw(SHARES))
    records = list(records_of(signal, request))
    while len(records) < 2:
        resources, scopes, holder = RECORDS[signal]
        fill(
            signal,
            getattr(getattr(getattr(request, resources)[0], scopes)[0], holder).add(),
            f"more {len(records)}",
        )
        records = list(records_of(signal, request))
    chosen = draw(st.sampled_from(records))
    return signal, request, chosen, [one.SerializeToString() for one in records if one is not chosen]


@settings(max_examples=300)
@given(drawn=one_of_many(), faulty=st.sampled_from(NOT_UTF8), data=st.data())
def test_a_text_that_is_not_utf8_costs_no_record(drawn: Any, faulty: bytes, data: st.DataObject) -> None:
    """At any place of any record: all records are kept, all others to the byte, and one value is counted."""
    signal, request, chosen, others = drawn
    before = chosen.SerializeToString()
    places = [at for at in range(len(before)) if before.startswith(PLACE.encode(), at)]
    at = data.draw(st.sampled_from(places))
    body = replaced(request, before, before[:at] + faulty + before[at + len(PLACE) :])
    found = repaired(signal, body)
    kept = list(records_of(signal, KINDS[signal].request.FromString(found.body)))
    assert (found.refused, found.repairs) == (0, {"invalid_utf8": 1})
    assert len(kept) == len(others) + 1
    assert [one for one in others if one not in {record.SerializeToString() for record in kept}] == []
    assert "not UTF-8" in found.message


@settings(max_examples=300)
@given(drawn=one_of_many(), data=st.data())
def test_bytes_at_random_cost_their_record_at_most(drawn: Any, data: st.DataObject) -> None:
    """A record whose bytes are changed may parse, be repaired or be left out: its neighbours are always there."""
    signal, request, chosen, others = drawn
    before = chosen.SerializeToString()
    at = data.draw(st.integers(0, len(before) - 1))
    noise = data.draw(st.binary(min_size=1, max_size=len(before) - at))
    body = replaced(request, before, before[:at] + noise + before[at + len(noise) :])
    try:
        found = survey(signal, body)
        KINDS[signal].request.FromString(body)
    except Rejected:
        found = None
    except Exception:  # noqa: BLE001  the survey leaves attributes to the full classes
        found = None
    if found is None:
        body = repaired(signal, body).body
    kept = {
        record.SerializeToString() for record in records_of(signal, KINDS[signal].request.FromString(body))
    }
    assert [one for one in others if one not in kept] == []


def replaced(request: Any, before: bytes, after: bytes) -> bytes:
    """Return the request's bytes with one record's bytes in place of others; both are equally long."""
    body: bytes = request.SerializeToString()
    assert len(before) == len(after)
    assert body.count(before) == 1
    return body.replace(before, after)


@pytest.mark.parametrize("signal", Signal)
@pytest.mark.parametrize("levels", [10, 50, 60, 5_000])
def test_a_value_that_is_nested_too_deep_is_cut_off(signal: Signal, levels: int) -> None:
    """Its record is kept, and so are the others; what fits is not touched."""
    request = a_request(signal, [[3]])
    deep = b"\x0a\x01x"
    for _ in range(levels):
        array = b"\x0a" + varint(len(deep)) + deep
        deep = b"\x2a" + varint(len(array)) + array
    record = list(records_of(signal, request))[1]
    holder = record.sum.data_points[0] if signal is Signal.METRICS else record
    holder.attributes.add(key="deep").value.string_value = "SHALLOW"
    body = with_value(request, b"\x0a\x07SHALLOW", deep)
    if levels == 10:
        assert KINDS[signal].request.FromString(body)
        return
    found = repaired(signal, body)
    assert (found.refused, found.repairs) == (0, {"too_deep": 1})
    assert found.body.count(TOO_DEEP.encode()) == 1
    assert found.survey.records == 3
    assert KINDS[signal].request.FromString(found.body)


def with_value(request: Any, before: bytes, after: bytes) -> bytes:
    """Return the request with another value inside one attribute: all lengths around it are written again."""

    def write(message: Any) -> bytes:
        out = b""
        for known, value in message.ListFields():
            for one in value if known.is_repeated else [value]:
                if known.message_type is None:
                    alone = type(message)()
                    if known.is_repeated:
                        getattr(alone, known.name).append(one)
                    else:
                        setattr(alone, known.name, one)
                    out += alone.SerializeToString()
                else:
                    below = write(one)
                    out += varint(known.number << 3 | 2) + varint(len(below)) + below
        return after if out == before else out

    return write(request)


@pytest.mark.parametrize("signal", Signal)
def test_texts_of_resources_scopes_and_schemas_are_repaired(signal: Signal) -> None:
    """They belong to many records, all of which are kept."""
    request = a_request(signal, [[2, 1]])
    resources, scopes, _ = RECORDS[signal]
    resource = getattr(request, resources)[0]
    attribute(resource.resource.attributes, PLACE, PLACE)
    resource.schema_url = PLACE
    scope = getattr(resource, scopes)[0]
    scope.scope.version = scope.schema_url = PLACE
    attribute(scope.scope.attributes, "k", PLACE)
    clean = request.SerializeToString()
    resource.ClearField("schema_url")
    body = clean.replace(PLACE.encode(), NOT_UTF8[0])
    found = repaired(signal, body)
    assert found.survey.records == 3
    assert found.refused == 0
    assert found.repairs == {"invalid_utf8": clean.count(PLACE.encode())}


def test_a_resource_that_is_no_message_takes_its_own_records_only() -> None:
    """Whose they are cannot be told; they are counted, and other resources' are kept."""
    request = a_request(Signal.LOGS, [[2, 1], [1]])
    attribute(request.resource_logs[0].resource.attributes, "bad", "x" * 20)
    body = request.SerializeToString()
    pair = request.resource_logs[0].resource.attributes[1].SerializeToString()
    found = repaired(Signal.LOGS, body.replace(pair, b"\xff" * len(pair)))
    assert (found.refused, found.survey.records) == (3, 1)
    assert found.message == "records that are not well-formed, not stored: 3"


@pytest.mark.parametrize("body", [b"\xff", b"\x0a\x05ab", b"\x0a\x02\x12\x07", b"\x0b\x0c", b"\x00\x01"])
def test_a_request_that_cannot_be_taken_apart_is_refused(body: bytes) -> None:
    """Nothing can be told of its records."""
    with pytest.raises(Rejected):
        repaired(Signal.LOGS, body)


def test_a_request_with_nothing_left_is_refused() -> None:
    """Its one record is no message."""
    with pytest.raises(Rejected):
        repaired(Signal.TRACES, b"\x0a\x07\x12\x05\x12\x03\x2a\xff\xff")


def test_groups_and_unknown_fields_stay_as_they_are() -> None:
    """A repair touches only what is wrong."""
    extra = b"\x9b\x06\x08\x02\x9c\x06\xa0\x06\x01"
    record = b"\x1a\x01\xff" + extra
    body = (
        b"\x0a"
        + bytes([len(record) + 4])
        + b"\x12"
        + bytes([len(record) + 2])
        + b"\x12"
        + bytes([len(record)])
        + record
    )
    assert repaired(Signal.LOGS, body).body.endswith(b"\x1a\x03\xef\xbf\xbd" + extra)


def test_the_first_unknown_field_is_named() -> None:
    """The scopes of before 2022 had another number."""
    spans = b"\xc2\x3e\x04\x12\x02\x2a\x00"
    assert (
        unknown_field(Signal.TRACES, b"\x0a" + bytes([len(spans)]) + spans) == "field 1000 of ResourceSpans"
    )
    assert unknown_field(Signal.TRACES, a_request(Signal.TRACES, [[0]]).SerializeToString()) == ""


JSON_FAULTS = {
    "half a pair": '"\\ud83d"',
    "the other half": '"a\\udc00b"',
    "NaN": "NaN",
    "infinity": "-Infinity",
    "a number too large": "1e400",
    "a long number": "9" * 5_000,
    "bytes": '"\udcff"',
    "a tab": '"a\tb"',
    "nothing": "null",
    "an object": "{}",
    "deep": '{"arrayValue":{"values":[' * 2_000 + "]}}" * 2_000,
}


@pytest.mark.parametrize("fault", JSON_FAULTS.values(), ids=JSON_FAULTS.keys())
@settings(max_examples=40)
@given(drawn=one_of_many(), data=st.data())
def test_a_fault_in_json_costs_its_record_at_most(fault: str, drawn: Any, data: st.DataObject) -> None:
    """In place of any text of one record; all the others are kept to the byte."""
    signal, request, chosen, others = drawn
    text = json.dumps(encode_request(request))
    before = json.dumps(encode_request(chosen))
    places = [at for at in range(len(before)) if before.startswith(f'"{PLACE}"', at)]
    at = data.draw(st.sampled_from(places))
    if before[at + len(PLACE) + 2] == ":" and not fault.startswith('"'):
        return  # a name is always a text
    after = before[:at] + fault + before[at + len(PLACE) + 2 :]
    decoded = decode(signal.value, text.replace(before, after, 1).encode(errors="surrogateescape"))
    kept = {
        record.SerializeToString()
        for record in records_of(signal, KINDS[signal].request.FromString(decoded.body))
    }
    assert [one for one in others if one not in kept] == []
    assert decoded.records + decoded.refused >= len(others) + (signal is not Signal.METRICS)


def test_null_for_a_double_is_nan() -> None:
    """JSON.stringify writes NaN and infinities so; another member of the oneof comes before it."""
    points = [{"asDouble": None}, {"asDouble": None, "asInt": "3"}, {"asInt": None}, {}]
    sent = {
        "resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m", "gauge": {"dataPoints": points}}]}]}]
    }
    decoded = decode("metrics", json.dumps(sent).encode())
    request: Any = KINDS[Signal.METRICS].request.FromString(decoded.body)
    found = request.resource_metrics[0].scope_metrics[0].metrics[0]
    values = [
        (one.WhichOneof("value"), struct.pack("d", one.as_double), one.as_int)
        for one in found.gauge.data_points
    ]
    nan, zero = struct.pack("d", float("nan")), struct.pack("d", 0)
    assert values == [("as_double", nan, 0), ("as_int", zero, 3), (None, zero, 0), (None, zero, 0)]


UNKNOWN: dict[str, Any] = {
    "resource_logs": {"resource_logs": [{"scope_logs": [{"log_records": [{}]}]}]},
    "resourceLogs[0].scope_logs": {"resourceLogs": [{"scope_logs": [{"logRecords": [{}]}]}]},
    "resourceLogs[0].scopeLogs[0].log_records": {"resourceLogs": [{"scopeLogs": [{"log_records": [{}]}]}]},
    "resourceLogs[0].instrumentationLibraryLogs": {
        "resourceLogs": [{"instrumentationLibraryLogs": [{"logs": [{}]}]}]
    },
    "resourceSpans": {"resourceSpans": [{"scopeSpans": [{"spans": [{}]}]}]},
}


@pytest.mark.parametrize(("name", "sent"), UNKNOWN.items(), ids=UNKNOWN)
def test_a_name_that_is_not_known_is_said(name: str, sent: Any) -> None:
    """Nothing is refused, as fields that are not known are ignored; but the client hears which it was."""
    decoded = decode("logs", json.dumps(sent).encode())
    assert (decoded.records, decoded.refused, decoded.unknown) == (0, 0, 1)
    assert decoded.message.startswith(f"{name} is not known here and holds no record")


@pytest.mark.parametrize(
    "sent", [{}, {"resourceLogs": []}, {"resourceLogs": [{"resource": {}, "new": 1, "scopeLogs": []}]}]
)
def test_an_empty_request_is_not_warned_of(sent: Any) -> None:
    """It has nothing to lose."""
    decoded = decode("logs", json.dumps(sent).encode())
    assert (decoded.unknown, decoded.message) == (0, "")
