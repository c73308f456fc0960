"""Answers to the questions of the topic `sessions`: a function for each, of its name, with its rows in order."""

from datetime import UTC, datetime

from tests.answers.counting import (
    seconds,
    sessions_of,
    spend,
    tried,
    tried_thing,
    usd_of,
    whole_sessions,
)
from tests.oracle import (
    Event,
    Row,
    World,
    at,
    change,
    group,
    milliseconds,
    ordered,
    quantile,
    r,
    share,
)


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
                "outcome": "no failures"
                if not failures
                else "recovered"
                if _recovered(events)
                else "went on"
                if went_on
                else "stopped",
                "tokens": sum(
                    event.count("input_tokens") + event.count("output_tokens")
                    for event in kinds.get("api_request", ())
                ),
                **spend(events),
                "begun": events[0].time // 10**6,
            }
        )
    order = {"usd": ["-usd"], "failures": ["-failures"], "minutes": ["-minutes"]}.get(
        world.given.get("order", ""), []
    )
    found = world.limited(ordered(rows, *order, "-begun", "session"), 50)
    return [{key: value for key, value in row.items() if key != "begun"} for row in found]


def _recovered(events: list[Event]) -> bool:
    """Whether each thing that failed worked later."""
    last: dict[tuple[str, ...] | None, str] = {}
    for event in events:
        if event.failure or (tried_thing(event) and event.name != "api_retries_exhausted"):
            last[tried_thing(event)] = event.failure
    return not any(last.values()) and not any(event.failure and not tried_thing(event) for event in events)


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
        cached = event.number("cache_read_tokens")
        rows.append(
            {
                "time": milliseconds(event.time),
                "event": event.name,
                "what": about.strip(),
                "outcome": "failed" if event.failure else decided or ("ok" if event.success else ""),
                "ms": event.ms,
                "input_tokens": event.number("input_tokens"),
                "cache_tokens": None if cached is None else cached + event.count("cache_creation_tokens"),
                "output_tokens": event.number("output_tokens"),
                "usd": event.number("cost_usd") if event.name == "api_request" else None,
                "cost": "reported" if event.name == "api_request" else "",
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
                **spend(found),
                "usd_percent": r(share(spent, whole), 1),
            }
        )
    return ordered(rows, "-usd", "-runs", "agent")


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
                "change_percent": r(_change(value, earlier[measure], places), 1),
            }
        )
    return rows


def _change(value: float | None, before: float | None, digits: int) -> float | None:
    return None if value is None or before is None else change(round(value, digits), round(before, digits))


def _totals(world: World, events: list[Event], *, before: bool) -> dict[str, float | None]:
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
        if begin <= found[-1].time < end and world.has_session(found)
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
        "failure percent": share(failures, attempts),
        "sessions that stopped at a failure": stopped,
        "usd": usd,
        "usd recomputed": 0,
        "requests without a known cost": spend(events)["unpriced"],
        "usd per prompt": usd / prompts if prompts else None,
        "input and output tokens": sum(
            event.count("input_tokens") + event.count("output_tokens") for event in requests
        ),
        "cache percent": share(sum(event.count("cache_read_tokens") for event in requests), sent),
    }


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
            **spend(events),
        }
        for hour, events in sorted(group(world.during(), lambda event: event.hour).items())
    ]
