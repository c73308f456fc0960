"""Answers to the questions of the topic `errors`: a function for each, of its name, with its rows in order."""

import itertools

from tests.answers.counting import (
    bare,
    seconds,
    sessions_of,
    spend,
    tried,
    tried_again,
    tried_thing,
    usd_of,
    worked,
)
from tests.oracle import (
    Row,
    World,
    change,
    group,
    milliseconds,
    ordered,
    quantile,
    r,
    share,
)


def errors(world: World) -> list[Row]:
    failed = [event for event in world.during() if event.failure]
    before = group(
        (event for event in world.during(before=True) if event.failure), lambda event: event.failure
    )
    succeeded = worked(world)
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
                        sum(succeeded.get(tried_thing(event) or (), 0) > event.time for event in events),
                        sum(tried_thing(event) is not None for event in events),
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
                "answered": 0,
                "percent": r(share(len(errors_), len(sent[model])), 2),
                "attempts": r(sum(event.attempts or 0 for event in errors_) / len(errors_), 1),
                "retries_exhausted": len(events) - len(errors_),
                "p95_ms": quantile((event.ms for event in errors_), 0.95),
                "sessions": sessions_of(events),
                "last_seen": seconds(max(event.time for event in events)),
            }
        )
    for model, spans in group(tried_again(world), lambda span: bare(str(span.a["model"]))).items():
        rows.append(
            {
                "code": "",
                "model": model,
                "errors": 0,
                "answered": len(spans),
                "percent": r(share(0, len(sent.get(model, ()))) or 0, 2),
                "attempts": r(sum(int(span.a["attempt"]) for span in spans) / len(spans), 1),
                "retries_exhausted": 0,
                "p95_ms": r(quantile((span.ms for span in spans), 0.95), 0),
                "sessions": len({span.a["session.id"] for span in spans}),
                "last_seen": seconds(max(span.start for span in spans)),
            }
        )
    return ordered(rows, "-errors", "-answered", "code", "model")


def retries(world: World) -> list[Row]:
    succeeded = worked(world)
    rows = []
    found = group(world.during("api_retries_exhausted"), lambda event: (event.code, bare(event.model)))
    for (code, model), events in found.items():
        recovered = {
            event.session
            for event in events
            if succeeded.get(tried_thing(event) or (), 0)
            > max(one.time for one in events if tried_thing(one) == tried_thing(event))
        }
        sessions = {event.session for event in events}
        rows.append(
            {
                "code": code,
                "model": model,
                "exhausted": len(events),
                "answered": 0,
                "attempts": r(sum(event.attempts or 0 for event in events) / len(events), 1),
                "minutes_waited": r(sum(event.ms or 0 for event in events) / 60000, 1),
                "sessions": len(sessions),
                "recovered": len(recovered),
                "recovered_percent": r(share(len(recovered), len(sessions)), 1),
            }
        )
    for model, spans in group(tried_again(world), lambda span: bare(str(span.a["model"]))).items():
        sessions = {str(span.a["session.id"]) for span in spans}
        rows.append(
            {
                "code": "",
                "model": model,
                "exhausted": 0,
                "answered": len(spans),
                "attempts": r(sum(int(span.a["attempt"]) for span in spans) / len(spans), 1),
                "minutes_waited": r(sum(span.ms for span in spans) / 60000, 1),
                "sessions": len(sessions),
                "recovered": len(sessions),
                "recovered_percent": r(100, 1),
            }
        )
    return ordered(rows, "-exhausted", "-answered", "code", "model")


def workflow_steps(world: World) -> list[Row]:
    events = world.during()
    rows = [
        {
            "step": step,
            "events": len(found),
            "requests": sum(event.name == "api_request" for event in found),
            "failures": sum(bool(event.failure) for event in found),
            "failure_percent": r(share(sum(bool(event.failure) for event in found), tried(found)), 1),
            **spend(found),
            "percent": r(
                share(usd_of(found), usd_of(events)) if spend(found)["usd"] is not None else None, 1
            ),
        }
        for step, found in group(events, lambda event: event.step).items()
    ]
    return ordered(rows, "-usd", "-events", "step")
