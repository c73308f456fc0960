"""Answers to the questions of the topic `people`: a function for each, of its name, with its rows in order."""

from datetime import UTC, date, datetime, timedelta

from tests.answers.counting import (
    seconds,
    sessions_of,
    spend,
    tried,
    usd_of,
    whole_sessions,
)
from tests.oracle import (
    PEOPLE,
    Event,
    Row,
    World,
    group,
    ordered,
    r,
    share,
)


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
        datetime.fromtimestamp((world.end - 1) // 10**9, UTC).date(),
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
                **spend(events),
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
                **spend(found),
                "percent": None
                if spend(found)["usd"] is None
                else r(share(usd_of(found), usd_of(events)), 1),
                "last_seen": seconds(max(event.time for event in found)),
            }
        )
    return world.limited(ordered(rows, "-usd", "user"), 100)


def _of_versions(events: list[Event]) -> Row:
    """Return the shares that failed, and what a request costs, by which versions are compared."""
    count = {name: len(found) for name, found in group(events, lambda event: event.name).items()}
    failed = sum(event.name == "tool_result" and event.success is False for event in events)
    answered, refused = count.get("api_request", 0), count.get("api_error", 0)
    known = answered - spend(events)["unpriced"]
    return {
        "tools_failed_percent": r(share(failed, count.get("tool_result", 0)), 1),
        "api_errors_percent": r(share(refused, answered + refused), 1),
        "usd_per_request": r(usd_of(events) / known if known else None, 6),
    }


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
            # Without `before_version`.
            "failures_before": None,
            "change_percent": None,
            **_of_versions([event for *_, events in ones for event in events]),
            "last_seen": seconds(max(events[-1].time for *_, events in ones)),
        }
        for (service, version, terminal), ones in group(found, lambda one: one[:3]).items()
    ]
    return ordered(rows, "-sessions", "service", "-version", "terminal")
