"""Single sessions that ran away: one that cost many times what nearly all others do, and its person's own before it.

A rate over days hides such a session, since it is over within hours and all else is as usual. A floor in dollars, and
the 99th percentile of all sessions, leave out what is merely long; with fewer than a hundred sessions nothing is said.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from access.insight.finding import Block, Finding
from access.insight.people import People
from access.insight.series import Measure, Part, Scope, answer, seconds
from access.insight.words import moment, who
from access.query import Streams
from access.report.numbers import many

KIND: Final = "session"


def sessions(
    store: Streams,
    times: tuple[datetime, datetime, datetime],
    part: Part,
    everybody: People,
    known: Sequence[Finding],
) -> list[Finding]:
    """Return what is known and the sessions that ran away, each under one finding. Raises Refusal.

    `times` are when the history and the period begin, and when the period ends. A session that a finding about its
    person names is that finding's, unless it says no more than that there were many requests: most of them are its own.
    """
    values = {**dict(zip(("history", "from", "to"), map(seconds, times), strict=True)), **part.values}
    rows = answer(store, "insight_sessions", values).dicts()
    found = [*known]
    for row in rows:
        about = [one for one in found if one.scope.value == row["user"] and row["session"] in one.sessions]
        same = [one for one in about if one.kind == Measure.REQUESTS and row["asked"] >= one.times / 2]
        if about == same:
            found = [one for one in found if one not in same]
            found.append(_finding(row, everybody, tuple(one.title for one in same)))
    return found


def _finding(row: dict[str, Any], everybody: People, consequences: tuple[str, ...]) -> Finding:
    since, until = (datetime.fromtimestamp(row[name], UTC) for name in ("since", "until"))
    scope = Scope("user", row["user"])
    teams = (row["team"],) if row["team"] else ()
    before = f", and this person's dearest before it ${row['dearest']:,.2f}" if row["dearest"] else ""
    values: dict[str, Any] = {
        "block": Block.COST,
        "kind": KIND,
        "thing": "",
        "scope": scope,
        "users": (row["user"],),
        "teams": teams,
        "since": since,
        "until": until,
        "times": float(row["asked"]),
        "now": row["usd"],
        "before": row["nearly_all"],
        "usd": row["usd"] - row["typical"],
        "minutes": 0.0,
        "title": "One session cost many times the usual",
        "who": who(scope, [row["user"]], teams, everybody),
        "reason": f"From {moment(since)} to {moment(until)} it made {many(row['asked'], 'request')} for"
        f" {many(row['prompted'], 'prompt')} and cost ${row['usd']:,.2f}; 99 of 100 sessions cost at most"
        f" ${row['nearly_all']:,.2f}{before}.",
        "worked_out": "what it cost, less a typical session",
        "advice": "Read it: say when such work has to stop (fewer turns, a budget), and what it should try instead.",
        "check": "Repaired when no session costs as much: telemetry query sessions.",
        "sessions": (row["session"],),
        "command": "sessions",
        "consequences": consequences,
    }
    return Finding(**values)
