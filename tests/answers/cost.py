"""Answers to the questions of the topic `cost`: a function for each, of its name, with its rows in order."""

import math
import statistics
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

from tests.answers.counting import (
    DIMENSIONS,
    TOKENS,
    bare,
    seconds,
    sent,
    spend,
    tried_again,
    usd_of,
    whole_sessions,
)
from tests.oracle import (
    LOOKS_UP,
    Event,
    Growth,
    Row,
    World,
    change,
    first,
    group,
    ordered,
    quantile,
    r,
    share,
    who,
)


def cost(world: World) -> list[Row]:
    rows = [
        {"day": day.isoformat(), "model": model, "requests": len(events)}
        | {key: sum(event.count(key) for event in events) for key in TOKENS}
        | {**spend(events)}
        for (day, model), events in group(
            world.during("api_request"), lambda event: (event.day, event.model)
        ).items()
    ]
    return ordered(rows, "day", "-usd", "model")


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
        known = len(events) - spend(events)["unpriced"]
        rows.append(
            {
                "value": value,
                "requests": len(events),
                "all_tokens": sum(sent(event) + event.count("output_tokens") for event in events),
                "output_tokens": sum(event.count("output_tokens") for event in events),
                "cache_percent": r(share(cached, sum(sent(event) for event in events)), 1),
                **spend(events),
                "percent": r(share(spent, whole) if known or not events else None, 1),
                "usd_per_request": r(round(spent, 4) / known if known else None, 6),
                "before": r(earlier, 4),
                "change_percent": r(
                    change(round(spent, 4), round(earlier, 4)) if known or not events else None, 1
                ),
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
                "hit_percent": r(share(cached, sum(sent(event) for event in events)), 1),
                "reads_per_write": r(cached / written if written else None, 2),
                **spend(events),
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
            **spend([event for event in spent if event.time >= begin.timestamp() * 1e9], 2),
            "days": r(days, 1),
            "usd_per_day": r(a_day, 2),
            "projected": r(projected, 2),
            "last_month": r(before, 2),
            "change_percent": r(change(round(projected, 2), before), 1),
        }
    ]


def forecast(world: World) -> list[Row]:
    end = datetime.fromtimestamp(world.end / 1e9, UTC)
    today = end.date()
    begin = today.replace(day=1)
    last_month, next_month = ((begin + timedelta(days=days)).replace(day=1) for days in (-1, 32))
    whole = World(world.events, [], [], 0, world.end, world.given)
    by, budget = world.given.get("by", "all"), float(world.given.get("budget", "0"))
    key = (lambda _: "all") if by == "all" else DIMENSIONS[by]
    rows = []
    for value, events in group(whole.during("api_request"), key).items():
        by_day: dict[date, float] = {day: usd_of(found) for day, found in group(events, _day).items()}
        known = max(0, (today - max(min(by_day), today - timedelta(days=28))).days)
        past = [today - timedelta(days=n + 1) for n in range(known)]
        is_known = known >= 7 and spend(events)["usd"] is not None
        kinds = [[by_day.get(day, 0.0) for day in past if _is_weekend(day) is kind] for kind in (False, True)]
        means = [statistics.fmean(kind) if is_known else 0.0 for kind in kinds]
        spreads = [statistics.variance(kind) if is_known else 0.0 for kind in kinds]
        month = [begin + timedelta(days=n) for n in range((next_month - begin).days)]
        left = [sum(_is_weekend(day) is kind for day in month if day > today) for kind in (False, True)]
        spent_today = by_day.get(today, 0.0)
        left_today = max(0.0, means[_is_weekend(today)] - spent_today)
        so_far = sum(usd for day, usd in by_day.items() if day >= begin)
        expected = so_far + left_today + sum(n * mean for n, mean in zip(left, means, strict=True))
        variance = spreads[_is_weekend(today)] if left_today else 0.0
        for n, spread, kind in zip(left, spreads, kinds, strict=True):
            variance += spread * (n + n**2 / max(1, len(kind)))
        margin, total, reached = 1.2816 * math.sqrt(variance), 0.0, None
        for day in month:
            ahead = spent_today + left_today if day == today else means[_is_weekend(day)]
            total += by_day.get(day, 0.0) if day < today else ahead
            if budget and total >= budget and reached is None:
                reached = day.isoformat()
        earlier = sum(usd for day, usd in by_day.items() if last_month <= day < begin)
        rows.append(
            {
                "value": value,
                **spend([event for event in events if event.day >= begin], 2),
                "projected": r(expected if is_known else None, 2),
                "low": r(max(so_far, expected - margin) if is_known else None, 2),
                "high": r(expected + margin if is_known else None, 2),
                "last_month": r(earlier, 2),
                "usd_per_weekday": r(means[0] if is_known else None, 2),
                "usd_per_weekend_day": r(means[1] if is_known else None, 2),
                "history_days": known,
                "budget_percent": r(100 * expected / budget if budget and is_known else None, 1),
                "budget_reached": reached,
                "expected": expected,
            }
        )
    found = world.limited(ordered(rows, "-expected", "value"), 100)
    return [{name: cell for name, cell in row.items() if name != "expected"} for row in found]


def _day(event: Event) -> date:
    return event.day


def _is_weekend(day: date) -> bool:
    return day.isoweekday() > 5


def cost_per_session(world: World) -> list[Row]:
    spent = [
        (events[0].day, session, usd_of(events), spend(events)["unpriced"])
        for session, events in whole_sessions(world)
        if any(event.name == "api_request" for event in events)
    ]
    rows = []
    for day, found in sorted(group(spent, lambda one: one[0]).items()):
        costs = [usd for _, _, usd, _ in found]
        rows.append(
            {
                "day": day.isoformat(),
                "sessions": len(found),
                "usd": r(sum(costs), 4),
                "recomputed_usd": 0,
                "unpriced": sum(lost for *_, lost in found),
                "mean": r(sum(costs) / len(costs), 4),
                "p50": r(quantile(costs, 0.5), 4),
                "p95": r(quantile(costs, 0.95), 4),
                "dearest": r(max(costs), 4),
                "dearest_session": max((usd, session) for _, session, usd, _ in found)[1],
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
            "all_tokens": sum(sent(event) + event.count("output_tokens") for event in found),
            **spend(found),
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
                **spend(spent.get(value, ())),
                "usd_per_commit": r(round(usd, 4) / commits if commits else None, 4),
                "usd_per_pull_request": r(round(usd, 4) / requests if requests else None, 4),
                "usd_per_100_lines": r(100 * round(usd, 4) / added if added else None, 4),
            }
        )
    return ordered(rows, "-usd", "value")


def _refused(world: World) -> Iterator[tuple[str, str]]:
    """Yield model and session of each request that asked for a tool, when no call of one began before the next."""
    asked = group(world.waited("llm_request"), lambda span: span.parent_id)
    called = group(world.waited("tool"), lambda span: span.parent_id)
    for parent, spans in asked.items():
        for span in spans:
            later = [
                one.start for one in spans if one.start > span.start and one.a["model"] == span.a["model"]
            ]
            until = min(later, default=math.inf)
            if span.a.get("stop_reason") == "tool_use" and not any(
                span.start <= one.start < until for one in called.get(parent, ())
            ):
                yield bare(str(span.a["model"])), str(span.a["session.id"])


def _per_request(world: World) -> dict[str, float]:
    """Return what a request of each session costs on average."""
    per_request = {}
    days = (
        datetime.fromtimestamp(world.begin / 1e9, UTC).date(),
        datetime.fromtimestamp((world.end - 1) // 10**9, UTC).date(),
    )
    within = (event for event in world.events if event.session and days[0] <= event.day <= days[1])
    for name, events in group(within, lambda event: event.session).items():
        requests = [event for event in events if event.name == "api_request"]
        known = len(requests) - spend(requests)["unpriced"]
        per_request[name] = usd_of(requests) / known if known else 0
    return per_request


def waste(world: World) -> list[Row]:
    per_request = _per_request(world)
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
    for (model, name), spans in group(
        tried_again(world), lambda span: (bare(str(span.a["model"])), str(span.a["session.id"]))
    ).items():
        tries = sum(int(span.a["attempt"]) - 1 for span in spans)
        found.append(("tried again", model, name, tries, 0, sum(span.ms for span in spans)))
    for model, name in _refused(world):
        found.append(("refused by the client", model, name, 1, 0, 0))
    rows = []
    for (pattern, what), ones in group(found, lambda one: one[:2]).items():
        free = pattern in {"retries exhausted", "tried again"}
        usd = 0 if free else sum(one[3] * per_request[one[2]] for one in ones)
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
