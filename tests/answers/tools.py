"""Answers to the questions of the topic `tools`: a function for each, of its name, with its rows in order."""

from tests.answers.counting import seconds, sessions_of, spend
from tests.oracle import (
    Row,
    World,
    group,
    ordered,
    quantile,
    r,
    share,
)


def tools(world: World) -> list[Row]:
    rows = []
    for tool, events in group(world.during("tool_result"), lambda event: event.tool).items():
        failed = sum(event.success is False for event in events)
        rows.append(
            {
                "tool": tool,
                "calls": len(events),
                "failures": failed,
                "failure_percent": r(share(failed, len(events)), 1),
                "p50_ms": quantile((event.ms for event in events), 0.5),
                "p95_ms": quantile((event.ms for event in events), 0.95),
                "hours": r(sum(event.ms or 0 for event in events) / 3.6e6, 2),
                "sessions": sessions_of(events),
                "result_mb": r(sum(event.count("tool_result_size_bytes") for event in events) / 1e6, 2),
            }
        )
    return ordered(rows, "-calls", "tool")


def tool_errors(world: World) -> list[Row]:
    ended = group(world.during("tool_result"), lambda event: event.tool)
    failed = [event for event in world.during("tool_result") if event.success is False]
    only = world.given.get("tool", "")
    rows = []
    for (tool, kind, program), events in group(
        failed, lambda event: (event.tool, event.error_type, event.program)
    ).items():
        calls = ended[tool]
        if only in {"", tool}:
            rows.append(
                {
                    "tool": tool,
                    "error_type": kind,
                    "program": program,
                    "failures": len(events),
                    "percent_of_tool": r(
                        share(len(events), sum(event.success is False for event in calls)), 1
                    ),
                    "failure_percent": r(share(len(events), len(calls)), 1),
                    "sessions": sessions_of(events),
                    "last_seen": seconds(max(event.time for event in events)),
                }
            )
    return ordered(rows, "-failures", "tool", "error_type", "program")


def programs(world: World) -> list[Row]:
    rows = [
        {
            "program": program,
            "calls": len(events),
            "failures": sum(event.success is False for event in events),
            "failure_percent": r(share(sum(event.success is False for event in events), len(events)), 1),
            "p50_ms": quantile((event.ms for event in events), 0.5),
            "p95_ms": quantile((event.ms for event in events), 0.95),
            "hours": r(sum(event.ms or 0 for event in events) / 3.6e6, 2),
            "sessions": sessions_of(events),
        }
        for program, events in group(
            (e for e in world.during("tool_result") if e.program), lambda e: e.program
        ).items()
    ]
    return ordered(rows, "-calls", "program")


def mcp_tools(world: World) -> list[Row]:
    rows = []
    events = [event for event in world.during("tool_result", "api_request") if event.server]
    for (server, tool), found in group(events, lambda event: (event.server, event.server_tool)).items():
        calls = [event for event in found if event.name == "tool_result"]
        failed = sum(event.success is False for event in calls)
        rows.append(
            {
                "server": server,
                "tool": tool,
                "calls": len(calls),
                "failures": failed,
                "failure_percent": r(share(failed, len(calls)), 1),
                "p50_ms": quantile((event.ms for event in calls), 0.5),
                "p95_ms": quantile((event.ms for event in calls), 0.95),
                "sessions": sessions_of(calls),
                "result_mb": r(sum(event.count("tool_result_size_bytes") for event in calls) / 1e6, 2),
                "requests": len(found) - len(calls),
                **spend(found),
            }
        )
    return ordered(rows, "-calls", "-usd", "server", "tool")


def mcp_connections(world: World) -> list[Row]:
    rows = []
    found = group(
        world.during("mcp_server_connection"),
        lambda event: (event.server, event.text("transport_type"), event.text("server_scope")),
    )
    for (server, transport, scope), events in found.items():
        by = group(events, lambda event: event.text("status"))
        connected, failed = len(by.get("connected", ())), len(by.get("failed", ()))
        rows.append(
            {
                "server": server,
                "transport": transport,
                "scope": scope,
                "connected": connected,
                "failed": failed,
                "failed_percent": r(share(failed, connected + failed), 1),
                "disconnected": len(by.get("disconnected", ())),
                "p50_ms": quantile((event.ms for event in events), 0.5),
                "p95_ms": quantile((event.ms for event in events), 0.95),
                "sessions": sessions_of(by.get("failed", ())),
            }
        )
    return ordered(rows, "-failed", "-connected", "server", "transport", "scope")


def hooks(world: World) -> list[Row]:
    rows = []
    found = group(
        world.during("hook_execution_complete"),
        lambda event: (event.text("hook_event"), event.text("hook_name")),
    )
    for (name, hook), events in found.items():
        blocked = sum(int(event.text("num_blocking")) > 0 for event in events)
        rows.append(
            {
                "event": name,
                "hook": hook,
                "runs": len(events),
                "hooks": sum(int(event.text("num_hooks")) for event in events),
                "blocked": blocked,
                "blocked_percent": r(share(blocked, len(events)), 1),
                "errors": sum(int(event.text("num_non_blocking_error")) for event in events),
                "cancelled": sum(int(event.text("num_cancelled")) for event in events),
                "p50_ms": quantile((event.ms for event in events), 0.5),
                "p95_ms": quantile((event.ms for event in events), 0.95),
                "minutes": r(sum(event.ms or 0 for event in events) / 60000, 2),
                "sessions": sessions_of(events),
            }
        )
    return ordered(rows, "-minutes", "-runs", "event", "hook")
