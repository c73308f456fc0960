"""The expected answer to each question, in plain Python: a module for each topic, a function for each question.

The columns that say what was before are those of the same function, asked about the period before.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from access.questions import Question
from tests.answers import cost, data, errors, people, security, sessions, speed, tools
from tests.oracle import R, Row, World, change, r

_TOPICS = {
    "cost": cost,
    "data": data,
    "errors": errors,
    "people": people,
    "security": security,
    "sessions": sessions,
    "speed": speed,
    "tools": tools,
}


@dataclass(frozen=True, slots=True)
class _Before:
    """How the rows of a question are compared with those of the period before."""

    keys: tuple[str, ...]
    number: Callable[[Row], Any]
    """The number that is compared."""
    more: dict[str, str] = field(default_factory=dict)
    """Other columns about the period before, each with the column that it repeats."""
    missing: Any = 0
    """The number of a row that the period before has not."""
    has_change: bool = True
    recorded: str = "events"


def _the(name: str) -> Callable[[Row], Any]:
    return lambda row: row[name]


_FAILED = {"before_percent": "failure_percent"}
_ALLOWED = {"before_percent": "accept_percent"}
_BEFORE = {
    "api_errors": _Before(("code", "model"), lambda row: row["errors"] + row["answered"]),
    "cache": _Before(("value",), _the("hit_percent"), missing=None, has_change=False),
    "compactions": _Before(("trigger",), _the("compactions")),
    "cost_per_commit": _Before(("value",), _the("usd")),
    "decisions": _Before(("tool",), _the("rejected"), _ALLOWED),
    "edit_decisions": _Before(("language", "tool", "by"), _the("rejected"), _ALLOWED, recorded="growth"),
    "event_types": _Before(("event",), _the("events")),
    "hooks": _Before(("event", "hook"), _the("minutes"), {"before_p95_ms": "p95_ms"}),
    "latency": _Before(("model",), _the("p95_ms"), {"before_ttft_p95_ms": "ttft_p95_ms"}, missing=None),
    "mcp_connections": _Before(("server", "transport", "scope"), _the("failed")),
    "mcp_tools": _Before(("server", "tool"), _the("calls"), _FAILED),
    "permission_wait": _Before(
        ("tool", "decision_source"),
        _the("minutes"),
        {"before_p95_seconds": "p95_seconds"},
        recorded="spans",
    ),
    "programs": _Before(("program",), _the("calls"), _FAILED),
    "retries": _Before(("code", "model"), lambda row: row["exhausted"] + row["answered"]),
    "subagents": _Before(("agent",), _the("runs"), {"before_usd": "usd"}),
    "tool_errors": _Before(("tool", "error_type", "program"), _the("failures")),
    "tools": _Before(("tool",), _the("calls"), _FAILED),
    "users": _Before(("user",), _the("usd")),
    "waste": _Before(("pattern", "what"), _the("wasted"), {"before_usd": "usd"}),
    "workflow_steps": _Before(("step",), _the("usd")),
}


def expected(question: Question, world: World) -> list[Row]:
    """Return the rows that a question should have, in order."""
    answer: Callable[[World], list[Row]] = getattr(_TOPICS[question.topic], question.name)
    rows = answer(world)
    how = _BEFORE.get(question.name)
    if how is None:
        return rows
    given = {name: value for name, value in world.given.items() if name != "limit"}
    then = World(world.events, world.spans, world.growth, 2 * world.begin - world.end, world.begin, given)
    was_recorded = then.has_any(how.recorded)
    earlier = {tuple(row[key] for key in how.keys): row for row in answer(then)}
    for row in rows:
        was = earlier.get(tuple(row[key] for key in how.keys))
        before = None if not was_recorded else how.missing if was is None else how.number(was)
        row["before"] = before
        if how.has_change:
            known = _rounded(how.number(row)), _rounded(before)
            row["change_percent"] = None if None in known else r(change(*known), 1)
        for name, column in how.more.items():
            nothing = 0 if was_recorded and column == "usd" else None
            row[name] = nothing if was is None else was[column]
    return rows


def _rounded(number: Any) -> Any:
    """Return a number as the question has it."""
    return round(number.value, number.digits) if isinstance(number, R) else number
