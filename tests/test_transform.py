"""The transform statements, compared with the reference decoder row by row."""

import json
import math
import os
import struct
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from clickhouse.engine import Engine
from clickhouse.pieces import Pieces
from clickhouse.varint import varint
from privacy.rules import Level, load_rules
from privacy.sanitizer import Sanitizer
from privacy.search import Counts
from receiver.scrub import Scrub
from receiver.transform import Refused, Transform
from tests import reference, strategies
from tests.requests import surveyed

_SETTINGS = settings(
    max_examples=40,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
_READ = """
SELECT * FROM file({path:String}, 'Native') SETTINGS
    date_time_output_format = 'unix_timestamp',
    output_format_json_map_as_array_of_tuples = 1,
    output_format_json_quote_denormals = 1,
    output_format_json_quote_64bit_integers = 0
"""
_TIMES = ("Timestamp", "StartTimeUnix", "TimeUnix", "Events.Timestamp", "Exemplars.TimeUnix")
_FLOATS = (
    "Value",
    "Sum",
    "Min",
    "Max",
    "ExplicitBounds",
    "Exemplars.Value",
    "ValueAtQuantiles.Quantile",
    "ValueAtQuantiles.Value",
)


class CountedSanitizer(Sanitizer):
    """Counts the values of attributes that it is asked about."""

    asked = 0

    def attribute(self, key: str, text: str, counts: Counts) -> str | None:
        self.asked += 1
        return super().attribute(key, text, counts)


class Subject:
    """A transform under one level, and the sanitizer that the reference is to use."""

    def __init__(self, engine: Engine, level: Level, hash_key: str = "") -> None:
        rules = load_rules(None, level)
        self.sanitizer = CountedSanitizer(rules, hash_key or None)
        self._engine = engine
        self.transform = Transform(engine, rules, Scrub(self.sanitizer), hash_key, 90)

    def rows(self, signal: str, requests: Sequence[bytes]) -> dict[str, list[dict[str, Any]]]:
        """All rows of a signal's tables, as the statements make them."""
        found: dict[str, list[dict[str, Any]]] = {table: [] for table in reference.TABLES[signal]}
        for table in found:
            holding = surveyed(table, requests)
            if holding:
                found[table] = self._read(self.transform.run(table, holding).data)
        return found

    def _read(self, block: Pieces) -> list[dict[str, Any]]:
        descriptor = os.memfd_create("block")
        try:
            os.write(descriptor, bytes(block))
            lines = self._engine.query(
                _READ, {"path": f"/proc/self/fd/{descriptor}"}, "JSONEachRow"
            ).splitlines()
        finally:
            os.close(descriptor)
        return [{name: _value(name, value) for name, value in _loads(line).items()} for line in lines]


def _loads(line: bytes) -> dict[str, Any]:
    # The engine prints -0.0 as -0, which JSON would read as the integer 0.
    return json.loads(line, parse_int=lambda text: -0.0 if text == "-0" else int(text))


def _value(name: str, value: Any) -> Any:
    if isinstance(value, list) and name.endswith("Attributes"):
        if name in ("Events.Attributes", "Links.Attributes", "Exemplars.FilteredAttributes"):
            return [_map(item) for item in value]
        return _map(value)
    if name == "Exemplars.FilteredAttributes":
        return [_map(item) for item in value]
    if name in _TIMES:
        return [_time(item) for item in value] if isinstance(value, list) else _time(value)
    if name in _FLOATS:
        return [repr(float(item)) for item in value] if isinstance(value, list) else repr(float(value))
    return value


def _map(pairs: list[dict[str, str]]) -> dict[str, str]:
    keys = [pair["keys"].encode() for pair in pairs]
    assert keys == sorted(keys), "map keys stand in bytewise order"
    return {pair["keys"]: pair["values"] for pair in pairs}


def _time(text: str | float) -> int:
    return int(Decimal(str(text)) * 10**9)


def _comparable(row: dict[str, Any]) -> dict[str, Any]:
    """Floats as text, so that NaN equals NaN and -0.0 is not 0.0."""
    return {
        name: ([repr(item) for item in value] if isinstance(value, list) else repr(value))
        if name in _FLOATS
        else value
        for name, value in row.items()
    }


def check(subject: Subject, signal: str, requests: Sequence[bytes]) -> None:
    expected = reference.rows(signal, requests, subject.sanitizer)
    actual = subject.rows(signal, requests)
    for table, rows in expected.items():
        assert len(rows) == len(actual[table]), table
        for wanted, made in zip(rows, actual[table], strict=True):
            different = {
                name: (value, made[name])
                for name, value in _comparable(wanted).items()
                if value != made[name]
            }
            assert not different, f"{table}: column: (reference, made)"
            assert wanted.keys() == made.keys()


@pytest.fixture(scope="module")
def strict(engine: Engine) -> Subject:
    return Subject(engine, Level.strict)


@pytest.mark.slow
@pytest.mark.parametrize("signal", ["traces", "logs", "metrics"])
def test_any_request_becomes_the_rows_of_the_reference(strict: Subject, signal: str) -> None:
    """For any valid OTLP the SQL and the reference make the same rows, with the default rules."""

    @_SETTINGS
    @given(strategies.requests(signal))
    def hold(requests: list[bytes]) -> None:
        check(strict, signal, requests)

    hold()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("level", "hash_key"), [(Level.balanced, ""), (Level.off, ""), (Level.strict, "it's\ta \\key")]
)
def test_other_levels_and_a_hash_key_hold_too(engine: Engine, level: Level, hash_key: str) -> None:
    """Balanced, off, and HMAC in place of SHA256 make the rows of the reference."""
    subject = Subject(engine, level, hash_key)

    @settings(_SETTINGS, max_examples=15)
    @given(strategies.requests("traces"))
    def hold(requests: list[bytes]) -> None:
        check(subject, "traces", requests)

    hold()


def _field(tag: int, content: bytes, *, overlong: bool = False) -> bytes:
    size = varint(len(content))
    return bytes([tag]) + (bytes([size[0] | 128, 0]) if overlong else size) + content


def _attribute(key: str, value: bytes) -> bytes:
    return _field(0x0A, key.encode()) + _field(0x12, value)


_TEXT_SIZES = (0, 1, 5, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 130, 131, 132, 135, 255, 256, 257,
               1000, 16376, 16377, 16378, 16379, 16380, 16381, 16382, 16383, 16384, 16385, 16390, 20000)  # fmt: skip
_NUMBERS = sorted(
    {(1 << bits) + more for bits in range(0, 63, 7) for more in (-1, 0, 1)} | {-1, 2**63 - 1, -(2**63)}
)
_KEYS = ("note", "session.id", "prompt", "error", "tool_input", "k" * 127, "k" * 128, "k" * 300, "")
_ODD = {
    "value first": _field(0x12, _field(0x0A, b"bob@example.com")) + _field(0x0A, b"note"),
    "value first, to extract": _field(0x12, _field(0x0A, b'{"command": "git push"}')) + _field(0x0A, b"tool_input"),
    "key twice": _field(0x0A, b"session.id") + _field(0x0A, b"prompt") + _field(0x12, _field(0x0A, b"text")),
    "value twice": _attribute("a", _field(0x0A, b"one")) + _field(0x12, _field(0x0A, b"two")),
    "value in parts": _attribute("b", b"\x18\x01") + _field(0x12, _field(0x0A, b"two")),
    "two kinds": _attribute("c", b"\x18\x01" + _field(0x0A, b"text")),
    "an int twice": _attribute("d", b"\x18\x01\x18\x02"),
    "a text twice": _attribute("e", _field(0x0A, b"one") + _field(0x0A, b"two")),
    "an int of more bytes than it needs": _attribute("f", b"\x18\x81\x80\x00"),
    "a bool that is two": _attribute("g", b"\x10\x02"),
    "a bool of two bytes": _attribute("h", b"\x10\x81\x00"),
    "a double twice": _attribute("i", b"\x21" + bytes(8) + b"\x21" + bytes(7) + b"\x40"),
    "long lengths": _field(0x0A, b"j") + _field(0x12, _field(0x0A, b"text", overlong=True), overlong=True),
    "a long key length": _field(0x0A, b"l", overlong=True) + _field(0x12, _field(0x0A, b"text")),
    "an unknown field in the value": _attribute("m", _field(0x0A, b"text") + _field(0x7A, b"more")),
    "an unknown field beside it": _attribute("n", _field(0x0A, b"text")) + _field(0x7A, b"more"),
    "no value": _field(0x0A, b"o"),
    "an empty value": _attribute("p", b""),
    "an explicit false": _attribute("q", b"\x10\x00"),
    "an explicit zero": _attribute("r", b"\x18\x00"),
    "nothing": b"",
}  # fmt: skip


@pytest.mark.parametrize("key", _KEYS)
def test_every_size_of_text_and_number_is_read(strict: Subject, key: str) -> None:
    """Where a length takes one byte more, a value is found whether SQL finishes it or Python does."""
    values = [_field(0x0A, b"x" * size) for size in _TEXT_SIZES]
    values += [b"\x18" + varint(number % 2**64) for number in _NUMBERS]
    values += [
        b"\x10\x01",
        b"\x10\x00",
        b"\x21" + struct.pack("<d", 2.5),
        b"\x21" + struct.pack("<d", math.nan),
    ]
    check(strict, "traces", [_request(*(_attribute(key, value) for value in values))])


def test_values_are_read_however_they_are_written(strict: Subject) -> None:
    """Of fields that protobuf lets come twice the last one counts, in any order, with lengths of any length."""
    check(strict, "traces", [_request(*_ODD.values())])


_BROKEN = {
    "no attribute": b"\xff\xff\xff",
    "a key that is not UTF-8": _field(0x0A, b"\xff") + _field(0x12, _field(0x0A, b"text")),
    "a text that is not UTF-8": _attribute("session.id", _field(0x0A, b"te\xffxt")),
    "a text that is hashed and not UTF-8": _attribute("prompt", _field(0x0A, b"te\xffxt")),
    "a long text that is not UTF-8": _attribute("note", _field(0x0A, b"x" * 500 + b"\xff")),
    "a text in a list that is not UTF-8": _attribute(
        "note", _field(0x2A, _field(0x0A, _field(0x0A, b"\xff")))
    ),
    "a value that is cut short": _field(0x0A, b"note") + b"\x12\x09" + _field(0x0A, b"text"),
    "a text that is cut short": _attribute("note", b"\x0a\x09text"),
    "an int without an end": _attribute("note", b"\x18" + b"\xff" * 11),
}


@pytest.mark.parametrize("attribute", _BROKEN.values(), ids=_BROKEN.keys())
def test_what_is_no_attribute_is_refused(strict: Subject, attribute: bytes) -> None:
    """A survey leaves attributes alone, so the transform finds it, and goes on with the next batch."""
    with pytest.raises(Refused) as caught:
        strict.rows("traces", [_request(_attribute("note", _field(0x0A, b"text")), attribute)])
    assert not caught.value.too_large
    check(strict, "traces", [_request(_attribute("note", _field(0x0A, b"text")))])


@pytest.mark.parametrize("body", [b"\xff\xff\xff", b"\x0a\x01\xff", b"\x0a\x09text"])
def test_what_is_no_body_is_refused(strict: Subject, body: bytes) -> None:
    """As with attributes."""
    with pytest.raises(Refused):
        strict.rows("logs", [_field(0x0A, _field(0x12, _field(0x12, _field(0x2A, body))))])


@pytest.mark.slow
def test_bytes_that_parse_become_their_rows_and_others_are_refused(strict: Subject) -> None:
    """The SQL and the generated classes agree on the validity of an attribute, after any damage."""
    whole = st.sampled_from([*_ODD.values(), *(_attribute(key, b"\x18\x7f") for key in _KEYS)])
    damaged = st.tuples(whole, st.integers(0, 400), st.binary(min_size=1, max_size=4)).map(
        lambda parts: parts[0][: parts[1] % (len(parts[0]) + 1)] + parts[2] + parts[0][parts[1] :]
    )

    @settings(_SETTINGS, max_examples=200)
    @given(st.one_of(damaged, st.binary(max_size=40)))
    def hold(attribute: bytes) -> None:
        request = _request(attribute)
        try:
            ExportTraceServiceRequest.FromString(request)
        except DecodeError:
            with pytest.raises(Refused):
                strict.rows("traces", [request])
        else:
            with suppress(Refused):  # then the pipeline writes it again
                check(strict, "traces", [request])

    hold()


def test_a_text_that_comes_again_is_redacted_and_counted_each_time(strict: Subject) -> None:
    """Under each key by that key's rules, in later batches too; and a batch's texts are not kept."""
    text = "Ask jane@example.com.\nThen wait."
    request = ExportTraceServiceRequest()
    made = request.resource_spans.add().scope_spans.add().spans
    for number in range(20):
        span = made.add(name=f"step {number}", start_time_unix_nano=1, end_time_unix_nano=2)
        for key in ("note", "exception.message", "other.note"):
            span.attributes.add(key=key).value.string_value = text
    body = request.SerializeToString()
    check(strict, "traces", [body, body])
    asked = []
    for _ in range(2):
        before = strict.sanitizer.asked
        block = strict.transform.run("otel_traces", surveyed("otel_traces", [body, body]))
        assert block.tally.redactions == {"email": 2 * 20 * 3}
        asked.append(strict.sanitizer.asked - before)
    # The text is looked at once under each key in each batch: none is known from the batch before.
    assert asked == [3, 3]


def test_a_body_in_pieces_is_one(strict: Subject) -> None:
    """A message that is sent twice is merged: lists are joined, of other members the last one counts."""
    bodies = [
        [b"\x18\x01", _field(0x0A, b"text")],
        [_field(0x2A, _field(0x0A, _field(0x0A, text))) for text in (b"one", b"two")],
        [_field(0x0A, b"x" * 200)],
        [_field(0x0A, b"a@example.com")],
        [_field(0x3A, b"bytes")],
        [b""],
        [],
    ]
    records = b"".join(_field(0x12, b"".join(_field(0x2A, piece) for piece in body)) for body in bodies)
    check(strict, "logs", [_field(0x0A, _field(0x12, records))])


def _request(*attributes: bytes) -> bytes:
    """Make a request of a span for each attribute."""
    return _field(0x0A, _field(0x12, b"".join(_field(0x12, _field(0x4A, one)) for one in attributes)))
