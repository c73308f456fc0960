"""The native pass, held byte by byte to the statements whose place it takes; skipped where it is not installed."""

import importlib.util
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

from benchmarks import corpus
from clickhouse.columns import STRUCTURES
from clickhouse.engine import Engine
from privacy.rules import Label, Level, Pattern, Rules, load_rules
from privacy.sanitizer import Sanitizer
from receiver.native import VERSION, NativeError, NativeTransform, transform_of
from receiver.scrub import Scrub
from receiver.transform import Block, Refused, Surveyed, Transform
from tests import strategies
from tests.listening import Listening
from tests.requests import surveyed

_IS_INSTALLED = importlib.util.find_spec("telemetry_native") is not None
native = pytest.mark.skipif(not _IS_INSTALLED, reason="the distribution native/ is not installed")
_TABLES = {
    "traces": ("otel_traces",),
    "logs": ("otel_logs",),
    "metrics": tuple(table for table in STRUCTURES if table.startswith("otel_metrics_")),
}


class Both:
    """Both transforms under one set of rules."""

    def __init__(self, engine: Engine, rules: Rules, hash_key: str = "") -> None:
        scrub = Scrub(Sanitizer(rules, hash_key or None))
        self.sql = Transform(engine, rules, scrub, hash_key, 90)
        self.native = NativeTransform(rules, scrub, hash_key, 90)

    def blocks(self, table: str, requests: list[Surveyed]) -> tuple[Block, Block]:
        """Return what each makes of requests, the native one second."""
        return self.sql.run(table, requests), self.native.run(table, requests)

    def hold(self, table: str, requests: list[bytes]) -> None:
        """Assert that both make the same bytes and hashes, and count the same oddities."""
        holding = surveyed(table, requests)
        if not holding:
            return
        expected, actual = self.blocks(table, holding)
        assert bytes(expected.data) == bytes(actual.data)
        assert (expected.contents, expected.identities) == (actual.contents, actual.identities)
        assert (expected.rows, expected.tally.oddities) == (actual.rows, actual.tally.oddities)


@pytest.fixture(scope="module")
def strict(engine: Engine) -> Both:
    return Both(engine, load_rules(None, Level.strict), "a key")


@native
@pytest.mark.slow
@pytest.mark.parametrize("signal", ["traces", "logs", "metrics"])
def test_any_request_becomes_the_same_block(strict: Both, signal: str) -> None:
    """For any valid OTLP the pass and the statements make the same bytes, with the default rules and a key."""

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(strategies.requests(signal))
    def hold(requests: list[bytes]) -> None:
        for table in _TABLES[signal]:
            strict.hold(table, requests)

    hold()


@native
@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize(("table", "make"), [("otel_traces", corpus.traces), ("otel_logs", corpus.logs)])
def test_what_claude_code_sends_becomes_the_same_block(
    engine: Engine, level: Level, table: str, make: Callable[[int, int, int], bytes]
) -> None:
    """Sessions with secrets, errors and tool parameters: the same bytes, and the same redactions by rule."""
    both = Both(engine, load_rules(None, level))
    requests = surveyed(table, [make(150, seed, time.time_ns()) for seed in (1, 2)])
    expected, actual = both.blocks(table, requests)
    assert bytes(expected.data) == bytes(actual.data)
    assert (expected.contents, expected.identities) == (actual.contents, actual.identities)
    assert expected.tally.redactions == actual.tally.redactions
    assert (level is Level.off) == (not actual.tally.redactions)


def _texts() -> Iterator[AnyValue]:
    """Yield values on both sides of every length at which an encoding grows, and those that are read by Python."""
    for size in (0, 1, 123, 124, 125, 126, 127, 128, 129, 130, 16_378, 16_381, 16_385, 40_000):
        yield AnyValue(string_value="x" * size)
        yield AnyValue(string_value=f"{'é' * (size // 2)}bob@example.com")
    for text in ("<REDACTED>", "first\r\nsecond", "a\u202eb\x1b[31m", "4111 1111 1111 1111", "é" * 161, "\n"):
        yield AnyValue(string_value=text)
    for number in (
        0,
        1,
        -1,
        127,
        128,
        4_111_111_111_111_111,
        1_700_000_000_000,
        2**53,
        2**56,
        2**63 - 1,
        -(2**63),
    ):
        yield AnyValue(int_value=number)
        yield AnyValue(double_value=float(number))
    for double in (0.1, -0.0, 1e-7, 1e21, 5e-324, 4.111111111111111e15, float("nan"), float("inf")):
        yield AnyValue(double_value=double)
    yield from (AnyValue(bool_value=True), AnyValue(bool_value=False), AnyValue())
    yield from (AnyValue(bytes_value=b"\0\xff"), AnyValue(bytes_value=b"bob@example.com"))
    yield AnyValue(array_value=ArrayValue(values=[AnyValue(string_value="bob@example.com")]))


@native
@pytest.mark.parametrize("drops", [False, True])
def test_every_kind_of_value_under_every_kind_of_key_becomes_the_same_block(
    engine: Engine, *, drops: bool
) -> None:
    """Lengths at which encodings change, numbers of cards, and keys that name secrets, are dropped, or come twice."""
    rules = load_rules(None, Level.strict)
    both = Both(engine, replace(rules, drop_keys=frozenset({"note", "a@example.com"})) if drops else rules)
    keys = (
        "note",
        "",
        "session.id",
        "prompt",
        "error",
        "tool_input",
        "db.password",
        "a@example.com",
        "k" * 128,
    )
    traces, logs = ExportTraceServiceRequest(), ExportLogsServiceRequest()
    spans = traces.resource_spans.add().scope_spans.add().spans
    records = logs.resource_logs.add().scope_logs.add().log_records
    for value in _texts():
        attributes = [KeyValue(key=key, value=value) for key in (*keys, "note")]
        span = spans.add(name=value.string_value[:200], trace_state="k=v", attributes=attributes)
        span.status.message = value.string_value
        span.events.add(name=value.string_value[:200], attributes=attributes)
        span.links.add(trace_state=value.string_value[:200], attributes=attributes[:1])
        records.add(body=value, severity_number=300, flags=0x1FF, attributes=attributes)
    both.hold("otel_traces", [traces.SerializeToString()])
    both.hold("otel_logs", [logs.SerializeToString()])


@native
def test_labels_are_read_and_give_way_to_what_was_sent(strict: Both) -> None:
    """A label becomes an attribute, unless the client sent one of its name."""
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    parameters = '{"mcp_server_name": "files", "skill_name": "pdf", "bash_command": "git push"}'
    for sent in ({}, {"tool_input.skill_name": "other"}):
        attributes = {"tool_input": parameters, "zone": "z", "a": "b", **sent}
        records.add(
            attributes=[
                KeyValue(key=key, value=AnyValue(string_value=text)) for key, text in attributes.items()
            ]
        )
    strict.hold("otel_logs", [request.SerializeToString()])


_NAMES = ("mcp_server_name", "mcp_tool_name", "bash_command", "command", "description", "", "cømmand")
_WORDS = (
    *("git push", "ls", "ls\n-l", "g++ a.c", "", " ls", "A=1 make", "sudo ls", "env", "/bin/ls -l", "'ls' x"),
    *(
        "ls\u00a0x",
        "ls\x1fx",
        "ls;id",
        'echo "a\\b"',
        "x" * 31,
        "x" * 32,
        "é",
        "curl -u bob:hunter2 example.com",
    ),
    *(
        "files",
        "_a.b:c/d@e+f-1",
        "-a",
        "a" * 64,
        "a" * 65,
        "claude.ai Google Drive",
        "bob@example.com",
        "two words",
    ),
    *(
        "10.1.2.3",
        "AKIAIOSFODNN7EXAMPLE",
        "4111111111111111",
        "<REDACTED>",
        "a\x00",
        "\u2028",
        "password=hunter2",
    ),
)


def _labelled(*attributes: tuple[str, str]) -> bytes:
    """Return a request of a log record for each pair of a key and a text, and of one record of all of them."""
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for some in (*([one] for one in attributes), attributes):
        records.add(attributes=[KeyValue(key=key, value=AnyValue(string_value=text)) for key, text in some])
    return request.SerializeToString()


def _json() -> st.SearchStrategy[str]:
    """Draw JSON in which labels are looked for, in all its spellings, and texts that are nearly JSON."""
    word = st.sampled_from(_WORDS) | st.text(max_size=8)
    leaf = st.none() | st.booleans() | st.integers() | st.floats() | word
    inside = st.recursive(
        leaf, lambda some: st.lists(some, max_size=3) | st.dictionaries(word, some, max_size=3), max_leaves=6
    )
    made = st.dictionaries(st.sampled_from(_NAMES), word | inside, max_size=5)
    written = st.builds(
        json.dumps,
        made | inside,
        ensure_ascii=st.booleans(),
        indent=st.sampled_from((None, 1, "\t")),
        separators=st.sampled_from((None, (",", ":"), (" , ", "\r: "))),
    )
    edited = st.builds(
        lambda text, at, size, put: text[: (at := at % (len(text) + 1))] + put + text[at + size :],
        written,
        st.integers(0, 200),
        st.integers(0, 2),
        st.sampled_from(
            ("", '"', "\\", "\\u", ",", "}", "0", "e9", "-", "\ufeff", "\n", ' "command": "ls", ')
        ),
    )
    return written | edited


@native
@pytest.mark.slow
def test_labels_of_any_json_are_the_same(strict: Both) -> None:
    """What is read here and what Python is asked for make the same rows, of JSON in any spelling and of none."""
    keys = st.sampled_from(("tool_input", "tool_parameters", "tool.input"))

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(keys, _json()), min_size=1, max_size=12))
    def hold(attributes: list[tuple[str, str]]) -> None:
        strict.hold("otel_logs", [_labelled(*attributes)])

    hold()


@native
def test_labels_end_where_they_end_in_python(strict: Both) -> None:
    """Lengths, depths and numbers at the limits, fields that come twice, and every word that may be a secret."""
    texts = [json.dumps({name: word}) for name in ("mcp_server_name", "command") for word in _WORDS]
    texts += [
        json.dumps({"command": "ls", "a": value})
        for value in (0, -0.5, 10**18, 10**400, 1e300, [[]], {"a": 1})
    ]
    texts += [
        f'{{"command": "ls", "a": {"[" * depth}{"]" * depth}}}' for depth in (31, 32, 33, 1023, 1024, 1025)
    ]
    texts += [
        f'{{"command": "ls", "a": {number}}}' for number in ("01", "-", "1.", ".1", "1e9", "1e999", "9" * 400)
    ]
    texts += [
        '{"command": "ls", "command": 1}',
        '{"command": 1, "command": "ls"}',
        '{"a": {"command": "ls"}}',
    ]
    texts += [
        "",
        "x",
        "null",
        "[1]",
        '"ls"',
        "\ufeff{}",
        " {} ",
        "{} {}",
        '{"command": "ls"',
        '{"c\\u006fmmand": "ls"}',
    ]
    texts += [
        '{"command": "ls", "a": "\\ud800"}',
        '{"command": "ls\\u0020-l"}',
        '{"mcp_server_name": "a\\/b"}',
    ]
    strict.hold("otel_logs", [_labelled(("tool_input", text)) for text in texts])


@native
def test_labels_of_one_name_are_told_apart_as_in_python(engine: Engine) -> None:
    """Two attributes can make one label: the last one is kept, in either order; a dropped or redacted key as ever."""
    rules = load_rules(None, Level.strict)
    word, whole = Label("b.c", "first_word"), Label("c", "value")
    made = replace(
        rules,
        hash_keys=rules.hash_keys | {"a", "a.b"},
        extract={"a": (word, Label("d", "value"), Label("d", "first_word")), "a.b": (whole,)},
        drop_keys=frozenset({"a.d"}),
    )
    pairs = ("a", '{"b.c": "one two", "d": "three"}'), ("a.b", '{"c": "four"}'), ("a.b", '{"c": "../five"}')
    sent = ("a.b.c", "sent"), ("password", "hunter2"), ("carol@example.com", "six")
    for some in (rules, made, replace(made, drop_keys=frozenset())):
        both = Both(engine, some)
        for attributes in (
            (*pairs, *sent),
            pairs[::-1],
            pairs[:2],
            (*pairs[:2], sent[1]),
            (*pairs[:2], sent[2]),
        ):
            both.hold("otel_logs", [_labelled(*attributes)])


@native
def test_python_is_asked_for_labels_that_are_not_plain() -> None:
    """A name and a command's first word are read without a question; one that a pattern finds is not."""
    rules = load_rules(None, Level.strict)
    scrub = Listening(Sanitizer(rules, None))
    transform = NativeTransform(rules, scrub, "", 90)
    plain = [
        ("tool_input", '{"command": "git commit -m \\"x\\"", "timeout": 1.5, "options": [{"a": null}]}'),
        ("tool_parameters", '{"mcp_server_name":"files","mcp_tool_name":"read_file"}'),
        ("tool_input", "not JSON"),
    ]
    transform.run("otel_logs", surveyed("otel_logs", [_labelled(*plain)]))
    assert scrub.asked == []
    transform.run("otel_logs", surveyed("otel_logs", [_labelled(("tool_input", '{"command": "/bin/ls"}'))]))
    assert [question[0] for question in scrub.asked] == ["extract", "extract"]


@native
@pytest.mark.parametrize(
    "attribute", [b"\x0a\x01\xff", b"\x0a\x02k", b"\x0a\x01k\x12\x03\x0a\x01\xff", b"\x80"]
)
def test_what_is_no_attribute_is_refused_by_both(strict: Both, attribute: bytes) -> None:
    """A key or text that is not UTF-8, and a length beyond the end."""
    span = b"\x4a" + bytes([len(attribute)]) + attribute
    scope = b"\x12" + bytes([len(span)]) + span
    resource = b"\x12" + bytes([len(scope)]) + scope
    requests = [Surveyed(b"\x0a" + bytes([len(resource)]) + resource, 1)]
    for transform in (strict.sql, strict.native):
        with pytest.raises(Refused):
            transform.run("otel_traces", requests)


@native
def test_rows_that_would_need_too_much_memory_are_refused(strict: Both) -> None:
    """A megabyte of a resource would be written once for each of its empty spans: refused, and nothing is made."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="note", value=AnyValue(string_value="x" * (1 << 20)))
    spans = group.scope_spans.add().spans
    for _ in range(2000):
        spans.add()
    with pytest.raises(Refused) as refused:
        strict.native.run("otel_traces", [Surveyed(request.SerializeToString(), 2000)])
    assert refused.value.too_large


@native
def test_requests_with_other_rows_than_were_counted_are_refused(strict: Both) -> None:
    """Rows are never taken for another request's."""
    body = corpus.traces(3, 1)
    with pytest.raises(Refused):
        strict.native.run("otel_traces", [Surveyed(body, 2)])


@native
def test_a_pattern_that_is_not_understood_is_named_with_the_remedy(engine: Engine) -> None:
    """Quoted text, which RE2 alone has, is not taken: `native` says so, `auto` takes the SQL."""
    rules = load_rules(None, Level.strict)
    rules = replace(rules, patterns=(Pattern("quoted", r"\Qa.b\E", None, None),))
    scrub = Scrub(Sanitizer(rules, None))
    with pytest.raises(NativeError, match=r"Qa\.b.*TELEMETRY_TRANSFORM=sql"):
        transform_of("native", engine, rules, scrub, "", 90)
    assert isinstance(transform_of("auto", engine, rules, scrub, "", 90), Transform)


def test_the_choice_decides(engine: Engine) -> None:
    """`sql` takes the statements; `auto` too where the pass is not installed, and `native` names the remedy there."""
    rules = load_rules(None, Level.strict)
    scrub = Scrub(Sanitizer(rules, None))
    assert isinstance(transform_of("sql", engine, rules, scrub, "", 90), Transform)
    if _IS_INSTALLED:
        assert isinstance(transform_of("auto", engine, rules, scrub, "", 90), NativeTransform)
        return
    assert isinstance(transform_of("auto", engine, rules, scrub, "", 90), Transform)
    with pytest.raises(NativeError, match="install Rust's cargo"):
        transform_of("native", engine, rules, scrub, "", 90)


def test_the_distribution_is_of_the_version_that_is_asked_for() -> None:
    """The number in native/Cargo.toml is the one in the receiver."""
    cargo = (Path(__file__).parent.parent / "native" / "Cargo.toml").read_text()
    assert f'\nversion = "{VERSION}"\n' in cargo
