"""Answers to the questions of the topic `data`: a function for each, of its name, with its rows in order."""

from tests.answers.counting import seconds, usd_of
from tests.oracle import (
    Row,
    World,
    group,
    ordered,
    r,
    share,
)


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
