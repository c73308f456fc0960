"""The questions about people's own MCP servers: whole results over rows that were worked out by hand."""

from collections.abc import Iterator
from typing import Any

import pytest

from access.questions import find
from clickhouse.engine import Engine
from tests.events import Tables, tables

PERIOD = {"from": "2026-11-20 00:00:00", "to": "2026-11-22 00:00:00"}
DURATION = "mcp.server.operation.duration"


@pytest.fixture(scope="module")
def store(engine: Engine) -> Iterator[Tables]:
    with tables(engine) as made:
        sessions = [
            ("2026-11-20 10:00:00", "shop", "tcp", "opus", "completed", 10, 4, 100, 1, 0),
            ("2026-11-20 11:00:00", "shop", "tcp", "opus", "error", 30, 8, 50, 0, 2),
            ("2026-11-21 11:00:00", "mail", "pipe", "unknown", "completed", 60, 1, 0, 0, 0),
            ("2026-11-22 00:00:00", "mail", "pipe", "unknown", "completed", 60, 1, 0, 0, 0),  # after the period
        ]  # fmt: skip
        for (
            start,
            server,
            transport,
            model,
            status,
            seconds,
            messages,
            tokens,
            checkpoints,
            errors,
        ) in sessions:
            engine.command(
                "INSERT INTO session_metrics (start_time, end_time, service_name, session_id, model, status, transport,"
                " duration_seconds, token_count, message_count, checkpoint_count, error_count)"
                f" SELECT '{start}', toDateTime64('{start}', 3, 'UTC') + {seconds}, '{server}', 's', '{model}',"
                f" '{status}', '{transport}', {seconds}, {tokens}, {messages}, {checkpoints}, {errors}"
            )
        ok = {"mcp.method.name": "tools/call", "gen_ai.tool.name": "add"}
        failed = {**ok, "error.type": "tool_error"}
        cancelled = {**ok, "error.type": "cancelled"}
        listed = {"mcp.method.name": "tools/list"}
        old, new = "2026-11-19 09:00:00", "2026-11-20 12:00:00"
        points: list[tuple[str, str, str, float, int, bool, dict[str, str]]] = [
            # Began before the period: what it had counted at its beginning is not the period's.
            ("2026-11-19 23:59:50", old, "a", 8.0, 80, False, ok),
            ("2026-11-20 00:00:10", old, "a", 9.0, 90, False, ok),
            ("2026-11-20 00:00:20", old, "a", 12.0, 91, False, ok),
            # Restarted: counts from nothing again, in the period.
            ("2026-11-20 12:00:10", new, "a", 2.0, 20, False, ok),
            ("2026-11-20 12:00:20", new, "a", 2.0, 20, False, ok),
            # No earlier point of the last hour.
            ("2026-11-20 05:00:00", old, "b", 50.0, 500, False, ok),
            ("2026-11-20 05:00:10", old, "b", 51.0, 510, False, ok),
            ("2026-11-20 12:00:10", new, "a", 0.5, 2, False, failed),
            ("2026-11-20 12:00:10", new, "a", 0.5, 1, False, cancelled),
            ("2026-11-20 12:00:10", new, "c", 0.25, 5, True, listed),
            ("2026-11-20 12:00:20", new, "c", 0.25, 5, True, listed),
            ("2026-11-22 00:00:00", new, "c", 9.0, 9, True, listed),
        ]
        for time, started, instance, value, count, is_delta, labels in points:
            pairs = ", ".join(f"'{key}', '{text}'" for key, text in labels.items())
            engine.command(
                f"INSERT INTO performance_metrics SELECT '{time}', '{started}', 'shop', '{instance}', '{DURATION}',"
                f" {value}, {count}, {is_delta}, map({pairs})"
            )
        for day, feature, uses, errors, user in [
            ("2026-11-20", "tool:add", 3, 1, "'u1'"),
            ("2026-11-20", "tool:add", 2, 0, "'u2'"),
            ("2026-11-20", "tool:add", 1, 0, "'u1'"),
            ("2026-11-20", "prompt:ask", 1, 0, "NULL"),
            ("2026-11-22", "tool:add", 1, 0, "'u1'"),
            ("2026-11-23", "tool:add", 9, 0, "'u9'"),
        ]:
            engine.command(
                "INSERT INTO feature_usage SELECT"
                f" '{day}', 'shop', '{feature}', {uses}, {errors}, uniqState(CAST({user}, 'Nullable(String)'))"
            )
        yield made


def ask(store: Tables, name: str, **given: str) -> list[dict[str, Any]]:
    question = find(name)
    return store.dicts(question.sql, **question.values(PERIOD | given))


def test_sessions_by_server(store: Tables) -> None:
    """Those that began in the period, with how they ended."""
    shop = {
        "server": "shop", "transport": "tcp", "model": "opus", "sessions": 2, "failed": 1, "failed_percent": 50,
        "p50_seconds": 30, "p95_seconds": 30, "messages": 6, "errors": 2, "tokens": 150, "checkpoints": 1,
        "last_seen": "2026-11-20 11:00:30",
    }  # fmt: skip
    mail = {
        "server": "mail", "transport": "pipe", "model": "", "sessions": 1, "failed": 0, "failed_percent": 0,
        "p50_seconds": 60, "p95_seconds": 60, "messages": 1, "errors": 0, "tokens": 0, "checkpoints": 0,
        "last_seen": "2026-11-21 11:01:00",
    }  # fmt: skip
    assert ask(store, "mcp_server_sessions") == [shop, mail]
    assert ask(store, "mcp_server_sessions", server="mail") == [mail]


def test_latency_follows_counters_that_grow(store: Tables) -> None:
    """Growth alone counts, from point to point and over a restart; a delta counts as it is; cancelled is no failure."""
    # Instance a: 10 and 1, then 20; b: 10; failed 2, cancelled 1. Seconds: 1 + 3 + 2 + 1 + 0.5 + 0.5.
    assert ask(store, "mcp_server_latency") == [
        {
            "server": "shop", "method": "tools/call", "tool": "add", "requests": 44, "failures": 2,
            "failure_percent": 4.5, "mean_ms": 181.8, "slowest_ms": 3000, "hours": 0,
        },
        {
            "server": "shop", "method": "tools/list", "tool": "", "requests": 10, "failures": 0,
            "failure_percent": 0, "mean_ms": 50, "slowest_ms": 50, "hours": 0,
        },
    ]  # fmt: skip
    assert ask(store, "mcp_server_latency", server="mail") == []


def test_features_by_day(store: Tables) -> None:
    """Rows of a day are added up, and a user counts once; without users the number is 0.

    The day that begins when the period ends is not of it.
    """
    assert ask(store, "mcp_server_features") == [
        {
            "day": "2026-11-20", "server": "shop", "feature": "tool:add", "uses": 6, "failures": 1,
            "failure_percent": 16.7, "users": 2,
        },
        {
            "day": "2026-11-20", "server": "shop", "feature": "prompt:ask", "uses": 1, "failures": 0,
            "failure_percent": 0, "users": 0,
        },
    ]  # fmt: skip
