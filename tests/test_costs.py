"""Costs that were not sent, things that failed and worked later, and what the client did itself: by hand, over SQL."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from access.questions import find
from clickhouse.engine import EngineError
from tests.events import SERVICE, Record, Tables, event, fill, logs

_MONTH = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp()
NOW = max(round(time.time()) - 7200.0, _MONTH)
"""Two hours ago, but in this month, of which some questions are."""
MILLION = {"input_tokens": 1_000_000, "output_tokens": 100_000, "user__id": "ann", "prompt__id": "p"}
BY = {"user": "ann"}


def ask(store: Tables, name: str, **given: str) -> list[dict[str, Any]]:
    question = find(name)
    return store.dicts(question.sql, **question.values(given))


def request(at: float, model: str = "claude-sonnet-4-6", **more: Any) -> Record:
    return event(NOW + at, "api_request", model=model, **MILLION | more)


def test_unknown_costs_are_not_0_in_any_question(store: Tables) -> None:
    """$2 is reported, $4.50 recomputed, one request has no known cost: the sum says so, everywhere that has one."""
    store.store("otel_logs", logs([request(0, cost_usd=2.0), request(1), request(2, model="gpt-6")]))
    rows = {
        "activity": {}, "adoption": {}, "cache": {"by": "user"}, "cost_by": {"by": "user"}, "cost_month": {},
        "cost_per_commit": {"by": "user"}, "cost_per_prompt": {}, "cost_per_session": {}, "sessions": {}, "users": {},
        "forecast": {"to": f"{datetime.fromtimestamp(NOW + 3, UTC):%Y-%m-%d %H:%M:%S}"}, "workflow_steps": {},
    }  # fmt: skip
    for name, given in rows.items():
        (row,) = ask(store, name, **given)
        assert (row["usd"], row["recomputed_usd"], row["unpriced"]) == (6.5, 4.5, 1), name
    by_model = {
        row["model"]: (row["usd"], row["recomputed_usd"], row["unpriced"]) for row in ask(store, "cost")
    }
    assert by_model == {"claude-sonnet-4-6": (6.5, 4.5, 0), "gpt-6": (None, 0, 1)}
    summary = {row["measure"]: row["value"] for row in ask(store, "summary")}
    assert (summary["usd"], summary["usd recomputed"], summary["requests without a known cost"]) == (
        6.5,
        4.5,
        1,
    )
    assert [(row["usd"], row["cost"]) for row in ask(store, "session")] == [
        (2, "reported"), (4.5, "recomputed"), (None, "unknown"),
    ]  # fmt: skip
    columns = ("reported_usd", "unreported", "recomputed_usd")
    prices = {row["model"]: tuple(row[name] for name in columns) for row in ask(store, "prices")}
    assert prices == {"claude-sonnet-4-6": (2, 1, 9), "gpt-6": (None, 1, None)}
    for table in ("telemetry_hourly", "telemetry_daily", "telemetry_sessions", "telemetry_measures"):
        assert store.rows(f"SELECT sum(cost_nanos), sum(recomputed_nanos), sum(unpriced) FROM {table}") == [
            [6_500_000_000, 4_500_000_000, 1]
        ]


def test_a_sum_of_unknown_costs_is_unknown(store: Tables) -> None:
    """Without tokens, or without a price, nothing is known: neither of the sum nor of what is made of it."""
    store.store(
        "otel_logs",
        logs([event(NOW, "api_request", model="claude-sonnet-4-6", user__id="ann"), request(1, "gpt-6")]),
    )
    (row,) = ask(store, "cost_by", by="user")
    assert (row["usd"], row["percent"], row["usd_per_request"], row["unpriced"]) == (None, None, None, 2)
    (row,) = ask(store, "cost_per_session")
    assert (row["usd"], row["mean"], row["p50"], row["dearest"], row["unpriced"]) == (
        None,
        None,
        None,
        None,
        2,
    )
    summary = {row["measure"]: row["value"] for row in ask(store, "summary")}
    assert (summary["usd"], summary["usd per prompt"], summary["model requests"]) == (None, None, 2)


def tool(at: float, session: str, name: str, *, ok: bool, **more: Any) -> Record:
    return event(
        NOW + at, "tool_result", session__id=session, tool_name=name, success=str(ok).lower(), **more
    )


def bash(at: float, session: str, program: str, *, ok: bool) -> Record:
    return tool(at, session, "Bash", ok=ok, tool_parameters=f'{{"bash_command":"{program}"}}')


def test_recovered_means_that_the_same_thing_worked_later(store: Tables) -> None:
    """The same tool, MCP tool, program or kind of request, in the session; other successes do not count."""
    other = {"query_source": "generate_session_title"}
    cases = {
        "same tool": ([tool(0, "", "Read", ok=False), tool(1, "", "Read", ok=True)], "recovered", 100),
        "another tool": ([tool(0, "", "Read", ok=False), tool(1, "", "Edit", ok=True)], "went on", 0),
        "worked before": ([tool(0, "", "Read", ok=True), tool(1, "", "Read", ok=False)], "stopped", 0),
        "another program": ([bash(0, "", "npm", ok=False), bash(1, "", "git", ok=True)], "went on", 0),
        "same program": ([bash(0, "", "npm", ok=False), bash(1, "", "npm", ok=True)], "recovered", 100),
        "another MCP tool": (
            [tool(0, "", "mcp__a__x", ok=False), tool(1, "", "mcp__a__y", ok=True)], "went on", 0,
        ),
        "every call failed": (
            [
                tool(0, "", "Read", ok=False), request(1, cost_usd=1), tool(2, "", "Edit", ok=False),
                request(3, cost_usd=1),
            ],
            "went on", 0,
        ),
        "same request": (
            [event(NOW, "api_error", model="claude-sonnet-4-6[1m]", status_code=529), request(1, cost_usd=1)],
            "recovered", 100,
        ),
        "another request": (
            [event(NOW, "api_error", model="claude-sonnet-4-6", status_code=529), request(1, cost_usd=1, **other)],
            "went on", 0,
        ),
        "no such thing": (
            [event(NOW, "internal_error", error_name="TypeError"), request(1, cost_usd=1)], "went on", None,
        ),
    }  # fmt: skip
    for records, _, _ in cases.values():
        assert len(records) >= 2
    for name, (records, outcome, percent) in cases.items():
        store.clear()
        mine = [Record(one.time, {**one.attributes, "session.id": name}, one.body) for one in records]
        elsewhere = [
            Record(one.time + 50, {**one.attributes, "session.id": "else"}, one.body) for one in records
        ]
        well = [one for one in elsewhere if one.attributes.get("success") == "true"]
        store.store("otel_logs", logs([*mine, *well]))
        assert [row["recovered_percent"] for row in ask(store, "errors")][:1] == [percent], name
        found = {row["session"]: row["outcome"] for row in ask(store, "sessions")}
        assert found[name] == outcome, name


def spans(*made: tuple[float, str, dict[str, Any]], parent: bytes = b"\1" * 8) -> bytes:
    """Serialize spans of one interaction: seconds after NOW, name, attributes."""
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add()
    fill(group.resource.attributes, SERVICE)
    scope = group.scope_spans.add()
    scope.scope.name = "com.anthropic.claude_code.tracing"
    for number, (at, name, attributes) in enumerate(made, 10):
        start = round((NOW + at) * 1000) * 10**6
        span = scope.spans.add(
            trace_id=b"\7" * 16, span_id=bytes([number]) * 8, parent_span_id=parent, name=f"claude_code.{name}",
            start_time_unix_nano=start, end_time_unix_nano=start + 10**8,
        )  # fmt: skip
        fill(span.attributes, {"session.id": "s1", "model": "claude-opus-4-8[1m]", **attributes})
    return message.SerializeToString()


def test_what_was_tried_again_and_answered_is_shown(store: Tables) -> None:
    """From the attempts of spans: in retries, api_errors and waste, with no code, which is not sent."""
    done = {"success": True, "stop_reason": "end_turn"}
    made = [(0, "llm_request", {**done, "attempt": 3}), (1, "llm_request", {**done, "attempt": 1})]
    store.store("otel_traces", spans(*made))
    (retry,) = ask(store, "retries")
    assert (retry["code"], retry["model"], retry["exhausted"], retry["answered"]) == (
        "",
        "claude-opus-4-8",
        0,
        1,
    )
    assert (retry["attempts"], retry["sessions"], retry["recovered_percent"]) == (3, 1, 100)
    (error,) = ask(store, "api_errors")
    assert (error["code"], error["errors"], error["answered"], error["attempts"]) == ("", 0, 1, 3)
    (lost,) = ask(store, "waste")
    assert (lost["pattern"], lost["what"], lost["wasted"], lost["usd"]) == (
        "tried again",
        "claude-opus-4-8",
        2,
        0,
    )


def test_a_tool_that_the_client_refused_is_counted(store: Tables) -> None:
    """The model asked for a tool, and no tool was called before its next request; of others one was."""
    asks = {"success": True, "stop_reason": "tool_use", "attempt": 1}
    ends = {"success": True, "stop_reason": "end_turn", "attempt": 1}
    called = [
        (0, "llm_request", asks),
        (0.05, "tool", {"tool_name": "Read", "model": ""}),
        (1, "llm_request", ends),
    ]
    store.store("otel_traces", spans(*called))
    assert ask(store, "waste") == []
    store.clear()
    store.store("otel_traces", spans(*called[:2], (1, "llm_request", asks), (2, "llm_request", ends)))
    (lost,) = ask(store, "waste")
    assert (lost["pattern"], lost["wasted"], lost["worst_session"]) == ("refused by the client", 1, "s1")


def test_the_same_use_with_another_model(store: Tables) -> None:
    """The same tokens, cached as they were, at the other model's prices; a model without a price is named."""
    used = {
        "input_tokens": "100000", "output_tokens": "10000", "cache_read_tokens": "800000",
        "cache_creation_tokens": "100000",
    }  # fmt: skip
    store.store(
        "otel_logs",
        logs(
            [
                event(NOW, "api_request", model="claude-opus-4-8", cost_usd=9.0, **used),
                request(1, model="gpt-6"),
            ]
        ),
    )
    given = {"from": "2000-01-01 00:00:00", "to": "2100-01-01 00:00:00"}
    opus, other = ask(store, "what_if", instead="Claude-Sonnet-4.6", **given)[::-1]
    assert (other["model"], other["usd"], other["list_usd"], other["difference_usd"]) == (
        "gpt-6",
        None,
        None,
        None,
    )
    assert opus == {
        "model": "claude-opus-4-8", "requests": 1, "all_tokens": 1_010_000, "cache_percent": 80, "usd": 9,
        "list_usd": 1.775, "instead_usd": 1.065, "difference_usd": -0.71, "difference_percent": -40,
    }  # fmt: skip
    with pytest.raises(EngineError):
        ask(store, "what_if", instead="gpt-6", **given)
