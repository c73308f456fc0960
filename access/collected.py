"""What Claude Code sends only when it is told to, and the switch for each: so that a gap in the data is not misread.

Each is looked for in the data, and described with the variable to set where Claude Code runs.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Collected:
    """One thing that may be missing. `sql` counts what there is of it, in the period `from` to `to`."""

    name: str
    meaning: str
    switch: str
    sql: str


_EVENTS: Final = (
    "FROM telemetry_events WHERE timestamp >= {from:DateTime64(6, 'UTC')}"
    " AND timestamp < {to:DateTime64(6, 'UTC')}"
)
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
        f"SELECT count() {_EVENTS}",
    ),
    Collected(
        "metrics",
        "counters of tokens, cost, lines of code, commits",
        "CLAUDE_CODE_ENABLE_TELEMETRY=1 and OTEL_METRICS_EXPORTER=otlp",
        "SELECT count() FROM otel_metrics_sum WHERE TimeUnix >= {from:DateTime64(6, 'UTC')}"
        " AND TimeUnix < {to:DateTime64(6, 'UTC')}",
    ),
    Collected(
        "traces",
        "how requests and tool calls lie within a prompt, the time to the first token, waits for permission",
        "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA=1 and OTEL_TRACES_EXPORTER=otlp",
        "SELECT count() FROM otel_traces WHERE Timestamp >= {from:DateTime64(6, 'UTC')}"
        " AND Timestamp < {to:DateTime64(6, 'UTC')}",
    ),
    Collected(
        "names of configured MCP servers and tools",
        "otherwise they are `custom`",
        "OTEL_LOG_TOOL_DETAILS=1",
        f"SELECT count() {_EVENTS} AND event_type = 'tool_result' AND mcp_server_name NOT IN ('', 'custom')",
    ),
    Collected(
        "programs that the shell tool ran",
        "the first word of a command",
        "OTEL_LOG_TOOL_DETAILS=1",
        f"SELECT count() {_EVENTS} AND event_type = 'tool_result' AND command != ''",
    ),
    Collected(
        "teams",
        "who belongs to which team",
        "OTEL_RESOURCE_ATTRIBUTES=team.id=NAME",
        f"SELECT count() {_EVENTS} AND team != ''",
    ),
    Collected(
        "steps of workflows",
        "what an automated run was for; otherwise task_type is the source of a request",
        "OTEL_RESOURCE_ATTRIBUTES=workflow.step=NAME",
        # Where it is not sent, the step is the source; the attributes themselves cost thirty times as much to read.
        f"SELECT count() {_EVENTS} AND workflow_step != '' AND workflow_step != query_source",
    ),
)
NEVER: Final = (
    "Content of prompts, responses and tools is hashed or left out before it is stored, as TELEMETRY_SANITIZE_LEVEL"
    " says: no question can return it."
)
