"""The analytics file: its three tables, a migration that loses nothing, and a bounded queue."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from mcp_server_telemetry.sqlite_store import _MIGRATIONS, TABLES, SqliteStore, StoreError, migrate
from tests.sdk.measured import Measured
from tests.sdk.served import SECRET, served


def rows(path: Path, sql: str) -> Sequence[Any]:
    """Return the rows of a query over a file."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def test_what_is_measured_is_in_the_three_tables(tmp_path: Path) -> None:
    """Uses, measurements by label set, and sessions with their counts; no content."""
    path = tmp_path / "a.db"
    store = SqliteStore(path)
    server = served("mcp")
    measured = Measured(server, sinks=[store])

    async def calls() -> None:
        async with Client(server) as client:
            for _ in range(3):
                await client.call_tool("add", {"a": 1, "b": 2})
            await client.call_tool("large", {"size": 1})
            await client.call_tool("fails", {})
        async with measured.of.sessions.session("mine", model="m1") as session:
            session.tokens = 7
            session.checkpoint(2048)

    asyncio.run(calls())
    store.close()
    assert store.dropped == 0
    used = dict(rows(path, "SELECT feature, usage_count FROM feature_usage"))
    assert used["tool:add"] == 3
    assert used["tool:large"] == 1
    counts = rows(
        path,
        "SELECT json_extract(labels, '$.\"gen_ai.tool.name\"') AS tool, sum(count) FROM performance_metrics"
        " WHERE metric_name = 'mcp.message.latency' AND tool IN ('add', 'large') GROUP BY tool ORDER BY tool",
    )
    assert counts == [("add", 3), ("large", 1)]
    assert rows(
        path, "SELECT model, token_count, checkpoint_count FROM session_metrics WHERE model = 'm1'"
    ) == [("m1", 7, 1)]
    assert SECRET.encode() not in path.read_bytes()


def test_users_are_counted_once_a_day(tmp_path: Path) -> None:
    """By their hash."""
    store = SqliteStore(tmp_path / "a.db")
    for user in ("x", "y", "x", None):
        store.use("tool:add", user)
    store.close()
    assert rows(tmp_path / "a.db", "SELECT usage_count, unique_users FROM feature_usage") == [(4, 2)]


def test_a_migration_keeps_every_row(tmp_path: Path) -> None:
    """Of each table, label sets too, from the first version on; a second one does nothing."""
    path = tmp_path / "old.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(_MIGRATIONS[0] + "; PRAGMA user_version = 1")
        connection.executemany(
            "INSERT INTO performance_metrics VALUES (4000000000, 'm', ?, ?, 1.5)",
            [(str(number), f'{{"a": "{number}"}}') for number in range(50)],
        )
        connection.execute("INSERT INTO feature_usage VALUES ('2099-01-01', 'f', 3, 2)")
        connection.execute("INSERT INTO session_metrics VALUES (1, 's', 'm', '2099', '2099', 1, 2, 3, 4, 5)")
        connection.commit()
    store = SqliteStore(path)
    store.use("g", None)
    store.close()
    assert rows(
        path, "SELECT count(), sum(value), count(DISTINCT labels), sum(count) FROM performance_metrics"
    ) == [(50, 75.0, 50, 50)]
    assert rows(path, "SELECT count() FROM feature_usage WHERE feature = 'f'") == [(1,)]
    assert rows(path, "SELECT error_count FROM session_metrics") == [(5,)]
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert migrate(connection) == 0
        connection.execute("PRAGMA user_version = 99")
        with pytest.raises(StoreError, match="newer"):
            migrate(connection)
    assert {name for (name,) in rows(path, "SELECT name FROM sqlite_master WHERE type = 'table'")} >= set(
        TABLES
    )


def test_a_full_queue_and_a_locked_file_cost_measurements_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They are counted, said once, and no call waits."""
    path = tmp_path / "a.db"
    store = SqliteStore(path, at_most=10)
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for _ in range(1000):
            store.use("f", None)
        assert store.dropped >= 900
        other.rollback()
    store.close(20)
    kept = rows(path, "SELECT coalesce(sum(usage_count), 0) FROM feature_usage")[0][0]
    assert kept + store.dropped == 1000
    assert len([record for record in caplog.records if "Analytics" in record.getMessage()]) <= 1


def test_rows_are_kept_for_so_many_days(tmp_path: Path) -> None:
    """Older ones are removed at the start."""
    path = tmp_path / "a.db"
    store = SqliteStore(path)
    store.close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO feature_usage VALUES ('2001-01-01', 'old', 1, 0)")
        connection.execute("INSERT INTO performance_metrics VALUES (1, 'm', 'h', '{}', 1, 1)")
        connection.commit()
    store = SqliteStore(path)
    store.use("new", None)
    store.close()
    assert rows(path, "SELECT feature FROM feature_usage") == [("new",)]
    assert rows(path, "SELECT count() FROM performance_metrics") == [(0,)]


def test_a_file_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    """Before the server starts."""
    with pytest.raises(StoreError, match="cannot be opened"):
        SqliteStore(tmp_path / "none" / "a.db")
