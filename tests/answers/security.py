"""Answers to the questions of the topic `security`: a function for each, of its name, with its rows in order."""

from tests.answers.counting import seconds, sessions_of
from tests.oracle import (
    Row,
    World,
    group,
    ordered,
)


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
