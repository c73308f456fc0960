"""The tools as a model meets them: what they say of themselves, and what they return of hostile data."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp import Client
from mcp_types import CallToolResult, TextResourceContents

from access.answer import DATA
from access.budget import DEFAULT, LEAST, MOST
from access.export.shelf import Shelf
from access.patterns import ANALYSES, WINDOWS
from access.reading import Desk
from access.refusal import CHARACTERS
from access.store import Store, open_store
from access.text import units
from access.units import UNITS
from mcp_server import audit
from mcp_server.resources import BENCHMARKS, EXPORT, LIVE, SUMMARY
from mcp_server.server import INSTRUCTIONS
from mcp_server.server import server as mcp_server
from tests.hostile import HIDDEN, LARGE, ORDERS, is_seen
from tests.mcp_clients import kept, refused
from tests.nothing_store import NothingStore
from tests.server import NO_TLS, Server
from tests.tools_list import FILE, tools_list

TEXTS = [text for text in (*HIDDEN, *ORDERS, "=1+1", "| a | b |") if "\ud800" not in text]
NAMES = 100_000
_FILL = """
INSERT INTO telemetry_events
    (timestamp, event_type, session_id, user_id, model, mcp_server_name, mcp_tool_name, tool_name, success, duration_ms,
     error_message, failure, team)
SELECT now64(9, 'UTC') - number % 3600, 'tool_result', {text} || toString(number % 50), {text}, {text}, {text}, {text},
    {text} || toString(number), number % 3 > 0, number, {text}, if(number % 3 = 0, {text}, ''), {text}
FROM numbers({count:UInt32})
SETTINGS max_partitions_per_insert_block = 0
""".replace("{text}", "arrayElement({texts:Array(String)}, number % length({texts:Array(String)}) + 1)")
_LARGE = """
INSERT INTO telemetry_events (timestamp, event_type, session_id, tool_name, error_message, failure)
SELECT now64(9, 'UTC'), 'tool_result', 'large', 'Large', repeat(repeat('x', 5120), 1024), 'error' FROM numbers(3)
"""


@pytest.fixture(scope="module")
def hostile(server: Server) -> Store:
    """Fill a real server's table with 100,000 names, texts of 5 MiB, and all that hides or gives orders."""
    url = f"http://{server.listening['clickhouse_http']}"
    quoted = (
        "[" + ",".join("'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'" for text in TEXTS) + "]"
    )
    writer = ("telemetry_user", kept(server, "CLICKHOUSE_PASSWORD"))
    for sql, values in ((_FILL, {"param_texts": quoted, "param_count": str(NAMES)}), (_LARGE, {})):
        answer = _post(url, sql, values, writer)
        assert answer == "", answer[:500]
    return open_store(server.endpoint())


def _post(url: str, sql: str, values: dict[str, str], auth: tuple[str, str]) -> str:
    params = {"database": "telemetry", "query": sql, **values}
    return httpx.post(url, params=params, auth=auth, timeout=180, verify=NO_TLS).text


def call(desk: Desk, name: str, arguments: dict[str, Any], shelf: Shelf | None = None) -> CallToolResult:
    """Call one tool, as a client does."""

    async def ask() -> CallToolResult:
        async with Client(mcp_server(desk, shelf)) as client:
            return await client.call_tool(name, arguments)

    return asyncio.run(ask())


def judge(result: CallToolResult, characters: int) -> None:
    """Hold a result to what every one promises: bounded, on lines, visible, and marked as data."""
    (part,) = result.content
    text: str = part.text  # type: ignore[union-attr]
    if result.is_error:
        error = json.loads(text)["error"]
        assert units(text) < CHARACTERS
        assert is_seen(text)
        assert error["message"]
        return
    assert units(text) <= characters
    assert json.loads(text) == result.structured_content
    sent = result.structured_content
    assert units(json.dumps(sent, ensure_ascii=False, separators=(",", ":"))) <= characters
    assert [one for one in _strings({**sent, "query_executed": ""}) if not is_seen(one)] == []
    tables = [sent, *sent.get("tables", {}).values()]
    assert all(len(row) == len(table["columns"]) for table in tables for row in table["rows"])
    if any(table["rows"] for table in tables):
        assert sent["content"] == DATA
        # No row hides behind another on one long line.
        assert len(text.splitlines()) >= max(len(table["rows"]) for table in tables)
    if sent["truncated"] or sent["has_more"]:
        assert sent.get("hints") or sent.get("next_cursor")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def test_the_list_of_tools_is_the_golden_one() -> None:
    """A change of what a model reads is seen in review; `python -m tests.tools_list` writes the file."""
    assert tools_list() == json.loads(FILE.read_text(encoding="utf-8"))


def test_tools_say_what_a_model_needs_to_choose() -> None:
    """Verbs first, short, each naming a neighbour, every parameter described, read-only and searchable."""
    tools = tools_list()
    names = {tool["name"] for tool in tools}
    verbs = {"query", "analyze", "list", "ask", "describe", "run", "export", "tail", "get"} | {
        "search",
        "discover",
        "detect",
        "compare",
        "correlate",
        "investigate",
    }
    assert {name.partition("_")[0] for name in names} <= verbs
    assert len(INSTRUCTIONS) <= 1_500
    for tool in tools:
        assert len(tool["name"]) <= 48
        assert len(tool["description"]) <= 1_024
        assert any(name in tool["description"] for name in names - {tool["name"]})
        properties = tool["inputSchema"]["properties"]
        assert len(properties) <= 15
        assert [
            name for name, one in properties.items() if not 0 < len(one.get("description", "")) <= 1_024
        ] == []
        assert tool["_meta"]["anthropic/searchHint"]
        assert tool["annotations"]["readOnlyHint"] is (tool["name"] != "export_telemetry")


def test_a_failure_of_ours_says_nothing_of_its_text() -> None:
    """What an exception says could quote data; the caller gets a refusal in the usual form."""
    result = call(Desk(NothingStore()), "run_sql", {"sql": "SELECT 1"})
    assert refused(result)["code"] == "QUERY_FAILED"
    assert "hunter2" not in str(result)


@pytest.mark.parametrize(
    ("tool", "arguments", "code", "field"),
    [
        ("query_telemetry", {}, "INVALID_ARGUMENT", "query_type"),
        ("query_telemetry", {"query_type": "benchmark"}, "UNKNOWN_NAME", "query_type"),
        ("query_telemetry", {"query_type": "calls", "limit": "many"}, "INVALID_ARGUMENT", "limit"),
        ("query_telemetry", {"query_type": "calls", "filter": {}}, "UNKNOWN_NAME", "filter"),
        ("query_telemetry", {"query_type": "calls", "filters": {"srever": "x"}}, "UNKNOWN_NAME", "filters.srever"),
        (
            "query_telemetry",
            {"query_type": "calls", "filters": {"start_date": "today", "end_date": "yesterday"}},
            "INVALID_ARGUMENT",
            "end_date",
        ),
        (
            "query_telemetry",
            {"query_type": "calls", "filters": {"start_date": "90 days ago"}},
            "RANGE_TOO_LONG",
            "start_date",
        ),
        ("query_telemetry", {"query_type": "calls", "cursor": "x" * 5_000}, "INVALID_CURSOR", "cursor"),
        ("query_telemetry", {"query_type": "calls", "max_characters": 10**9}, "INVALID_ARGUMENT", "max_characters"),
        ("analyze_patterns", {"analysis_type": "trends"}, "UNKNOWN_NAME", "analysis_type"),
        ("get_statistics", {"unit": "seson"}, "UNKNOWN_NAME", "unit"),
        ("ask_question", {"name": "sumary"}, "UNKNOWN_NAME", "name"),
        ("ask_question", {"name": "../../etc/passwd"}, "UNKNOWN_NAME", "name"),
        ("list_questions", {"topic": "money"}, "UNKNOWN_NAME", "topic"),
        ("run_sql", {}, "INVALID_ARGUMENT", "sql"),
        ("export_telemetry", {"format": "xml"}, "UNKNOWN_NAME", "format"),
        ("export_telemetry", {"name": "../../etc"}, "INVALID_ARGUMENT", "name"),
        ("export_telemetry", {"start_date": "90 days ago"}, "RANGE_TOO_LONG", "start_date"),
        ("drop_tables", {}, "UNKNOWN_NAME", "name"),
    ],
)  # fmt: skip
def test_a_wrong_call_is_refused_with_the_field_at_fault(
    tool: str, arguments: dict[str, Any], code: str, field: str, tmp_path: Path
) -> None:
    """Before the store is asked, in the form of every refusal."""
    error = refused(call(Desk(NothingStore()), tool, arguments, Shelf(tmp_path)))
    assert (error["code"], error["field"]) == (code, field)


def test_more_calls_than_are_answered_at_a_time_are_told_to_come_again() -> None:
    """The others are answered as ever."""
    going = threading.Event()

    class Slow(NothingStore):
        def rows(self, *_: Any, **__: Any) -> Any:
            going.wait(180)
            raise LookupError

    async def ask() -> list[str]:
        async with Client(mcp_server(Desk(Slow(), limiter=None))) as client:
            calls = [
                asyncio.create_task(client.call_tool("run_sql", {"sql": f"SELECT {number}"}))
                for number in range(audit.AT_A_TIME + 20)
            ]
            early, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
            while len(early) < 20:
                early, _ = await asyncio.wait(calls, timeout=0.1)
            going.set()
            return [refused(result)["code"] for result in await asyncio.gather(*calls)]

    codes = asyncio.run(ask())
    assert codes.count("BUSY") == 20
    assert codes.count("QUERY_FAILED") == audit.AT_A_TIME


budgets = st.sampled_from((None, LEAST, 8_000, MOST))
filters = st.dictionaries(
    st.sampled_from(("mcp_server", "tool", "model", "team", "user", "session")),
    st.sampled_from(TEXTS),
    max_size=2,
)
groups = st.lists(
    st.sampled_from(("mcp_server", "tool", "model", "team", "user", "session", "hour")),
    max_size=3,
    unique=True,
)
columns = st.lists(
    st.sampled_from(
        ("tool_name", "error_message", "failure", "team", "session_id", "attributes", "quality", "*")
    ),
    min_size=1,
    max_size=3,
    unique=True,
)
calls = st.one_of(
    st.tuples(
        st.just("query_telemetry"),
        st.fixed_dictionaries(
            {
                "query_type": st.sampled_from(("benchmarks", "calls", "metrics", "aggregated")),
                "filters": filters,
            },
            optional={"limit": st.sampled_from((1, 1_000)), "zone": st.just("Asia/Kathmandu")},
        ),
    ),
    st.tuples(
        st.just("query_telemetry"),
        st.fixed_dictionaries(
            {
                "query_type": st.sampled_from(("benchmarks", "calls", "aggregated")),
                "aggregation": st.fixed_dictionaries(
                    {"group_by": groups, "metrics": st.just(["avg", "p95", "count"])}
                ),
                "limit": st.just(1_000),
            }
        ),
    ),
    st.tuples(
        st.just("run_sql"),
        st.fixed_dictionaries(
            {
                "sql": columns.map(
                    lambda names: (
                        f"SELECT {', '.join(names)} FROM telemetry_events ORDER BY length(error_message) DESC"
                    )
                ),
                "limit": st.sampled_from((1, 50, 1_000)),
            }
        ),
    ),
    st.tuples(
        st.just("run_sql"),
        st.fixed_dictionaries(
            {
                "sql": st.just(
                    "SELECT {text:String} AS text, length({text:String}) AS size FROM numbers(100)"
                ),
                "parameters": st.fixed_dictionaries({"text": st.sampled_from((*TEXTS, LARGE[:50_000]))}),
            }
        ),
    ),
    st.tuples(st.just("run_sql"), st.fixed_dictionaries({"sql": st.sampled_from(TEXTS)})),
    st.tuples(
        st.just("ask_question"),
        st.fixed_dictionaries(
            {
                "name": st.sampled_from(
                    ("summary", "tool_errors", "errors", "error_samples", "session", "mcp_tools")
                )
            }
        ),
    ),
    st.tuples(
        st.just("analyze_patterns"),
        st.fixed_dictionaries(
            {
                "analysis_type": st.sampled_from(tuple(ANALYSES)),
                "time_window": st.sampled_from(tuple(WINDOWS)),
            }
        ),
    ),
    st.tuples(
        st.just("get_statistics"),
        st.fixed_dictionaries({"unit": st.sampled_from(tuple(UNITS)), "filters": filters}),
    ),
    st.tuples(st.just("tail_telemetry"), st.just({"wait_seconds": 0})),
    st.tuples(
        st.just("describe_data"), st.fixed_dictionaries({}, optional={"table": st.just("telemetry_events")})
    ),
    st.tuples(
        st.just("export_telemetry"),
        st.fixed_dictionaries(
            {
                "format": st.sampled_from(("json", "csv", "jsonl", "xml")),
                "name": st.sampled_from(("hostile", "other", *TEXTS)),
            },
            optional={
                "level": st.sampled_from(("strict", "keep", *ORDERS)),
                "incremental": st.booleans(),
                "start_date": st.sampled_from(("1h", "2 days ago", *TEXTS)),
            },
        ),
    ),
    st.tuples(
        st.just("list_questions"), st.fixed_dictionaries({}, optional={"name": st.sampled_from(TEXTS)})
    ),
)


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=calls, budget=budgets)
def test_no_answer_is_over_budget_unescaped_or_unmarked(
    hostile: Store, shelf: Shelf, asked: tuple[str, dict[str, Any]], budget: int | None
) -> None:
    """Whatever is stored, under whatever name, and whatever is asked."""
    name, arguments = asked
    more = {} if budget is None else {"max_characters": budget}
    result = call(Desk(hostile, limiter=None), name, {**arguments, **more}, shelf)
    judge(result, budget or DEFAULT)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_resource_is_over_budget_or_unescaped(hostile: Store, shelf: Shelf) -> None:
    """Nor marked as anything but data, whatever is stored and exported; the live stream has what is hostile."""
    desk = Desk(hostile, limiter=None)
    assert not call(desk, "export_telemetry", {"format": "csv", "start_date": "2h"}, shelf).is_error

    async def read() -> dict[str, str]:
        async with Client(mcp_server(desk, shelf)) as client:
            found = {}
            for one in (await client.list_resources()).resources:
                (content,) = (await client.read_resource(one.uri)).contents
                assert isinstance(content, TextResourceContents)
                found[one.uri] = content.text
            return found

    texts = asyncio.run(read())
    assert {SUMMARY, EXPORT, LIVE, BENCHMARKS} <= set(texts)
    for text in texts.values():
        assert units(text) <= 2 * MOST
        assert all(is_seen(line) for line in text.splitlines())
    assert "error_detected" in texts[LIVE]
    assert any(order.splitlines()[0] in texts[LIVE] for order in ORDERS if order.startswith("Ignore"))
    assert "telemetry/0001" in texts[EXPORT]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Return a folder for the exports of this module."""
    return Shelf(tmp_path_factory.mktemp("exports"))


@pytest.mark.slow
def test_all_that_is_hostile_is_shown_as_what_it_is(hostile: Store) -> None:
    """Each text is in an answer, so that the property above is not about nothing."""
    sql = "SELECT DISTINCT error_message FROM telemetry_events WHERE (session_id = 'large') = {is_large:Bool}"
    shown = []
    for is_large in ("true", "false"):
        arguments = {"sql": sql, "parameters": {"is_large": is_large}, "max_characters": MOST}
        result = call(Desk(hostile, limiter=None), "run_sql", arguments)
        judge(result, MOST)
        assert result.structured_content is not None
        shown += [row[0] for row in result.structured_content["rows"]]
    assert len(shown) == 1 + len(TEXTS)
    assert shown[0].endswith("…[5,242,880 characters]")
    assert any("␛[2J" in text for text in shown)
