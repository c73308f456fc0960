"""The deletion itself: find, count, delete, remake sums, wait until the disk has let go, check, record.

What is looked for stands in a table of its own meanwhile, `telemetry_forgetting`, which is dropped at the end. While it
is there nobody else can begin; after an interruption the next one takes up what it holds, which ClickHouse may need.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from clickhouse.engine import identifier
from clickhouse.migrations import Session
from telemetry.forget.holders import FORGETTING, Holder, among, holders
from telemetry.forget.subject import Subject

RECORD: Final = "telemetry_forgotten"
_LOOK_SECONDS: Final = 0.5
_NO_PARTITION: Final = "19000101"
_OLD_PARTS: Final = (
    "SELECT DISTINCT table FROM system.parts WHERE database = currentDatabase() AND NOT active"
    " AND table IN {names:Array(String)}"
)


class EraseError(Exception):
    """The deletion did not begin, or did not come to its end. The text has the remedy."""


class Erasure:
    """One deletion, in a database."""

    def __init__(self, database: Session, subject: Subject) -> None:
        self._database = database
        self._subject = subject
        self._deleting = False
        self.holders: Sequence[Holder] = holders(database)

    @contextmanager
    def begun(self, *, resume: bool) -> Iterator[None]:
        """Look up all that belongs to the subject, and forget that at the end, unless a deletion was interrupted."""
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
            self._look_up()
            yield
        except BaseException:
            if not self._deleting:
                self._end()
            raise
        self._end()

    def count(self) -> dict[str, int]:
        """Count the rows that belong to the subject, by table; tables without any are left out."""
        return self._counts({holder: holder.of_subject() for holder in self.holders})

    def remaining(self) -> dict[str, int]:
        """Count what is still there, by table. Sums that were made anew are of others: none names the person."""
        return self._counts(
            {
                holder: among("user_id", "user") if holder.is_sum else holder.of_subject()
                for holder in self.holders
            }
        )

    def erase(self, tables: Mapping[str, int]) -> None:
        """Delete the rows, and make anew the sums that they were part of."""
        self._deleting = True
        found = [holder for holder in self.holders if holder.table in tables]
        for holder in found:
            table = identifier(holder.table)
            self._database.command(f"ALTER TABLE {table} MODIFY SETTING old_parts_lifetime = 1")
            self._database.command(
                f"ALTER TABLE {table} DELETE WHERE {holder.of_subject()} SETTINGS mutations_sync = 2"
            )
        for holder in found:
            if holder.is_sum and holder.view:
                self._database.command(
                    f"INSERT INTO {identifier(holder.table)} SELECT * FROM ({holder.view}) WHERE {holder.of_subject()}"
                )

    def wait_for_disk(self, tables: Mapping[str, int], seconds: float) -> bool:
        """Wait until no old copy of a part is on disk; tell whether that came to be in time."""
        deadline = time.monotonic() + seconds
        names = list(tables)
        while old := self._database.rows(_OLD_PARTS, {"names": names}):
            if time.monotonic() > deadline:
                return False
            for (table,) in old:
                # Drops nothing, and looks for old parts at once, which ClickHouse by itself does within minutes.
                self._database.command(f"ALTER TABLE {identifier(table)} DROP PARTITION ID '{_NO_PARTITION}'")
            time.sleep(_LOOK_SECONDS)
        for table in names:
            self._database.command(f"ALTER TABLE {identifier(table)} RESET SETTING old_parts_lifetime")
        return True

    def record(self, tables: Mapping[str, int]) -> None:
        """Write down that it was done, in a table that names nobody."""
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
        """Find the sessions and traces of the person, and by what names typed tables and sums know them."""
        kind, values = self._subject.kind, list(self._subject.values)
        self._keep(f"arrayJoin({{values:Array(String)}}) AS value, '{kind}' AS kind", {"values": values})
        raw = [holder for holder in self.holders if not holder.is_sum]
        if kind == "user":
            for holder in raw:
                found = [_pairs("session", f"[{session}]") for session in holder.sessions]
                found += [_pairs("trace", f"[{holder.trace}]")] if holder.trace else []
                found += [_pairs("key", keys) for keys in holder.keys]
                self._keep(f"{_each(found)} FROM {identifier(holder.table)} WHERE {holder.of_user()}")
        # Typed tables come last: they say by which names attributes are known there.
        for holder in sorted(raw, key=lambda holder: not holder.maps):
            found = [_pairs("trace", f"[{holder.trace}]")] if holder.trace and holder.sessions else []
            found += [_pairs("name", f"[{name}]") for name in holder.names]
            if found:
                self._keep(f"{_each(found)} FROM {identifier(holder.table)} WHERE {holder.of_subject()}")

    def _end(self) -> None:
        self._database.command(f"DROP TABLE {FORGETTING} SYNC")

    def _keep(self, select: str, params: Mapping[str, Sequence[str]] | None = None) -> None:
        self._database.command(
            f"INSERT INTO {FORGETTING} (kind, value)"
            f" SELECT kind, value FROM (SELECT DISTINCT {select}) WHERE value != ''",
            params,
        )

    def _counts(self, conditions: Mapping[Holder, str]) -> dict[str, int]:
        found = {
            holder.table: self._database.rows(
                f"SELECT count() FROM {identifier(holder.table)} WHERE {condition}"
            )
            for holder, condition in conditions.items()
        }
        return {table: int(rows[0][0]) for table, rows in found.items() if int(rows[0][0])}


def _pairs(kind: str, values: str) -> str:
    return f"arrayMap(found -> ('{kind}', toString(found)), {values})"


def _each(pairs: Sequence[str]) -> str:
    return f"arrayJoin(arrayConcat({', '.join(pairs)})) AS pair, pair.1 AS kind, pair.2 AS value"
