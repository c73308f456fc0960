"""`tail_telemetry`: tool calls and requests that ended, errors, and unusually slow calls, as they arrive.

Events come in the order in which they were inserted and not by their time, so that none is missed that arrives late,
and none comes twice. `_block_number` numbers the inserts of a table; merges keep it (`enable_block_number_column`), and
an insert gets its number at the moment at which it can be read. A call waits between short queries, not within one.
Source: https://clickhouse.com/docs/engines/table-engines/mergetree-family/mergetree#virtual-columns
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from access import budget
from access.answer import Answer, Range
from access.cursor import fingerprint
from access.reading import Reading, bounds, statement
from access.refusal import Code, Refusal, invalid, unknown
from access.telemetry_sources import filtered

COMPLETE: Final = "benchmark_complete"
ERROR: Final = "error_detected"
ANOMALY: Final = "performance_anomaly"
TYPES: Final = (COMPLETE, ERROR, ANOMALY)
MOST_SECONDS: Final = 20.0
EVENTS: Final = 100
"""Events of one call."""
USUAL: Final = 30
"""Calls of the last day that a tool or model needs before one of its calls can be unusual."""
_SCANNED: Final = 2_000
"""Rows of one query, and ten times as many of one call."""
_QUERIES: Final = 10
_PAUSE_SECONDS: Final = 0.5
_FENCE: Final = 2
"""On a scale of logarithms, so many interquartile ranges beyond the third quartile: one in some thousand."""
_LEAST_TIMES: Final = 2
_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)
_WORK: Final = "event_type IN ('tool_result', 'api_request')"
_FAILED: Final = "failure != ''"
COLUMNS: Final = ("type", "timestamp", "data")
_DATA: Final = (
    "session_id", "mcp_server", "tool", "model", "failure", "status_code", "message", "duration_ms", "tokens_in",
    "tokens_out", "cost_usd", "response_size",
)  # fmt: skip
LATEST_DATA: Final = (*_DATA, "usual_ms", "limit_ms")


Event = tuple[str, Any, dict[str, Any]]
"""Its type, its time in UTC, and its fields that have a value."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where reading goes on: an insert, and how many of its rows were read."""

    block: int
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Usual:
    """How long the calls of one tool or model took: how many, their median, and from where on one is unusual."""

    calls: int
    median: float
    limit: float


@dataclass(frozen=True, slots=True)
class _Read:
    """What one look found: events with the position after each, and where the next look begins."""

    events: Sequence[tuple[tuple[str, Any, dict[str, Any]], Position]]
    position: Position
    has_more: bool


def tail_telemetry(
    reading: Reading,
    cursor: str | None = None,
    wait_seconds: float = 0,
    *,
    types: Sequence[str] | None = None,
    max_characters: int | None = None,
    pause: Callable[[float], object] = time.sleep,
) -> Answer:
    """Return the events since the cursor as soon as there are any, after `wait_seconds` at most.

    Without a cursor, events that arrive from now on are returned. `next_cursor` is always there, for the next call.
    `types` are some of TYPES. `pause` waits so many seconds. Raises Refusal.
    """
    characters = budget.size(max_characters)
    wanted = _types(types)
    wait = _seconds(wait_seconds)
    question = fingerprint("tail_telemetry", wanted)
    start = _start(reading, cursor, question)
    reading.admit()
    newest = _newest(reading)
    is_behind = start is not None and start.block > newest + 1
    position = Position(newest + 1) if start is None or is_behind else start
    began = time.monotonic()
    found = _look(reading, position, newest, wanted)
    while not found.events and not found.has_more and (left := wait - (time.monotonic() - began)) > 0:
        pause(min(_PAUSE_SECONDS, left))
        newest = max(newest, _newest(reading))
        found = _look(reading, found.position, newest, wanted)

    def to(at: Position) -> str:
        return reading.desk.signer.cursor(reading.caller, question, [at.block, at.rows])

    def continue_at(count: int) -> str:
        return to(found.events[count - 1][1] if count else position)

    answer = Answer(
        COLUMNS,
        [event for event, _ in found.events],
        _finding(found, wait),
        has_more=found.has_more,
        next_cursor=to(found.position),
        freshness=reading.freshness(),
        hints=_hints(found, is_first=start is None),
        notes=_notes(is_behind=is_behind),
    )
    return budget.fit(answer, characters, continue_at)


def follow(
    reading: Reading, types: Sequence[str] | None = None, pause: Callable[[float], object] = time.sleep
) -> Iterator[Sequence[Event]]:
    """Yield what arrives from now on, whole and for ever; an empty list first, when that is known. Raises Refusal."""
    wanted = _types(types)
    position = Position(_newest(reading) + 1)
    yield ()
    while True:
        found = _look(reading, position, _newest(reading), wanted)
        position = found.position
        if found.events:
            # Rows of one insert have the order of the table, not that of their times.
            yield sorted((event for event, _ in found.events), key=lambda event: event[1])
        if not found.has_more:
            pause(_PAUSE_SECONDS)


def latest_events(reading: Reading, count: int, max_characters: int | None = None) -> Answer:
    """Return the newest events of the last hour, the newest first, in columns. Raises Refusal."""
    characters = budget.size(max_characters)
    reading.admit()
    end = reading.desk.clock()
    period = Range(end - _HOUR, end)
    usual = _usual(reading)
    sql = filtered(statement("tail_latest"), [f"({_WORK} OR {_FAILED})"])
    rows = reading.store.rows(sql, bounds(period) | {"limit": str(count)}).dicts()
    found = []
    for row in rows:
        kind, data = _event(row, usual)
        found.append((kind, row["timestamp"], row["event_type"], *(data.get(name) for name in LATEST_DATA)))
    return budget.fit(
        Answer(
            ("type", "timestamp", "event", *LATEST_DATA),
            found,
            time_range=period,
            freshness=reading.freshness(),
        ),
        characters,
    )


def newest_insert(reading: Reading) -> int | str:
    """Return what changes when events arrive: by the inserts, on a cluster by the newest time. Raises Refusal."""
    inserts, engine = reading.store.rows(statement("changed")).rows[0]
    return int(inserts or 0) if engine == "MergeTree" else str(reading.freshness().newest)


def _look(reading: Reading, position: Position, newest: int, wanted: tuple[str, ...]) -> _Read:
    """Return the events up to an insert, as many as a call has; without new inserts nothing is asked."""
    events: list[tuple[tuple[str, Any, dict[str, Any]], Position]] = []
    if newest < position.block:
        return _Read(events, position, has_more=False)
    usual = _usual(reading) if wanted != (ERROR,) else {}
    # The rows are counted off, so the condition must be the same in each call: no limit of durations is in it.
    condition = _FAILED if wanted == (ERROR,) else f"({_WORK} OR {_FAILED})"
    sql = filtered(statement("tail"), [condition])
    for _ in range(_QUERIES):
        values = {
            "block": str(position.block),
            "skip": str(position.rows),
            "last": str(newest),
            "limit": str(_SCANNED),
        }
        rows = reading.store.rows(sql, values).dicts()
        for row in rows:
            block = row["block"]
            position = Position(block, position.rows + 1 if block == position.block else 1)
            kind, data = _event(row, usual)
            if kind in wanted:
                events.append(((kind, row["timestamp"], data), position))
            if len(events) == EVENTS:
                return _Read(events, position, has_more=True)
        if len(rows) < _SCANNED:
            return _Read(events, Position(newest + 1), has_more=False)
    return _Read(events, position, has_more=True)


def _event(row: Mapping[str, Any], usual: Mapping[tuple[str, str], Usual]) -> tuple[str, dict[str, Any]]:
    """Return an event's type and its fields that have a value."""
    data = {"event": row["event_type"]} | {name: row[name] for name in _DATA if row[name] not in {None, ""}}
    if row["failure"]:
        return ERROR, data
    is_request = row["event_type"] == "api_request"
    name = row["model"] if is_request else f"{row['mcp_server']}/{row['tool']}"
    one = usual.get((row["event_type"], name))
    if one is not None and row["duration_ms"] is not None and row["duration_ms"] > one.limit:
        return ANOMALY, data | {"usual_ms": one.median, "limit_ms": one.limit, "usual_of": one.calls}
    return COMPLETE, data


def _usual(reading: Reading) -> dict[tuple[str, str], Usual]:
    """Return how long each tool and model took in the last day, where that is known."""
    end = reading.desk.clock()
    period = Range(end - _DAY, end)
    values = bounds(period) | {"least": str(USUAL)}
    found: dict[tuple[str, str], Usual] = reading.keep(
        reading.desk.queries,
        ("tail_telemetry", "usual"),
        (period, True),
        lambda: {
            (kind, name): Usual(calls, median, limit(low, median, high))
            for kind, name, calls, (low, median, high) in reading.store.rows(
                statement("tail_usual"), values
            ).rows
        },
    ).value
    return found


def limit(low: float, median: float, high: float) -> float:
    """Return from where on a duration is unusual, by the quartiles; durations are about lognormal."""
    spread = high / low if low > 0 else float("inf")
    return max(_LEAST_TIMES * median, high * spread**_FENCE)


def _newest(reading: Reading) -> int:
    """Return the number of the newest insert. Raises Refusal on a cluster, where inserts have no common order."""
    block, engine = reading.store.rows(statement("tail_newest")).rows[0]
    if engine != "MergeTree":
        raise Refusal(
            Code.INVALID_ARGUMENT,
            "On a cluster, inserts have no common order by which they could be followed.",
            suggestions=('query_telemetry(query_type="calls", filters={"start_date": "now-5m"})',),
        )
    return int(block or 0)


def _start(reading: Reading, cursor: str | None, question: str) -> Position | None:
    if cursor is None:
        return None
    block, rows = reading.desk.signer.position(cursor, reading.caller, question)
    return Position(block, rows)


def _types(given: Sequence[str] | None) -> tuple[str, ...]:
    listed = [given] if isinstance(given, str) else given
    if listed is None:
        return TYPES
    if not isinstance(listed, list | tuple) or not listed:
        raise invalid("types", "types is a list of names.", TYPES)
    for one in listed:
        if one not in TYPES:
            raise unknown("type", str(one), TYPES, "types")
    return tuple(name for name in TYPES if name in listed)


def _seconds(given: float) -> float:
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    if not is_number or not 0 <= given <= MOST_SECONDS:
        raise invalid(
            "wait_seconds",
            f"wait_seconds is a number from 0 to {MOST_SECONDS:g}.",
            [f"0 to {MOST_SECONDS:g}"],
        )
    return float(given)


def _finding(found: _Read, wait: float) -> str:
    counts = {name: sum(event[0] == name for event, _ in found.events) for name in TYPES}
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    if said:
        return f"{said}."
    return (
        "Nothing yet among many events: go on at next_cursor."
        if found.has_more
        else f"Nothing in {wait:g} s."
    )


def _hints(found: _Read, *, is_first: bool) -> tuple[str, ...]:
    if found.has_more:
        return ("More has arrived: pass next_cursor as cursor at once, with wait_seconds=0.",)
    first = " Without a cursor, only what arrives after the call is returned." if is_first else ""
    return (f"Pass next_cursor as cursor to go on, with wait_seconds up to {MOST_SECONDS:g}.{first}",)


def _notes(*, is_behind: bool) -> tuple[str, ...]:
    order = "In the order of arrival: a timestamp may be older than those before it."
    anomaly = (
        f"An anomaly took longer than the third quartile of its tool or model in the last day by {_FENCE} interquartile"
        f" ranges of log durations, and {_LEAST_TIMES} medians; with fewer than {USUAL} calls nothing is unusual."
    )
    if not is_behind:
        return order, anomaly
    return (
        "The store was emptied or restored since this cursor was made: events in between may be missing.",
        order,
        anomaly,
    )
