"""The native reader of OTLP/JSON, held byte by byte to the one in Python; skipped where it is not installed."""

import asyncio
import importlib.util
import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks import corpus
from otlp.bounds import DEFAULTS, RequestLimits
from otlp.json_encoding import Decoded, MalformedJson, decode
from otlp.signals import KINDS, Signal
from otlp.status import Rejected
from receiver.arriving import ArrivingLimits
from receiver.metrics import Metrics
from receiver.native_json import NativeJson, native_json
from receiver.otlp_http import otlp_http
from receiver.pipeline import Accepted, Done
from receiver.senders import Senders
from tests import strategies
from tests.json_requests import logs, metrics, traces
from tests.server import captures

_IS_INSTALLED = importlib.util.find_spec("telemetry_native") is not None
pytestmark = pytest.mark.skipif(not _IS_INSTALLED, reason="the distribution native/ is not installed")


@pytest.fixture(scope="module")
def read() -> NativeJson:
    return NativeJson()


def held(read: NativeJson, signal: Any, text: bytes, limits: RequestLimits = DEFAULTS) -> bool:
    """Assert that a request has the same result with and without the native reader; return whether it read it."""
    assert result(signal, text, limits, read) == result(signal, text, limits)
    return read(signal, text, limits) is not None


def result(
    signal: Any, text: bytes, limits: RequestLimits, quick: NativeJson | None = None
) -> Decoded | tuple[type, str]:
    try:
        return decode(signal, text, limits, quick)
    except (MalformedJson, Rejected) as error:
        return type(error), str(error)


@pytest.mark.parametrize("name", list(Signal))
def test_what_clients_send_is_read(read: NativeJson, name: Signal) -> None:
    """Requests of real clients, and those of the benchmarks, which Protobuf's own writer has written."""
    assert all(held(read, name.value, body) for body in captures(name, "json"))
    make = {Signal.TRACES: corpus.traces, Signal.LOGS: corpus.logs}.get(name)
    if make is not None:
        body = make(100, 1)
        assert read(name.value, corpus.as_json(body, KINDS[name].request), DEFAULTS) == (body, 100)


@pytest.mark.parametrize("signal", ["traces", "logs", "metrics"])
def test_any_request_becomes_the_same_bytes(read: NativeJson, signal: Any) -> None:
    """All fields of all messages, in any order of names, within limits and over them."""

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        strategies.requests(signal), st.randoms(use_true_random=False), st.integers(1, 9), st.integers(1, 9)
    )
    def hold(bodies: list[bytes], random: Any, records: int, elements: int) -> None:
        for body in bodies:
            request = json.loads(corpus.as_json(body, KINDS[Signal(signal)].request))
            text = json.dumps(shuffled(request, random), ensure_ascii=random.random() < 0.5).encode()
            held(read, signal, text)
            held(read, signal, text, RequestLimits(records=records, record_elements=elements))

    hold()


def shuffled(value: Any, random: Any) -> Any:
    if isinstance(value, list):
        return [shuffled(one, random) for one in value]
    if not isinstance(value, dict):
        return value
    names = list(value)
    random.shuffle(names)
    return {name: shuffled(value[name], random) for name in names}


_FULL = json.dumps(
    traces(
        {
            "traceId": "5b8efff798038103d269b633813fc60c",
            "kind": 2,
            "name": 'caf\u00e9 \U0001f600 " \\ \n',
            "startTimeUnixNano": "1544712660000000000",
            "attributes": [
                {"key": "a", "value": {"intValue": "-5"}},
                {"key": "b", "value": {"arrayValue": {"values": [{"doubleValue": 1.5e3}, {"boolValue": True}]}}},
            ],
        }
    ),
    indent=1,
)  # fmt: skip
_PIECES = st.binary(max_size=2) | st.sampled_from(
    [
        *(bytes([byte]) for byte in b'"\\{}[],:0-. \n\t\x01\xff'),
        *(b"null", b"true", b"NaN", b"-0", b"01", b"e5", b"1e400"),
        *(b"\\u0041", b"\\ud83d", b"\\ude00", b'"kind":1,', b"{},"),
    ]
)


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    is_ascii=st.booleans(),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3), _PIECES), min_size=1, max_size=3),
)
def test_damaged_requests_have_the_same_result(
    read: NativeJson, *, is_ascii: bool, changes: list[tuple[float, int, bytes]]
) -> None:
    """Whatever is cut out of a request or put into it."""
    text = _FULL.encode() if is_ascii else json.dumps(json.loads(_FULL), ensure_ascii=False).encode()
    for place, cut, piece in changes:
        at = round(place * len(text))
        text = text[:at] + piece + text[at + cut :]
    held(read, "traces", text)


@pytest.mark.parametrize(
    ("value", "is_read"),
    [
        *((f'{{"stringValue": {text}}}', True) for text in ('""', '"\\u0041\\n\\/"', '"\\ud83d\\ude00"', '"\x7f"')),
        *((f'{{"stringValue": {text}}}', False) for text in ('"\\ud83d"', '"\\ude00x"', '"\\x"', '"\t"', "5")),
        ('{"stringValue": "\\ud83d\\u0041"}', False),
        *((f'{{"stringValue": "{"x" * size}"}}', True) for size in (127, 128, 16_383, 16_384)),
        *((f'{{"intValue": {number}}}', True) for number in ("0", "-0", '"007"', '"-0"', -(2**63), f'"{2**63 - 1}"')),
        *((f'{{"intValue": {number}}}', False) for number in (2**63, "5.0", '"1e3"', '"+5"', '""', "01", '"5', "true")),
        *((f'{{"doubleValue": {number}}}', True) for number in ("-0.0", "-0", "5", "1e-400", 2**70, "5e-324", "1E+2")),
        *((f'{{"doubleValue": {number}}}', False) for number in ("1e400", "null", '"NaN"', "NaN", "1.", ".5", "1e")),
        *((f'{{"boolValue": {said}}}', True) for said in ("true", "false", "null")),
        *((f'{{"boolValue": {said}}}', False) for said in ("1", '"true"', "tru")),
        ("{}", True),
        ("null", True),
        ('{"bytesValue": "YQ=="}', False),
        ('{"stringValue": "", "intValue": null}', True),
        ('{"stringValue": "", "intValue": 5}', False),
        ('{"stringValue": "a", "stringValue": "b"}', False),
        ('{"string\\u0056alue": "a"}', False),
        ('{"string_value": "a"}', False),
        ('{"kvlistValue": {"values": [{"value": {"arrayValue": {}}, "key": "k"}]}}', True),
        ('{"arrayValue": {"values": [null]}}', False),
        ('{"arrayValue": {"values": [{},]}}', False),
    ],
)  # fmt: skip
def test_values_have_the_same_result(read: NativeJson, value: str, *, is_read: bool) -> None:
    """Values at the edges; what a strict reader could misread is left to Python."""
    text = json.dumps(logs({"body": "?"})).replace('"?"', value).encode()
    assert held(read, "logs", text) == is_read


@pytest.mark.parametrize(
    ("fields", "is_read"),
    [
        ({"traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": ""}, True),
        ({"traceId": "5b8"}, False),
        ({"traceId": "zz"}, False),
        ({"kind": -1, "status": {"code": 2**31 - 1}}, True),
        ({"kind": "1"}, False),
        ({"flags": 2**32 - 1, "endTimeUnixNano": str(2**64 - 1), "startTimeUnixNano": 2**64 - 1}, True),
        ({"endTimeUnixNano": str(2**64)}, False),
        ({"startTimeUnixNano": -1}, False),
        ({"startTimeUnixNano": None, "flags": 2**32}, False),
        ({"events": [], "links": [{}], "attributes": None}, True),
        ({"events": {}}, False),
        ({"newField": 1}, False),
    ],
)
def test_fields_have_the_same_result(read: NativeJson, fields: dict[str, Any], *, is_read: bool) -> None:
    """Ids, enums, times and lists at their edges."""
    assert held(read, "traces", json.dumps(traces(fields)).encode()) == is_read


@pytest.mark.parametrize(
    ("data", "is_read"),
    [
        ({"gauge": {"dataPoints": [{"asInt": "-5"}, {"asDouble": 0}, {}]}}, True),
        ({"gauge": {"dataPoints": [{"asDouble": None}]}}, False),
        ({"gauge": {}, "sum": {}}, False),
        (
            {
                "histogram": {
                    "dataPoints": [{"bucketCounts": ["1", 2], "explicitBounds": [0, -0.5], "min": 0}]
                }
            },
            True,
        ),
        ({"histogram": {"dataPoints": [{"bucketCounts": [], "explicitBounds": None}]}}, False),
        ({"exponentialHistogram": {"dataPoints": [{"scale": -3, "positive": {"offset": "-7"}}]}}, True),
    ],
)
def test_metrics_have_the_same_result(read: NativeJson, data: dict[str, Any], *, is_read: bool) -> None:
    """Packed numbers, signed ones, and those with presence."""
    assert held(read, "metrics", json.dumps(metrics({"name": "m", **data})).encode()) == is_read


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{}x", "\ufeff{}", '{"resourceLogs": {}}', '{"resourceLogs": [5]}']
)
def test_what_is_no_request_has_the_same_result(read: NativeJson, text: str) -> None:
    """It is malformed, or repaired, as without the reader."""
    assert not held(read, "logs", text.encode())


def test_deep_values_are_left_to_python(read: NativeJson) -> None:
    """A value that is nested as deep as a text can be neither fails nor takes the thread's stack."""
    for depth, is_read in ((10, True), (100, False), (1_000, False), (100_000, False)):
        value = '{"arrayValue":{"values":[' * depth + "{}" + "]}}" * depth
        text = json.dumps(logs({"body": "?"})).replace('"?"', value).encode()
        assert (read("logs", text, DEFAULTS) is not None) == is_read
        assert depth > 10_000 or held(read, "logs", text) == is_read


def test_limits_hold(read: NativeJson) -> None:
    """The records of a request, with the messages that hold them, and the elements of one list."""
    text = json.dumps(logs(*[{"attributes": [{"key": "k"}] * 3}] * 5)).encode()
    assert held(read, "logs", text, RequestLimits(records=7, record_elements=3))
    assert not held(read, "logs", text, RequestLimits(records=6, record_elements=3))
    assert not held(read, "logs", text, RequestLimits(records=4, record_elements=3))
    assert not held(read, "logs", text, RequestLimits(records=7, record_elements=2))


def test_a_request_over_http_is_read_by_it(read: NativeJson) -> None:
    """The reader that the endpoint is given is asked, and what it returns is what is stored."""
    body = corpus.logs(10, 1)
    asked: list[str] = []
    taken: list[bytes] = []

    def quick(signal: str, text: bytes, limits: RequestLimits) -> tuple[bytes, int] | None:
        asked.append(signal)
        return read(signal, text, limits)

    def take(_signal: Signal, body: bytes, _client: bytes, done: Done) -> None:
        taken.append(body)
        done(Accepted(records=10))

    counters = Metrics()
    senders = Senders(take, [], counters, None)
    endpoint = otlp_http(senders, counters, ArrivingLimits(1 << 20, 1 << 19), 5, quick_json=quick)
    text = corpus.as_json(body, KINDS[Signal.LOGS].request)

    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(endpoint)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post("/v1/logs", content=text, headers={"content-type": "application/json"})

    answer = asyncio.run(post())
    assert (answer.status_code, answer.json(), asked, taken) == (200, {}, ["logs"], [body])


def test_the_choice_decides() -> None:
    """Where requests become rows in SQL, nothing native is used."""
    assert native_json("sql") is None
    assert isinstance(native_json("auto"), NativeJson)
