"""Questions by name, SQL of the caller's own, and what the data holds: for all that `query_telemetry` does not answer.

`list_questions` and `ask_question` are about the files of `queries/`. `run_sql` runs one statement as the user who only
reads, whom the engine holds to that. `describe_data` says which tables, columns and values there are, what is not
collected, and how to have it collected. Whole results are kept for a while, so that they can be read page by page.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml

from access import budget
from access.answer import Answer, Range, Table
from access.beside import beside
from access.collected import NEVER, collected
from access.emptiness import reason
from access.ids import Ambiguous, whole_in
from access.needs import EVENTS, NEEDS, Lack, lacking
from access.questions import Question, QuestionError, find, names, questions
from access.reading import Page, Reading, bounds, hours, statement
from access.refusal import invalid, unknown
from access.store import Rows
from access.times import clickhouse_seconds, instant, period

LIMIT: Final = 50
MOST: Final = 1_000
_WHOLE: Final = 10_000
"""Rows of a result that are kept for its pages."""
_MEANINGS: Final = Path(__file__).with_name("meanings.yaml")
_LONGEST: Final = 100_000
_VALUES: Final = 8
_MANY: Final = frozenset({"session_id", "user_id", "organization_id"})
"""Their values are known by no name, and are too many to list."""
_OVERVIEW: Final = (
    "event_type", "mcp_server_name", "tool_name", "model", "team", "project", "service_name", "failure",
)  # fmt: skip
_COUNTED: Final = frozenset(
    {
        "event_type", "team", "department", "cost_center", "project", "service_name", "model", "speed", "query_source",
        "workflow_step", "agent_name", "skill_name", "mcp_server_name", "mcp_tool_name", "tool_name", "decision",
        "decision_source", "failure",
    }
)  # fmt: skip
"""The columns of `sql/counted_events.sql`."""
_TIMES: Final[Mapping[str, str]] = {
    "telemetry_events": "timestamp",
    "telemetry_spans": "timestamp",
    "telemetry_hourly": "hour",
    "telemetry_daily": "day",
    "telemetry_sessions": "day",
    "telemetry_measures": "hour",
    "otel_logs": "Timestamp",
    "otel_traces": "Timestamp",
    "otel_metrics_gauge": "TimeUnix",
    "otel_metrics_sum": "TimeUnix",
    "otel_metrics_summary": "TimeUnix",
    "otel_metrics_histogram": "TimeUnix",
    "otel_metrics_exp_histogram": "TimeUnix",
}
_LABEL: Final = re.compile(r"LowCardinality\((?:Nullable\()?String\)*|Bool|Nullable\(Bool\)")


def list_questions(
    name: str | None = None, topic: str | None = None, max_characters: int | None = None
) -> Answer:
    """Return the questions that can be asked by name; of one, its parameters and columns. Raises Refusal."""
    characters = budget.size(max_characters)
    if name is not None:
        return budget.fit(_described(_question(name)), characters)
    found = questions()
    topics = list(dict.fromkeys(question.topic for question in found))
    if topic is not None and topic not in topics:
        raise unknown("topic", topic, topics, "topic")
    rows = [
        (question.name, question.topic, question.question, _parameters(question))
        for question in found
        if topic in {None, question.topic}
    ]
    return budget.fit(
        Answer(
            ("name", "topic", "question", "parameters"),
            rows,
            total_count=len(rows),
            hints=(
                "ask_question with one of these names; list_questions with name says what its columns mean.",
            ),
        ),
        characters,
    )


def ask_question(
    reading: Reading,
    name: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    limit: int | None = None,
    cursor: str | None = None,
    zone: str = "UTC",
    max_characters: int | None = None,
) -> Answer:
    """Return the answer to a question of the library, or its next page by a cursor. Raises Refusal.

    Times in `parameters` are taken in all forms of `times`.
    """
    characters, most = budget.size(max_characters), _limit(limit)
    if cursor is not None:
        return _next(reading, cursor, most, characters)
    question = _question(name)
    values, about = _values(reading, question, dict(parameters or {}), zone)
    reading.admit()

    def make() -> tuple[dict[str, str], Rows, tuple[str, ...]]:
        found = {one: _whole(reading, one, value) for one, value in values.items()}
        unmet = _Unmet(reading, question, found)
        rows = _read(reading, question.sql, found)
        return found, rows, unmet.sentences(is_empty=not rows.rows)

    kept, freshness = reading.keep_and_look(
        reading.desk.queries, ("ask_question", name, _unresolved(question, parameters), zone), about,
        make, lambda _: reading.freshness(),
    )  # fmt: skip
    values, rows, lacks = kept.value
    has_period = {"from", "to"} <= set(question.types)
    page = Page(rows, question.sql, values, about[0] if has_period else None)
    is_explained = bool(rows.rows or lacks)
    hints = () if is_explained else ("Nothing was found: ask about a longer period, or with fewer filters.",)
    start = _start(page)
    answer = replace(
        start,
        freshness=freshness,
        cached_age_seconds=None if kept.age_seconds is None else int(kept.age_seconds),
        hints=(*start.hints, *hints),
        notes=(*lacks, *((question.note,) if question.note else ())),
    )
    return reading.pages(answer, page, 0, most, characters, (name, values))


def run_sql(
    reading: Reading,
    sql: str = "",
    parameters: Mapping[str, Any] | None = None,
    *,
    limit: int | None = None,
    cursor: str | None = None,
    max_characters: int | None = None,
) -> Answer:
    """Return the rows of one statement, or their next page by a cursor. Raises Refusal, with the server's own words.

    `parameters` are bound where the statement has `{name:Type}`. At most 10,000 rows, and TELEMETRY_TOOL_RESULT_BYTES,
    of a result are read: one row more is asked for, so `has_more` is known and not guessed.
    """
    characters, most = budget.size(max_characters), _limit(limit)
    if cursor is not None:
        return _next(reading, cursor, most, characters)
    if not sql.strip() or len(sql) > _LONGEST:
        raise invalid("sql", f"sql is one statement of at most {_LONGEST:,} characters.", ["SELECT …"])
    values = {name: _plain(f"parameters.{name}", value) for name, value in (parameters or {}).items()}
    reading.admit()
    freshness = beside(reading.freshness)
    rows = _read(reading, sql, values)
    page = Page(rows, sql, values)
    return reading.pages(
        replace(_start(page), freshness=freshness()),
        page,
        0,
        most,
        characters,
        ("run_sql", sql, values),
    )


def describe_data(
    reading: Reading,
    table: str | None = None,
    start_date: str | float | None = None,
    end_date: str | float | None = None,
    *,
    max_characters: int | None = None,
) -> Answer:
    """Return the tables, or the columns of one, with the values of those that have few. Raises Refusal."""
    characters = budget.size(max_characters)
    about = reading.period(start_date, end_date)
    known = meanings()
    reading.admit()

    def make() -> tuple[tuple[str, ...], list[tuple[Any, ...]], dict[str, Table]]:
        found = reading.store.rows(statement("tables")).rows
        tables = [str(name) for name, _ in found]
        if table is None:
            rows = [(name, known["tables"].get(name, ""), records) for name, records in found]
            return ("table", "meaning", "records"), rows, _overview(reading, about[0])
        if table not in tables:
            raise unknown("table", table, tables, "table")
        return _columns(reading, table, about[0], known["columns"])

    kept, (freshness, completeness) = reading.keep_and_look(
        reading.desk.aggregations, ("describe_data", table, start_date, end_date), about,
        make, reading.freshness_and_completeness,
    )  # fmt: skip
    columns, rows, tables = kept.value
    is_asked_by_period = table is None or table in _TIMES
    hint = (
        "describe_data with table says which columns it has; values and collected are those of the period."
        if table is None
        else "run_sql asks this table; list_questions has the questions that are answered already."
    )
    return budget.fit(
        Answer(
            columns,
            rows,
            tables=tables,
            time_range=about[0] if is_asked_by_period else None,
            freshness=freshness,
            completeness=completeness,
            cached_age_seconds=None if kept.age_seconds is None else int(kept.age_seconds),
            hints=(hint,),
            notes=(NEVER,),
        ),
        characters,
    )


@functools.cache
def meanings() -> Mapping[str, Mapping[str, str]]:
    """Return what tables and columns mean, by their names."""
    found: dict[str, dict[str, str]] = yaml.safe_load(_MEANINGS.read_text(encoding="utf-8"))
    return found


def _question(name: str) -> Question:
    try:
        return find(name)
    except QuestionError:
        known = names()
        words = [one for one in known if name.casefold() and name.casefold() in one]
        refusal = unknown("question", name, known, "name")
        refusal.nearest = tuple(dict.fromkeys([*refusal.nearest, *words]))[:8]
        refusal.suggestions = ("list_questions says what each of them answers.",)
        raise refusal from None


def _described(question: Question) -> Answer:
    types = question.types
    return Answer(
        ("column", "meaning", "example"),
        [(name, meaning, question.example.get(name)) for name, meaning in question.columns.items()],
        finding=question.question,
        tables={
            "parameters": Table(
                ("name", "type", "default", "meaning"),
                [
                    (one.name, types.get(one.name, ""), one.default, one.meaning)
                    for one in question.parameters
                ],
            )
        },
        query_executed=question.sql,
        hints=(f"ask_question with name={question.name} answers it.",),
        notes=(
            *((question.note,) if question.note else ()),
            *(f"The client has to send {need}: {NEEDS[need].switch}." for need in question.needs),
        ),
    )


class _Unmet:
    """What a question needs and has not got. Of needs that an answer with rows can lack it asks beside the question."""

    def __init__(self, reading: Reading, question: Question, values: Mapping[str, str]) -> None:
        self._reading = reading
        self._question = question
        self._values = values
        self._lacks = None if question.needs in {(), (EVENTS,)} else beside(self._lacking)

    def sentences(self, *, is_empty: bool) -> tuple[str, ...]:
        """Return why there are no rows, or a sentence for each need of the question that is not met."""
        if self._lacks is None and not is_empty:
            return ()
        lacks = self._lacks() if self._lacks else self._lacking()
        why = reason(self._question, self._values, lacks, self._ask) if is_empty else ""
        return (*((f"No rows: {why}.",) if why else ()), *(lack.sentence for lack in lacks))

    def _lacking(self) -> list[Lack]:
        return lacking(self._question.needs, self._values, self._ask)

    def _ask(self, sql: str, bound: Mapping[str, str]) -> Sequence[Sequence[Any]]:
        return self._reading.store.rows(sql, bound, is_beside=True).rows


def _whole(reading: Reading, name: str, value: str) -> str:
    """Return the whole of a short id. Raises Refusal."""
    try:
        return whole_in(reading.store, name, value)
    except Ambiguous as error:
        error.field = f"parameters.{name}"
        raise


def _parameters(question: Question) -> str:
    return ", ".join(f"{one.name}={one.default}" if one.default else one.name for one in question.parameters)


def _values(
    reading: Reading, question: Question, given: dict[str, Any], zone: str
) -> tuple[dict[str, str], tuple[Range, bool]]:
    """Return the values to bind, and the period that they mean; of a question without one, the present moment."""
    types = question.types
    for name in given:
        if name not in {one.name for one in question.parameters}:
            raise unknown(
                "parameter", str(name), [one.name for one in question.parameters], f"parameters.{name}"
            )
    plain = {name: _plain(f"parameters.{name}", value) for name, value in given.items() if value is not None}
    for name, value in plain.items():
        if types[name].startswith(("UInt", "Int")) and not re.fullmatch(r"-?\d{1,18}", value):
            raise invalid(f"parameters.{name}", f"{name} is a whole number.", ["a whole number"])
    now = reading.desk.clock()
    values = question.values(
        {name: value for name, value in plain.items() if not types[name].startswith("DateTime")}, now
    )
    about = (Range(now, now, zone), True)
    if not {"from", "to"} <= set(types):
        return values, about
    defaults = {one.name: one.default for one in question.parameters}
    if "from" in plain or "to" in plain:
        # What is by default after clocks that are wrong has no length to refuse.
        is_open = "to" not in plain and defaults["to"] != "now"
        start, end = (
            plain.get("from", defaults["from"]),
            "now" if is_open else plain.get("to", defaults["to"]),
        )
        fields = ("parameters.from", "parameters.to")
        found = period(start, end, now=now, zone=zone, days=reading.desk.days, fields=fields)
        values["from"] = clickhouse_seconds(found.start)
        if not is_open:
            # A question counts in seconds: one that has begun belongs to the period.
            values["to"] = clickhouse_seconds(found.end + timedelta(seconds=found.end.microsecond > 0))
        later = period(
            start, end, now=now + timedelta(seconds=1), zone=zone, days=reading.desk.days, fields=fields
        )
        return values, (found, later != found or found.end >= now)
    begin = instant(values["from"], now, field="parameters.from")
    finish = instant(values["to"], now, field="parameters.to")
    return values, (Range(begin, min(now, finish), zone), True)


def _unresolved(question: Question, given: Mapping[str, Any] | None) -> list[list[str]]:
    """Return the values as the caller wrote them, with the defaults: relative times stay relative."""
    values = {one.name: one.default for one in question.parameters} | {
        name: str(value) for name, value in (given or {}).items() if value is not None
    }
    return sorted([name, value] for name, value in values.items())


def _plain(field: str, value: Any) -> str:
    """Return a parameter's value as ClickHouse reads it. Raises Refusal for what is no scalar."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str) and len(value) <= _LONGEST:
        return value
    raise invalid(field, f"{field} is one text or one number.", ["a text", "a number"])


def _read(reading: Reading, sql: str, values: Mapping[str, str]) -> Rows:
    return reading.store.rows(sql, values, at_most=_WHOLE, max_bytes=reading.desk.result_bytes)


def _limit(limit: int | None) -> int:
    if limit is None:
        return LIMIT
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MOST:
        raise invalid("limit", f"limit is a whole number from 1 to {MOST}.", [f"1 to {MOST}"])
    return limit


def _start(page: Page) -> Answer:
    rows = page.rows
    more = f"There are more rows than the {len(rows.rows):,} that were read: aggregate, or add a condition or a LIMIT."
    return Answer(
        query_executed=page.sql,
        parameters=page.parameters,
        time_range=page.time_range,
        truncated=rows.has_more,
        hints=(more,) if rows.has_more else (),
    )


def _next(reading: Reading, cursor: str, limit: int, characters: int) -> Answer:
    """Return a further page of a result that was kept."""
    page, result_id, offset = reading.page(cursor)
    reading.admit()
    return reading.pages(
        replace(_start(page), result_id=result_id), page, offset, limit, characters, ("next", result_id)
    )


def _overview(reading: Reading, time_range: Range) -> dict[str, Table]:
    question = find("freshness")
    fresh = beside(lambda: reading.store.rows(question.sql, question.values({}), is_beside=True))
    counted = beside(lambda: collected(reading, time_range))
    values = _listed(reading, "telemetry_events", _OVERVIEW, time_range)
    return {
        "collected": Table(("what", "records", "switch_at_the_client", "meaning"), counted()),
        "values": values,
        "freshness": Table(fresh().columns, fresh().rows),
    }


def _columns(
    reading: Reading, table: str, time_range: Range, known: Mapping[str, str]
) -> tuple[tuple[str, ...], list[tuple[Any, ...]], dict[str, Table]]:
    found = reading.store.rows(statement("columns"), {"table": table}).rows
    rows = [(name, kind, known.get(name) or comment) for name, kind, comment in found]
    labels = [
        name for name, kind, _ in found if _LABEL.search(kind) and "Map(" not in kind and name not in _MANY
    ]
    if table not in _TIMES or not labels:
        return ("column", "type", "meaning"), rows, {}
    return ("column", "type", "meaning"), rows, {"values": _listed(reading, table, labels, time_range)}


def _listed(reading: Reading, table: str, columns: Sequence[str], time_range: Range) -> Table:
    """Return the most frequent values of columns in the period. The names are those of the database's own schema."""
    time = _TIMES[table]
    of_rows = (
        f"{table}\nWHERE {time} >= {{from:DateTime64(6, 'UTC')}} AND {time} < {{to:DateTime64(6, 'UTC')}}",
        "count()",
        bounds(time_range),
    )
    of_hours = (
        f"(\n{statement('counted_events')}\n)",
        "sum(records)",
        bounds(time_range) | hours(time_range),
    )
    summed = [name for name in columns if table == "telemetry_events" and name in _COUNTED]
    rest = [name for name in columns if name not in summed]
    found_in_hours = beside(partial(_values_of, reading, summed, *of_hours, is_beside=True))
    found = _values_of(reading, rest, *of_rows) | found_in_hours()
    return Table(("column", "value", "records"), [row for name in columns for row in found[name]])


def _values_of(
    reading: Reading,
    columns: Sequence[str],
    source: str,
    count: str,
    values: Mapping[str, str],
    *,
    is_beside: bool = False,
) -> dict[str, list[tuple[Any, ...]]]:
    """Return the most frequent values of each column of a source, with their number."""
    if not columns:
        return {}
    named = [_quoted(name) for name in columns]
    # One column's values are counted in each grouping set, so that the rows are read once for all.
    sets = ", ".join(f"({name})" for name in named)
    places = ", ".join(f"grouping({name}) = 0, {place}" for place, name in enumerate(named))
    texts = ", ".join(f"grouping({name}) = 0, toString({name})" for name in named)
    rows = reading.store.rows(
        f"SELECT place, value, records\nFROM (\n"
        f"SELECT multiIf({places}, -1) AS place, multiIf({texts}, '') AS value, {count} AS records\n"
        f"FROM {source}\n"
        f"GROUP BY GROUPING SETS ({sets})\n)\nWHERE value != ''\n"
        f"ORDER BY place, records DESC, value LIMIT {_VALUES} BY place",
        values,
        is_beside=is_beside,
    ).rows
    found: dict[str, list[tuple[Any, ...]]] = {name: [] for name in columns}
    for place, value, records in rows:
        found[columns[place]].append((columns[place], value, records))
    return found


def _quoted(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
