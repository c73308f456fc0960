"""What came of it: the ClickHouse interface, the tables, the test record in them, and how new the newest rows are."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from access.query import AskError, Reader
from clickhouse.migrations import migrations
from telemetry.client import trial
from telemetry.doctor.client import ADDRESS, destinations
from telemetry.doctor.finding import Check, Finding, broken, ok, skipped, warning
from telemetry.doctor.network import RECORD
from telemetry.doctor.patient import Patient
from telemetry.settings import is_loopback
from telemetry.source import ask_value, reader_source

_STALE_SECONDS: Final = 86_400
_MADE: Final = re.compile(r"CREATE (?:TABLE|MATERIALIZED VIEW|VIEW) IF NOT EXISTS (\w+)")
_NEWEST: Final = Path(__file__).with_name("newest.sql")
_TABLES: Final = "SELECT name, engine_full FROM system.tables WHERE database = currentDatabase()"


def reading(patient: Patient) -> Finding:
    """See whether the ClickHouse interface answers, and knows the user who reads."""
    host = next(destinations(patient)).host
    if not (patient.url or patient.settings.clickhouse_url or is_loopback(host)):
        return skipped(
            "the server is on another machine, and its ClickHouse is not named",
            "Give --url and TELEMETRY_READER_PASSWORD to look at the rows too.",
        )
    try:
        source = reader_source(patient.settings, patient.url)
        rows(patient, "SELECT 1 AS one")
    except AskError as error:
        problem, _, fix = str(error).partition(": ")
        return broken(problem, f"{fix[:1].upper()}{fix[1:]}")
    return ok(f"{source.url}, as {source.user}")


def tables(patient: Patient) -> Finding:
    """See whether all tables of this version are there."""
    expected = {name for migration in migrations() for name in _MADE.findall(migration.sql)}
    absent = expected - {row["name"] for row in rows(patient, _TABLES)}
    if absent:
        return broken(
            f"missing: {', '.join(sorted(absent))}",
            "Run telemetry schema --apply, or restart the server, which does.",
        )
    return ok(f"all {len(expected)}")


def found(patient: Patient) -> Finding:
    """Look for what was acknowledged."""
    signals = [to.signal for to in destinations(patient)]
    reader = Reader(reader_source(patient.settings, patient.url))
    try:
        absent = trial.missing(lambda sql, values: ask_value(reader, sql, values), signals, patient.check_id)
    finally:
        reader.close()
    if absent:
        return broken(
            f"taken, but not in the tables: {', '.join(absent)}",
            "Is the ClickHouse that was asked the one that the server writes to? If so, look at its spool and log.",
        )
    return ok(f"in the tables: {', '.join(signals)}")


def freshness(patient: Patient) -> Finding:
    """See when Claude Code itself last sent something, of each signal that it should."""
    sent = {to.signal.value for to in destinations(patient)}
    ages = {row["signal"]: row["age"] if row["rows"] else None for row in _newest(patient)}
    told = ", ".join(f"{signal} {_ago(ages.get(signal))}" for signal in sorted(sent))
    stale = [signal for signal in sorted(sent) if (age := ages.get(signal)) is None or age > _STALE_SECONDS]
    if stale:
        return warning(
            f"nothing new: {told}",
            "Start Claude Code anew and use it: it reads its settings when it starts. If nothing comes, claude"
            " --debug-file FILE writes why ([3P telemetry]).",
        )
    return ok(told)


def future(patient: Patient) -> Finding:
    """Look for rows from the future, whose client's clock is ahead."""
    ahead = sum(row["ahead"] for row in _newest(patient))
    if ahead:
        return warning(
            f"{ahead} rows are from the future: some client's clock is ahead", "Set that machine's clock."
        )
    return ok("none are from the future")


def retention(patient: Patient) -> Finding:
    """See whether every table keeps its rows as long as the setting says."""
    wanted = patient.settings.retention_days
    # A TTL has one day more, since whole days go.
    kept = {
        row["name"]: int(days[1]) - 1
        for row in rows(patient, _TABLES)
        if (days := re.search(r" TTL .*toIntervalDay\((\d+)\)", row["engine_full"]))
    }
    odd = sorted(f"{name} {days}" for name, days in kept.items() if days != wanted)
    if odd:
        return warning(
            f"TELEMETRY_RETENTION_DAYS is {wanted} here, but these keep others (days): {', '.join(odd)}",
            "Set it here as on the server; restart the server if it was changed there.",
        )
    return ok(f"{wanted} days, in {len(kept)} tables")


def rows(patient: Patient, sql: str, values: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """Ask for a few rows. Raises AskError."""
    reader = Reader(reader_source(patient.settings, patient.url))
    try:
        return [json.loads(line) for line in b"".join(reader.ask(sql, values or {}, "jsonl")).splitlines()]
    finally:
        reader.close()


def _newest(patient: Patient) -> list[dict[str, Any]]:
    return rows(patient, _NEWEST.read_text(encoding="utf-8"), {"own": trial.SERVICE})


def _ago(seconds: int | None) -> str:
    if seconds is None:
        return "never (30 days)"
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{max(0, seconds)} s ago"


_READING: Final = "reading"
_TABLES_THERE: Final = "tables"
CHECKS: Final = (
    Check(_READING, reading, (ADDRESS,)),
    Check(_TABLES_THERE, tables, (_READING,)),
    Check("test record found", found, (RECORD, _TABLES_THERE)),
    Check("freshness", freshness, (_TABLES_THERE,)),
    Check("times", future, (_TABLES_THERE,)),
    Check("retention", retention, (_TABLES_THERE,)),
)
