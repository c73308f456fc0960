"""Finds the tables that hold personal data from their columns, so that no list of tables needs to be kept.

Identity is in maps of attributes, in the columns `user_id` and `session_id`, or only in the id of a trace. A row of an
aggregating table sums many records: it is deleted when one of them may be the subject's, and the rest of it is made
again from the table that it came from.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from clickhouse.database import Database
from clickhouse.quoting import identifier, literal
from operations.forget.subject import NAMING, SESSION_KEY, USER_KEYS

FORGETTING: Final = "telemetry_forgetting"
"""The table of the names to look for. ClickHouse keeps the texts of statements, and none may contain these names."""
_TRACES: Final = frozenset({"TraceId", "trace_id"})


@dataclass(frozen=True, slots=True)
class PersonalTable:
    """A table, with the columns that identify a row's person."""

    table: str
    maps: tuple[str, ...] = ()
    user: bool = False
    session: bool = False
    trace: str | None = None
    is_sum: bool = False
    """Whether a row sums many records, maybe of several people."""
    view: str | None = None
    """The SELECT that fills the table from another one."""

    @property
    def sessions(self) -> list[str]:
        """Write the expressions for a row's session."""
        found = [f"{identifier(column)}['{SESSION_KEY}']" for column in self.maps]
        return [*found, *(["session_id"] if self.session else [])]

    @property
    def names(self) -> list[str]:
        """Write the expressions for a row's person as typed tables do: the first attribute that is present."""
        choices = [
            ", ".join(f"{identifier(column)}['{key}'] != '', {identifier(column)}['{key}']" for key in NAMING)
            for column in self.maps
        ]
        return [f"multiIf({choice}, '')" for choice in choices]

    @property
    def keys(self) -> list[str]:
        """Write the expressions for the keys under which a row names the subject."""
        return [
            f"arrayFilter((key, value) -> {_NAMES_SUBJECT}, mapKeys({column}), mapValues({column}))"
            for column in map(identifier, self.maps)
        ]

    def of_user(self) -> str:
        """Write the condition that a row names the person."""
        named = [_exists(column, _NAMES_SUBJECT) for column in self.maps]
        return _any([*named, *([among("user_id", "user")] if self.user else [])])

    def of_subject(self) -> str:
        """Write the condition to delete a row: it names the subject, or is of its sessions and names no one else."""
        sessions = [among(session, "session") for session in self.sessions]
        if self.is_sum:
            return _any(sessions or [among("user_id", "user", "name")])
        traces = [among(self.trace, "trace")] if self.trace else []
        others = [_exists(column, f"{among('key', 'key')} AND value != ''") for column in self.maps]
        others += [f"user_id != '' AND NOT {among('user_id', 'name')}"] if self.user else []
        return f"({self.of_user()} OR ({_any([*sessions, *traces])} AND NOT {_any(others)}))"


def personal_tables(database: Database) -> list[PersonalTable]:
    """Return the tables that hold personal data."""
    columns: dict[str, dict[str, str]] = {}
    engines: dict[str, str] = {}
    for table, engine, name, kind in database.rows(_COLUMNS):
        columns.setdefault(table, {})[name] = kind
        engines[table] = engine
    views = {
        target[1]: str(select)
        for made, select in database.rows(_VIEWS)
        if (target := re.search(r" TO (?:`?\w+`?\.)?`?(\w+)`?", made))
    }
    found = [
        _personal_table(table, engines[table], of_table, views.get(table))
        for table, of_table in columns.items()
    ]
    return [one for one in found if one.maps or one.user or one.session or one.trace]


def among(expression: str, *kinds: str) -> str:
    """Write the condition that an expression is one of the names to look for."""
    listed = ", ".join(map(literal, kinds))
    return f"{expression} IN (SELECT value FROM {FORGETTING} WHERE kind IN ({listed}))"


_NAMES_SUBJECT: Final = (
    f"key IN ({', '.join(literal(key) for key in USER_KEYS)}) AND {among('value', 'user')}"
)
_COLUMNS: Final = (
    "SELECT tables.name, engine, columns.name, columns.type FROM system.columns AS columns"
    " JOIN system.tables AS tables ON tables.database = columns.database AND tables.name = columns.table"
    " WHERE tables.database = currentDatabase() AND engine LIKE '%MergeTree'"
    " AND tables.name NOT LIKE 'telemetry\\_forg%' ORDER BY tables.name, position"
)
_VIEWS: Final = (
    "SELECT create_table_query, as_select FROM system.tables"
    " WHERE database = currentDatabase() AND engine = 'MaterializedView'"
)


def _personal_table(table: str, engine: str, columns: Mapping[str, str], view: str | None) -> PersonalTable:
    maps = tuple(name for name, kind in columns.items() if kind.startswith("Map(") and "ttributes" in name)
    trace = next((name for name in columns if name in _TRACES), None)
    is_sum = "Aggregating" in engine or "Summing" in engine
    return PersonalTable(table, maps, "user_id" in columns, "session_id" in columns, trace, is_sum, view)


def _exists(column: str, condition: str) -> str:
    """Write the condition that a map has an entry of which another condition is true."""
    quoted = identifier(column)
    return f"arrayExists((key, value) -> {condition}, mapKeys({quoted}), mapValues({quoted}))"


def _any(conditions: Sequence[str]) -> str:
    return f"({' OR '.join(conditions) or '0'})"
