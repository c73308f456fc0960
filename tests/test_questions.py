"""The questions of `queries/` and their headers, and their answers on real requests."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from access.questions import QuestionError, find, questions, read
from clickhouse.engine import Engine
from clickhouse.store import EmbeddedWriter
from clickhouse.typed_rows import TypedRows
from privacy.rules import Level, load_rules
from privacy.sanitizer import Sanitizer
from receiver.scrub import Scrub
from receiver.transform import Transform
from tests.requests import surveyed
from tests.server import captures

NAMES = [question.name for question in questions()]
# The captures' events are of one day.
TOKENS = {
    f"{name} tokens": f"{name.replace(' ', '_')}_tokens"
    for name in ("input", "output", "cache read", "cache creation")
}
PERIOD = {"from": "2026-01-01 00:00:00", "to": "2027-01-01 00:00:00", "limit": "50"}


@pytest.fixture(scope="module")
def captured(engine: Engine) -> Engine:
    """Fill the tables with the logs and metrics that real clients sent, and nothing else."""
    for table in (
        "otel_logs",
        "otel_metrics_sum",
        "telemetry_events",
        "telemetry_hourly",
        "telemetry_daily",
        "telemetry_sessions",
        "telemetry_measures",
    ):
        engine.command(f"TRUNCATE TABLE {table}")
    rules = load_rules(None, Level.strict)
    transform = Transform(engine, rules, Scrub(Sanitizer(rules, None)), "", 3650)
    writer = TypedRows(EmbeddedWriter(engine), engine)
    for signal, table in (("logs", "otel_logs"), ("metrics", "otel_metrics_sum")):
        for number, body in enumerate(captures(signal)):
            block = transform.run(table, surveyed(table, [body])).data
            writer.insert(table, block, f"captured {signal} {number}")
    writer.close()
    return engine


def answer(engine: Engine, name: str) -> list[dict[str, Any]]:
    """Run a question over all that there is."""
    question = find(name)
    given = {key: value for key, value in PERIOD.items() if key in {one.name for one in question.parameters}}
    return [
        dict(zip(question.columns, row, strict=True))
        for row in engine.rows(question.sql, question.values(given))
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_header_says_what_the_question_gives(captured: Engine, name: str) -> None:
    """Its columns are those of the result, its example has them too, and its parameters are those of the SQL."""
    question = find(name)
    values = question.values({})
    described = captured.rows(
        f"SELECT * FROM ({question.sql}) LIMIT 0 FORMAT JSONCompactEachRowWithNames", values
    )
    assert described[0] == list(question.columns)
    assert list(question.example) == list(question.columns)
    assert question.question.endswith("?")
    assert set(question.wide) <= set(question.columns)
    assert all(f"{{{parameter.name}:" in question.sql for parameter in question.parameters)
    assert question.sql.count("{") - question.sql.split("*/")[0].count("{") >= len(question.parameters)


def test_errors_are_counted_by_category(captured: Engine) -> None:
    """The largest first, with their share; a retry that was the last is no failure beside the request's own."""
    rows = answer(captured, "errors")
    assert {row["category"]: row["failures"] for row in rows} == {
        "tool Read TelemetrySafeError": 2,
        "api 400": 1,
        "api 529": 1,
    }
    assert [(row["percent"], row["cumulative_percent"]) for row in rows] == [(50, 50), (25, 75), (25, 100)]
    # Other things succeeded after the file that could not be read, which was not read again.
    assert [row["recovered_percent"] for row in rows] == [0, 0, 0]
    assert "[REDACTED:email]" in rows[-1]["sample"]


def test_tools_count_calls_and_failures(captured: Engine) -> None:
    """By the tool's name."""
    assert {row["tool"]: (row["calls"], row["failures"]) for row in answer(captured, "tools")} == {
        "Read": (4, 2),
        "Bash": (2, 0),
        "Write": (1, 0),
    }


def test_totals_are_those_of_plain_python(captured: Engine) -> None:
    """Cost, tokens and calls, exact, from events, both roll-ups and metrics, as the clients' requests have them."""
    tokens: Counter[str] = Counter()
    calls: Counter[tuple[str, str]] = Counter()
    dollars = []
    for request in map(ExportLogsServiceRequest.FromString, captures("logs")):
        for record in (
            record
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ):
            sent = {
                one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in record.attributes
            }
            if sent["event.name"] == "api_request":
                dollars.append(float(sent["cost_usd"]))
                tokens.update({key: int(sent[key]) for key in TOKENS.values()})
            elif sent["event.name"] == "tool_result":
                calls[sent["tool_name"], str(sent["success"])] += 1
    assert len(dollars) == 10
    assert calls.total() == 7
    nanos = sum(round(usd * 1e9) for usd in dollars)
    columns = ", ".join(f"sum({key})" for key in tokens)
    for table in ("telemetry_events", "telemetry_hourly", "telemetry_daily", "telemetry_measures"):
        ((cost, *found),) = captured.rows(
            f"SELECT sum(cost_nanos), {columns} FROM {table} WHERE event_type = 'api_request'"
        )
        assert (int(cost), list(map(int, found))) == (nanos, list(tokens.values())), table
    counted = captured.rows(
        "SELECT tool_name, if(success, 'true', 'false') AS ok, count() FROM telemetry_events"
        " WHERE event_type = 'tool_result' GROUP BY tool_name, ok"
    )
    assert {(tool, ok): int(count) for tool, ok, count in counted} == dict(calls)
    reconciled = {row["measure"]: row for row in answer(captured, "reconcile")}
    for name, key in TOKENS.items():
        assert (reconciled[name]["events"], reconciled[name]["metrics"]) == (tokens[key], tokens[key])
    usd = reconciled["usd"]
    assert (usd["events"], round(usd["metrics"], 9), usd["difference"]) == (nanos / 1e9, nanos / 1e9, 0)


def test_sessions_have_what_happened_in_them(captured: Engine) -> None:
    """One row each; the requests and the money are those that cost.sql counts."""
    sessions, cost = answer(captured, "sessions"), answer(captured, "cost")
    assert len(sessions) == 4
    assert sum(row["requests"] for row in sessions) == sum(row["requests"] for row in cost) == 10
    assert sum(row["usd"] for row in sessions) == sum(row["usd"] for row in cost) == 0.0286
    assert [row["outcome"] for row in sessions] == ["stopped", "stopped", "went on", "went on"]


def test_freshness_knows_what_arrives(captured: Engine) -> None:
    """A row a signal that has any."""
    (logs,) = [row for row in answer(captured, "freshness") if row["signal"] == "logs"]
    assert logs["newest"].startswith("2026-")


@pytest.fixture
def timeless(captured: Engine) -> Iterator[str]:
    """Return a team whose events have no duration, except one."""
    events = [
        ("tool_result", "Lonely", "lonely", "", "NULL"),
        ("tool_result", "Other", "other", "another server", "5"),
        ("api_request", "", "", "server", "NULL"),
        ("hook_execution_complete", "", "", "", "NULL"),
        ("mcp_server_connection", "", "", "server", "NULL"),
        ("compaction", "", "", "", "NULL"),
    ]
    rows = ", ".join(
        f"(now64(9), 'timeless', '{kind}', '{tool}', '{command}', '{server}', {duration})"
        for kind, tool, command, server, duration in events
    )
    captured.command(
        "INSERT INTO telemetry_events (timestamp, team, event_type, tool_name, command, mcp_server_name, duration_ms)"
        f" VALUES {rows}"
    )
    yield "timeless"
    for table in (
        "telemetry_events", "telemetry_hourly", "telemetry_daily", "telemetry_sessions", "telemetry_measures",
    ):  # fmt: skip
        captured.command(f"DELETE FROM {table} WHERE team = 'timeless'")


def test_what_took_no_known_time_has_no_percentiles(captured: Engine, timeless: str) -> None:
    """None is told from zero milliseconds, also where others of the question have durations."""

    def percentiles(name: str) -> dict[Any, Any]:
        question = find(name)
        found = captured.rows(question.sql, question.values({"team": timeless, "to": "2100-01-01 00:00:00"}))
        p50 = [column.startswith("p50") for column in question.columns].index(True)
        return {row[0]: tuple(row[p50 : p50 + 2]) for row in found}

    none = (None, None)
    assert percentiles("tools") == {"Lonely": none, "Other": (5, 5)}
    assert percentiles("programs") == {"lonely": none, "other": (5, 5)}
    assert percentiles("mcp_tools") == {"server": none, "another server": (5, 5)}
    assert percentiles("mcp_connections") == {"server": none}
    assert [percentiles(name) for name in ("hooks", "compactions", "latency")] == 3 * [{"": none}]


def test_times_are_read_in_every_form() -> None:
    """As UTC; what is no time is refused with the forms, before a statement is sent."""
    now = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
    forms = {
        "now": "2026-03-01 12:30:15",
        "1 day ago": "2026-02-28 12:30:15",
        "90 minutes ago": "2026-03-01 11:00:15",
        "2 weeks ago": "2026-02-15 12:30:15",
        "2026-01-01 00:00:00": "2026-01-01 00:00:00",
        "2026-01-01T02:00:00+02:00": "2026-01-01 00:00:00",
        "1767225600": "2026-01-01 00:00:00",
        "yesterday": "2026-02-28 00:00:00",
    }
    question = find("errors")
    assert {form: question.values({"from": form}, now)["from"] for form in forms} == forms
    for text, shown in (("banana", "banana"), ("", "An empty text"), ("1960-01-01", "1960-01-01")):
        with pytest.raises(
            QuestionError, match=rf"^{shown} is not a time from 1970 to 2105: write 2026-11-22"
        ):
            question.values({"from": text}, now)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    """With what is."""
    with pytest.raises(QuestionError, match=r"There is no question nope\. telemetry query --list shows"):
        find("nope")
    with pytest.raises(QuestionError, match=r"There is no question costs; did you mean cost or "):
        find("costs")
    with pytest.raises(QuestionError, match=r"There is no question \.\./pyproject"):
        find("../pyproject")
    with pytest.raises(QuestionError, match="tools has no parameter days; it has from, to, team, user"):
        find("tools").values({"days": "1"})
    (tmp_path / "a.sql").write_text("SELECT 1")
    with pytest.raises(QuestionError, match=r"a\.sql does not begin with a header"):
        read(tmp_path / "a.sql")
    (tmp_path / "c.sql").write_text(find("cost").sql.replace("needs: [events]", "needs: [wishes]"))
    with pytest.raises(QuestionError, match=r"c\.sql needs wishes, which is none of events, metrics"):
        read(tmp_path / "c.sql")
    (tmp_path / "b.sql").write_text("/*\nquestion: What?\n*/\nSELECT 1")
    with pytest.raises(QuestionError, match=r"header of b\.sql lacks or misspells 'parameters'"):
        read(tmp_path / "b.sql")
