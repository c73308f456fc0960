"""What is frequent, whether or not it changed: the failures that happen most often, and what helps against each.

The counts are those of the question `errors`. What changed for the worse is found elsewhere, and is not left out here.
"""

import shlex
from datetime import datetime
from typing import Final

from access.insight.finding import Usual
from access.insight.series import Part, seconds
from access.query import Streams
from access.reading import statement
from access.records import real
from access.store import ROWS, parsed
from access.text import visible

_MOST: Final = 6
_FEWEST: Final = 2
_LONG: Final = 80
_CONNECTION: Final = "mcp connection"
_REMEDIES: Final = (
    (
        "tool Bash",
        "See which programs fail (telemetry query programs), and note in CLAUDE.md how they are run.",
    ),
    ("tool Read Error:ENOENT", "Paths are guessed: describe the project's folders in CLAUDE.md."),
    ("tool Read", "See what is read: folders and files that are too large can be named in CLAUDE.md."),
    (
        "tool Edit",
        "Edits miss when a file changed since it was read: look at formatters, and at the client's version.",
    ),
    ("tool Write", "Files cannot be written there: look at permissions and at the sandbox."),
    ("tool WebFetch", "Sites do not answer, or are not reachable from where the client runs."),
    ("tool mcp__", "Look at the MCP server's own log, and at its time limit."),
    ("tool ", "Read the samples, and write down in CLAUDE.md what the tool needs."),
    (
        "api 429",
        "The organization's limit is reached: spread the work over the day, or have the limit raised.",
    ),
    ("api 401", "A key or login is no longer valid: renew it."),
    ("api 403", "A key may not do that: look at its rights."),
    (
        "api 400",
        "Requests are refused, mostly since the conversation is too long: compact earlier, or start a new session.",
    ),
    ("api ", "The API was not available: nothing helps on this side; let batch work retry by itself."),
    (
        "mcp connection",
        "Start the MCP server, or take it out of the configuration: each session waits for it.",
    ),
    ("hook ", "A hook fails without blocking anything: run it by hand."),
    ("internal", "The client itself failed: see whether it came with a version, and report it."),
    ("retry loop", "The same call fails again and again: write down how it is done, or stop it with a hook."),
    ("read again", "The same thing is looked up again: shorter files, and less in one session."),
    (
        "refused by the client",
        "Tools were asked for that the client did not call: look at the session; a person may have interrupted it.",
    ),
    ("compacted again", "Sessions fill up again and again: split the work into smaller ones."),
)


def usual(store: Streams, since: datetime, until: datetime, part: Part) -> list[Usual]:
    """Return at most six kinds of failures of a period of whole hours, the most frequent first."""
    values = {"from": seconds(since), "to": seconds(until), "least": str(_FEWEST), "limit": str(_MOST)}
    # As in the question, demo data is left out beside other data.
    sql = real(statement("insight_usual"), is_choice=False)
    return [_usual(*row) for row in parsed(store.stream(sql, {**values, **part.values}, ROWS)).rows]


def _usual(category: str, server: str, times: float, before: float | None, percent: float) -> Usual:
    is_connection = category == _CONNECTION
    name = (
        f"MCP server {visible(server, _LONG) or 'without a name'} does not connect" if is_connection else ""
    )
    return Usual(
        title=name or visible(category, _LONG),
        times=times,
        before=before,
        reason=f"{percent:.1f}% of all failures; {trend(times, before)}.",
        advice=remedy(category),
        command="mcp_connections" if is_connection else f"error_samples -p category={shlex.quote(category)}",
    )


def trend(times: float, before: float | None) -> str:
    """Return how a count compares with the one before."""
    if before is None:
        return "nothing was recorded in the period before"
    if not before:
        return "none in the period before"
    change = 100 * (times - before) / before
    if not round(change):
        return f"as many as in the period before ({before:,.0f})"
    return f"{abs(change):.0f}% {'more' if change > 0 else 'fewer'} than in the period before ({before:,.0f})"


def remedy(category: str) -> str:
    """Return what helps against a category of failures, or a pattern of waste."""
    return next((text for start, text in _REMEDIES if category.startswith(start)), "Read the samples.")
