"""Every place of OTLP in which a value can stand is treated alike, whatever the value's kind."""

import pytest
from google.protobuf.message import Message
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from clickhouse.engine import Engine
from otlp.signals import KINDS, METRIC_TABLES, Signal
from privacy.rules import Level, load_rules
from privacy.sanitizer import Sanitizer
from receiver.scrub import Scrub
from receiver.transform import Transform
from tests.requests import surveyed

SECRET = "Xk29fLq0Zm3v"
NUMBER = 73918264


def text(value: str) -> AnyValue:
    return AnyValue(string_value=value)


def array(*values: AnyValue) -> AnyValue:
    return AnyValue(array_value=ArrayValue(values=values))


def pairs(**values: AnyValue) -> AnyValue:
    return AnyValue(
        kvlist_value=KeyValueList(values=[KeyValue(key=key, value=value) for key, value in values.items()])
    )


ATTRIBUTES = {
    "below": pairs(api_key=pairs(of=array(text(SECRET)))),
    "beside": array(pairs(name=text("DB_PASSWORD"), value=text(SECRET))),
    "argv": array(text("run"), text("--password"), text(SECRET)),
    "password": AnyValue(int_value=NUMBER),
    "bytes": AnyValue(bytes_value=f"password={SECRET}".encode()),
    "model": pairs(**{"jane.doe@example.com": text("x"), "token": text(SECRET)}),
}


def fill(message: Message, places: set[str]) -> None:
    """Put the attributes into every list of attributes below a message, and remember its place."""
    for field in message.DESCRIPTOR.fields:
        if field.message_type is None:
            continue
        if field.message_type.full_name.endswith(".KeyValue"):
            for key, value in ATTRIBUTES.items():
                getattr(message, field.name).add(key=key).value.CopyFrom(value)
            places.add(f"{message.DESCRIPTOR.name}.{field.name}")
        elif field.message_type.name == "AnyValue":
            getattr(message, field.name).CopyFrom(pairs(**ATTRIBUTES))
            places.add(f"{message.DESCRIPTOR.name}.{field.name}")
        elif field.containing_oneof is None and field.message_type.name != "EntityRef":
            of = getattr(message, field.name)
            fill(of.add() if field.is_repeated else of, places)


@pytest.mark.parametrize("level", [Level.strict, Level.balanced])
def test_no_place_keeps_what_another_loses(engine: Engine, level: Level) -> None:
    """Resources, scopes, spans, events, links, records, bodies, points of five kinds and their exemplars."""
    rules = load_rules(None, level)
    transform = Transform(engine, rules, Scrub(Sanitizer(rules, None)), "", 90)
    places = set[str]()
    stored: dict[str, bytes] = {}
    for signal, tables in (
        (Signal.TRACES, ["otel_traces"]),
        (Signal.LOGS, ["otel_logs"]),
        (Signal.METRICS, list(METRIC_TABLES.values())),
    ):
        request = KINDS[signal].request()
        fill(request, places)
        if signal is Signal.METRICS:
            metrics = request.resource_metrics[0].scope_metrics[0].metrics
            for kind in METRIC_TABLES:
                points = getattr(metrics.add(), kind).data_points
                fill(points.add(), places)
        for table in tables:
            block = transform.run(table, surveyed(table, [request.SerializeToString()]))
            stored[table] = b"".join(map(bytes, block.data))
    assert {place.partition(".")[0] for place in places} == {
        *("Resource", "InstrumentationScope", "Span", "Event", "Link", "LogRecord", "Metric", "NumberDataPoint"),
        *("HistogramDataPoint", "ExponentialHistogramDataPoint", "SummaryDataPoint", "Exemplar"),
    }  # fmt: skip
    assert {"LogRecord.body", "LogRecord.attributes"} <= places
    assert len(stored) == 7
    for table, data in stored.items():
        assert data.count(b"[REDACTED:password]") >= 3 * len(ATTRIBUTES) - 3, table
        assert not [part for part in (SECRET, str(NUMBER), "jane.doe") if part.encode() in data], table
