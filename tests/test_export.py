"""Exports of a store filled with invented sessions, compared with plain Python; and the command against a server."""

import csv
import dataclasses
import io
import json
import os
import pty
import signal
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from access.answer import Range
from access.export.export import Export, damaged, export, latest, read
from access.export.request import ExportRequest, Format, Level
from access.export.rows import FREE_TEXT
from access.refusal import Code, Refusal
from access.store import Rows
from clickhouse.engine import Engine
from demo.generate import Ledger, Plan, generate
from tests.engine_store import EngineStore
from tests.events import Tables, event, logs, tables
from tests.server import ROOT, Server, eventually
from tests.test_query_command import of_a_process

UNTIL = datetime(2026, 10, 15, 12, tzinfo=UTC)
PLAN = Plan(seed=5, sessions=30, users=5, days=5, until=UNTIL)
AT = UNTIL.timestamp()
WORK = ("tool_result", "api_request", "api_error")
CSV_COLUMNS = [
    "benchmark_id", "timestamp", "mcp_server", "task_type", "duration_ms", "tokens_in", "tokens_out", "success",
    "error_count", "retrieval_calls", "avg_response_size",
]  # fmt: skip


@pytest.fixture(scope="module")
def demo() -> list[bytes]:
    return [request.body for request in generate(PLAN, Ledger()) if request.signal == "logs"]


@pytest.fixture(scope="module")
def made(engine: Engine) -> Iterator[Tables]:
    with tables(engine) as made:
        yield made


@pytest.fixture
def filled(made: Tables, demo: list[bytes]) -> Tables:
    made.clear()
    made.store("otel_logs", *demo)
    return made


@pytest.fixture
def empty(made: Tables) -> Tables:
    made.clear()
    return made


def stored(made: Tables) -> list[dict[str, Any]]:
    """Read the events, for plain Python to add up."""
    return made.dicts(
        "SELECT * REPLACE (toUnixTimestamp64Nano(timestamp) AS timestamp) FROM telemetry_events ORDER BY ALL"
    )


def lines(made: Export) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for file in made.files
        for line in (made.folder / file.name).read_text("utf-8").splitlines()
    ]


def call(second: float, **more: Any) -> Any:
    usual = {"tool_name": "Read", "success": "true", "duration_ms": 10, "tool_result_size_bytes": 5}
    return event(AT + second, "tool_result", **{**usual, **more})


def benchmarks(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Work out the rows of `benchmarks` in plain Python."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for one in events:
        if one["event_type"] in WORK and one["session_id"]:
            groups[one["session_id"], one["mcp_server_name"]].append(one)
    found = []
    for (session, server), group in groups.items():
        sizes = [one["result_bytes"] for one in group if one["result_bytes"] is not None]
        calls = [one for one in group if one["event_type"] == "tool_result"]
        steps = [(one["timestamp"], one["workflow_step"]) for one in group if one["workflow_step"]]
        found.append(
            {
                "id": f"{session}/{server}" if server else session,
                "timestamp": iso(min(one["timestamp"] for one in group)),
                "mcpServer": server,
                "taskType": min(steps)[1] if steps else "",
                "duration": pytest.approx(sum(one["duration_ms"] or 0 for one in group)),
                "tokenUsage": {
                    "input": sum(one["input_tokens"] or 0 for one in group),
                    "output": sum(one["output_tokens"] or 0 for one in group),
                    "total": sum((one["input_tokens"] or 0) + (one["output_tokens"] or 0) for one in group),
                },
                "costUsd": cost(group),
                "success": not any(one["failure"] for one in group),
                "errorCount": sum(1 for one in group if one["failure"]),
                "errorDetails": "; ".join(sorted({one["failure"] for one in group if one["failure"]}))
                or None,
                "retrievalCalls": {
                    "count": len(calls),
                    "totalDuration": pytest.approx(sum(one["duration_ms"] or 0 for one in calls)),
                    "avgResponseSize": pytest.approx(statistics.fmean(sizes)) if sizes else None,
                },
            }
        )
    return sorted(found, key=lambda one: (one["timestamp"], one["id"]))


def iso(nanoseconds: int | str) -> str:
    seconds, rest = divmod(int(nanoseconds), 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 10**6:03}Z"


def spread(values: list[float]) -> dict[str, Any]:
    ordered = sorted(values)

    def at(level: float) -> Any:
        return pytest.approx(ordered[min(int(level * len(ordered)), len(ordered) - 1)]) if ordered else None

    return {
        "mean": pytest.approx(statistics.fmean(ordered)) if ordered else None,
        "median": at(0.5),
        "percentiles": {"p50": at(0.5), "p95": at(0.95), "p99": at(0.99)},
    }


def performance(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Work out one row of `performance` in plain Python."""
    calls = sum(1 for one in events if one["event_type"] == "tool_result")
    requests = sum(1 for one in events if one["event_type"] == "api_request")
    errors = sum(1 for one in events if one["failure"])
    read, written = (sum(one[name] or 0 for one in events) for name in ("input_tokens", "output_tokens"))
    sizes = [one["result_bytes"] for one in events if one["result_bytes"] is not None]
    return {
        "calls": calls,
        "requests": requests,
        "sessions": len({one["session_id"] for one in events if one["session_id"]}),
        "errors": errors,
        "errorRate": pytest.approx(errors / (calls + requests)) if calls + requests else None,
        "duration": spread([one["duration_ms"] for one in events if one["duration_ms"] is not None]),
        "tokenUsage": {"input": read, "output": written, "total": read + written},
        "costUsd": cost(events),
        "unpricedRequests": unpriced(events),
        "avgResponseSize": pytest.approx(statistics.fmean(sizes)) if sizes else None,
    }


def unpriced(events: list[dict[str, Any]]) -> int:
    """Return how many requests have no known cost."""
    return sum(one["event_type"] == "api_request" and one["cost_nanos"] is None for one in events)


def cost(events: list[dict[str, Any]]) -> Any:
    """Return what is known of a cost, None when nothing is."""
    requests = [one for one in events if one["event_type"] == "api_request"]
    if requests and unpriced(events) == len(requests):
        return None
    return pytest.approx(sum(one["cost_nanos"] or 0 for one in events) / 1e9)


def grouped(events: list[dict[str, Any]], key: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in events:
        if one["event_type"] in WORK:
            found[one[key]].append(one)
    return found


def test_the_document_is_what_plain_python_makes_of_the_events(filled: Tables, tmp_path: Path) -> None:
    """Every section has the fields of the access layer's design, with the numbers of the events themselves."""
    done = export(EngineStore(filled.engine), ExportRequest(Format.json), tmp_path)
    document = json.loads((done.folder / "telemetry.json").read_bytes())
    events = stored(filled)
    work = [one for one in events if one["event_type"] in WORK]
    details = benchmarks(events)

    assert list(document) == ["metadata", "benchmarks", "performance", "errors", "recommendations"]
    metadata = document["metadata"]
    assert metadata["version"] == "1.0"
    assert metadata["timeRange"] == {
        "start": iso(min(int(one["timestamp"]) for one in events)).replace(".000Z", "Z"),
        "end": iso(max(int(one["timestamp"]) for one in events)).replace(".000Z", "Z"),
    }
    assert metadata["dataQuality"]["sampleSize"] == len(events)
    assert metadata["dataQuality"]["completeness"] == pytest.approx(
        sum(1 for one in events if not one["quality"]) / len(events)
    )
    assert set(metadata["dataQuality"]) >= {
        "completeness",
        "sampleSize",
        "missingDataPoints",
        "schemaCompliance",
    }

    found = document["benchmarks"]
    assert found["details"] == details
    assert {type(row["success"]) for row in found["details"]} == {bool}
    durations = [row["duration"] for row in found["details"]]
    lower, upper = (sorted(durations)[int(level * len(durations))] for level in (0.25, 0.75))
    assert found["summary"] == {
        "count": len(details),
        "sessions": len({one["session_id"] for one in work if one["session_id"]}),
        "successRate": pytest.approx(sum(row["success"] for row in details) / len(details)),
        "errors": sum(row["errorCount"] for row in details),
        "retrievalCalls": sum(row["retrievalCalls"]["count"] for row in details),
        "tokenUsage": {
            name: sum(row["tokenUsage"][name] for row in details) for name in ("input", "output", "total")
        },
        "costUsd": cost(work),
        "unpricedRequests": unpriced(work),
        "duration": {
            **spread(durations),
            "stdDev": pytest.approx(statistics.pstdev(durations)),
            "outliers": pytest.approx(
                sorted((one for one in durations if one > upper + 1.5 * (upper - lower)), reverse=True)[:20]
            ),
        },
    }
    assert {trend["metric"] for trend in found["trends"]} == {
        "avgDuration", "errorRate", "tokens", "costUsd", "calls",
    }  # fmt: skip

    assert {row.pop("mcpServer"): row for row in document["performance"]["byServer"]} == {
        name: performance(group) for name, group in grouped(events, "mcp_server_name").items()
    }
    assert {row.pop("taskType"): row for row in document["performance"]["byTaskType"]} == {
        name: performance(group) for name, group in grouped(events, "workflow_step").items()
    }
    days: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in work:
        days[f"{iso(one['timestamp'])[:10]}T00:00:00Z"].append(one)
    windows = {row.pop("start"): row for row in document["performance"]["byTimeWindow"]}
    assert list(windows) == sorted(days)
    assert windows == {day: performance(group) for day, group in days.items()}

    failures: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in events:
        if one["failure"]:
            failures[one["failure"]].append(one)
    patterns = sorted(failures, key=lambda name: (-len(failures[name]), name))
    assert [(row["pattern"], row["count"]) for row in document["errors"]["patterns"]] == [
        (name, len(failures[name])) for name in patterns
    ]
    requests = [one for one in events if one["event_type"] == "api_request"]
    priced = len(requests) - unpriced(requests)
    dollars = sum(one["cost_nanos"] or 0 for one in requests) / 1e9 / priced
    sessions = {one["session_id"] for one in events if one["session_id"]}
    assert document["errors"]["impact"] == [
        {
            "pattern": name,
            "sessionsAffected": (hit := len({one["session_id"] for one in failures[name]} - {""})),
            "sessionShare": pytest.approx(hit / len(sessions)),
            "usersAffected": len({one["user_id"] for one in failures[name]} - {""}),
            "durationLost": pytest.approx(sum(one["duration_ms"] or 0 for one in failures[name])),
            "retryCostUsd": pytest.approx(len(failures[name]) * dollars),
        }
        for name in patterns
    ]
    assert [(row["start"], row["errors"]) for row in document["errors"]["frequency"]] == [
        (day, windows[day]["errors"]) for day in windows
    ]
    immediate = document["recommendations"]["immediate"]
    assert [row["title"] for row in immediate] == [name for name in patterns if len(failures[name]) > 1][:6]
    assert set(document["recommendations"]) == {"immediate", "longTerm"}
    assert done.rows == len(details)


def test_csv_has_the_columns_of_the_access_layer(filled: Tables, tmp_path: Path) -> None:
    """A row for what each session did with one MCP server, or without any."""
    done = export(EngineStore(filled.engine), ExportRequest(Format.csv), tmp_path)
    with (done.folder / "benchmarks.csv").open(newline="", encoding="utf-8") as source:
        header, *rows = csv.reader(source)
    assert header == CSV_COLUMNS
    details = benchmarks(stored(filled))
    assert [row[:4] for row in rows] == [
        [one["id"], one["timestamp"], one["mcpServer"], one["taskType"]] for one in details
    ]
    assert [float(row[4]) for row in rows] == [one["duration"] for one in details]
    assert [row[5:10] for row in rows] == [
        [
            str(one["tokenUsage"]["input"]),
            str(one["tokenUsage"]["output"]),
            str(one["success"]).lower(),
            str(one["errorCount"]),
            str(one["retrievalCalls"]["count"]),
        ]
        for one in details
    ]
    assert done.rows == len(rows)


@pytest.mark.parametrize("level", Level)
def test_events_are_exported_as_they_are_stored_less_what_the_level_leaves_out(
    filled: Tables, tmp_path: Path, level: Level
) -> None:
    """JSON Lines and Parquet have the same rows; strict has no column of free text, keep has every column."""
    filled.store("otel_logs", logs([call(1, success="false", error="it broke")]))
    store = EngineStore(filled.engine)
    text = export(store, ExportRequest(Format.jsonl, "a", level=level), tmp_path)
    typed = export(store, ExportRequest(Format.parquet, "b", level=level), tmp_path)

    left_out = set(FREE_TEXT) if level is Level.strict else set()
    expected = filled.dicts("SELECT * FROM telemetry_events")
    columns = set(expected[0]) - left_out
    rows = lines(text)
    assert {frozenset(row) for row in rows} == {frozenset(columns)}

    def key(row: Mapping[str, Any]) -> str:
        return json.dumps({name: row[name] for name in columns - {"timestamp"}}, sort_keys=True)

    assert sorted(map(key, rows)) == sorted(map(key, expected))
    assert all(row["timestamp"].endswith("Z") and "T" in row["timestamp"] for row in rows)
    assert {file.name.removeprefix("events-") for file in text.files} == {
        f"{day:%Y%m%d}.jsonl"
        for day in {datetime.fromisoformat(row["timestamp"][:19]).date() for row in rows}
    }
    assert any(row.get("error_message") for row in rows) == (level is Level.keep)
    tables_ = [pyarrow.parquet.read_table(typed.folder / file.name) for file in typed.files]
    assert {frozenset(table.column_names) for table in tables_} == {frozenset(columns)}
    assert [table.num_rows for table in tables_] == [file.rows for file in typed.files]
    assert sum(table.num_rows for table in tables_) == len(expected)


def test_every_column_of_text_is_known_to_the_levels(filled: Tables) -> None:
    """A new column of free text cannot slip into strict exports: this list says that each was looked at."""
    texts = [name for (name,) in filled.rows(
        "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = 'telemetry_events'"
        " AND type = 'String' OR (table = 'telemetry_events' AND database = currentDatabase() AND type LIKE 'Map%')"
        " ORDER BY name"
    )]  # fmt: skip
    labels = {"prompt_id", "tool_use_id", "request_id"}
    assert set(texts) - labels == set(FREE_TEXT) - {"command"}


def test_the_manifest_says_what_is_there(filled: Tables, tmp_path: Path) -> None:
    """Sizes, checksums, rows, the range; files are for their owner alone, and no temporary file is left."""
    done = export(EngineStore(filled.engine), ExportRequest(Format.jsonl), tmp_path)
    manifest = json.loads((done.folder / "manifest.json").read_bytes())
    assert read(done.folder) == dataclasses.replace(done, manifest=manifest)
    assert damaged(done) == []
    assert manifest["rows"] == len(stored(filled)) == sum(file["rows"] for file in manifest["files"])
    assert manifest["bytes"] == sum((done.folder / file["name"]).stat().st_size for file in manifest["files"])
    names = {path.name for path in done.folder.iterdir()}
    assert names == {"manifest.json", *(file["name"] for file in manifest["files"])}
    assert {path.stat().st_mode & 0o777 for path in done.folder.iterdir()} == {0o600}
    assert done.folder.stat().st_mode & 0o777 == 0o700

    first, second = done.files[:2]
    (done.folder / first.name).unlink()
    data = (done.folder / second.name).read_bytes()
    (done.folder / second.name).write_bytes(data[:-2] + b" \n")
    assert damaged(done) == [first.name, second.name]


def test_incremental_exports_have_each_event_once_late_ones_too(empty: Tables, tmp_path: Path) -> None:
    """What is new is known by its insertion, after merges as before, however old the event is."""
    store = EngineStore(empty.engine)
    request = ExportRequest(Format.jsonl, "week", incremental=True)
    empty.store("otel_logs", logs([call(0, tool_use_id="a"), call(1, tool_use_id="b")]))
    first = export(store, request, tmp_path)
    empty.store("otel_logs", logs([call(2, tool_use_id="c", duration_ms=40)]))
    empty.store("otel_logs", logs([call(-3 * 86_400, tool_use_id="late"), call(0.5, tool_use_id="late too")]))
    empty.engine.command("OPTIMIZE TABLE telemetry_events FINAL")
    second = export(store, request, tmp_path)
    third = export(store, request, tmp_path)
    empty.engine.command("OPTIMIZE TABLE telemetry_events FINAL")
    empty.store("otel_logs", logs([call(-3 * 86_400, tool_use_id="later")]))
    fourth = export(store, request, tmp_path)

    ids = [sorted(row["tool_use_id"] for row in lines(done)) for done in (first, second, third, fourth)]
    assert ids == [["a", "b"], ["c", "late", "late too"], [], ["later"]]
    assert [done.number for done in (first, second, third, fourth)] == [1, 2, 3, 4]
    assert [done.manifest["replaced"] for done in (first, second, third, fourth)] == [[], [], [], []]
    assert first.manifest["deltas"] is None
    deltas = second.manifest["deltas"]
    assert deltas["records"] == {"previous": 2, "current": 3, "change": 1}
    assert deltas["avgToolDuration"] == {"previous": 10.0, "current": 20.0, "change": 10.0}
    assert third.manifest["deltas"]["avgToolDuration"] == {"previous": 20.0, "current": None, "change": None}
    assert latest(tmp_path, "week") == read(fourth.folder)


@pytest.mark.parametrize("change", ["deleted", "emptied"])
def test_a_day_that_was_changed_is_exported_again_and_named(
    empty: Tables, tmp_path: Path, change: str
) -> None:
    """Numbers of inserts that are used again hide nothing."""
    store = EngineStore(empty.engine)
    request = ExportRequest(Format.jsonl, incremental=True)
    old = call(-3 * 86_400, tool_use_id="untouched")
    empty.store("otel_logs", logs([call(0, tool_use_id="a"), call(1, tool_use_id="b"), old]))
    export(store, request, tmp_path)
    if change == "deleted":
        empty.engine.command(
            "ALTER TABLE telemetry_events DELETE WHERE tool_use_id = 'a' SETTINGS mutations_sync = 2"
        )
        expected = ["b"]
    else:
        # As after a restart of an emptied engine: the numbers begin below the mark.
        made = json.loads((tmp_path / "telemetry/0001/manifest.json").read_bytes())
        for mark in made["watermark"]["partitions"].values():
            mark["last"] += 1_000
        (tmp_path / "telemetry/0001/manifest.json").write_text(json.dumps(made))
        empty.store("otel_logs", logs([call(2, tool_use_id="new")]))
        expected = ["a", "b", "new"]
    done = export(store, request, tmp_path)
    assert sorted(row["tool_use_id"] for row in lines(done)) == expected
    assert done.manifest["replaced"] == ["20261015"]


class Failing(EngineStore):
    """A store that is cut off in the middle of a statement."""

    left: int = 0

    def stream(self, sql: str, values: Mapping[str, str] | None, output_format: str) -> Iterator[bytes]:
        """Yield the half of an answer when its turn has come."""
        for piece in EngineStore.stream(self, sql, values, output_format):
            self.left -= output_format == "JSONEachRow"
            if self.left == 0 and output_format == "JSONEachRow":
                yield piece[: len(piece) // 2]
                return
            yield piece


def test_an_answer_that_was_cut_is_no_export_and_goes_on(filled: Tables, tmp_path: Path) -> None:
    """Half an answer is refused; the next call keeps the files that were whole, and the plan that was made."""
    store = Failing(filled.engine)
    store.left = 3
    request = ExportRequest(Format.jsonl)
    with pytest.raises(Refusal, match="rows arrived of") as caught:
        export(store, request, tmp_path)
    assert caught.value.code is Code.QUERY_FAILED
    folder = tmp_path / "telemetry/0001"
    assert latest(tmp_path, "telemetry") is None
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.jsonl")}
    assert len(before) == 2
    events = len(stored(filled))
    filled.store("otel_logs", logs([call(1, tool_use_id="after the plan")]))

    done = export(EngineStore(filled.engine), request, tmp_path)
    assert (done.folder, done.is_resumed, done.rows) == (folder, True, events)
    assert before.items() <= {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}.items()
    assert damaged(done) == []


def test_an_interrupted_export_of_something_else_is_not_continued(filled: Tables, tmp_path: Path) -> None:
    """Files of two requests never end up under one manifest."""
    store = Failing(filled.engine)
    store.left = 2
    with pytest.raises(Refusal):
        export(store, ExportRequest(Format.jsonl), tmp_path)
    done = export(EngineStore(filled.engine), ExportRequest(Format.jsonl, level=Level.keep), tmp_path)
    assert (done.number, done.is_resumed) == (1, False)
    assert all("error_message" in row for row in lines(done))


def test_a_period_is_exported_alone(filled: Tables, tmp_path: Path) -> None:
    """From its start up to but without its end."""
    middle = Range(UNTIL - timedelta(days=3), UNTIL - timedelta(days=2))
    done = export(EngineStore(filled.engine), ExportRequest(Format.jsonl, time_range=middle), tmp_path)
    begin, end = (int(time.timestamp()) * 10**9 for time in (middle.start, middle.end))
    expected = [one for one in stored(filled) if begin <= int(one["timestamp"]) < end]
    assert done.rows == len(expected) > 0
    assert done.manifest["watermark"] is None


def test_formulas_are_defused_when_asked(empty: Tables, tmp_path: Path) -> None:
    """Text that a spreadsheet would run gets an apostrophe; otherwise, and in JSON, every character is as stored."""
    sent = '=1+1\r\n\x1b[2J,"x"'
    hostile = '=1+1\ufffd\ufffd\ufffd[2J,"x"'  # as names are stored
    empty.store("otel_logs", logs([call(0, session__id="+s", workflow__step=sent)]))
    store = EngineStore(empty.engine)

    def row(request: ExportRequest) -> list[str]:
        text = (export(store, request, tmp_path).folder / "benchmarks.csv").read_bytes().decode()
        return list(csv.reader(io.StringIO(text, newline="")))[1]

    plain = row(ExportRequest(Format.csv, "plain"))
    defused = row(ExportRequest(Format.csv, "defused", defuse_formulas=True))
    assert (plain[0], plain[3]) == ("+s", hostile)
    assert (defused[0], defused[3]) == ("'+s", f"'{hostile}")
    document = export(store, ExportRequest(Format.json, "document"), tmp_path).folder / "telemetry.json"
    assert json.loads(document.read_bytes())["benchmarks"]["details"][0]["taskType"] == hostile


@pytest.mark.parametrize("output_format", Format)
def test_an_empty_store_is_exported_as_nothing(empty: Tables, tmp_path: Path, output_format: Format) -> None:
    """No rows, no division by 0, and a manifest that says so."""
    done = export(EngineStore(empty.engine), ExportRequest(output_format), tmp_path)
    assert (done.rows, done.manifest["figures"]["records"]) == (0, 0)
    assert done.manifest["timeRange"] == {"start": None, "end": None}
    if output_format is Format.json:
        document = json.loads((done.folder / "telemetry.json").read_bytes())
        assert document["benchmarks"]["details"] == []
        assert document["benchmarks"]["summary"]["successRate"] is None


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (ExportRequest(Format.json, "../x"), "name"),
        (ExportRequest(Format.json, ""), "name"),
        (ExportRequest(Format.json, incremental=True, time_range=Range(UNTIL, UNTIL)), "incremental"),
        (ExportRequest(Format.jsonl, defuse_formulas=True), "defuse_formulas"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    empty: Tables, tmp_path: Path, request_: Any, field: str
) -> None:
    """Before anything is written."""
    with pytest.raises(Refusal) as caught:
        export(EngineStore(empty.engine), request_, tmp_path)
    assert caught.value.field == field
    assert list(tmp_path.iterdir()) == []


def test_an_incremental_export_keeps_its_format(empty: Tables, tmp_path: Path) -> None:
    """Another format would lack what the ones before have."""
    store = EngineStore(empty.engine)
    export(store, ExportRequest(Format.jsonl, incremental=True), tmp_path)
    with pytest.raises(Refusal, match="are jsonl") as caught:
        export(store, ExportRequest(Format.csv, incremental=True), tmp_path)
    assert caught.value.accepted == ("jsonl",)


class Torn(EngineStore):
    """A store whose answers arrive in small pieces, empty ones among them."""

    def stream(self, sql: str, values: Mapping[str, str] | None, output_format: str) -> Iterator[bytes]:
        """Yield an answer bit by bit."""
        for piece in EngineStore.stream(self, sql, values, output_format):
            yield b""
            yield from (piece[first : first + 7] for first in range(0, len(piece), 7))


def test_rows_are_read_in_slices_that_add_up(
    filled: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many events there are, a statement returns or groups a bounded number of them."""
    whole = export(EngineStore(filled.engine), ExportRequest(Format.csv, "whole"), tmp_path)
    monkeypatch.setattr("access.export.rows.parts.__defaults__", (100,))
    store = Torn(filled.engine)
    sliced = export(store, ExportRequest(Format.csv, "sliced"), tmp_path)
    document = export(store, ExportRequest(Format.json, "document"), tmp_path)
    events = export(store, ExportRequest(Format.jsonl, "events"), tmp_path)
    texts = [sorted((one.folder / "benchmarks.csv").read_text().splitlines()) for one in (whole, sliced)]
    assert texts[0] == texts[1]
    details = json.loads((document.folder / "telemetry.json").read_bytes())["benchmarks"]["details"]
    assert sorted(details, key=lambda one: (one["timestamp"], one["id"])) == benchmarks(stored(filled))
    assert events.rows == len(stored(filled))
    assert len(events.files) > 10


# --- the command, against a server -------------------------------------------------------------------------------


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "telemetry", "export", *arguments]


def run(server: Server, *arguments: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command and check its exit code."""
    done = subprocess.run(
        command(*arguments),
        cwd=ROOT,
        env={**of_a_process(server), **more},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def busy(server: Server) -> Server:
    """Send three days of a few thousand events each."""
    now = datetime.now(UTC).timestamp()
    for day in range(3):
        records = [
            event(now - day * 86_400 - second * 0.01, "tool_result", session__id=f"s{second % 50}", tool_name="Read",
                  success="true", duration_ms=second, error="x" * 200)
            for second in range(3_000)
        ]  # fmt: skip
        assert server.post("logs", logs(records)).status_code == 200
    return server


def test_the_command_exports_and_verifies(busy: Server, tmp_path: Path) -> None:
    """Over 8123, as the user who only reads; the result is said in a line."""
    done = run(busy, "-o", str(tmp_path), "-f", "jsonl", "--name", "all", "--incremental")
    folder = tmp_path / "all/0001"
    assert done.stderr == ""
    assert "9,000 events, 9,000 rows" in done.stdout
    assert str(folder / "manifest.json") in done.stdout
    assert "are as manifest.json says" in run(busy, "--verify", str(folder)).stdout
    next(folder.glob("*.jsonl")).write_text("")
    assert "Not as manifest.json says" in run(busy, "--verify", str(folder), code=1).stderr
    assert (
        "0 events" in run(busy, "-o", str(tmp_path), "-f", "jsonl", "--name", "all", "--incremental").stdout
    )


def test_a_killed_command_goes_on(busy: Server, tmp_path: Path) -> None:
    """SIGKILL in the middle costs the file that was being written, and half an export has no manifest."""
    arguments = ["-o", str(tmp_path), "-f", "jsonl"]
    process = subprocess.Popen(
        command(*arguments),
        cwd=ROOT,
        env=of_a_process(busy),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    folder = tmp_path / "telemetry/0001"

    def done_so_far() -> list[str]:
        try:
            return [file["name"] for file in json.loads((folder / "plan.json").read_bytes())["done"]]
        except FileNotFoundError:
            return []

    eventually(lambda: process.poll() is not None or bool(done_so_far()), 180)
    process.send_signal(signal.SIGKILL)
    process.wait(180)
    assert process.stdout is not None
    process.stdout.close()
    before = {name: (folder / name).stat().st_mtime_ns for name in done_so_far()}
    run(busy, *arguments)
    done = read(folder)
    assert done.rows == 9_000
    assert damaged(done) == []
    assert before.items() <= {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}.items()
    assert list(tmp_path.rglob("*.partial")) == []


def test_a_terminal_sees_a_progress_bar(busy: Server, tmp_path: Path) -> None:
    """People see how far it is; what is piped has no bar."""
    primary, secondary = pty.openpty()
    try:
        done = subprocess.run(
            command("-o", str(tmp_path), "-f", "csv"),
            cwd=ROOT, env={**of_a_process(busy), "TERM": "xterm"}, stdout=subprocess.PIPE, stderr=secondary,
            timeout=110, check=True,
        )  # fmt: skip
        shown = os.read(primary, 65_536).decode()
    finally:
        os.close(primary)
        os.close(secondary)
    assert "Exporting" in shown
    assert "100%" in shown
    assert "Exporting" not in done.stdout.decode()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--since", "soon"), "is no time"),
        (("--since", "1h", "--incremental"), "incremental"),
        (("--name", "a/b"), "letters"),
        (("--url", "http://127.0.0.1:1"), "Nothing answers"),
    ],
)
def test_the_command_says_what_is_wrong(
    busy: Server, tmp_path: Path, arguments: tuple[str, ...], text: str
) -> None:
    """In a line, without a traceback."""
    done = run(busy, "-o", str(tmp_path), *arguments, code=1)
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_validation_rules_stop_the_command(busy: Server, tmp_path: Path) -> None:
    """All faults at once, with the setting to change."""
    rules = tmp_path / "rules.yaml"
    rules.write_text("rules: [{field: weight, min: 0}, {field: duration}]")
    done = run(busy, "-o", str(tmp_path), code=1, TELEMETRY_VALIDATION_RULES=str(rules))
    assert "entry 1" in done.stderr
    assert "entry 2" in done.stderr
    assert "TELEMETRY_VALIDATION_RULES" in done.stderr


class Endless:
    """A store of as many rows as are wanted, made as they are read: only what the export keeps takes memory."""

    def __init__(self, engine: EngineStore, rows: int) -> None:
        self._engine = engine
        self._rows = rows

    def rows(self, sql: str, values: Mapping[str, str] | None = None, **more: Any) -> Rows:
        """Answer the counts as if all rows were stored."""
        found = self._engine.rows(sql, values, **more)
        if sql.startswith("SELECT count() AS records"):
            return dataclasses.replace(found, rows=[(self._rows,)])
        return found

    def stream(self, sql: str, values: Mapping[str, str] | None, output_format: str) -> Iterator[bytes]:
        """Yield lines of 400 bytes, a megabyte at a time."""
        del sql, values, output_format
        line = json.dumps({"text": "x" * 387}).encode() + b"\n"
        for first in range(0, self._rows, 2_500):
            yield line * min(2_500, self._rows - first)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_memory_does_not_grow_with_the_rows(empty: Tables, tmp_path: Path) -> None:
    """Of 120 MB that pass through, a few are in memory."""
    empty.store("otel_logs", logs([call(0)]))
    store = Endless(EngineStore(empty.engine), 300_000)
    export(store, ExportRequest(Format.jsonl, "warm"), tmp_path)
    before = _resident()
    done = export(store, ExportRequest(Format.jsonl, "large"), tmp_path)
    assert (done.rows, done.bytes) == (300_000, 300_000 * 400)
    assert _resident() - before < 16 << 20
