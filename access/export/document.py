"""The JSON document of an export, in the shape and with the field names of the access layer's design.

Its largest part, the details, is streamed; all other lists are bounded, and `metadata.leftOut` names those that were
cut. Every number in it is of the same events: those of the export's plan.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import orjson

from access.answer import Range, moment
from access.export.files import Target
from access.export.request import ExportRequest
from access.export.rows import Advance, details
from access.export.watermark import Plan
from access.insight.usual import remedy
from access.quality import Quality
from access.reading import bounds, statement
from access.series import describe
from access.store import Store
from access.telemetry_sources import BENCHMARKS, filtered

VERSION: Final = "1.0"
MOST: Final = 1_000
"""Items of each list but the details."""
_OUTLIERS: Final = 20
_FEW_DAYS: Final = timedelta(days=3)
_HOUR: Final = "toStartOfHour(timestamp, 'UTC')"
_DAY: Final = "toDate(timestamp, 'UTC')"
_BY_CALLS: Final = "calls DESC, requests DESC, value"
_RISING: Final = 25.0
_WINDOWS: Final = 4
_MANY_CALLS: Final = 10
_OFTEN: Final = 0.1
_TWICE: Final = 2
_IMMEDIATE: Final = 6


@dataclass(frozen=True, slots=True)
class Facts:
    """What every export says of itself: its main figures, and how good its data is."""

    created: datetime
    figures: Mapping[str, Any]
    quality: Quality
    deltas: Mapping[str, Any] | None = None
    """The figures against those of the export before."""


def write_document(
    store: Store, target: Target, request: ExportRequest, plan: Plan, facts: Facts, advance: Advance
) -> None:
    """Write the document. Raises Refusal."""
    found = _Sections(store, request.period, plan)
    by_server = found.performance("mcp_server_name", _BY_CALLS)
    by_task_type = found.performance("workflow_step", _BY_CALLS)
    step = _HOUR if _is_short(facts.figures) else _DAY
    windows = found.performance(step, "value DESC")[::-1]
    errors = found.errors()
    sessions = int(facts.figures["sessions"])
    trends = _trends(windows, "hour" if step == _HOUR else "day")
    metadata = {
        "exportDate": moment(facts.created),
        "timeRange": time_range(request, facts.figures),
        "version": VERSION,
        "name": request.name,
        "privacyLevel": request.level.value,
        "incremental": request.incremental,
        "dataQuality": facts.quality.as_document(),
        "deltas": facts.deltas,
        "leftOut": found.left_out,
    }
    target.write(b'{"metadata":' + _json(metadata) + b',\n"benchmarks":{"summary":' + _json(found.summary()))
    target.write(b',\n"details":[\n')
    for piece in details(store, target, request, plan, advance):
        target.write(piece)
    target.write(b'\n],\n"trends":' + _json(trends) + b"},\n")
    performance = {
        "byServer": [{"mcpServer": row["value"], **_performance(row)} for row in by_server],
        "byTaskType": [{"taskType": row["value"], **_performance(row)} for row in by_task_type],
        "byTimeWindow": [{"start": _start(row["value"]), **_performance(row)} for row in windows],
    }
    target.write(b'"performance":' + _json(performance))
    target.write(b',\n"errors":' + _json(_errors(errors, windows, sessions, facts.figures)))
    recommendations = {"immediate": _immediate(errors), "longTerm": _long_term(trends, by_server)}
    target.write(b',\n"recommendations":' + _json(recommendations) + b"}\n")


def time_range(request: ExportRequest, figures: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the period that was asked for, or, of an export of all, the times of its first and last event."""
    if request.time_range is not None:
        return {"start": moment(request.time_range.start), "end": moment(request.time_range.end)}
    first, last = figures["firstRecord"], figures["lastRecord"]
    return {"start": moment(first) if first else None, "end": moment(last) if last else None}


class _Sections:
    """Asks for the bounded parts of the document."""

    def __init__(self, store: Store, period: Range, plan: Plan) -> None:
        self._store = store
        self._conditions = plan.conditions()
        self._values = bounds(period) | plan.values()
        self.left_out: list[str] = []

    def summary(self) -> dict[str, Any]:
        """Return the benchmarks in one."""
        sql = statement("export_summary").replace("/* benchmarks */", BENCHMARKS.sql)
        (row,) = self._rows(sql)
        count = int(row["count"])
        longest = [-value for value in row["longest"]]
        return {
            "count": count,
            "sessions": row["sessions"],
            "successRate": row["successes"] / count if count else None,
            "errors": row["errors"],
            "retrievalCalls": row["calls"],
            "tokenUsage": _tokens(row["tokens_input"], row["tokens_output"]),
            "costUsd": row["cost"],
            "unpricedRequests": row["unpriced"],
            "duration": {
                "mean": row["mean"],
                "median": row["p50"],
                "stdDev": row["deviation"],
                "percentiles": {"p50": row["p50"], "p95": row["p95"], "p99": row["p99"]},
                "outliers": [value for value in longest if value > row["most"]][:_OUTLIERS],
            },
        }

    def performance(self, group: str, order: str) -> list[dict[str, Any]]:
        """Return how each group performed; `group` and `order` are constants of this module."""
        sql = statement("export_performance").replace("/* group */", group).replace("/* order */", order)
        return self._some(sql, f"performance by {group}")

    def errors(self) -> list[dict[str, Any]]:
        """Return the failures by category, the most frequent first."""
        return self._some(statement("export_errors"), "errors")

    def _some(self, sql: str, name: str) -> list[dict[str, Any]]:
        found = self._rows(sql, {"most": str(MOST + 1)})
        if len(found) > MOST:
            self.left_out.append(name)
        return found[:MOST]

    def _rows(self, sql: str, more: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        return self._store.rows(filtered(sql, self._conditions), self._values | dict(more or {})).dicts()


def _performance(row: Mapping[str, Any]) -> dict[str, Any]:
    events = row["calls"] + row["requests"]
    return {
        "calls": row["calls"],
        "requests": row["requests"],
        "sessions": row["sessions"],
        "errors": row["errors"],
        "errorRate": row["errors"] / events if events else None,
        "duration": {
            "mean": row["mean"],
            "median": row["p50"],
            "percentiles": {"p50": row["p50"], "p95": row["p95"], "p99": row["p99"]},
        },
        "tokenUsage": _tokens(row["tokens_in"], row["tokens_out"]),
        "costUsd": row["cost"],
        "unpricedRequests": row["unpriced"],
        "avgResponseSize": row["response_size"],
    }


def _tokens(read: int, written: int) -> dict[str, int]:
    return {"input": read, "output": written, "total": read + written}


def _is_short(figures: Mapping[str, Any]) -> bool:
    first, last = figures["firstRecord"], figures["lastRecord"]
    return first is not None and last - first <= _FEW_DAYS


def _trends(windows: Sequence[Mapping[str, Any]], window: str) -> list[dict[str, Any]]:
    """Return how each measure went from window to window; a window without a value has no part in it."""
    measures: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], Any]]] = {
        "avgDuration": ("ms", lambda row: row["mean"]),
        "errorRate": ("share", lambda row: row["errors"] / max(1, row["calls"] + row["requests"])),
        "tokens": ("tokens", lambda row: row["tokens_in"] + row["tokens_out"]),
        "costUsd": ("USD", lambda row: row["cost"]),
        "calls": ("calls", lambda row: row["calls"]),
    }
    found = []
    for metric, (unit, measure) in measures.items():
        points = [
            (_time(row["value"]), float(value)) for row in windows if (value := measure(row)) is not None
        ]
        description = describe(points)
        if description is None:
            continue
        half = len(points) // 2
        earlier, later = _mean(points[:half]), _mean(points[len(points) - half :])
        change = 100 * (later - earlier) / earlier if earlier and later is not None else None
        found.append(
            {
                "metric": metric,
                "unit": unit,
                "window": window,
                "windows": description.points,
                "first": description.first,
                "last": description.last,
                "mean": description.mean,
                "min": description.min,
                "max": description.max,
                "slopePerHour": description.slope_per_hour,
                # Half against half: one odd window says little.
                "changePercent": change,
                "direction": _direction(change),
            }
        )
    return found


def _direction(change: float | None) -> str:
    if change is None:
        return "unknown"
    return "rising" if change >= _RISING else "falling" if change <= -_RISING else "steady"


def _mean(points: Sequence[tuple[datetime, float]]) -> float | None:
    return sum(value for _, value in points) / len(points) if points else None


def _errors(
    rows: Sequence[Mapping[str, Any]],
    windows: Sequence[Mapping[str, Any]],
    sessions: int,
    figures: Mapping[str, Any],
) -> dict[str, Any]:
    priced = figures["requests"] - figures["unpriced"]
    cost = figures["costUsd"] / priced if priced else None
    return {
        "patterns": [
            {
                "pattern": row["pattern"],
                "count": row["times"],
                "tools": row["tools"],
                "firstSeen": moment(row["first_seen"]),
                "lastSeen": moment(row["last_seen"]),
            }
            for row in rows
        ],
        "frequency": [
            {
                "start": _start(row["value"]),
                "errors": row["errors"],
                "events": row["calls"] + row["requests"],
                "rate": _performance(row)["errorRate"],
            }
            for row in windows
        ],
        "impact": [
            {
                "pattern": row["pattern"],
                "sessionsAffected": row["sessions"],
                "sessionShare": row["sessions"] / sessions if sessions else None,
                "usersAffected": row["users"],
                "durationLost": row["lost"],
                # A failure takes about one more request.
                "retryCostUsd": None if cost is None else row["times"] * cost,
            }
            for row in rows
        ],
    }


def _immediate(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what to do about the failures that occur most."""
    return [
        {
            "title": row["pattern"],
            "action": remedy(row["pattern"]),
            "reason": f"It happened {row['times']:,} times, in {row['sessions']:,} sessions.",
            "count": row["times"],
        }
        for row in rows
        if row["times"] >= _TWICE
    ][:_IMMEDIATE]


def _long_term(
    trends: Sequence[Mapping[str, Any]], servers: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return what grew over the whole period, and which MCP servers fail often."""
    actions = {
        "avgDuration": "See which tools became slower: telemetry query latency.",
        "errorRate": "See which failures are new: telemetry query errors_by_day.",
        "tokens": "See which sessions read the most: telemetry query waste.",
        "costUsd": "See what costs the most: telemetry query cost_by.",
    }
    grown = [
        {
            "title": f"{trend['metric']} is rising",
            "action": actions[trend["metric"]],
            "reason": f"The second half of the period is {trend['changePercent']:.0f}% over the first.",
            "count": trend["windows"],
        }
        for trend in trends
        if trend["metric"] in actions and trend["direction"] == "rising" and trend["windows"] >= _WINDOWS
    ]
    failing = [
        {
            "title": f"MCP server {row['value']} fails often",
            "action": remedy("tool mcp__"),
            "reason": f"{row['errors']:,} of {row['calls'] + row['requests']:,} calls failed.",
            "count": row["errors"],
        }
        for row in servers
        if row["value"] and row["calls"] >= _MANY_CALLS and row["errors"] >= _OFTEN * row["calls"]
    ]
    return [*grown, *failing[:_IMMEDIATE]]


def _time(value: datetime | date) -> datetime:
    return (
        value
        if isinstance(value, datetime)
        else datetime.fromisoformat(f"{value.isoformat()}T00:00:00+00:00")
    )


def _start(value: datetime | date) -> str:
    return moment(_time(value))


def _json(value: Any) -> bytes:
    return orjson.dumps(value)
