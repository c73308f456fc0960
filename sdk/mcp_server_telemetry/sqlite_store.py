"""Analytics without a server: the tables session_metrics, performance_metrics and feature_usage in an SQLite file.

    store = SqliteStore(Path("analytics.db"))
    instrument(server, sinks=[store])

What is measured is written by a thread of its own, from a queue that has a bound: a disk that is slow or full costs
measurements, which `dropped` counts, and never a call. Measurements are added up by minute and label set, so that two
label sets of one metric are two rows. Rows are kept for 30 days unless told otherwise.
"""

import contextlib
import hashlib
import json
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

log = logging.getLogger("mcp_server_telemetry")

TABLES: Final = ("session_metrics", "performance_metrics", "feature_usage")
_DAY: Final = 86_400
_MOST: Final = 10_000
_WAIT: Final = 0.2
_MIGRATIONS: Final = (
    """
    CREATE TABLE session_metrics (
        id INTEGER PRIMARY KEY,
        session_id TEXT NOT NULL,
        model TEXT NOT NULL,
        start_time TEXT NOT NULL,
        end_time TEXT NOT NULL,
        duration_seconds REAL NOT NULL,
        token_count INTEGER NOT NULL,
        message_count INTEGER NOT NULL,
        checkpoint_count INTEGER NOT NULL,
        error_count INTEGER NOT NULL
    );
    CREATE INDEX session_metrics_start_time ON session_metrics (start_time);
    CREATE INDEX session_metrics_model ON session_metrics (model);
    CREATE TABLE performance_metrics (
        timestamp INTEGER NOT NULL,
        metric_name TEXT NOT NULL,
        labels_hash TEXT NOT NULL,
        labels TEXT NOT NULL,
        value REAL NOT NULL,
        PRIMARY KEY (timestamp, metric_name, labels_hash)
    ) WITHOUT ROWID;
    CREATE TABLE feature_usage (
        date TEXT NOT NULL,
        feature TEXT NOT NULL,
        usage_count INTEGER NOT NULL DEFAULT 0,
        unique_users INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (date, feature)
    ) WITHOUT ROWID;
    CREATE TABLE feature_users (
        date TEXT NOT NULL,
        feature TEXT NOT NULL,
        user TEXT NOT NULL,
        PRIMARY KEY (date, feature, user)
    ) WITHOUT ROWID
    """,
    # The number of values, without which a mean cannot be told from a sum.
    "ALTER TABLE performance_metrics ADD COLUMN count INTEGER NOT NULL DEFAULT 1",
)
_SESSION: Final = (
    "INSERT INTO session_metrics (session_id, model, start_time, end_time, duration_seconds, token_count,"
    " message_count, checkpoint_count, error_count) VALUES (:session_id, :model, :start_time, :end_time,"
    " :duration_seconds, :token_count, :message_count, :checkpoint_count, :error_count)"
)
_MEASUREMENT: Final = (
    "INSERT INTO performance_metrics (timestamp, metric_name, labels_hash, labels, value, count)"
    " VALUES (?, ?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET value = value + excluded.value, count = count + 1"
)
_USE: Final = (
    "INSERT INTO feature_usage (date, feature, usage_count) VALUES (?, ?, 1)"
    " ON CONFLICT DO UPDATE SET usage_count = usage_count + 1"
)
_USER: Final = "INSERT OR IGNORE INTO feature_users (date, feature, user) VALUES (?, ?, ?)"
_COUNT_USER: Final = "UPDATE feature_usage SET unique_users = unique_users + 1 WHERE date = ? AND feature = ?"
_OLD: Final = (
    "DELETE FROM session_metrics WHERE start_time < :time",
    "DELETE FROM performance_metrics WHERE timestamp < :seconds",
    "DELETE FROM feature_usage WHERE date < :day",
    "DELETE FROM feature_users WHERE date < :day",
)


class StoreError(Exception):
    """The file cannot be used; the text says why."""


class SqliteStore:
    """A sink of `instrument` that writes into a file. `close` writes what waits."""

    def __init__(self, path: Path, retention_days: int = 30, at_most: int = _MOST) -> None:
        self.dropped = 0
        self._path = path
        self._days = retention_days
        self._waiting: queue.Queue[tuple[str, Any] | None] = queue.Queue(at_most)
        self._has_complained = False
        with contextlib.closing(self._connected()) as connection:
            migrate(connection)
        self._thread = threading.Thread(target=self._run, name="mcp-telemetry-sqlite", daemon=True)
        self._thread.start()

    def measurement(self, name: str, value: float, attributes: Mapping[str, str]) -> None:
        """Take one measurement, to be added to its minute."""
        self._put("measurement", (int(time.time()) // 60 * 60, name, dict(attributes), value))

    def session(self, row: Mapping[str, Any]) -> None:
        """Take one session that ended."""
        self._put("session", dict(row))

    def use(self, feature: str, user: str | None) -> None:
        """Take one use of a feature; `user` is a hash."""
        self._put("use", (datetime.now(UTC).date().isoformat(), feature, user))

    def close(self, seconds: float = 5.0) -> None:
        """Write what waits, for so long at most, and end the thread."""
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=seconds)
        self._thread.join(seconds)

    def _put(self, kind: str, value: Any) -> None:
        try:
            self._waiting.put_nowait((kind, value))
        except queue.Full:
            self.dropped += 1

    def _connected(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(self._path, timeout=5)
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.Error as error:
            raise StoreError(
                f"The analytics file cannot be opened ({type(error).__name__}): choose another."
            ) from None
        return connection

    def _run(self) -> None:
        connection = self._connected()
        swept = 0.0
        is_open = True
        while is_open:
            batch = self._batch()
            is_open = None not in batch
            rows = [one for one in batch if one is not None]
            try:
                with connection:
                    for kind, value in rows:
                        _write(connection, kind, value)
                    if time.monotonic() - swept > _DAY / 24 or not swept:
                        swept = time.monotonic()
                        _sweep(connection, self._days)
            except sqlite3.Error as error:
                self.dropped += len(rows)
                if not self._has_complained:
                    self._has_complained = True
                    log.warning("Analytics cannot be written (%s); this is said once.", type(error).__name__)
        connection.close()

    def _batch(self) -> list[tuple[str, Any] | None]:
        found = [self._waiting.get()]
        until = time.monotonic() + _WAIT
        while found[-1] is not None and len(found) < _MOST:
            try:
                found.append(self._waiting.get(timeout=max(0.0, until - time.monotonic())))
            except queue.Empty:
                break
        return found


def migrate(connection: sqlite3.Connection) -> int:
    """Bring a file to this version's tables, and return how many steps that took.

    Raises StoreError for a file of a newer version. No row is removed or changed.
    """
    connection.execute("BEGIN IMMEDIATE")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(_MIGRATIONS):
        connection.rollback()
        raise StoreError("The analytics file is of a newer version: upgrade mcp-server-telemetry.")
    for step in _MIGRATIONS[version:]:
        for statement in step.split(";"):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")
    connection.commit()
    return len(_MIGRATIONS) - int(version)


def _write(connection: sqlite3.Connection, kind: str, value: Any) -> None:
    if kind == "session":
        connection.execute(_SESSION, value)
    elif kind == "measurement":
        minute, name, labels, number = value
        text = json.dumps(labels, sort_keys=True)
        connection.execute(
            _MEASUREMENT, (minute, name, hashlib.sha256(text.encode()).hexdigest()[:16], text, number)
        )
    else:
        day, feature, user = value
        connection.execute(_USE, (day, feature))
        if user is not None and connection.execute(_USER, (day, feature, user)).rowcount:
            connection.execute(_COUNT_USER, (day, feature))


def _sweep(connection: sqlite3.Connection, days: int) -> None:
    since = time.time() - days * _DAY
    then = datetime.fromtimestamp(since, UTC)
    bound = {"time": then.isoformat(), "seconds": int(since), "day": then.date().isoformat()}
    for statement in _OLD:
        connection.execute(statement, bound)
