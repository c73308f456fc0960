"""What each question should answer, in plain Python: a function a question, of its name, with its rows in order."""

import itertools
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta

from tests.oracle import (
    LOOKS_UP,
    PEOPLE,
    Event,
    Growth,
    Row,
    World,
    at,
    change,
    first,
    group,
    milliseconds,
    ordered,
    quantile,
    r,
    share,
    who,
)

HOUR = 3600


def seconds(nanos: int) -> str:
    return at(nanos // 10**9)


def sessions_of(events: Iterable[Event]) -> int:
    return len({event.session for event in events})


def usd_of(events: Iterable[Event]) -> float:
    return sum(event.nanos for event in events if event.name == "api_request") / 1e9


def tried(events: Iterable[Event]) -> int:
    return sum(event.name in {"tool_result", "api_request", "api_error"} for event in events)


def last_success(world: World) -> dict[str, int]:
    """When something succeeded last in each session."""
    succeeded: dict[str, int] = {}
    for event in world.events:
        if event.name == "api_request" or (event.name == "tool_result" and event.success):
            succeeded[event.session] = max(succeeded.get(event.session, 0), event.time // 10**6)
    return succeeded


def whole_sessions(world: World) -> list[tuple[str, list[Event]]]:
    """Sessions that touch the period, each with its events of the days that the period touches."""
    days = (
        datetime.fromtimestamp(world.begin / 1e9, UTC).date(),
        datetime.fromtimestamp(world.end / 1e9, UTC).date(),
    )
    found = group(
        (event for event in world.events if days[0] <= event.day <= days[1] and event.session),
        lambda e: e.session,
    )
    return [
        (session, events)
        for session, events in found.items()
        if events[-1].time // 10**6 >= world.begin // 10**6
        and events[0].time < world.end
        and world.given.get("team", "") in {"", max(event.team for event in events)}
        and world.given.get("user", "") in {"", max(event.user for event in events)}
    ]


def sessions(world: World) -> list[Row]:
    rows = []
    for session, events in whole_sessions(world):
        kinds = group(events, lambda event: event.name)
        failures = [event for event in events if event.failure]
        successes = [
            event
            for event in events
            if event.name == "api_request" or (event.name == "tool_result" and event.success)
        ]
        went_on = successes and failures and successes[-1].time // 10**6 > failures[-1].time // 10**6
        rows.append(
            {
                "session": session,
                "user": max(event.user for event in events),
                "team": max(event.team for event in events),
                "project": max(event.project for event in events),
                "started": seconds(events[0].time),
                "minutes": events[-1].time // (60 * 10**9) - events[0].time // (60 * 10**9),
                "prompts": len(kinds.get("user_prompt", ())),
                "requests": len(kinds.get("api_request", ())),
                "tool_calls": len(kinds.get("tool_result", ())),
                "tools_failed": sum(event.success is False for event in kinds.get("tool_result", ())),
                "tools_rejected": sum(event.decision == "reject" for event in kinds.get("tool_decision", ())),
                "api_errors": len(kinds.get("api_error", ())),
                "failures": len(failures),
                "outcome": "no failures" if not failures else "recovered" if went_on else "stopped",
                "tokens": sum(
                    event.count("input_tokens") + event.count("output_tokens")
                    for event in kinds.get("api_request", ())
                ),
                "usd": r(usd_of(events), 4),
                "begun": events[0].time // 10**6,
            }
        )
    order = {"usd": ["-usd"], "failures": ["-failures"], "minutes": ["-minutes"]}.get(
        world.given.get("order", ""), []
    )
    found = world.limited(ordered(rows, *order, "-begun", "session"), 50)
    return [{key: value for key, value in row.items() if key != "begun"} for row in found]


def session(world: World) -> list[Row]:
    rows: list[Row] = []
    for event in world.events:
        if event.session != world.given["session"]:
            continue
        hook = f"{event.text('hook_event')} {event.text('hook_name')}"
        about = (
            f"{event.tool} {event.program}"
            if event.tool
            else f"{event.model} {event.text('query_source')}"
            if event.model
            else event.server
            or (
                f"{event.text('from_mode')} to {event.text('to_mode')}"
                if event.name == "permission_mode_changed"
                else hook
                if event.name.startswith("hook")
                else event.skill + event.text("trigger") + event.text("status")
            )
        )
        decided = f"{event.decision} by {event.decided_by}" if event.name == "tool_decision" else ""
        sent = event.number("input_tokens")
        rows.append(
            {
                "time": milliseconds(event.time),
                "event": event.name,
                "what": about.strip(),
                "outcome": "failed" if event.failure else decided or ("ok" if event.success else ""),
                "ms": event.ms,
                "input_tokens": None
                if sent is None
                else sent + event.count("cache_read_tokens") + event.count("cache_creation_tokens"),
                "output_tokens": event.number("output_tokens"),
                "usd": event.number("cost_usd") if event.name == "api_request" else None,
                "prompt": event.text("prompt.id"),
            }
        )
    return world.limited(rows, 1000)


def compactions(world: World) -> list[Row]:
    rows = []
    for trigger, events in group(world.during("compaction"), lambda event: event.text("trigger")).items():
        sized = [event for event in events if event.success]
        before, after = (sum(float(event.a[key]) for event in sized) for key in ("pre_tokens", "post_tokens"))
        rows.append(
            {
                "trigger": trigger,
                "compactions": len(events),
                "failed": sum(event.success is False for event in events),
                "sessions": sessions_of(events),
                "most_in_a_session": max(map(len, group(events, lambda event: event.session).values())),
                "tokens_before": r(before / len(sized), 0),
                "tokens_after": r(after / len(sized), 0),
                "saved_percent": r(100 * (1 - after / before), 1),
                "p50_ms": quantile((event.ms for event in events), 0.5),
                "p95_ms": quantile((event.ms for event in events), 0.95),
            }
        )
    return ordered(rows, "-compactions", "trigger")


def subagents(world: World) -> list[Row]:
    events = [
        event
        for event in world.during("subagent_completed", "api_request", "tool_result")
        if event.name != "tool_result" or event.tool in {"Agent", "Task"}
    ]
    whole = usd_of(events)
    rows = []
    for agent, found in group(events, lambda event: event.agent).items():
        runs, took = [], []
        for one in group(found, lambda event: event.session).values():
            calls = [event for event in one if event.name == "tool_result"]
            ended = [event for event in one if event.name == "subagent_completed"]
            runs.append(max(len(calls), len(ended)))
            took += [event.ms for event in ended or calls]
        if not agent:
            continue
        began = [count for count in runs if count]
        spent = usd_of(found)
        rows.append(
            {
                "agent": agent,
                "runs": sum(runs),
                "failed": sum(event.name == "tool_result" and event.success is False for event in found),
                "sessions": len(began),
                "runs_per_session": r(sum(runs) / len(began), 1),
                "most_in_a_session": max(runs),
                "p50_seconds": r((quantile(took, 0.5) or 0) / 1000, 1),
                "p95_seconds": r((quantile(took, 0.95) or 0) / 1000, 1),
                "requests": sum(event.name == "api_request" for event in found),
                "usd": r(spent, 4),
                "usd_percent": r(share(spent, whole), 1),
            }
        )
    return ordered(rows, "-usd", "-runs", "agent")


def _totals(world: World, events: list[Event], *, before: bool) -> dict[str, float]:
    count = {name: len(found) for name, found in group(events, lambda event: event.name).items()}
    requests = [event for event in events if event.name == "api_request"]
    failures = sum(bool(event.failure) for event in events)
    sent = sum(
        event.count("input_tokens") + event.count("cache_read_tokens") + event.count("cache_creation_tokens")
        for event in requests
    )
    begin, end = (2 * world.begin - world.end, world.begin) if before else (world.begin, world.end)
    first_day = datetime.fromtimestamp((2 * world.begin - world.end) / 1e9, UTC).date()
    last_day = datetime.fromtimestamp(world.end / 1e9, UTC).date()
    whole = group(
        (event for event in world.events if event.session and first_day <= event.day <= last_day),
        lambda e: e.session,
    )
    ended = {
        session: found
        for session, found in whole.items()
        if begin <= found[-1].time < end
        and world.given.get("team", "") in {"", max(event.team for event in found)}
        and world.given.get("user", "") in {"", max(event.user for event in found)}
    }
    stopped = 0
    for found in ended.values():
        failed = max((event.time // 10**6 for event in found if event.failure), default=0)
        succeeded = max(
            (
                e.time // 10**6
                for e in found
                if e.name == "api_request" or (e.name == "tool_result" and e.success)
            ),
            default=0,
        )
        stopped += failed > succeeded
    prompts = count.get("user_prompt", 0)
    usd = usd_of(events)
    attempts = tried(events)
    return {
        "users": len({event.user for event in events} - {""}),
        "sessions": len(ended),
        "prompts": prompts,
        "model requests": len(requests),
        "tool calls": count.get("tool_result", 0),
        "tool failures": sum(event.name == "tool_result" and bool(event.failure) for event in events),
        "api errors": count.get("api_error", 0),
        "failures": failures,
        "failure percent": share(failures, attempts) or 0,
        "sessions that stopped at a failure": stopped,
        "usd": usd,
        "usd per prompt": usd / prompts if prompts else 0,
        "input and output tokens": sum(
            event.count("input_tokens") + event.count("output_tokens") for event in requests
        ),
        "cache percent": share(sum(event.count("cache_read_tokens") for event in requests), sent) or 0,
    }


def summary(world: World) -> list[Row]:
    now = _totals(world, world.during(), before=False)
    earlier = _totals(world, world.during(before=True), before=True)
    digits = {"failure percent": 2, "cache percent": 1}
    rows = []
    for measure, value in now.items():
        places = digits.get(measure, 4)
        rows.append(
            {
                "measure": measure,
                "value": r(value, places),
                "before": r(earlier[measure], places),
                # Of the rounded ones, of which the last digit may be off.
                "change_percent": r(change(round(value, places), round(earlier[measure], places)), 1),
            }
        )
    return rows


def activity(world: World) -> list[Row]:
    return [
        {
            "hour": at(hour),
            "users": len({event.user for event in events} - {""}),
            "prompts": sum(event.name == "user_prompt" for event in events),
            "requests": sum(event.name == "api_request" for event in events),
            "tool_calls": sum(event.name == "tool_result" for event in events),
            "failures": sum(bool(event.failure) for event in events),
            "tokens": sum(
                event.count("input_tokens") + event.count("output_tokens")
                for event in events
                if event.name == "api_request"
            ),
            "usd": r(usd_of(events), 4),
        }
        for hour, events in sorted(group(world.during(), lambda event: event.hour).items())
    ]


def errors(world: World) -> list[Row]:
    failed = [event for event in world.during() if event.failure]
    before = group(
        (event for event in world.during(before=True) if event.failure), lambda event: event.failure
    )
    succeeded = last_success(world)
    rows = []
    for category, events in group(failed, lambda event: event.failure).items():
        earlier = len(before.get(category, ()))
        rows.append(
            {
                "category": category,
                "failures": len(events),
                "percent": r(share(len(events), len(failed)), 1),
                "cumulative_percent": None,
                "before": earlier,
                "change_percent": r(change(len(events), earlier), 1),
                "sessions": sessions_of(events),
                "users": len({event.user for event in events}),
                "recovered_percent": r(
                    share(
                        sum(succeeded.get(event.session, 0) * 10**6 > event.time for event in events),
                        len(events),
                    ),
                    1,
                ),
                "last_seen": seconds(max(event.time for event in events)),
            }
        )
    rows = ordered(rows, "-failures", "category")
    for row, so_far in zip(rows, itertools.accumulate(row["failures"] for row in rows), strict=True):
        row["cumulative_percent"] = r(share(so_far, len(failed)), 1)
    return rows


def error_samples(world: World) -> list[Row]:
    category = world.given.get("category", "")
    rows = [
        {
            "time": milliseconds(event.time),
            "category": event.failure,
            "tool": event.tool,
            "program": event.program,
            "model": event.model,
            "attempts": event.attempts,
            "version": str(event.resource["service.version"]),
            "user": event.user,
            "session": event.session,
            "prompt": event.text("prompt.id"),
            "at": event.time,
            "sequence": event.count("event.sequence"),
        }
        for event in world.during()
        if event.failure and category in {"", event.failure}
    ]
    found = world.limited(ordered(rows, "-at", "session", "-sequence"), 20)
    return [{key: value for key, value in row.items() if key not in {"at", "sequence"}} for row in found]


def errors_by_day(world: World) -> list[Row]:
    events = world.during()
    attempts = {day: tried(found) for day, found in group(events, lambda event: event.day).items()}
    rows = [
        {
            "day": day.isoformat(),
            "category": category,
            "failures": len(found),
            "events_percent": r(share(len(found), attempts[day]), 2),
        }
        for (day, category), found in group(
            (e for e in events if e.failure), lambda e: (e.day, e.failure)
        ).items()
    ]
    return ordered(rows, "day", "-failures", "category")


def bare(model: str) -> str:
    return model.replace("[1m]", "")


def api_errors(world: World) -> list[Row]:
    sent = group(world.during("api_request", "api_error"), lambda event: bare(event.model))
    rows = []
    failed = world.during("api_error", "api_retries_exhausted")
    for (code, model), events in group(failed, lambda event: (event.code, bare(event.model))).items():
        errors_ = [event for event in events if event.name == "api_error"]
        rows.append(
            {
                "code": code,
                "model": model,
                "errors": len(errors_),
                "percent": r(share(len(errors_), len(sent[model])), 2),
                "attempts": r(sum(event.attempts or 0 for event in errors_) / len(errors_), 1),
                "retries_exhausted": len(events) - len(errors_),
                "p95_ms": quantile((event.ms for event in errors_), 0.95),
                "sessions": sessions_of(events),
                "last_seen": seconds(max(event.time for event in events)),
            }
        )
    return ordered(rows, "-errors", "code", "model")


def retries(world: World) -> list[Row]:
    succeeded = last_success(world)
    rows = []
    found = group(world.during("api_retries_exhausted"), lambda event: (event.code, bare(event.model)))
    for (code, model), events in found.items():
        per_session = group(events, lambda event: event.session)
        recovered = sum(
            succeeded.get(session, 0) * 10**6 > found[-1].time for session, found in per_session.items()
        )
        rows.append(
            {
                "code": code,
                "model": model,
                "exhausted": len(events),
                "attempts": r(sum(event.attempts or 0 for event in events) / len(events), 1),
                "minutes_waited": r(sum(event.ms or 0 for event in events) / 60000, 1),
                "sessions": len(per_session),
                "recovered": recovered,
                "recovered_percent": r(share(recovered, len(per_session)), 1),
            }
        )
    return ordered(rows, "-exhausted", "code", "model")


def workflow_steps(world: World) -> list[Row]:
    events = world.during()
    rows = [
        {
            "step": step,
            "events": len(found),
            "requests": sum(event.name == "api_request" for event in found),
            "failures": sum(bool(event.failure) for event in found),
            "failure_percent": r(share(sum(bool(event.failure) for event in found), tried(found)), 1),
            "usd": r(usd_of(found), 4),
            "percent": r(share(usd_of(found), usd_of(events)), 1),
        }
        for step, found in group(events, lambda event: event.step).items()
    ]
    return ordered(rows, "-usd", "-events", "step")


def tools(world: World) -> list[Row]:
    before = group(world.during("tool_result", before=True), lambda event: event.tool)
    rows = []
    for tool, events in group(world.during("tool_result"), lambda event: event.tool).items():
        failed = sum(event.success is False for event in events)
        earlier = before.get(tool, [])
        rows.append(
            {
                "tool": tool,
                "calls": len(events),
                "failures": failed,
                "failure_percent": r(share(failed, len(events)), 1),
                "before_percent": r(share(sum(event.success is False for event in earlier), len(earlier)), 1),
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
                "usd": r(usd_of(found), 4),
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


TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens")


def cost(world: World) -> list[Row]:
    rows = [
        {"day": day.isoformat(), "model": model, "requests": len(events)}
        | {key: sum(event.count(key) for event in events) for key in TOKENS}
        | {"usd": r(usd_of(events), 4)}
        for (day, model), events in group(
            world.during("api_request"), lambda event: (event.day, event.model)
        ).items()
    ]
    return ordered(rows, "day", "-usd", "model")


DIMENSIONS: dict[str, Callable[[Event], str]] = {
    "model": lambda event: event.model,
    "user": lambda event: event.user,
    "team": lambda event: event.team,
    "department": lambda event: str(event.resource.get("department", "")),
    "cost_center": lambda event: str(event.resource.get("cost_center", "")),
    "project": lambda event: event.project,
    "skill": lambda event: event.skill,
    "agent": lambda event: event.agent,
    "mcp_server": lambda event: event.server,
    "mcp_tool": lambda event: event.server_tool,
    "query_source": lambda event: event.text("query_source"),
    "workflow_step": lambda event: event.step,
    "speed": lambda event: event.text("speed"),
    "service": lambda event: str(event.resource["service.name"]),
    "day": lambda event: event.day.isoformat(),
    "hour": lambda event: at(event.hour),
}


def _sent(event: Event) -> int:
    return (
        event.count("input_tokens") + event.count("cache_read_tokens") + event.count("cache_creation_tokens")
    )


def cost_by(world: World) -> list[Row]:
    key = DIMENSIONS[world.given.get("by", "team")]
    now, before = (
        group(world.during("api_request"), key),
        group(world.during("api_request", before=True), key),
    )
    whole = usd_of(world.during("api_request"))
    rows = []
    for value in now.keys() | before.keys():
        events = now.get(value, [])
        spent, earlier = usd_of(events), usd_of(before.get(value, []))
        cached = sum(event.count("cache_read_tokens") for event in events)
        rows.append(
            {
                "value": value,
                "requests": len(events),
                "tokens": sum(_sent(event) + event.count("output_tokens") for event in events),
                "output_tokens": sum(event.count("output_tokens") for event in events),
                "cache_percent": r(share(cached, sum(_sent(event) for event in events)), 1),
                "usd": r(spent, 4),
                "percent": r(share(spent, whole), 1),
                "usd_per_request": r(round(spent, 4) / len(events) if events else None, 6),
                "before": r(earlier, 4),
                "change_percent": r(change(round(spent, 4), round(earlier, 4)), 1),
            }
        )
    return world.limited(ordered(rows, "-usd", "-before", "value"), 100)


def cache(world: World) -> list[Row]:
    rows = []
    for value, events in group(
        world.during("api_request"), DIMENSIONS[world.given.get("by", "model")]
    ).items():
        cached, written = (
            sum(event.count(key) for event in events)
            for key in ("cache_read_tokens", "cache_creation_tokens")
        )
        rows.append(
            {
                "value": value,
                "requests": len(events),
                "input_tokens": sum(event.count("input_tokens") for event in events),
                "cache_read_tokens": cached,
                "cache_creation_tokens": written,
                "hit_percent": r(share(cached, sum(_sent(event) for event in events)), 1),
                "reads_per_write": r(cached / written if written else None, 2),
                "usd": r(usd_of(events), 4),
            }
        )
    return ordered(rows, "-usd", "value")


def cost_month(world: World) -> list[Row]:
    end = datetime.fromtimestamp(world.end / 1e9, UTC)
    begin = end.replace(day=1, hour=0, minute=0, second=0)
    last_month, next_month = ((begin + timedelta(days=days)).replace(day=1) for days in (-1, 32))
    whole = World(world.events, [], [], 0, world.end, world.given)
    spent = whole.during("api_request")

    def between(since: datetime, until: datetime) -> float:
        return usd_of(
            event for event in spent if since.timestamp() * 1e9 <= event.time < until.timestamp() * 1e9
        )

    usd, before = round(between(begin, end), 2), round(between(last_month, begin), 2)
    a_day = round(between(end - timedelta(days=7), end) / 7, 2)
    days = (end - begin).total_seconds() / 86400
    projected = usd + a_day * ((next_month - begin).days - days)
    return [
        {
            "month": begin.date().isoformat(),
            "usd": r(usd, 2),
            "days": r(days, 1),
            "usd_per_day": r(a_day, 2),
            "projected": r(projected, 2),
            "last_month": r(before, 2),
            "change_percent": r(change(round(projected, 2), before), 1),
        }
    ]


def cost_per_session(world: World) -> list[Row]:
    spent = [
        (events[0].day, session, usd_of(events))
        for session, events in whole_sessions(world)
        if any(event.name == "api_request" for event in events)
    ]
    rows = []
    for day, found in sorted(group(spent, lambda one: one[0]).items()):
        costs = [usd for _, _, usd in found]
        rows.append(
            {
                "day": day.isoformat(),
                "sessions": len(found),
                "usd": r(sum(costs), 4),
                "mean": r(sum(costs) / len(costs), 4),
                "p50": r(quantile(costs, 0.5), 4),
                "p95": r(quantile(costs, 0.95), 4),
                "dearest": r(max(costs), 4),
                "dearest_session": max((usd, session) for _, session, usd in found)[1],
            }
        )
    return rows


def cost_per_prompt(world: World) -> list[Row]:
    events = [event for event in world.during("api_request") if event.text("prompt.id")]
    rows = [
        {
            "prompt": prompt,
            "session": found[0].session,
            "user": found[0].user,
            "started": seconds(found[0].time),
            "seconds": found[-1].time // 10**9 - found[0].time // 10**9,
            "requests": len(found),
            "tokens": sum(_sent(event) + event.count("output_tokens") for event in found),
            "usd": r(usd_of(found), 4),
            "percent": r(share(usd_of(found), usd_of(events)), 2),
        }
        for prompt, found in group(events, lambda event: event.text("prompt.id")).items()
    ]
    return world.limited(ordered(rows, "-usd", "prompt"), 50)


def cost_per_commit(world: World) -> list[Row]:
    by = world.given.get("by", "team")
    of_growth: Callable[[Growth], str] = {
        "team": lambda one: first(one.resource.get("team.id"), one.a.get("team.id")),
        "user": lambda one: who(one.a),
        "project": lambda one: first(one.resource.get("project"), one.a.get("project")),
        "department": lambda one: first(one.resource.get("department"), one.a.get("department")),
    }[by]
    counted = group(
        world.grown("commit.count", "pull_request.count", "lines_of_code.count", "active_time.total"),
        of_growth,
    )
    spent = group(world.during("api_request"), DIMENSIONS[by])
    rows = []
    for value in counted.keys() | spent.keys():

        def total(metric: str, kind: str = "", value: str = value) -> float:
            return sum(
                one.value
                for one in counted.get(value, ())
                if one.metric == metric and kind in {"", one.a.get("type")}
            )

        usd = usd_of(spent.get(value, ()))
        commits, requests, added = (
            total("commit.count"),
            total("pull_request.count"),
            total("lines_of_code.count", "added"),
        )
        rows.append(
            {
                "value": value,
                "commits": commits,
                "pull_requests": requests,
                "lines_added": added,
                "lines_removed": total("lines_of_code.count", "removed"),
                "active_hours": r(total("active_time.total") / 3600, 1),
                "usd": r(usd, 4),
                "usd_per_commit": r(round(usd, 4) / commits if commits else None, 4),
                "usd_per_pull_request": r(round(usd, 4) / requests if requests else None, 4),
                "usd_per_100_lines": r(100 * round(usd, 4) / added if added else None, 4),
            }
        )
    return ordered(rows, "-usd", "value")


def waste(world: World) -> list[Row]:
    per_request = {}
    days = (
        datetime.fromtimestamp(world.begin / 1e9, UTC).date(),
        datetime.fromtimestamp(world.end / 1e9, UTC).date(),
    )
    within = (event for event in world.events if event.session and days[0] <= event.day <= days[1])
    for name, events in group(within, lambda event: event.session).items():
        requests = [event for event in events if event.name == "api_request"]
        per_request[name] = usd_of(requests) / len(requests) if requests else 0
    repeats = int(world.given.get("repeats", 3))
    found: list[tuple[str, str, str, float, float, float]] = []
    calls = [event for event in world.during("tool_result") if event.text("tool_input")]
    for (name, _, _), events in group(
        calls, lambda event: (event.session, event.tool, event.text("tool_input"))
    ).items():
        failed = [event for event in events if event.success is False]
        succeeded = [event for event in events if event.success]
        what = f"{events[0].tool} {events[0].program}".rstrip()
        if len(failed) >= repeats:
            ms = sum(event.ms or 0 for event in failed)
            found.append(("retry loop", what, name, len(failed) - 1, 0, ms * (len(failed) - 1) / len(failed)))
        if events[0].tool in LOOKS_UP and len(succeeded) > 1:
            again = (len(succeeded) - 1) / len(succeeded)
            size = sum(event.count("tool_result_size_bytes") for event in succeeded)
            ms = sum(event.ms or 0 for event in succeeded)
            found.append(("read again", what, name, len(succeeded) - 1, size * again, ms * again))
    for (trigger, name), events in group(
        world.during("compaction"), lambda e: (e.text("trigger"), e.session)
    ).items():
        if len(events) >= 3:
            ms = sum(event.ms or 0 for event in events) * (len(events) - 1) / len(events)
            found.append(("compacted again", trigger, name, len(events) - 1, 0, ms))
    for (code, name), events in group(
        world.during("api_retries_exhausted"), lambda e: (e.code, e.session)
    ).items():
        ms = sum(event.ms or 0 for event in events)
        found.append(
            ("retries exhausted", f"api {code}", name, sum(event.attempts or 0 for event in events), 0, ms)
        )
    rows = []
    for (pattern, what), ones in group(found, lambda one: one[:2]).items():
        usd = 0 if pattern == "retries exhausted" else sum(one[3] * per_request[one[2]] for one in ones)
        rows.append(
            {
                "pattern": pattern,
                "what": what,
                "sessions": len({one[2] for one in ones}),
                "wasted": sum(one[3] for one in ones),
                "mb_again": r(sum(one[4] for one in ones) / 1e6, 2),
                "usd": r(usd, 4),
                "minutes": r(sum(one[5] for one in ones) / 60000, 1),
                "worst_session": max((one[3], one[2]) for one in ones)[1],
            }
        )
    return ordered(rows, "-usd", "-wasted", "pattern", "what")


def latency(world: World) -> list[Row]:
    firsts = group(
        (span for span in world.waited("llm_request") if "ttft_ms" in span.a),
        lambda span: bare(str(span.a["model"])),
    )
    rows = []
    for model, events in group(world.during("api_request"), lambda event: bare(event.model)).items():
        took = [event.ms for event in events]
        known = [float(span.a["ttft_ms"]) for span in firsts.get(model, ())]
        spent = sum(ms or 0 for ms in took)
        rows.append(
            {
                "model": model,
                "requests": len(events),
                "p50_ms": r(quantile(took, 0.5), 0),
                "p95_ms": r(quantile(took, 0.95), 0),
                "p99_ms": r(quantile(took, 0.99), 0),
                "tokens_per_second": r(
                    1000 * sum(event.count("output_tokens") for event in events) / spent if spent else None, 1
                ),
                "measured": len(known),
                "ttft_p50_ms": r(quantile(known, 0.5), 0),
                "ttft_p95_ms": r(quantile(known, 0.95), 0),
            }
        )
    return ordered(rows, "-requests", "model")


def permission_wait(world: World) -> list[Row]:
    names = {span.span_id: str(span.a["tool_name"]) for span in world.spans if span.name == "tool"}
    waits = [
        span for span in world.waited("tool.blocked_on_user") if span.a["source"] not in {"config", "hook"}
    ]
    whole = sum(span.ms for span in waits)
    rows = []
    for (tool, source), found in group(
        waits, lambda span: (names.get(span.parent_id, ""), str(span.a["source"]))
    ).items():
        took = [span.ms for span in found]
        rows.append(
            {
                "tool": tool,
                "decision_source": source,
                "waits": len(found),
                "p50_seconds": r((quantile(took, 0.5) or 0) / 1000, 1),
                "p95_seconds": r((quantile(took, 0.95) or 0) / 1000, 1),
                "minutes": r(sum(took) / 60000, 1),
                "percent": r(share(sum(took), whole), 1),
                "sessions": len({span.a["session.id"] for span in found}),
                "all": sum(took),
            }
        )
    return [
        {k: v for k, v in row.items() if k != "all"}
        for row in ordered(rows, "-all", "tool", "decision_source")
    ]


def decisions(world: World) -> list[Row]:
    rows = []
    for tool, events in group(world.during("tool_decision"), lambda event: event.tool).items():

        def count(source: str, decision: str, events: list[Event] = events) -> int:
            return sum(event.decided_by.startswith(source) and event.decision == decision for event in events)

        accepted, rejected = count(PEOPLE, "accept"), count(PEOPLE, "reject")
        rows.append(
            {
                "tool": tool,
                "accepted": accepted,
                "rejected": rejected,
                "accept_percent": r(share(accepted, accepted + rejected), 1),
                "for_good": count("user_permanent", "accept"),
                "by_config_accepted": count("config", "accept"),
                "by_config_rejected": count("config", "reject"),
                "by_hook_accepted": count("hook", "accept"),
                "by_hook_rejected": count("hook", "reject"),
                "sessions": sessions_of(event for event in events if event.decided_by.startswith(PEOPLE)),
                "asked": accepted + rejected,
            }
        )
    return [
        {k: v for k, v in row.items() if k != "asked"}
        for row in ordered(rows, "-asked", "-by_config_accepted", "tool")
    ]


def edit_decisions(world: World) -> list[Row]:
    rows = []
    found = group(
        world.grown("code_edit_tool.decision"),
        lambda one: (
            one.a["language"],
            one.a["tool_name"],
            "people" if one.a["source"].startswith(PEOPLE) else one.a["source"],
        ),
    )
    for (language, tool, by), ones in found.items():
        accepted = sum(one.value for one in ones if one.a["decision"] == "accept")
        rejected = sum(one.value for one in ones if one.a["decision"] == "reject")
        rows.append(
            {
                "language": language,
                "tool": tool,
                "by": by,
                "accepted": accepted,
                "rejected": rejected,
                "accept_percent": r(share(accepted, accepted + rejected), 1),
                "asked": accepted + rejected,
            }
        )
    return [
        {k: v for k, v in row.items() if k != "asked"}
        for row in ordered(rows, "-asked", "language", "tool", "by")
    ]


def adoption(world: World) -> list[Row]:
    def step(day: date) -> date:
        match world.given.get("step", "day"):
            case "week":
                return day - timedelta(days=day.weekday())
            case "month":
                return day.replace(day=1)
            case _:
                return day

    days = (
        datetime.fromtimestamp(world.begin / 1e9, UTC).date(),
        datetime.fromtimestamp(world.end / 1e9, UTC).date(),
    )
    team = world.given.get("team", "")
    firsts: dict[str, date] = {}
    for event in world.events:
        if event.user and event.day <= datetime.now(UTC).date():
            firsts[event.user] = min(firsts.get(event.user, event.day), event.day)
    mine = {event.user for event in world.events if team in {"", event.team}}
    rows = []
    inside = [event for event in world.events if days[0] <= event.day <= days[1] and team in {"", event.team}]
    for begins, events in sorted(group(inside, lambda event: step(event.day)).items()):
        users = {event.user for event in events} - {""}
        sessions_ = {event.session for event in events} - {""}
        usd = usd_of(events)
        rows.append(
            {
                "begins": begins.isoformat(),
                "users": len(users),
                "new_users": sum(step(day) == begins for user, day in firsts.items() if user in mine),
                "sessions": len(sessions_),
                "prompts": sum(event.name == "user_prompt" for event in events),
                "sessions_per_user": r(len(sessions_) / len(users) if users else None, 1),
                "usd": r(usd, 4),
                "usd_per_user": r(usd / len(users) if users else None, 4),
            }
        )
    return rows


def users(world: World) -> list[Row]:
    events = world.during()
    rows = []
    for user, found in group(events, lambda event: event.user).items():
        count = {name: len(ones) for name, ones in group(found, lambda event: event.name).items()}
        failures = sum(bool(event.failure) for event in found)
        rows.append(
            {
                "user": user,
                "team": max(event.team for event in found),
                "days": len({event.day for event in found}),
                "prompts": count.get("user_prompt", 0),
                "requests": count.get("api_request", 0),
                "tool_calls": count.get("tool_result", 0),
                "failures": failures,
                "failure_percent": r(share(failures, tried(found)), 1),
                "rejected": sum(
                    event.name == "tool_decision" and event.decision == "reject" for event in found
                ),
                "usd": r(usd_of(found), 4),
                "percent": r(share(usd_of(found), usd_of(events)), 1),
                "last_seen": seconds(max(event.time for event in found)),
            }
        )
    return world.limited(ordered(rows, "-usd", "user"), 100)


def clients(world: World) -> list[Row]:
    found = [
        (
            max(str(event.resource["service.name"]) for event in events),
            max(str(event.resource["service.version"]) for event in events),
            max(event.text("terminal.type") for event in events),
            events,
        )
        for _, events in whole_sessions(world)
    ]
    rows = [
        {
            "service": service,
            "version": version,
            "terminal": terminal,
            "sessions": len(ones),
            "users": len({max(event.user for event in events) for *_, events in ones}),
            "failures_per_session": r(
                sum(bool(event.failure) for *_, events in ones for event in events) / len(ones), 1
            ),
            "last_seen": seconds(max(events[-1].time for *_, events in ones)),
        }
        for (service, version, terminal), ones in group(found, lambda one: one[:3]).items()
    ]
    return ordered(rows, "-sessions", "service", "-version", "terminal")


def security(world: World) -> list[Row]:
    kind = world.given.get("kind", "")
    rows = []
    for event in world.during():
        if not event.security or kind not in {"", event.security}:
            continue
        match event.name:
            case "permission_mode_changed":
                what = f"{event.text('from_mode')} to {event.text('to_mode')}"
            case "tool_decision":
                what = f"{event.tool} {event.program or f'{event.server} {event.server_tool}'}"
            case "hook_execution_complete":
                what = event.text("hook_name")
            case "plugin_installed" | "plugin_loaded":
                what = f"{event.text('plugin.name') or 'third-party'} {event.text('marketplace.name')}"
            case _:
                what = event.error_type
        rows.append(
            {
                "time": seconds(event.time),
                "kind": event.security,
                "what": what.strip(),
                "user": event.user,
                "team": event.team,
                "session": event.session,
                "version": str(event.resource["service.version"]),
                "at": event.time,
                "sequence": event.count("event.sequence"),
            }
        )
    found = world.limited(ordered(rows, "-at", "session", "-sequence"), 200)
    return [{key: value for key, value in row.items() if key not in {"at", "sequence"}} for row in found]


def security_summary(world: World) -> list[Row]:
    now = group((event for event in world.during() if event.security), lambda event: event.security)
    before = group(
        (event for event in world.during(before=True) if event.security), lambda event: event.security
    )
    rows = []
    for kind in now.keys() | before.keys():
        events, earlier = now.get(kind, []), before.get(kind, [])
        by = group([*events, *earlier], lambda event: event.user)
        counts = {user: sum(event in events for event in found) for user, found in by.items()}
        rows.append(
            {
                "kind": kind,
                "events": len(events),
                "before": len(earlier),
                "users": sum(count > 0 for count in counts.values()),
                "sessions": sessions_of(events),
                "last_seen": seconds(max(event.time for event in [*events, *earlier])),
                "most_by": max((count, user) for user, count in counts.items())[1],
            }
        )
    return ordered(rows, "-events", "-before", "kind")


def event_types(world: World) -> list[Row]:
    events = world.during()
    rows = [
        {
            "event": name,
            "events": len(found),
            "percent": r(share(len(found), len(events)), 1),
            "failures": sum(bool(event.failure) for event in found),
            "days": len({event.day for event in found}),
            "last_seen": seconds(max(event.time for event in found)),
        }
        for name, found in group(events, lambda event: event.name).items()
    ]
    return ordered(rows, "-events", "event")


def reconcile(world: World) -> list[Row]:
    kinds = {
        "input": "input",
        "output": "output",
        "cacheRead": "cache_read",
        "cacheCreation": "cache_creation",
    }
    requests = world.during("api_request")
    rows = []
    for kind, key in kinds.items():
        said = sum(one.value for one in world.grown("token.usage") if one.a["type"] == kind)
        rows.append(
            (f"{key.replace('_', ' ')} tokens", sum(event.count(f"{key}_tokens") for event in requests), said)
        )
    rows.append(("usd", usd_of(requests), sum(one.value for one in world.grown("cost.usage"))))
    return ordered(
        (
            {
                "measure": measure,
                "events": r(mine, 6),
                "metrics": r(theirs, 6),
                "difference": r(theirs - mine, 6),
                "percent": r(share(theirs - mine, mine), 2),
            }
            for measure, mine, theirs in rows
        ),
        "measure",
    )
