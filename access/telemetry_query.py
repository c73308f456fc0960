"""`query_telemetry`: sessions, tool calls, data points and sums over them, filtered, grouped and page by page.

`telemetry_sources` describes the four kinds of rows. All values are bound as parameters, and all names in the SQL are
constants of these two modules. A page goes on after the last row of the one before, by that row's key, and within the
same absolute period: records that arrive late shift nothing.
"""

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any, Final

from access import budget
from access.answer import Answer, Freshness, Range
from access.cache import Cache
from access.collected import CUSTOM, TOOL_DETAILS
from access.cursor import fingerprint
from access.ids import whole_filters
from access.reading import Reading, bounds, hours
from access.refusal import invalid, unknown
from access.store import Rows
from access.telemetry_sources import (
    METRICS_GROWN,
    METRICS_GROWN_NOTE,
    ROLLED_UP,
    ROLLED_UP_FILTERS,
    ROLLED_UP_GROUPS,
    ROLLED_UP_MEASURES,
    SOURCES,
    Source,
    filtered,
)
from access.times import clickhouse_seconds, hours_within, zone_of

LIMIT: Final = 50
MOST: Final = 1_000
STATISTICS: Final[Mapping[str, str]] = {
    "avg": "avg({0})",
    "min": "min({0})",
    "max": "max({0})",
    "sum": "ifNull(sum({0}), 0)",
    "count": "count({0})",
    # A value that occurred, as in the reports: nothing is interpolated.
    "p50": "quantileExact(0.5)({0})",
    "p95": "quantileExact(0.95)({0})",
    "p99": "quantileExact(0.99)({0})",
}
STEPS: Final[Mapping[str, str]] = {
    "minute": "toTimeZone(toStartOfMinute(timestamp, {zone:String}), 'UTC')",
    "hour": "toTimeZone(toStartOfHour(timestamp, {zone:String}), 'UTC')",
    "day": "toTimeZone(toStartOfDay(timestamp, {zone:String}), 'UTC')",
    "week": "toStartOfWeek(timestamp, 1, {zone:String})",
}
"""Groups of time, by the clock of the zone that is asked for. A week begins on Monday."""
ALIASES: Final[Mapping[str, str]] = {
    "duration": "duration_ms",
    "tokens": "tokens_total",
    "input_tokens": "tokens_in",
    "output_tokens": "tokens_out",
    "cost": "cost_usd",
    "mcp_server_name": "mcp_server",
    "server": "mcp_server",
    "tool_name": "tool",
    "mcp_tool_name": "tool",
    "user_id": "user",
    "session_id": "session",
    "time": "timestamp",
    "errors": "error_count",
}
_PERIOD: Final = ("start_date", "end_date")
_NUMBERS: Final = frozenset({"min_duration", "max_duration"})
_LONGEST: Final = 1_000
_GROUPS: Final = 6
_ROWS: Final = ("count", "error_count")
_ORDER: Final = "-1e308"
"""Before all numbers: what has none comes last, or first in ascending order."""
_FEW_DAYS: Final = timedelta(days=3)
# Where the values of a filter are looked up when nothing was found.
_KNOWN: Final[Mapping[str, str]] = {
    "mcp_server": "mcp_server_name",
    "tool": "if(mcp_tool_name != '', mcp_tool_name, tool_name)",
    "model": "model",
    "team": "team",
    "user": "user_id",
    "task_type": "workflow_step",
}
_HINTS: Final[Mapping[str, str]] = {
    "benchmarks": "query_type=calls with filters.session shows a session's calls one by one.",
    "calls": "query_type=aggregated with group_by=[mcp_server, tool] compares tools over the whole period.",
    "metrics": "aggregation with group_by=[metric] lists the metrics of the period.",
    "aggregated": "query_type=calls with the same filters shows the calls behind a row.",
}


@dataclass(frozen=True, slots=True)
class Aggregation:
    """What to group by, which statistics, and of which measures."""

    group_by: tuple[str, ...]
    statistics: tuple[str, ...]
    measures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Asked:
    """The arguments, checked."""

    query_type: str
    source: Source
    filters: Mapping[str, str]
    aggregation: Aggregation | None
    order: str
    is_descending: bool
    zone: str
    limit: int


@dataclass(frozen=True, slots=True)
class _Position:
    """Where a page ends: its last row's key, and how many rows of this key were shown."""

    value: Any
    tie: int
    shown: int


def query_telemetry(
    reading: Reading,
    query_type: str,
    filters: Mapping[str, Any] | None = None,
    aggregation: Mapping[str, Any] | None = None,
    *,
    order: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
    zone: str = "UTC",
    max_characters: int | None = None,
) -> Answer:
    """Return rows of one kind, or sums over them. Raises Refusal.

    `filters` has start_date, end_date (see `times`; the last 7 days by default), mcp_server, tool, model, team, user,
    session, task_type, min_duration and max_duration in milliseconds; of metrics also metric. `aggregation` has
    group_by, metrics (avg, min, max, sum, count, p50, p95, p99) and of, the measures. `order` is a column, with `-`
    before it the largest first.
    """
    characters = budget.size(max_characters)
    asked = _asked(query_type, dict(filters or {}), aggregation, order, limit, zone)
    question = fingerprint(query_type, filters, aggregation, order, zone)
    reading.admit()
    asked = replace(asked, filters=whole_filters(reading, asked.filters))
    position = None
    start, end = ((filters or {}).get(name) for name in _PERIOD)
    if cursor is None:
        about = reading.period(start, end, zone)
    else:
        begin, finish, value, tie, shown = reading.desk.signer.position(cursor, reading.caller, question)
        time_range = Range(_moment(begin), _moment(finish), zone)
        about = (time_range, time_range.end > reading.desk.clock() - timedelta(seconds=1))
        position = _Position(value, tie, shown)
    asked = _by_time(asked, about[0]) if query_type == "aggregated" else asked

    def make() -> tuple[Range, str, dict[str, str], Rows]:
        sql, values = _statement(asked, about[0], position)
        return about[0], sql, values, reading.store.rows(sql, values, max_bytes=reading.desk.result_bytes)

    key = ("query_telemetry", question, asked.limit, cursor)

    def look(about: tuple[Range, bool]) -> tuple[Freshness, float | None]:
        if query_type == "metrics":
            return reading.freshness(), None
        return reading.freshness_and_completeness(about)

    kept, (freshness, completeness) = reading.keep_and_look(
        _cache(reading, asked), key, about, make, look, lambda made: made[0]
    )
    time_range, sql, values, rows = kept.value
    return _answer(
        reading, asked, (time_range, about[1]), rows, position,
        question=question, characters=characters,
        start=Answer(
            query_executed=sql,
            parameters=values,
            time_range=time_range,
            freshness=freshness,
            completeness=completeness,
            cached_age_seconds=None if kept.age_seconds is None else int(kept.age_seconds),
        ),
    )  # fmt: skip


def _answer(
    reading: Reading,
    asked: _Asked,
    about: tuple[Range, bool],
    rows: Rows,
    position: _Position | None,
    *,
    question: str,
    characters: int,
    start: Answer,
) -> Answer:
    """Return the page without the key in its last two columns, with what one must know to read it."""
    found = rows.rows[: asked.limit]
    keys = [row[-2:] for row in found]
    time_range, _ = about

    def continue_at(count: int) -> str | None:
        if not count:
            return None
        key = keys[count - 1]
        same = sum(1 for _ in takewhile(lambda other: other == key, reversed(keys[:count])))
        if position is not None and same == count and key == (position.value, position.tie):
            same += position.shown
        edges = [_microseconds(time_range.start), _microseconds(time_range.end)]
        return reading.desk.signer.cursor(reading.caller, question, [*edges, *key, same])

    has_more = len(rows.rows) > len(found) or rows.has_more
    columns = rows.columns[:-2]
    hints = [_HINTS[asked.query_type]] if found else _unknown_values(reading, asked, about)
    answer = replace(
        start,
        columns=columns,
        rows=[row[:-2] for row in found],
        has_more=has_more,
        next_cursor=continue_at(len(found)) if has_more else None,
        hints=tuple(hints),
        notes=_notes(asked, columns, found),
    )
    return budget.fit(answer, characters, continue_at)


def _asked(
    query_type: str,
    filters: dict[str, Any],
    aggregation: Mapping[str, Any] | None,
    order: str | None,
    limit: int | None,
    zone: str,
) -> _Asked:
    if query_type not in SOURCES:
        raise unknown("query_type", str(query_type), SOURCES, "query_type")
    source = SOURCES[query_type]
    zone_of(zone)
    wanted = _aggregation(source, aggregation)
    if wanted is None and query_type == "aggregated":
        wanted = Aggregation((), ("sum",), ("duration_ms", "tokens_in", "tokens_out", "cost_usd"))
    if limit is not None and (
        isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MOST
    ):
        raise invalid("limit", f"limit is a whole number from 1 to {MOST}.", [f"1 to {MOST}"])
    column, is_descending = _order(source, wanted, order)
    return _Asked(
        query_type,
        source,
        checked_filters(source, filters),
        wanted,
        column,
        is_descending,
        zone,
        limit or LIMIT,
    )


def checked_filters(source: Source, filters: dict[str, Any]) -> dict[str, str]:
    """Return the values to bind, as text. Raises Refusal for a filter that there is not, or that has no such value."""
    known = {*source.filters, *source.outer}
    found = {}
    for given, value in filters.items():
        name = given if given in _NUMBERS else ALIASES.get(given, given)
        if name in _PERIOD or value is None:
            continue
        field = f"filters.{given}"
        if name not in known:
            raise unknown("filter", str(given), [*known, *_PERIOD], field)
        if name in _NUMBERS:
            found[name] = repr(_milliseconds(field, value))
        elif not isinstance(value, str) or len(value) > _LONGEST:
            raise invalid(field, f"{given} is one text of at most {_LONGEST:,} characters.", ["a text"])
        else:
            found[name] = value
    least, most = (
        float(found.get(name, default)) for name, default in (("min_duration", 0), ("max_duration", "inf"))
    )
    if least > most:
        raise invalid(
            "filters.min_duration",
            f"min_duration, {least:g} ms, is over max_duration, {most:g} ms.",
            ["milliseconds"],
        )
    return found


def _milliseconds(field: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number < math.inf:
        raise invalid(field, "A duration is a number of milliseconds, 0 or more.", ["milliseconds"])
    return number


def _aggregation(source: Source, given: Mapping[str, Any] | None) -> Aggregation | None:
    if given is None:
        return None
    parts = {name: _names(f"aggregation.{name}", given.get(name)) for name in ("group_by", "metrics", "of")}
    if more := [name for name in given if name not in parts]:
        raise unknown("part of aggregation", str(more[0]), parts, "aggregation")
    checks = (
        ("group_by", "group", [*source.groups, *STEPS]),
        ("metrics", "statistic", list(STATISTICS)),
        ("of", "measure", list(source.measures)),
    )
    for name, kind, known in checks:
        for one in parts[name]:
            if one not in known:
                raise unknown(kind, one, known, f"aggregation.{name}")
    if len(parts["group_by"]) > _GROUPS:
        raise invalid("aggregation.group_by", f"At most {_GROUPS} groups.", [f"1 to {_GROUPS}"])
    return Aggregation(parts["group_by"], parts["metrics"] or ("avg",), parts["of"] or (source.measured,))


def _names(field: str, given: Any) -> tuple[str, ...]:
    listed = [given] if isinstance(given, str) else [] if given is None else given
    if not isinstance(listed, list | tuple) or not all(isinstance(one, str) for one in listed):
        raise invalid(field, f"{field} is a list of names.", ["a list of names"])
    return tuple(dict.fromkeys(ALIASES.get(one, one) for one in listed))


def _outputs(aggregation: Aggregation) -> list[str]:
    """Return the names of the columns that an aggregation makes."""
    measured = [
        f"{statistic}_{measure}" for measure in aggregation.measures for statistic in aggregation.statistics
    ]
    return [*aggregation.group_by, *_ROWS, *measured]


def _order(source: Source, aggregation: Aggregation | None, order: str | None) -> tuple[str, bool]:
    """Return the column to order by, and whether the largest come first."""
    known = ["timestamp", *source.measures] if aggregation is None else _outputs(aggregation)
    if order is None:
        steps = [name for name in known if name in STEPS]
        return (steps[0], False) if steps else ("timestamp" if aggregation is None else "count", True)
    name = order.removeprefix("-").removesuffix(" desc").removesuffix(" asc").strip()
    name = ALIASES.get(name, name) if name not in known else name
    if name not in known:
        raise unknown("column to order by", order, known, "order")
    return name, order.startswith("-") or order.endswith(" desc")


def _by_time(asked: _Asked, time_range: Range) -> _Asked:
    """Return what is asked with a group of time, when neither a group nor an order was named."""
    aggregation = asked.aggregation
    if aggregation is None or aggregation.group_by:
        return asked
    step = "hour" if time_range.end - time_range.start <= _FEW_DAYS else "day"
    order = (step, False) if asked.order == "count" else (asked.order, asked.is_descending)
    return replace(
        asked, aggregation=replace(aggregation, group_by=(step,)), order=order[0], is_descending=order[1]
    )


def _statement(asked: _Asked, time_range: Range, position: _Position | None) -> tuple[str, dict[str, str]]:
    """Return the statement, whose last two columns are the key of a row, and the values to bind."""
    values = bounds(time_range) | dict(asked.filters) | {"limit": str(asked.limit + 1)}
    inner, more = _rows(asked, time_range)
    values |= more
    conditions = [asked.source.outer[name] for name in asked.filters if name in asked.source.outer]
    where = f"\nWHERE {' AND '.join(conditions)}" if conditions else ""
    if asked.aggregation is None:
        columns = list(asked.source.fields)
        body = f"SELECT {', '.join(columns)}\nFROM ({inner}\n){where}"
        if asked.order not in columns:
            body = f"SELECT {', '.join([*columns, asked.order])}\nFROM ({inner}\n){where}"
    else:
        columns = _outputs(asked.aggregation)
        body = _grouped(asked, asked.aggregation, inner, where)
        if any(name in STEPS for name in asked.aggregation.group_by):
            values["zone"] = asked.zone
    key, key_type = _key(asked)
    tie = f"cityHash64(toString(tuple({', '.join(columns)})))"
    after, direction = ("<", "DESC") if asked.is_descending else (">", "ASC")
    page = ""
    if position is not None:
        # The rows with the key itself are counted off below.
        page = f"\nWHERE (row_key, row_tie) {after}= ({{after:{key_type}}}, {{tie:UInt64}})"
        values |= {"after": _text(position.value), "tie": str(position.tie), "skip": str(position.shown)}
    skip = " OFFSET {skip:UInt64}" if position is not None else ""
    if position is None and _is_plain(asked):
        # The tie is a hash of all columns: for the first page it is made of the rows that may be on it, not of all.
        edge, inward = ("min", ">=") if asked.is_descending else ("max", "<=")
        keys = f"SELECT {key} AS row_key FROM ({inner}\n){where}\nORDER BY row_key {direction} LIMIT {{limit:UInt64}}"
        joint = " AND" if where else "\nWHERE"
        body += f"{joint} {key} {inward} (SELECT {edge}(row_key) FROM ({keys}))"
    sql = (
        f"SELECT {', '.join(columns)}, row_key, row_tie\n"
        f"FROM (SELECT *, {key} AS row_key, {tie} AS row_tie FROM (\n{body}\n)){page}\n"
        f"ORDER BY row_key {direction}, row_tie {direction}\nLIMIT {{limit:UInt64}}{skip}"
    )
    return sql, values


def _is_plain(asked: _Asked) -> bool:
    """Whether rows are events or points as they are, so that their keys alone cost little, and no key is NaN."""
    return asked.aggregation is None and (
        asked.query_type == "calls" or (asked.query_type == "metrics" and asked.order == "timestamp")
    )


def _rows(asked: _Asked, time_range: Range) -> tuple[str, dict[str, str]]:
    """Return the statement that makes the rows, and the values that it needs besides the period and the filters."""
    source = asked.source
    conditions = [source.filters[name] for name in asked.filters if name in source.filters]
    if asked.query_type == "metrics" and asked.aggregation is not None:
        return filtered(METRICS_GROWN, conditions), {
            "from_second": clickhouse_seconds(time_range.start),
            "to_second": clickhouse_seconds(time_range.end + timedelta(seconds=1)),
        }
    if _is_rolled_up(asked, time_range):
        return filtered(ROLLED_UP, conditions), hours(time_range)
    return filtered(source.sql, conditions), {}


def _is_rolled_up(asked: _Asked, time_range: Range) -> bool:
    """Whether the roll-ups have all that is asked for: sums by the hour, of fewer fields than an event has."""
    aggregation = asked.aggregation
    if asked.query_type != "aggregated" or aggregation is None:
        return False
    first, last = hours_within(time_range.start, time_range.end)
    return (
        last > first
        and {*aggregation.statistics} <= {"sum"}
        and {*aggregation.measures} <= ROLLED_UP_MEASURES
        and {*aggregation.group_by} - {*STEPS} <= ROLLED_UP_GROUPS
        and "minute" not in aggregation.group_by
        and {*asked.filters} <= ROLLED_UP_FILTERS
        # In some zones the hour begins at another minute.
        and (asked.zone == "UTC" or not {*aggregation.group_by} & {*STEPS})
    )


def _grouped(asked: _Asked, aggregation: Aggregation, inner: str, where: str) -> str:
    """Return the statement over the rows, one row a group."""
    is_summed = asked.query_type == "aggregated"
    columns = [f"{STEPS[name]} AS {name}" if name in STEPS else name for name in aggregation.group_by]
    columns += [
        f"{'sum(records)' if is_summed else 'count()'} AS count",
        f"{'sum' if is_summed else _failed(asked.source)}({asked.source.errors}) AS error_count"
        if not asked.source.errors.isdigit()
        else "0 AS error_count",
    ]
    for measure in aggregation.measures:
        of = asked.source.measures[measure]
        for statistic in aggregation.statistics:
            value = STATISTICS[statistic].format(of.sql)
            divided = f"{value} / {of.divisor}" if of.divisor and statistic != "count" else value
            columns.append(f"{divided} AS {statistic}_{measure}")
    group = f"\nGROUP BY {', '.join(aggregation.group_by)}" if aggregation.group_by else "\nHAVING count > 0"
    return f"SELECT {', '.join(columns)}\nFROM ({inner}\n){where}{group}"


def _failed(source: Source) -> str:
    """Return the function that counts failures: of a condition, or of a number of them."""
    return "countIf" if "!=" in source.errors else "sum"


def _key(asked: _Asked) -> tuple[str, str]:
    """Return what rows are ordered by, and its type."""
    name = asked.order
    if name == "timestamp":
        return "toUnixTimestamp64Nano(timestamp)", "Int64"
    if name == "week":
        return "toInt64(toUInt16(week))", "Int64"
    if name in STEPS:
        return f"toInt64(toUnixTimestamp({name}))", "Int64"
    if asked.aggregation is not None and name in asked.aggregation.group_by:
        return f"toString({name})", "String"
    # The last digits of a sum depend on the order in which it was made.
    return f"round(ifNull(toFloat64({name}), {_ORDER}), 6)", "Float64"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def _notes(asked: _Asked, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> tuple[str, ...]:
    is_grown = asked.query_type == "metrics" and asked.aggregation is not None
    notes = [METRICS_GROWN_NOTE if is_grown else asked.source.note]
    if "model" in asked.filters and asked.query_type in {"benchmarks", "calls"}:
        notes.append("The model is that of a session's requests: the rows are of sessions that asked it.")
    if "mcp_server" in columns:
        place = columns.index("mcp_server")
        if any(row[place] == CUSTOM for row in rows):
            notes.append(TOOL_DETAILS)
    return tuple(notes)


def _unknown_values(reading: Reading, asked: _Asked, about: tuple[Range, bool]) -> list[str]:
    """Return what to try when nothing was found: the values that a filter has in the period."""
    hints = []
    for name, given in asked.filters.items():
        if name not in _KNOWN or asked.query_type == "metrics":
            continue
        known = _values(reading, name, about)
        if given not in known:
            nearest = difflib.get_close_matches(given, known, n=5, cutoff=0.3) or known[:5]
            hints.append(
                f"Nothing in the period has {name} {given[:80]!r}."
                + (f" There are {', '.join(nearest)}." if nearest else "")
            )
    return hints or ["Nothing was found: ask about a longer period, or with fewer filters."]


def _values(reading: Reading, name: str, about: tuple[Range, bool]) -> list[str]:
    sql = (
        f"SELECT {_KNOWN[name]} AS name FROM telemetry_hourly\n"
        "WHERE hour >= toStartOfHour({from:DateTime64(6, 'UTC')}) AND hour < {to:DateTime64(6, 'UTC')} AND name != ''\n"
        "GROUP BY name ORDER BY sum(events) DESC, name LIMIT 500"
    )  # fmt: skip
    values = bounds(about[0])
    kept = reading.keep(
        reading.desk.queries,
        ("values", name, *values.values()),
        about,
        lambda: [str(row[0]) for row in reading.store.rows(sql, values).rows],
    )
    return kept.value


def _cache(reading: Reading, asked: _Asked) -> Cache:
    return reading.desk.queries if asked.aggregation is None else reading.desk.aggregations


def _microseconds(time: datetime) -> int:
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _moment(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
