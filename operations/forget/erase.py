"""The deletion itself: find, count, delete, make sums again, wait until the old files are gone, check, record.

The names to look for are in a table of their own meanwhile, `telemetry_forgetting`, which is dropped at the end. While
it exists, no other deletion can begin; after an interruption the next deletion resumes from it.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from clickhouse.client_errors import ClientError
from clickhouse.database import Database
from clickhouse.quoting import identifier
from operations.forget.personal_tables import FORGETTING, PersonalTable, among, personal_tables
from operations.forget.subject import Subject

RECORD: Final = "telemetry_forgotten"
SECONDS: Final = 86_400
"""Rewriting parts has no time limit; a connection that breaks is noticed all the same."""
_LOOK_SECONDS: Final = 0.5
_NO_PARTITION: Final = "19000101"
_OLD_PARTS: Final = (
    "SELECT DISTINCT table FROM system.parts WHERE database = currentDatabase() AND NOT active"
    " AND table IN {names:Array(String)}"
)


class EraseError(Exception):
    """The deletion did not begin, or did not finish. The text has the remedy."""


class Erasure:
    """One deletion, in a database."""

    def __init__(self, database: Database, subject: Subject) -> None:
        self._database = database
        self._subject = subject
        self._deleting = False
        self.tables: Sequence[PersonalTable] = personal_tables(database)

    @contextmanager
    def begun(self, *, resume: bool) -> Iterator[None]:
        """List everything that belongs to the subject; drop the list at the end unless the deletion is interrupted."""
        there = self._database.rows(
            "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = {name:String}",
            {"name": FORGETTING},
        )
        if int(there[0][0]) and not resume:
            raise EraseError(
                "Another deletion is under way, or was interrupted: wait for it, or take it up with --resume."
            )
        self._database.command(
            f"CREATE TABLE IF NOT EXISTS {FORGETTING} (kind LowCardinality(String), value String)"
            " ENGINE = MergeTree ORDER BY (kind, value)"
        )
        try:
            try:
                self._look_up()
                yield
            except BaseException:
                if not self._deleting:
                    self._end()
                raise
            self._end()
        except ClientError as error:
            raise EraseError(f"{error} The deletion is not finished: run this again with --resume.") from None

    def count(self) -> dict[str, int]:
        """Count the rows that belong to the subject, by table; tables without any are left out."""
        return self._counts({own: own.of_subject() for own in self.tables})

    def remaining(self) -> dict[str, int]:
        """Count the rows that remain, by table. The sums that were made again do not count: none names the person."""
        return self._counts(
            {own: among("user_id", "user") if own.is_sum else own.of_subject() for own in self.tables}
        )

    def erase(self, tables: Mapping[str, int]) -> None:
        """Delete the rows, and make again the sums that included them."""
        self._deleting = True
        found = [own for own in self.tables if own.table in tables]
        for own in found:
            table = identifier(own.table)
            self._database.command(f"ALTER TABLE {table} MODIFY SETTING old_parts_lifetime = 1")
            self._database.command(
                f"ALTER TABLE {table} DELETE WHERE {own.of_subject()} SETTINGS mutations_sync = 2"
            )
        for own in found:
            if own.is_sum and own.view:
                self._database.command(
                    f"INSERT INTO {identifier(own.table)} SELECT * FROM ({own.view}) WHERE {own.of_subject()}"
                )

    def wait_for_disk(self, tables: Mapping[str, int], seconds: float) -> bool:
        """Wait until no old copy of a part is on disk. Return whether they were gone in time."""
        deadline = time.monotonic() + seconds
        names = list(tables)
        while old := self._database.rows(_OLD_PARTS, {"names": names}):
            if time.monotonic() > deadline:
                return False
            for (table,) in old:
                # This drops no rows. It makes ClickHouse remove old parts at once, and not only within minutes.
                self._database.command(f"ALTER TABLE {identifier(table)} DROP PARTITION ID '{_NO_PARTITION}'")
            time.sleep(_LOOK_SECONDS)
        for table in names:
            self._database.command(f"ALTER TABLE {identifier(table)} RESET SETTING old_parts_lifetime")
        return True

    def record(self, tables: Mapping[str, int]) -> None:
        """Record that it was done, in a table that names no person."""
        self._database.command(
            f"INSERT INTO {RECORD} (kind, subject, rows) SELECT {{kind:String}}, {{subject:String}},"
            " CAST(({tables:Array(String)}, {counts:Array(UInt64)}), 'Map(LowCardinality(String), UInt64)')",
            {
                "kind": self._subject.kind,
                "subject": self._subject.label,
                "tables": list(tables),
                "counts": list(tables.values()),
            },
        )

    def _look_up(self) -> None:
        """Find the sessions and traces of the person, and the names that typed tables and sums have for them."""
        kind, values = self._subject.kind, list(self._subject.values)
        self._keep(f"arrayJoin({{values:Array(String)}}) AS value, '{kind}' AS kind", {"values": values})
        raw = [own for own in self.tables if not own.is_sum]
        if kind == "user":
            for own in raw:
                found = [_pairs("session", f"[{session}]") for session in own.sessions]
                found += [_pairs("trace", f"[{own.trace}]")] if own.trace else []
                found += [_pairs("key", keys) for keys in own.keys]
                self._keep(f"{_each(found)} FROM {identifier(own.table)} WHERE {own.of_user()}")
        # Typed tables come last: they show the names that attributes have there.
        for own in sorted(raw, key=lambda own: not own.maps):
            found = [_pairs("trace", f"[{own.trace}]")] if own.trace and own.sessions else []
            found += [_pairs("name", f"[{name}]") for name in own.names]
            if found:
                self._keep(f"{_each(found)} FROM {identifier(own.table)} WHERE {own.of_subject()}")

    def _end(self) -> None:
        self._database.command(f"DROP TABLE {FORGETTING} SYNC")

    def _keep(self, select: str, params: Mapping[str, Sequence[str]] | None = None) -> None:
        self._database.command(
            f"INSERT INTO {FORGETTING} (kind, value)"
            f" SELECT kind, value FROM (SELECT DISTINCT {select}) WHERE value != ''",
            params,
        )

    def _counts(self, conditions: Mapping[PersonalTable, str]) -> dict[str, int]:
        found = {
            own.table: self._database.rows(f"SELECT count() FROM {identifier(own.table)} WHERE {condition}")
            for own, condition in conditions.items()
        }
        return {table: int(rows[0][0]) for table, rows in found.items() if int(rows[0][0])}


def _pairs(kind: str, values: str) -> str:
    return f"arrayMap(found -> ('{kind}', toString(found)), {values})"


def _each(pairs: Sequence[str]) -> str:
    return f"arrayJoin(arrayConcat({', '.join(pairs)})) AS pair, pair.1 AS kind, pair.2 AS value"
