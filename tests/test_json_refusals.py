"""Wrong OTLP/JSON: the records that a wrong field refuses, malformed requests, and the depth of nesting."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from otlp.json_encoding import Decoded, MalformedJson, decode
from otlp.repairs import TOO_DEEP
from tests.json_requests import REQUESTS, metrics, run, traces


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
    """Records that cannot be counted are counted as one."""
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
        b"NaN",
        b"{'a':1}",
        b"\xff{}",
        b'{"a":"\\ud800}',
        b'{"a":NaN',
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


@pytest.mark.parametrize(("wrap", "deepest"), [(in_array, 43), (in_map, 29)])
def test_nesting_is_bounded_by_what_protobuf_reads(
    wrap: Callable[[dict[str, Any]], dict[str, Any]], deepest: int
) -> None:
    """The deepest accepted value can be read by any parser; a deeper one is cut off."""
    value: dict[str, Any] = {"stringValue": "x"}
    for levels in range(1, 200):
        value = wrap(value)
        request, decoded = run(
            "traces", traces({"events": [{"attributes": [{"value": value}]}]}, {"name": "good"})
        )
        assert [one.name for one in request.resource_spans[0].scope_spans[0].spans] == ["", "good"]
        assert (decoded.records, decoded.refused) == (2, 0)
        assert decoded.repairs == ({} if levels <= deepest else {"too_deep": 1})
        assert (TOO_DEEP.encode() in decoded.body) == (levels > deepest) == bool(decoded.message)


def test_unknown_fields_may_nest_as_deep_as_json_may() -> None:
    """Ignored values are not walked."""
    assert decode("logs", b'{"a":' + b"[" * 1000 + b"]" * 1000 + b"}").refused == 0
