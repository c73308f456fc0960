"""Checks of what was stored: ClickHouse's interface, the tables, the test record in them, and the newest rows."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from access.needs import NEEDS, lacking
from access.query import records, value
from access.query import rows as values_of
from clickhouse.client import Client
from clickhouse.client_errors import ClientError
from clickhouse.endpoint import reader_endpoint
from clickhouse.migrations import migrations, retention_of
from clickhouse.typed_rows import VIEWS
from config.settings import is_loopback
from onboarding import probe
from onboarding.doctor.client import ADDRESS, destinations
from onboarding.doctor.finding import Check, Finding, broken, ok, skipped, warning
from onboarding.doctor.network import RECORD
from onboarding.doctor.target import Target

_STALE_SECONDS: Final = 86_400
_MADE: Final = re.compile(r"CREATE (?:TABLE|MATERIALIZED VIEW|VIEW) IF NOT EXISTS (\w+)")
_NEWEST: Final = Path(__file__).with_name("newest.sql")
_TABLES: Final = "SELECT name, engine_full FROM system.tables WHERE database = currentDatabase()"


def reading(target: Target) -> Finding:
    """Check that ClickHouse's interface answers and knows the user who reads."""
    host = next(destinations(target)).host
    if not (target.url or target.settings.clickhouse_url or is_loopback(host)):
        return skipped(
            "the server is on another machine, and the address of its ClickHouse is not known",
            "Set --url and TELEMETRY_READER_PASSWORD to check the rows too.",
        )
    try:
        endpoint = reader_endpoint(target.settings, target.url)
        rows(target, "SELECT 1 AS one")
    except ClientError as error:
        problem, _, fix = str(error).partition(": ")
        return broken(problem, f"{fix[:1].upper()}{fix[1:]}")
    return ok(f"{endpoint.url}, as {endpoint.user}")


def tables(target: Target) -> Finding:
    """Check that all tables of this version exist."""
    expected = {name for migration in migrations() for name in _MADE.findall(migration.sql)}
    # In embedded mode the server does the work of these views.
    absent = expected - set(VIEWS) - {row["name"] for row in rows(target, _TABLES)}
    if absent:
        return broken(
            f"missing: {', '.join(sorted(absent))}",
            "Run telemetry schema --apply, or restart the server, which creates them.",
        )
    return ok(f"all {len(expected)}")


def found(target: Target) -> Finding:
    """Look for the test records that were acknowledged."""
    signals = [to.signal for to in destinations(target)]
    with _client(target) as client:
        absent = probe.missing(lambda sql, values: value(client, sql, values), signals, target.check_id)
    if absent:
        return broken(
            f"acknowledged, but not in the tables: {', '.join(absent)}",
            "Check that the server writes to this ClickHouse. If it does, look at the server's spool and log.",
        )
    return ok(f"in the tables: {', '.join(signals)}")


def freshness(target: Target) -> Finding:
    """Check when Claude Code itself last sent something, of each signal that it is shown to send."""
    sent = {to.signal.value for to in destinations(target)}
    ages = {row["signal"]: row["age"] if row["rows"] else None for row in _newest(target)}
    shown = ", ".join(f"{signal} {_ago(ages.get(signal))}" for signal in sorted(sent))
    stale = [signal for signal in sorted(sent) if (age := ages.get(signal)) is None or age > _STALE_SECONDS]
    if stale:
        return warning(
            f"nothing new: {shown}",
            "Restart Claude Code and use it: it reads its settings when it starts. If nothing arrives, claude"
            " --debug-file FILE writes why ([3P telemetry]).",
        )
    return ok(shown)


def collected(target: Target) -> Finding:
    """Check that what the questions need was sent in the last thirty days."""
    with _client(target) as client:
        lacks = lacking(list(NEEDS), {}, lambda sql, values: values_of(client, sql, values))
    if not any(row["rows"] for row in _newest(target)):
        return ok("nothing yet")
    if not lacks:
        return ok("all that the questions need")
    return warning(
        ". ".join(lack.sentence for lack in lacks),
        "Then restart Claude Code and use it: it reads its settings when it starts.",
    )


def future(target: Target) -> Finding:
    """Look for rows from the future: the clock of the client that sent them is ahead."""
    ahead = sum(row["ahead"] for row in _newest(target))
    if ahead:
        return warning(
            f"{ahead} rows are from the future: some client's clock is ahead", "Set that machine's clock."
        )
    return ok("none are from the future")


def retention(target: Target) -> Finding:
    """Check that every table keeps its rows as long as the setting says."""
    wanted, of_analytics = target.settings.retention_days, target.settings.analytics_retention_days
    # A TTL has one day more, since whole days are removed.
    kept = {
        row["name"]: int(days[1]) - 1
        for row in rows(target, _TABLES)
        if (days := re.search(r" TTL .*toIntervalDay\((\d+)\)", row["engine_full"]))
    }
    different = sorted(
        f"{name} {days}" for name, days in kept.items() if days != retention_of(name, wanted, of_analytics)
    )
    if different:
        return warning(
            f"TELEMETRY_RETENTION_DAYS is {wanted} here, and TELEMETRY_ANALYTICS_RETENTION_DAYS {of_analytics}, but not"
            f" in these tables (days): {', '.join(different)}",
            "Set it here as on the server, or restart the server if it was changed there.",
        )
    return ok(f"{wanted} days, in {len(kept)} tables")


def rows(target: Target, sql: str, values: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """Return the rows of a query whose result is small. Raises ClientError."""
    with _client(target) as client:
        return records(client, sql, values)


def _client(target: Target) -> Client:
    return Client(reader_endpoint(target.settings, target.url))


def _newest(target: Target) -> list[dict[str, Any]]:
    return rows(target, _NEWEST.read_text(encoding="utf-8"), {"own": probe.SERVICE})


def _ago(seconds: int | None) -> str:
    if seconds is None:
        return "none in 30 days"
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{max(0, seconds)} s ago"


_READING: Final = "reading"
_TABLES_EXIST: Final = "tables"
CHECKS: Final = (
    Check(_READING, reading, (ADDRESS,)),
    Check(_TABLES_EXIST, tables, (_READING,)),
    Check("test record found", found, (RECORD, _TABLES_EXIST)),
    Check("freshness", freshness, (_TABLES_EXIST,)),
    Check("collected", collected, (_TABLES_EXIST,)),
    Check("times", future, (_TABLES_EXIST,)),
    Check("retention", retention, (_TABLES_EXIST,)),
)
