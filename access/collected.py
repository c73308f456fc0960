"""What Claude Code sends only when it is told to, and the switch for each: so that a gap in the data is not misread.

Each is looked for in the data, and described with the variable to set where Claude Code runs.
"""

from dataclasses import dataclass
from typing import Final

from access.answer import Range
from access.reading import Reading, bounds, hours, statement


@dataclass(frozen=True, slots=True)
class Collected:
    """One thing that may be missing. `sql` counts what there is of it, over the rows of `sql/counted_events.sql`."""

    name: str
    meaning: str
    switch: str
    sql: str


_SPANS: Final = "SELECT count() FROM otel_traces WHERE"
# As the table is partitioned: of whole days, the parts know their number.
_DAY: Final = "toDate(least(Timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC')"
_FIRST_DAY: Final = "toStartOfDay({from:DateTime64(6, 'UTC')} + toIntervalMicrosecond(86399999999), 'UTC')"
_LAST_DAY: Final = "toStartOfDay({to:DateTime64(6, 'UTC')}, 'UTC')"
CUSTOM: Final = "custom"
"""What a server or tool that a user configured is called when its name is not sent."""
TOOL_DETAILS: Final = (
    "Names of MCP servers and tools that a user configured are `custom` where OTEL_LOG_TOOL_DETAILS=1 is not set at the"
    " client."
)
COLLECTED: Final = (
    Collected(
        "events",
        "prompts, requests, tool calls and errors",
        "CLAUDE_CODE_ENABLE_TELEMETRY=1 and OTEL_LOGS_EXPORTER=otlp",
        "sum(records)",
    ),
    Collected(
        "metrics",
        "counters of tokens, cost, lines of code, commits",
        "CLAUDE_CODE_ENABLE_TELEMETRY=1 and OTEL_METRICS_EXPORTER=otlp",
        "(SELECT count() FROM otel_metrics_sum WHERE TimeUnix >= {from:DateTime64(6, 'UTC')}"
        " AND TimeUnix < {to:DateTime64(6, 'UTC')})",
    ),
    Collected(
        "traces",
        "how requests and tool calls lie within a prompt, the time to the first token, waits for permission",
        "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA=1 and OTEL_TRACES_EXPORTER=otlp",
        f"({_SPANS} {_DAY} >= toDate({_FIRST_DAY}, 'UTC') AND {_DAY} < toDate({_LAST_DAY}, 'UTC'))"
        f" + ({_SPANS} Timestamp >= {{from:DateTime64(6, 'UTC')}} AND Timestamp < {{to:DateTime64(6, 'UTC')}}"
        f" AND (Timestamp < {_FIRST_DAY} OR Timestamp >= {_LAST_DAY}))",
    ),
    Collected(
        "names of configured MCP servers and tools",
        "otherwise they are `custom`",
        "OTEL_LOG_TOOL_DETAILS=1",
        "sumIf(records, event_type = 'tool_result' AND mcp_server_name NOT IN ('', 'custom'))",
    ),
    Collected(
        "programs that the shell tool ran",
        "the first word of a command",
        "OTEL_LOG_TOOL_DETAILS=1",
        "(SELECT count() FROM telemetry_events WHERE event_type = 'tool_result' AND command != ''"
        " AND timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')})",
    ),
    Collected(
        "teams",
        "who belongs to which team",
        "OTEL_RESOURCE_ATTRIBUTES=team.id=NAME",
        "sumIf(records, team != '')",
    ),
    Collected(
        "steps of workflows",
        "what an automated run was for; otherwise task_type is the source of a request",
        "OTEL_RESOURCE_ATTRIBUTES=workflow.step=NAME",
        # Where it is not sent, the step is the source; the attributes themselves cost thirty times as much to read.
        "sumIf(records, workflow_step != '' AND workflow_step != query_source)",
    ),
)
NEVER: Final = (
    "Content of prompts, responses and tools is hashed or left out before it is stored, as TELEMETRY_SANITIZE_LEVEL"
    " says: no question can return it."
)


def collected(reading: Reading, time_range: Range) -> list[tuple[str, int, str, str]]:
    """Return each thing's name, what there is of it in a period, the switch where there is none, and its meaning.

    Raises Refusal.
    """
    counts = ", ".join(one.sql for one in COLLECTED)
    (found,) = reading.store.rows(
        f"SELECT {counts}\nFROM (\n{statement('counted_events')}\n)",
        bounds(time_range) | hours(time_range),
        is_beside=True,
    ).rows
    return [
        (one.name, count, "" if count else one.switch, one.meaning)
        for one, count in zip(COLLECTED, found, strict=True)
    ]
