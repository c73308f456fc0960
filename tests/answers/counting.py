"""The counts that several answers share: sessions, dollars, tokens, attempts, the last success."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from tests.oracle import (
    Event,
    Row,
    Span,
    World,
    at,
    group,
    r,
)

HOUR = 3600
TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens")
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


def seconds(nanos: int) -> str:
    return at(nanos // 10**9)


def bare(model: str) -> str:
    return model.replace("[1m]", "")


def sessions_of(events: Iterable[Event]) -> int:
    return len({event.session for event in events})


def usd_of(events: Iterable[Event]) -> float:
    return sum(event.nanos for event in events if event.name == "api_request") / 1e9


def spend(events: Iterable[Event], digits: int = 4) -> Row:
    """Return the columns of a cost: what is known of it, nothing when none is, and how many requests have none.

    The demo's clients send no tokens without a cost, so nothing is recomputed; tests/test_costs.py has others.
    """
    requests = [event for event in events if event.name == "api_request"]
    unpriced = sum(event.number("cost_usd") is None for event in requests)
    usd = None if requests and unpriced == len(requests) else usd_of(requests)
    return {"usd": r(usd, digits), "recomputed_usd": 0, "unpriced": unpriced}


def tried(events: Iterable[Event]) -> int:
    return sum(event.name in {"tool_result", "api_request", "api_error"} for event in events)


def sent(event: Event) -> int:
    return (
        event.count("input_tokens") + event.count("cache_read_tokens") + event.count("cache_creation_tokens")
    )


def tried_thing(event: Event) -> tuple[str, ...] | None:
    """Return what an event tried, so that the same thing in the same session is equal; None: cannot be told."""
    match event.name:
        case "tool_result":
            return (event.session, "tool", event.tool, event.server, event.server_tool, event.program)
        case "api_request" | "api_error" | "api_retries_exhausted":
            return (event.session, "request", bare(event.model), event.text("query_source"), event.agent)
        case "mcp_server_connection":
            known = event.text("status") in {"connected", "failed"}
            return (event.session, "connection", event.server) if known else None
        case "hook_execution_complete":
            return (event.session, "hook", event.text("hook_event"), event.text("hook_name"))
        case _:
            return None if event.success is None else (event.session, event.name)


def worked(world: World) -> dict[tuple[str, ...], int]:
    """Return when each thing worked last."""
    found: dict[tuple[str, ...], int] = {}
    for event in world.events:
        thing = tried_thing(event)
        if thing and not event.failure and event.name != "api_retries_exhausted":
            found[thing] = max(found.get(thing, 0), event.time)
    return found


def tried_again(world: World) -> list[Span]:
    """Return the requests that were answered at a later try."""
    return [span for span in world.waited("llm_request") if span.a["success"] and int(span.a["attempt"]) > 1]


def whole_sessions(world: World) -> list[tuple[str, list[Event]]]:
    """Sessions that touch the period, each with its events of the days that the period touches."""
    days = (
        datetime.fromtimestamp(world.begin / 1e9, UTC).date(),
        datetime.fromtimestamp((world.end - 1) // 10**9, UTC).date(),
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
        and world.has_session(events)
    ]
