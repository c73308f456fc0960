"""A request's parts are counted in its bytes: one that has too many is refused before anything is made of it."""

import json
import tracemalloc
from collections.abc import Callable

import pytest

from clickhouse.varint import varint
from otlp.bounds import RequestLimits, surveyed
from otlp.json_encoding import decode
from otlp.signals import Signal
from otlp.status import Reason, Rejected
from receiver.request_repair import repaired
from tests.server import captures

LIMITS = RequestLimits(records=1000, elements=20_000, record_elements=500, expanded_bytes=1 << 20)
ATTRIBUTES = {Signal.TRACES: 9, Signal.LOGS: 6}


def field(number: int, *content: bytes) -> bytes:
    """Write a length-delimited field."""
    data = b"".join(content)
    return varint(number << 3 | 2) + varint(len(data)) + data


def records(*content: bytes, head: bytes = b"") -> bytes:
    """Write a request of spans or log records, which have the same numbers down to them."""
    return field(1, field(1, head) if head else b"", field(2, *(field(2, one) for one in content)))


def nested(depth: int, items: int) -> bytes:
    """Write an attribute whose value is a list in lists, which holds so many empty values."""
    value = field(1, b"") * items
    for _ in range(depth):
        value = field(1, field(5, value))
    return field(1, b"k") + field(2, field(5, value))


def attributes(signal: Signal, count: int) -> bytes:
    return field(ATTRIBUTES[signal]) * count


GROUP = bytes([15 << 3 | 3, 14 << 3 | 3]) + field(1, b"text") + bytes([14 << 3 | 4, 15 << 3 | 4])
OVER: dict[str, tuple[str, str, Callable[[Signal], bytes]]] = {
    "records": ("1,001 records", "REQUEST_RECORDS", lambda _: records(*[b""] * 1001)),
    "resources": ("1,001 groups", "REQUEST_RECORDS", lambda _: field(1) * 1001),
    "scopes": ("1,001 groups", "REQUEST_RECORDS", lambda _: field(1, field(2) * 5000)),
    "attributes of one record": ("501 el", "RECORD_EL", lambda s: records(attributes(s, 501))),
    "attributes of all": ("20,400 el", "REQUEST_EL", lambda s: records(*[attributes(s, 400)] * 51)),
    "items of a list": ("501 el", "RECORD_EL", lambda s: records(field(ATTRIBUTES[s], nested(0, 600)))),
    "items of lists in lists": (
        "501 el",
        "RECORD_EL",
        lambda s: records(field(ATTRIBUTES[s], nested(9, 600))),
    ),
    "attributes of a resource": ("501 el", "RECORD_EL", lambda _: records(b"", head=field(1) * 600)),
    "a resource for each record": (
        "bytes of resources",
        "EXPANDED",
        lambda _: records(*[b""] * 900, head=field(1, field(1, b"x" * 2000))),
    ),
}


@pytest.mark.parametrize("what", OVER)
@pytest.mark.parametrize("signal", ATTRIBUTES)
def test_too_many_parts_are_refused_with_the_count_and_the_setting(signal: Signal, what: str) -> None:
    """Over a limit by one or more, wherever the parts lie; just under it the same request is surveyed."""
    count, setting, body = OVER[what]
    with pytest.raises(Rejected) as caught:
        surveyed(signal, body(signal), LIMITS)
    assert caught.value.reason is Reason.TOO_LARGE
    assert count in caught.value.message
    assert f"TELEMETRY_MAX_{setting}" in caught.value.message


@pytest.mark.parametrize("what", OVER)
@pytest.mark.parametrize("signal", ATTRIBUTES)
def test_a_group_beside_parts_hides_none(signal: Signal, what: str) -> None:
    """Parsers pass over the groups of old protobuf, which OTLP has none of, and read what stands beside them."""
    count, setting, body = OVER[what]
    with pytest.raises(Rejected) as caught:
        surveyed(signal, GROUP + body(signal), LIMITS)
    assert count in caught.value.message
    assert setting in caught.value.message


@pytest.mark.parametrize("signal", ATTRIBUTES)
def test_a_group_in_a_record_hides_none(signal: Signal) -> None:
    """Also in groups in groups, with fields in them."""
    with pytest.raises(Rejected):
        surveyed(signal, records(GROUP + attributes(signal, 501)), LIMITS)
    assert surveyed(signal, records(GROUP + attributes(signal, 499)), LIMITS).records == 1


@pytest.mark.parametrize("signal", ATTRIBUTES)
def test_as_many_parts_as_are_allowed(signal: Signal) -> None:
    """A request at every limit passes."""
    body = records(*[attributes(signal, 20)] * 1000)
    assert surveyed(signal, body, LIMITS).records == 1000
    assert surveyed(signal, records(attributes(signal, 500)), LIMITS).records == 1


def test_data_points_and_buckets() -> None:
    """Of metrics, points are records, and buckets, bounds and exemplars are elements."""
    sums = field(1, field(2, field(2, field(7, field(1) * 1001))))
    buckets = field(1, field(2, field(2, field(9, field(1, field(6, bytes(8 * 600)))))))
    metrics = field(1, field(2, field(2) * 1500))
    for body in (sums, buckets, metrics):
        with pytest.raises(Rejected, match=r"TELEMETRY_MAX_RE(?:CORD_ELEMENTS|QUEST_RECORDS)"):
            surveyed(Signal.METRICS, body, LIMITS)


@pytest.mark.parametrize("signal", Signal)
def test_what_clients_send_is_far_below(signal: Signal) -> None:
    """Every request of real clients passes a hundredth of the limits."""
    defaults = RequestLimits()
    small = RequestLimits(
        defaults.records // 100,
        defaults.elements // 100,
        defaults.record_elements // 100,
        defaults.expanded_bytes // 100,
    )
    for body in captures(signal):
        assert surveyed(signal, body, small).records >= 0


def test_memory_of_a_refusal_does_not_grow_with_the_parts() -> None:
    """Millions of parts are refused without an object for each of them."""
    bodies = [records(*[b""] * 2_000_000), records(field(9) * 2_000_000), field(1) * 2_000_000]
    text = b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b"{}," * 2_000_000 + b"{}]}]}]}"
    tracemalloc.start()
    try:
        for body in bodies:
            with pytest.raises(Rejected):
                surveyed(Signal.TRACES, body, LIMITS)
        with pytest.raises(Rejected):
            decode("traces", text, LIMITS)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("spans", "setting"),
    [
        (b"{}," * 1000 + b"{}", "REQUEST_RECORDS"),
        (b'{"attributes":[' + b"{}," * 500 + b"{}]}", "RECORD_ELEMENTS"),
        (b'{"events":[' + b'{"name":"a"},' * 500 + b"{}]}", "RECORD_ELEMENTS"),
        (b'{"attributes":[' + b'{"key":"a,b{"},' * 90_000 + b"{}]}", "REQUEST_ELEMENTS"),
        (b"[" * 90_000, "REQUEST_ELEMENTS"),
    ],
)
def test_json_has_the_same_limits(spans: bytes, setting: str) -> None:
    """Counted in the text, or in lists before their items are looked at."""
    with pytest.raises(Rejected) as caught:
        decode("traces", b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + spans + b"]}]}]}", LIMITS)
    assert caught.value.reason is Reason.TOO_LARGE
    assert f"TELEMETRY_MAX_{setting}" in caught.value.message


def test_marks_of_json_in_texts_are_no_parts() -> None:
    """A text that holds source code, with quotes and backslashes, counts as one value."""
    span = {"name": '{"a": [1, 2, "\\"", {}]},' * 20_000}
    text = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
    assert decode("traces", text, LIMITS).records == 1


def test_a_repair_looks_at_so_many_fields_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that is broken behind many fields is refused, and not taken apart to its end."""
    monkeypatch.setattr("receiver.request_repair.MAX_FIELDS", 1000)
    assert repaired(Signal.TRACES, records(field(5, b"\xff") + field(9) * 900)).refused == 0
    with pytest.raises(Rejected, match="more than the 1,000 fields"):
        repaired(Signal.TRACES, records(field(5, b"\xff") + field(9) * 1001))
