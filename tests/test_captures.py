"""Requests that Claude Code really sent, through both transports into real tables, compared row by row."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from otlp.json_encoding import decode
from otlp.signals import Signal, survey
from privacy.rules import Level, load_rules
from privacy.sanitizer import Sanitizer
from tests import reference
from tests.server import CAPTURES, Server

# The server that all of them share takes a while to start and to be read.
pytestmark = pytest.mark.slow

PATHS = sorted(CAPTURES.glob("*/*"))
TIMES = {"Timestamp", "StartTimeUnix", "TimeUnix", "Events.Timestamp", "Exemplars.TimeUnix"}
FLOATS = {"Value", "Sum", "Min", "Max", "ExplicitBounds", "Exemplars.Value"}
TABLES = [table for tables in reference.TABLES.values() for table in tables]
# People, their texts, and their places of work; one test makes sure that each is in the captures.
PRIVATE = (
    "jane",
    "example.com",
    "bob@corp",
    "corp.example",
    "555-0123",
    "(415)",
    "Say hello",
    "read a.txt and write",
    "/home/jane",
    "hello && ls",
    "ls -la",
    "drwxr-xr-x",
    "a.txt",
    "missing.txt",
    "line1",
    "All done.",
)
_TABLES = (
    "SELECT database, name FROM system.tables"
    # A view's rows are in its tables.
    " WHERE database NOT IN ('system', 'INFORMATION_SCHEMA', 'information_schema') AND engine != 'View'"
)


def _signal(path: Path) -> Signal:
    return Signal(path.stem.partition("-")[2])


def _protobuf(path: Path) -> bytes:
    body = path.read_bytes()
    return decode(_signal(path).value, body).body if path.suffix == ".json" else body


class Stored:
    """The rows that a server with the default settings kept of every capture, sent over gRPC and again over HTTP."""

    def __init__(self, server: Server) -> None:
        self.exit_code = server.stop()
        self.log = server.log.read_bytes()
        self.files = {path: path.read_bytes() for path in server.data.rglob("*") if path.is_file()}
        (names,) = server.rows(_TABLES)
        tables = [f"`{row['database']}`.`{row['name']}`" for row in names]
        self.everything = dict(
            zip(tables, server.rows(*(f"SELECT * FROM {name}" for name in tables)), strict=True)
        )
        self.rows = {table: self.everything[f"`telemetry`.`{table}`"] for table in TABLES}
        (self.traces,) = server.rows(
            "SELECT TraceId, toUnixTimestamp(min(Start)) AS start, toUnixTimestamp(max(End)) AS end"
            " FROM otel_traces_trace_id_ts GROUP BY TraceId"
        )


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    # The captures get older every day; records past the default retention would not stay.
    server = Server(tmp_path_factory.mktemp("captures") / "data", {"TELEMETRY_RETENTION_DAYS": "3650"})
    try:
        server.wait_until_ready()
        with ThreadPoolExecutor(8) as pool:
            for sent in [pool.submit(_send, server, path) for path in PATHS]:
                sent.result()
        records = sum(survey(_signal(path), _protobuf(path)).records for path in PATHS)
        assert server.metric("telemetry_accepted_records_total") == 2 * records
        assert server.metric("telemetry_inserted_rows_total") == 2 * records
        assert server.metric("telemetry_refused_records_total") == 0
        assert server.metric("telemetry_odd_records_total") == 0
        yield Stored(server)
    finally:
        server.kill()


def _send(server: Server, path: Path) -> None:
    """Send a capture over both transports, over HTTP as it was captured."""
    signal = _signal(path)
    assert server.export(signal.value, _protobuf(path)) == b""
    content_type, success = (
        ("application/json", b"{}") if path.suffix == ".json" else ("application/x-protobuf", b"")
    )
    answer = server.post(signal.value, path.read_bytes(), content_type)
    assert (answer.status_code, answer.content) == (200, success)


def _expected() -> Mapping[str, list[reference.Row]]:
    sanitizer = Sanitizer(load_rules(None, Level.strict), None)
    tables: dict[str, list[reference.Row]] = {table: [] for table in TABLES}
    for path in PATHS:
        made = reference.rows(_signal(path).value, [_protobuf(path)], sanitizer)
        for table, rows in made.items():
            tables[table] += rows
    return tables


def _comparable(row: Mapping[str, Any]) -> str:
    """Write a row as text, times in nanoseconds and in no particular order of columns."""
    return json.dumps({name: _plain(name, value) for name, value in row.items()}, sort_keys=True)


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(name, item) for item in value]
    if name in TIMES and not isinstance(value, int):
        return int(Decimal(value) * 10**9)
    return float(value) if name in FLOATS else value


def test_the_server_drained_and_exited_cleanly(stored: Stored) -> None:
    """SIGTERM after the last acknowledgement ends with exit code 0."""
    assert stored.exit_code == 0


@pytest.mark.parametrize("table", TABLES)
def test_every_row_is_the_reference_s_once_for_each_transport(stored: Stored, table: str) -> None:
    """Whole rows, as multisets: none is missing, none is there too often, none differs."""
    expected = Counter(_comparable(row) for row in _expected()[table] for _ in ("grpc", "http"))
    actual = Counter(_comparable(row) for row in stored.rows[table])
    assert sorted(actual.elements()) == sorted(expected.elements())


def test_every_trace_can_be_looked_up(stored: Stored) -> None:
    """The look-up table tells when each trace began and ended, in seconds."""
    spans: dict[str, list[int]] = {}
    for row in _expected()["otel_traces"]:
        spans.setdefault(row["TraceId"], []).append(row["Timestamp"] // 10**9)
    expected = {trace: (min(times), max(times)) for trace, times in spans.items()}
    assert {row["TraceId"]: (row["start"], row["end"]) for row in stored.traces} == expected


def test_the_captures_hold_what_is_private() -> None:
    """Else the next tests would prove nothing."""
    sent = b"".join(_protobuf(path) for path in PATHS)
    assert [text for text in PRIVATE if text.encode() not in sent] == []


def test_nothing_private_is_in_any_table(stored: Stored) -> None:
    """Not only those of the schema: every table of every database."""
    assert {f"`telemetry`.`{table}`" for table in TABLES} <= stored.everything.keys()
    text = json.dumps(stored.everything, ensure_ascii=False)
    assert [private for private in PRIVATE if private in text] == []


def test_no_text_of_a_hashed_attribute_is_in_any_table(stored: Stored) -> None:
    """No value under a key that the rules hash is stored whole anywhere."""
    hashed = load_rules(None, Level.strict).hash_keys
    as_sent = Sanitizer(load_rules(None, Level.off), None)
    sent: set[str] = set()
    for path in PATHS:
        for rows in reference.rows(_signal(path).value, [_protobuf(path)], as_sent).values():
            maps = [value for row in rows for name, value in row.items() if name.endswith("Attributes")]
            for found in maps:
                for attributes in found if isinstance(found, list) else [found]:
                    sent |= {text for key, text in attributes.items() if key in hashed and text}
    assert len(sent) > 10
    kept = json.dumps(stored.everything, ensure_ascii=False)
    assert [text for text in sent if json.dumps(text, ensure_ascii=False)[1:-1] in kept] == []


def test_nothing_private_is_in_any_file_or_in_the_log(stored: Stored) -> None:
    """Read as bytes: the tables cover compressed text, and plain text would show here."""
    assert stored.files
    leaks = [
        (path.name, text)
        for path, content in {**stored.files, Path("log"): stored.log}.items()
        for text in PRIVATE
        if text.encode() in content
    ]
    assert leaks == []
