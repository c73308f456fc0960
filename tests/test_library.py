"""Questions by name, SQL of the caller's own, what the data holds: on generated data, and on a real server."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from access.answer import Answer
from access.cache import Cache
from access.library import ask_question, describe_data, list_questions, meanings, run_sql
from access.limits import Limiter
from access.questions import questions
from access.reading import Desk, Reading
from access.refusal import Code, Refusal
from access.store import open_store
from access.store import refusal as refusal_of
from access.telemetry_query import query_telemetry
from clickhouse.endpoint import Endpoint
from clickhouse.engine import Engine
from demo.generate import Ledger, Plan, generate
from tests.engine_store import EngineStore
from tests.events import event, logs, tables
from tests.hostile import HIDDEN, ORDERS, judge
from tests.server import Server

UNTIL = datetime(2026, 10, 15, 12, tzinfo=UTC)
PLAN = Plan(seed=5, sessions=12, users=3, days=3, until=UNTIL)
TABLE = {"logs": "otel_logs", "traces": "otel_traces", "metrics": "otel_metrics_sum"}
PERIOD = {"from": "2026-10-12", "to": UNTIL.isoformat()}


@pytest.fixture(scope="module")
def store(engine: Engine) -> Iterator[EngineStore]:
    with tables(engine) as made:
        made_requests = list(generate(PLAN, Ledger()))
        for signal, table in TABLE.items():
            made.store(table, *(request.body for request in made_requests if request.signal == signal))
        yield EngineStore(engine)


@pytest.fixture
def reading(store: EngineStore) -> Reading:
    return Desk(store, limiter=None, clock=lambda: UNTIL).reading("tester")


@pytest.fixture(scope="module")
def served(server: Server) -> Iterator[Reading]:
    """Ask a real server, with hostile events of an hour ago, as the user who only reads."""
    now = time.time() - 3600
    sent = [
        event(
            now, "tool_result", tool_name=f"{text[:50]}-{number}", success="false", error=text, duration_ms=str(number),
            mcp_server__name=text[:40],
        )
        for number, text in enumerate((*ORDERS, *(text for text in HIDDEN if "\ud800" not in text)))
    ]  # fmt: skip
    sent += [event(now, "tool_result", tool_name=f"tool-{number}", success="true") for number in range(2_000)]
    assert server.post("logs", logs(sent)).status_code == 200
    store = open_store(server.endpoint())
    yield Desk(store, limiter=None).reading("tester")
    store.close()


def rows(answer: Answer) -> list[dict[str, Any]]:
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def refused(call: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        call()
    assert len(caught.value.as_json()) < 2_000
    return caught.value


def test_the_questions_are_listed() -> None:
    """All of them, with what they take, within the budget."""
    answer = list_questions()
    judge(answer, 20_000)
    assert [row["name"] for row in rows(answer)] == [question.name for question in questions()]
    assert {row["topic"] for row in rows(list_questions(topic="cost"))} == {"cost"}
    assert refused(lambda: list_questions(topic="costs")).nearest[0] == "cost"


def test_a_question_is_described() -> None:
    """Its parameters and columns, and what these mean."""
    found = judge(list_questions("mcp_tools"), 20_000)
    assert ["server", "the MCP server", "github"] in found["rows"]
    assert ["from", "DateTime('UTC')", "7 days ago", "beginning of the period"] in found["tables"][
        "parameters"
    ]["rows"]


@pytest.mark.parametrize("name", ["sessions", "mcp_tools", "errors", "cost_by"])
def test_a_question_is_answered_as_its_file_says(reading: Reading, store: EngineStore, name: str) -> None:
    """With the same rows and columns, in the same order."""
    answer = ask_question(reading, name, PERIOD, limit=1000, max_characters=45_000)
    question = next(one for one in questions() if one.name == name)
    plain = store.rows(
        question.sql, question.values({"from": "2026-10-12 00:00:00", "to": "2026-10-15 12:00:00"})
    )
    assert answer.columns == plain.columns == tuple(question.columns)
    assert answer.total_count == len(plain.rows) > 0
    shown = Answer(plain.columns, plain.rows).as_dict()["rows"]
    assert json.loads(answer.as_json())["rows"] == shown[: len(answer.rows)]
    assert answer.as_dict()["time_range"]["start"] == "2026-10-12T00:00:00Z"


def test_every_question_is_answered_with_its_defaults(reading: Reading) -> None:
    """Within the budget, though each has its own parameters."""
    for question in questions():
        judge(ask_question(reading, question.name), 20_000)


@pytest.mark.parametrize(
    ("name", "parameters", "code", "field"),
    [
        ("tols", {}, Code.UNKNOWN_NAME, "name"),
        ("../x", {}, Code.UNKNOWN_NAME, "name"),
        ("", {}, Code.UNKNOWN_NAME, "name"),
        ("tools", {"frm": "1h"}, Code.UNKNOWN_NAME, "parameters.frm"),
        ("tools", {"from": "soon"}, Code.INVALID_ARGUMENT, "parameters.from"),
        ("tools", {"from": "now", "to": "1h"}, Code.INVALID_ARGUMENT, "parameters.to"),
        ("tools", {"from": "2026-01-01"}, Code.RANGE_TOO_LONG, "parameters.from"),
        ("tools", {"team": ["a"]}, Code.INVALID_ARGUMENT, "parameters.team"),
        ("sessions", {"limit": "1; DROP TABLE x"}, Code.INVALID_ARGUMENT, "parameters.limit"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(
    reading: Reading, name: str, parameters: dict[str, Any], code: Code, field: str
) -> None:
    """With the field, and the nearest names."""
    refusal = refused(lambda: ask_question(reading, name, parameters))
    assert (refusal.code, refusal.field) == (code, field)
    if name == "tols":
        assert refusal.nearest[0] == "tools"


def test_a_whole_result_is_read_page_by_page(reading: Reading) -> None:
    """Each row once, and the statement is run once."""
    store = reading.store
    assert isinstance(store, EngineStore)
    sql = "SELECT number AS n FROM numbers(1050)"
    answer = run_sql(reading, sql, limit=400)
    asked = len(store.asked)
    found = [row["n"] for row in rows(answer)]
    assert (answer.has_more, answer.total_count, answer.result_id is not None) == (True, 1050, True)
    while answer.next_cursor:
        answer = run_sql(reading, cursor=answer.next_cursor, limit=400)
        found += [row["n"] for row in rows(answer)]
    assert found == list(range(1050))
    assert not answer.has_more
    assert len(store.asked) == asked


def test_a_page_that_has_no_room_goes_on_by_cursor(reading: Reading) -> None:
    """After its last row, not after the rows that were asked for."""
    answer = run_sql(reading, "SELECT number AS n, repeat('x', 300) AS t FROM numbers(100)", limit=100)
    shown = len(answer.rows)
    assert 0 < shown < 100
    assert answer.truncated
    following = run_sql(reading, cursor=answer.next_cursor, limit=100)
    assert rows(following)[0]["n"] == shown


def test_a_result_is_its_callers_and_expires(store: EngineStore) -> None:
    """Of another it is refused; when it is no longer kept it must be asked again."""
    desk = Desk(store, limiter=None)
    answer = run_sql(desk.reading("one"), "SELECT number FROM numbers(100)", limit=10)
    assert refused(lambda: run_sql(desk.reading("two"), cursor=answer.next_cursor)).code == Code.FORBIDDEN
    desk.queries._entries.clear()
    assert refused(lambda: run_sql(desk.reading("one"), cursor=answer.next_cursor)).code == Code.EXPIRED


def test_more_rows_than_are_read_are_proven_not_guessed(reading: Reading) -> None:
    """Ten thousand are read, and one more shows that there is more."""
    exact = run_sql(reading, "SELECT number FROM numbers(10000)", limit=5)
    assert (exact.total_count, exact.truncated) == (10_000, False)
    more = run_sql(reading, "SELECT number FROM numbers(10001)", limit=5)
    assert (more.total_count, more.truncated, more.has_more) == (None, True, True)
    assert "more rows than the 10,000 that were read" in more.hints[0]


def test_values_are_bound(reading: Reading) -> None:
    """As text, whatever they hold."""
    answer = run_sql(reading, "SELECT {a:String} AS a, {n:UInt8} + 1 AS n", {"a": "' OR 1 --", "n": 4})
    assert rows(answer) == [{"a": "' OR 1 --", "n": 5}]


def test_the_data_is_described(reading: Reading) -> None:
    """Tables, what is collected and the switch for what is not, values, freshness."""
    found = judge(describe_data(reading, start_date="2026-10-12"), 20_000)
    tables_found = {row[0]: row for row in found["rows"]}
    assert tables_found["telemetry_events"][1] == meanings()["tables"]["telemetry_events"]
    assert tables_found["telemetry_events"][2] > 0
    collected = {row[0]: row for row in found["tables"]["collected"]["rows"]}
    assert collected["events"][1] > 0
    assert collected["events"][2] == ""
    assert ["tool_name", "Bash"] in [row[:2] for row in found["tables"]["values"]["rows"]]
    assert {row[0] for row in found["tables"]["freshness"]["rows"]} == {"logs", "metrics", "spans"}
    events = judge(describe_data(reading, "telemetry_events", start_date="2026-10-12"), 20_000)
    assert ["duration_ms", "Nullable(Float64)", "how long it took, in milliseconds"] in events["rows"]
    assert refused(lambda: describe_data(reading, "telemetry_event")).nearest[0] == "telemetry_events"


@pytest.mark.parametrize("start", ["2026-10-12", "2026-10-14T10:20:30.5", "2026-10-15T11:50:00"])
@pytest.mark.parametrize("end", ["2026-10-15T11:55:59", "2026-10-15T12:00:00"])
def test_what_is_described_is_of_the_period_alone(reading: Reading, start: str, end: str) -> None:
    """The roll-ups of whole hours and days, with the rows at the edges, come to what all rows come to."""
    period = {"start_date": start, "end_date": end}
    found = describe_data(reading, **period, max_characters=40_000)
    of_period = "WHERE timestamp >= '{start}' AND timestamp < '{end}'".format(
        start=start.replace("T", " "), end=end.replace("T", " ")
    )
    counts = {row[0]: row[1] for row in found.tables["collected"].rows}
    counted = (
        ("events", "count()", "telemetry_events"),
        (
            "names of configured MCP servers and tools",
            "countIf(event_type = 'tool_result' AND mcp_server_name NOT IN ('', 'custom'))", "telemetry_events",
        ),
        (
            "programs that the shell tool ran", "countIf(event_type = 'tool_result' AND command != '')",
            "telemetry_events",
        ),
        ("teams", "countIf(team != '')", "telemetry_events"),
        ("steps of workflows", "countIf(workflow_step != '' AND workflow_step != query_source)", "telemetry_events"),
        ("traces", "count()", "otel_traces"),
        ("metrics", "count()", "otel_metrics_sum"),
    )  # fmt: skip
    names = {"otel_traces": "Timestamp", "otel_metrics_sum": "TimeUnix"}
    for name, count, table in counted:
        where = of_period.replace("timestamp", names.get(table, "timestamp"))
        assert (name, counts[name]) == (
            name,
            reading.store.rows(f"SELECT {count} FROM {table} {where}").rows[0][0],
        )
    values = describe_data(reading, "telemetry_events", **period, max_characters=40_000).tables["values"].rows
    for column in ("tool_name", "team", "service_version", "success"):
        sql = (
            f"SELECT toString({column}) AS value, count() FROM telemetry_events {of_period} AND value != ''"
            " GROUP BY value ORDER BY 2 DESC, value LIMIT 8"
        )
        assert [tuple(row[1:]) for row in values if row[0] == column] == reading.store.rows(sql).rows


def test_what_is_not_collected_has_its_switch(engine: Engine) -> None:
    """In a database without anything, all of them."""
    with tables(engine):
        found = describe_data(Desk(EngineStore(engine), limiter=None).reading("tester")).as_dict()
    assert all(row[1] == 0 and "=" in row[2] for row in found["tables"]["collected"]["rows"])
    assert found["freshness"] == {"newest": None, "age_seconds": None}


def test_every_table_and_column_of_ours_has_a_meaning(store: EngineStore) -> None:
    """And no other is named."""
    known = meanings()
    names = {row[0] for row in store.rows(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine != 'MaterializedView'"
        " AND name != 'schema_migrations'"
    ).rows}  # fmt: skip
    assert set(known["tables"]) == names
    columns = {row[0] for row in store.rows(
        "SELECT DISTINCT name FROM system.columns WHERE database = currentDatabase() AND table IN"
        " ('telemetry_events', 'telemetry_hourly', 'telemetry_daily', 'telemetry_sessions', 'telemetry_spans',"
        " 'telemetry_measures')"
    ).rows}  # fmt: skip
    assert set(known["columns"]) == columns


def test_each_question_is_counted(store: EngineStore) -> None:
    """And refused past the limit, with the time to wait."""
    desk = Desk(store, limiter=Limiter(10, 2), clock=lambda: UNTIL)
    reading = desk.reading("tester")
    run_sql(reading, "SELECT 1")
    query_telemetry(reading, "calls", {"start_date": "1h"})
    refusal = refused(lambda: ask_question(reading, "tools"))
    assert (refusal.code, refusal.retry_after_seconds) == (Code.RATE_LIMITED, pytest.approx(6, abs=1))
    list_questions()
    run_sql(desk.reading("another"), "SELECT 1")


def test_a_period_that_goes_on_is_not_served_stale(engine: Engine) -> None:
    """It is asked again when its answer is older than its resolution; one that is over is kept."""
    passed = [0.0]
    caches = [Cache(seconds, 1 << 20, lambda: passed[0]) for seconds in (300, 3600)]
    with tables(engine) as made:
        desk = Desk(
            EngineStore(engine), limiter=None, queries=caches[0], aggregations=caches[1],
            clock=lambda: UNTIL + timedelta(seconds=passed[0]),
        )  # fmt: skip

        def asked(**period: str) -> tuple[int, int | None]:
            answer = query_telemetry(desk.reading("tester"), "calls", period)
            return len(answer.rows), answer.cached_age_seconds

        def send(name: str, seconds: float) -> None:
            made.store("otel_logs", logs([event(UNTIL.timestamp() + seconds, "tool_result", tool_name=name)]))

        over = {"start_date": "2026-10-15T11:00:00Z", "end_date": "2026-10-15T11:59:30Z"}
        send("A", -60)
        assert (asked(start_date="1h"), asked(**over)) == ((1, None), (1, None))
        send("B", -45)
        passed[0] = 59
        assert (asked(start_date="1h"), asked(**over)) == ((1, 59), (1, 59))
        passed[0] = 61
        assert (asked(start_date="1h"), asked(**over)) == ((2, None), (1, 61))


def test_a_server_is_asked_as_the_reader(served: Reading) -> None:
    """Its rows are typed, hostile names are shown, and nothing is written."""
    answer = query_telemetry(served, "calls", {"start_date": "3h"}, limit=1000)
    sent = judge(answer, 20_000)
    assert sent["has_more"]
    for query_type in ("benchmarks", "aggregated", "metrics"):
        judge(query_telemetry(served, query_type, {"start_date": "3h"}), 20_000)
    judge(
        query_telemetry(
            served,
            "aggregated",
            {"start_date": "3h"},
            {"group_by": ["tool", "error"], "metrics": ["p95", "avg"]},
            limit=1000,
        ),
        20_000,
    )
    judge(
        query_telemetry(
            served, "metrics", {"start_date": "3h"}, {"group_by": ["metric"], "metrics": ["sum"]}
        ),
        20_000,
    )
    judge(describe_data(served), 20_000)
    judge(describe_data(served, "telemetry_events"), 20_000)
    judge(run_sql(served, "SELECT * FROM telemetry_events", limit=1000), 20_000)
    found = run_sql(
        served, "SELECT now() AS t, toDate('2026-01-02') AS d, [1, 2] AS l, map('a', 1) AS m, NULL AS n"
    )
    assert rows(found)[0] | {"t": ""} == {"t": "", "d": "2026-01-02", "l": "[1,2]", "m": '{"a":1}', "n": None}
    assert rows(found)[0]["t"].endswith("Z")


@pytest.mark.parametrize(
    ("sql", "code", "words"),
    [
        ("SELEKT 1", Code.QUERY_FAILED, "Syntax error"),
        ("SELECT nope FROM telemetry_events", Code.QUERY_FAILED, "nope"),
        ("SELECT 1; SELECT 2", Code.QUERY_FAILED, ""),
        ("DROP TABLE telemetry_events", Code.FORBIDDEN, ""),
        ("INSERT INTO telemetry_events (event_type) VALUES ('x')", Code.FORBIDDEN, ""),
        ("SELECT {x:UInt8}", Code.QUERY_FAILED, "x"),
        ("SELECT 1 FORMAT CSV", Code.INVALID_ARGUMENT, "leave FORMAT"),
        ("SELECT 1 AS a, 2 AS b FORMAT JSONEachRow", Code.INVALID_ARGUMENT, "leave FORMAT"),
        ("SELECT 'A' FROM numbers(3) FORMAT JSONCompactEachRow", Code.INVALID_ARGUMENT, "leave FORMAT"),
        ("SELECT 1 SETTINGS max_execution_time = 999", Code.FORBIDDEN, ""),
        ("  ", Code.INVALID_ARGUMENT, "one statement"),
    ],
)
def test_a_servers_refusal_is_in_its_own_words(served: Reading, sql: str, code: Code, words: str) -> None:
    """Cut to size, with a code by which to correct the call."""
    refusal = refused(lambda: run_sql(served, sql))
    assert refusal.code == code
    assert words in refusal.message
    if sql == "SELEKT 1":
        assert refusal.suggestions == ("Look at position 8.",)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            "Code: 159. DB::Exception: Timeout exceeded: elapsed 60 seconds. (TIMEOUT_EXCEEDED) (version 26.9.1.1)",
            Refusal(
                Code.TIMEOUT,
                "Code: 159. DB::Exception: Timeout exceeded: elapsed 60 seconds. (TIMEOUT_EXCEEDED)",
                suggestions=("Ask for a shorter period, or for fewer columns or groups.",),
            ),
        ),
        (
            "Code: 202. DB::Exception: Too many simultaneous queries. (TOO_MANY_SIMULTANEOUS_QUERIES)",
            Refusal(
                Code.BUSY,
                "Code: 202. DB::Exception: Too many simultaneous queries. (TOO_MANY_SIMULTANEOUS_QUERIES)",
                retry_after_seconds=10,
            ),
        ),
        (
            "Code: 62. DB::Exception: Syntax error: failed at position 15 (line 2, col 3): FRM. (SYNTAX_ERROR)",
            Refusal(
                Code.QUERY_FAILED,
                "Code: 62. DB::Exception: Syntax error: failed at position 15 (line 2, col 3): FRM. (SYNTAX_ERROR)",
                "sql",
                suggestions=("Look at position 15, line 2, column 3.",),
            ),
        ),
    ],
)
def test_a_servers_error_has_a_code_and_a_remedy(words: str, expected: Refusal) -> None:
    """By its name."""
    assert refusal_of(words).as_dict() == expected.as_dict()


def test_a_result_without_end_is_left_when_enough_is_read(served: Reading) -> None:
    """The connection is closed, at which the server stops the query."""
    answer = run_sql(served, "SELECT number, repeat('x', 1000) FROM system.numbers", limit=5)
    assert answer.truncated
    assert len(answer.rows) == 5


def test_a_store_that_is_away_is_said_to_be() -> None:
    """With when to ask again."""
    endpoint = Endpoint("http://127.0.0.1:9", "telemetry_reader", "", "telemetry")
    with pytest.raises(Refusal) as caught:
        open_store(endpoint)
    assert caught.value.code == Code.STORE_UNAVAILABLE
    assert caught.value.retry_after_seconds
