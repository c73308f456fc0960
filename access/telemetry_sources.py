"""The four kinds of rows that `query_telemetry` asks about: their fields, and which can be grouped, measured, filtered.

The statements are those of `sql/`. Conditions of this module, all constants, take the place of their comment `filters`;
all values are bound.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_SQL: Final = Path(__file__).parent / "sql"
_FILTERS: Final = " /* filters */"


def _statement(name: str) -> str:
    return (_SQL / f"{name}.sql").read_text(encoding="utf-8").strip()


@dataclass(frozen=True, slots=True)
class Measure:
    """A number of each row: its SQL, and by what it is divided after it was added up exactly."""

    sql: str
    divisor: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of rows. `sql` makes them; each field is a column of it."""

    sql: str
    fields: tuple[str, ...]
    """The columns of an answer, in order."""
    groups: tuple[str, ...]
    measures: Mapping[str, Measure]
    filters: Mapping[str, str]
    """Conditions by the name of the filter, within the statement."""
    errors: str
    """How many failures a row has."""
    note: str
    outer: Mapping[str, str] = field(default_factory=dict)
    """Conditions on the rows that the statement makes."""
    measured: str = ""
    """The measure that is meant when none is named."""


_DURATIONS: Final = {
    "min_duration": "duration_ms >= {min_duration:Float64}",
    "max_duration": "duration_ms <= {max_duration:Float64}",
}
_EVENTS: Final = {
    "mcp_server": "mcp_server_name = {mcp_server:String}",
    "tool": "(tool_name = {tool:String} OR mcp_tool_name = {tool:String})",
    "team": "team = {team:String}",
    "user": "user_id = {user:String}",
    "session": "session_id = {session:String}",
    "task_type": "workflow_step = {task_type:String}",
}
# A tool call names no model: the session does.
_OF_MODEL: Final = (
    "session_id IN (SELECT session_id FROM telemetry_events WHERE event_type = 'api_request' AND model = {model:String}"
    " AND timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')})"
)
_TOKENS: Final = {
    "tokens_in": Measure("tokens_in"),
    "tokens_out": Measure("tokens_out"),
    "tokens_total": Measure("tokens_total"),
}

_COSTS: Final = {"recomputed_usd": Measure("recomputed_nanos", "1e9"), "unpriced": Measure("unpriced")}
_COSTS_NOTE: Final = (
    " cost_usd is what the client reports, else what tokens and prices come to (recomputed_usd is that part); the"
    " unpriced requests, whose cost is not known, are not in it."
)

BENCHMARKS: Final = Source(
    sql=_statement("benchmarks"),
    fields=(
        "benchmark_id", "timestamp", "mcp_server", "task_type", "duration_ms", "tokens_in", "tokens_out",
        "tokens_total", "cost_usd", "recomputed_usd", "unpriced", "success",
        "error_count", "retrieval_calls", "retrieval_ms", "avg_response_size",
        "requests", "model", "team", "user",
    ),
    groups=("mcp_server", "task_type", "model", "team", "user", "session", "project", "success"),
    measures={
        "duration_ms": Measure("duration_ms"),
        **_TOKENS,
        "cost_usd": Measure("nanos", "1e9"),
        **_COSTS,
        "error_count": Measure("error_count"),
        "retrieval_calls": Measure("retrieval_calls"),
        "retrieval_ms": Measure("retrieval_ms"),
        "avg_response_size": Measure("avg_response_size"),
    },
    filters={**_EVENTS, "model": _OF_MODEL},
    errors="error_count",
    note="A row is what a session did with one MCP server, or without any (mcp_server empty): a session's rows add up"
    " to it. duration_ms is that of its tool calls and model requests together; tokens_in are without cache;"
    f" avg_response_size is in bytes.{_COSTS_NOTE}",
    outer=_DURATIONS,
    measured="duration_ms",
)  # fmt: skip

CALLS: Final = Source(
    sql=_statement("calls"),
    fields=(
        "timestamp", "session", "mcp_server", "tool", "task_type", "duration_ms", "success", "error", "error_details",
        "response_size", "agent", "team", "user", "call_id",
    ),
    groups=("mcp_server", "tool", "task_type", "team", "user", "session", "project", "agent", "success", "error"),
    measures={"duration_ms": Measure("duration_ms"), "response_size": Measure("response_size")},
    filters={**_EVENTS, **_DURATIONS, "model": _OF_MODEL},
    errors="error != ''",
    note="A row is a tool call that ended. mcp_server is empty for the tools of Claude Code itself; response_size is in"
    " bytes.",
    measured="duration_ms",
)  # fmt: skip

AGGREGATED: Final = Source(
    sql=_statement("aggregated"),
    fields=(),
    groups=(
        "mcp_server", "task_type", "tool", "model", "team", "user", "session", "project", "agent", "event", "error",
    ),
    measures={
        "duration_ms": Measure("duration_ms"),
        **_TOKENS,
        "cost_usd": Measure("nanos", "1e9"),
        **_COSTS,
        "response_size": Measure("response_size"),
    },
    filters={**_EVENTS, **_DURATIONS, "model": "model = {model:String}"},
    errors="failed",
    note="Tool calls and model requests, added up. count has both: group by event to tell them apart. tokens_in are"
    f" without cache; a model is named by requests, and a response_size by tool calls.{_COSTS_NOTE}",
    measured="duration_ms",
)  # fmt: skip

ROLLED_UP: Final = _statement("rolled_up")
ROLLED_UP_GROUPS: Final = frozenset(AGGREGATED.groups) - {"session"}
ROLLED_UP_MEASURES: Final = frozenset(AGGREGATED.measures) - {"response_size"}
ROLLED_UP_FILTERS: Final = frozenset({"mcp_server", "tool", "team", "user", "task_type", "model"})

_METRIC_FILTERS: Final = {
    name: f"{name} = {{{name}:String}}"
    for name in ("metric", "session", "user", "team", "model", "tool", "mcp_server", "task_type")
}


METRICS: Final = Source(
    sql=_statement("metrics"),
    fields=(
        "timestamp", "metric", "kind", "value", "observations", "unit", "type", "session", "model", "tool",
        "mcp_server", "team", "user", "service",
    ),
    groups=(
        "metric", "kind", "type", "session", "model", "tool", "mcp_server", "task_type", "team", "user", "service",
    ),
    measures={"value": Measure("value"), "observations": Measure("observations")},
    filters=_METRIC_FILTERS,
    errors="0",
    note="A row is a data point as it was sent: a cumulative counter's value is its total. Of histograms and summaries,"
    " value is the sum of the observations.",
    measured="value",
)  # fmt: skip
METRICS_GROWN: Final = _statement("metrics_grown")
METRICS_GROWN_NOTE: Final = (
    "Of Claude Code's counters, value is by how much they grew. Cumulative counters of other programs are taken as they"
    " were sent: their max is their total."
)


def filtered(sql: str, conditions: Iterable[str]) -> str:
    """Return a statement with these conditions added to its own."""
    return sql.replace(_FILTERS, "".join(f" AND {condition}" for condition in conditions))


SOURCES: Final[Mapping[str, Source]] = {
    "benchmarks": BENCHMARKS,
    "calls": CALLS,
    "metrics": METRICS,
    "aggregated": AGGREGATED,
}
