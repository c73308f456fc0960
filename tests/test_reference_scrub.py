"""The reference decoder, compared with expectations written by hand: the scrubbed texts, and the key that decides."""

from typing import Any

import pytest
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    InstrumentationScope,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Gauge,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from tests.decoding import FakeRules, FakeScrub, log_rows, pairs, stored, trace_rows, value
from tests.reference import Row, Signal, rows


@pytest.mark.parametrize(
    ("key", "of", "expected"),
    [
        ("k", "a secret", {"k": "a ***"}),
        ("the secret", "", {"the ***": ""}),
        ("k", 5, {"k": "5"}),
        ("k", b"secret", {"k": "***"}),
        ("k", None, {"k": ""}),
        ("drop", "secret", {}),
        ("drop", 1, {}),
        ("all", "secret", {}),
        ("hash", "secret", {"hash": "<secret>"}),
        ("hash", "", {"hash": ""}),
        ("hash", None, {"hash": ""}),
        ("hash", 5.0, {"hash": "<5>"}),
        ("hash", False, {"hash": "<false>"}),
        ("hash", {"drop": "secret", "a": [None]}, {"hash": '<{"a":[null],"drop":"secret"}>'}),
        ("safe", "secret", {"safe": "secret"}),
        ("secret.safe", "secret", {"secret.safe": "secret"}),
        ("safe", {"drop": "secret", "secret": ["secret"]}, {"safe": '{"***":["***"]}'}),
        ("excerpt", "a secret text", {"excerpt": "a *** "}),
        ("excerpt", ["a secret text", 1], {"excerpt": '["a *** ",1]'}),
        ("k", ["a secret", ["secret"], b"secret", 1.5, None], {"k": '["a ***",["***"],"***",1.5,null]'}),
    ],
)
def test_an_attribute_is_scrubbed_by_its_key(key: str, of: Any, expected: dict[str, str]) -> None:
    """Dropped, hashed, safe, an excerpt, or redacted; a key in no set is redacted itself."""
    assert stored(of, key, FakeScrub()) == expected


def test_nested_pairs_are_scrubbed_by_their_own_keys() -> None:
    """The rules hold at every depth; the strings of an array take the rule of the pair it stands in."""
    nested = {
        "drop": "secret",
        "hash": ["secret", 1],
        "safe": {"drop": "secret"},
        "excerpt": ["a secret text", ["another secret"], {"k": "a secret text"}],
        "the secret": {"hash": None, "excerpt": "a secret text"},
        "k": ["secret", {"hash": 1.0, "drop": 1}, b"secret"],
    }
    text = (
        '{"excerpt":["a *** ",["anothe"],{"k":"a *** text"}],"hash":"<[\\"secret\\",1]>",'
        '"k":["***",{"hash":"<1>"},"***"],"safe":{},'
        '"the ***":{"excerpt":"a *** ","hash":""}}'
    )
    assert stored(nested, scrub=FakeScrub()) == {"k": text}
    [row] = log_rows(LogRecord(body=value(nested)), scrub=FakeScrub())
    assert row["Body"] == text


def test_labels_are_added_to_span_and_log_attributes_only() -> None:
    """They come from string values alone, and give way to an attribute that was sent under the same name."""
    sent = pairs({"call": "git secret", "call.argument": "sent"})
    expected = {"call": "git ***", "call.argument": "sent", "call.name": "git"}
    [row] = log_rows(LogRecord(attributes=sent), scrub=FakeScrub())
    assert row["LogAttributes"] == expected
    assert list(row["LogAttributes"]) == sorted(expected)
    [row] = trace_rows(Span(attributes=sent, events=[Span.Event(attributes=sent)]), scrub=FakeScrub())
    assert row["SpanAttributes"] == expected
    assert row["Events.Attributes"] == [{"call": "git ***", "call.argument": "sent"}]
    assert stored(["git"], "call", FakeScrub()) == {"call": '["git"]'}
    assert stored("git", "call") == {"call": "git"}


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (FakeRules(), "a *** text"),
        (FakeRules(excerpt_keys=frozenset({"status.message"})), "a *** "),
        (FakeRules(hash_keys=frozenset({"status.message"})), "<a secret text>"),
        (FakeRules(drop_keys=frozenset({"status.message"})), ""),
        (FakeRules(safe_keys=frozenset({"status.message"})), "a secret text"),
    ],
)
def test_a_status_message_follows_the_rule_for_its_key(rules: FakeRules, message: str) -> None:
    """The key is `status.message`; an empty message is empty under every rule."""
    spans = [Span(status=Status(message=text)) for text in ("a secret text", "")]
    decoded = trace_rows(*spans, scrub=FakeScrub(rules))
    assert [row["StatusMessage"] for row in decoded] == [message, ""]


def test_no_string_outside_an_attribute_keeps_a_secret() -> None:
    """Every string field of every message is redacted; the secret is put into all of them."""

    def spoil(message: Message) -> Any:
        for field in message.DESCRIPTOR.fields:
            if field.type == field.TYPE_STRING:
                setattr(message, field.name, "a secret")
        return message

    def text(row: Row) -> str:
        return repr({name: of for name, of in row.items() if "secret" in repr(of)})

    scrub, scope = FakeScrub(), spoil(InstrumentationScope())
    span = spoil(Span(events=[spoil(Span.Event())], links=[spoil(Span.Link())], status=spoil(Status())))
    record = spoil(LogRecord(body=value("secret")))
    metric = spoil(Metric(gauge=Gauge(data_points=[NumberDataPoint()])))
    everything: dict[Signal, Message] = {
        "traces": ExportTraceServiceRequest(
            resource_spans=[
                spoil(ResourceSpans(scope_spans=[spoil(ScopeSpans(scope=scope, spans=[span]))])),
            ]
        ),
        "logs": ExportLogsServiceRequest(
            resource_logs=[
                spoil(ResourceLogs(scope_logs=[spoil(ScopeLogs(scope=scope, log_records=[record]))])),
            ]
        ),
        "metrics": ExportMetricsServiceRequest(
            resource_metrics=[
                spoil(ResourceMetrics(scope_metrics=[spoil(ScopeMetrics(scope=scope, metrics=[metric]))])),
            ]
        ),
    }
    for signal, request in everything.items():
        decoded = rows(signal, [request.SerializeToString()], scrub)
        assert [text(row) for of in decoded.values() for row in of] == ["{}"]
