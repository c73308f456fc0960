"""What to fix first, as access.insight finds it; and what is merely frequent, apart from that.

What is frequent is ranked by the number of times it happened, multiplied by 1.5 if it grew by a quarter or more, and by
up to 2 the less often sessions recovered from it.
"""

import shlex
from dataclasses import dataclass
from typing import Final

from access.insight.finding import Finding, Insight
from access.report.figures import Figures, Row
from access.report.numbers import Kind, many, shown

_MOST: Final = 6
_GREW: Final = 25.0
_WEIGHT_OF_GROWTH: Final = 1.5
_FEW: Final = 2
_PATTERNS: Final = {
    "retry loop": "Failing over and over",
    "read again": "Looked up again",
    "compacted again": "Compacted again and again",
    "refused by the client": "Refused by the client",
}
_ADVICE: Final = (
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


@dataclass(frozen=True, slots=True)
class ReportFinding:
    """Something to fix."""

    title: str
    times: float
    """How often it happened."""
    reason: str
    advice: str
    command: str
    """The arguments of `telemetry query` that show more."""
    weight: float
    who: str = ""
    cost: str = ""
    """Dollars and minutes, and how they were worked out."""
    more: tuple[str, ...] = ()
    """What else there is to say: consequences, messages, sessions, how to see that it helped."""


def findings(insight: Insight) -> list[ReportFinding]:
    """Return what changed for the worse and what should never happen, the dearest first."""
    return [_found(one) for one in insight.findings]


def _found(one: Finding) -> ReportFinding:
    more = []
    if one.consequences:
        more.append(f"It also shows as: {'; '.join(one.consequences)}.")
    if one.shapes:
        said = "; ".join(f"{text} ({many(count, 'time')})" for text, count in one.shapes)
        more.append(f"What it says: {said}")
    if one.sessions:
        more.append(
            f"Read: {', '.join(f'telemetry query session -p session={shlex.quote(name)}' for name in one.sessions)}"
        )
    more.append(one.check)
    return ReportFinding(
        one.title,
        one.times,
        one.reason,
        one.advice,
        one.command,
        one.weight,
        one.who,
        cost_of(one),
        tuple(more),
    )


def cost_of(one: Finding) -> str:
    """Return what a finding cost, in words."""
    said = [shown(Kind.USD, one.usd)] * (one.usd > 0) + [f"{one.minutes:,.0f} minutes"] * (one.minutes >= 0.5)  # noqa: PLR2004
    if not said:
        return ""
    return f"It cost {' and '.join(said)}{f': {one.worked_out}' if one.worked_out else ''}."


def frequent(figures: Figures) -> list[ReportFinding]:
    """Return at most six things that happen often, whether or not they changed, the most frequent first."""
    servers = [_server(row) for row in figures.mcp_connections if row["failed"]]
    errors = [_error(row) for row in figures.errors if not (servers and row["category"] == "mcp connection")]
    waste = [
        _waste(row) for row in figures.waste if row["pattern"] not in {"retries exhausted", "tried again"}
    ]
    found = [finding for finding in (*errors, *servers, *waste) if finding.times >= _FEW]
    return sorted(found, key=lambda finding: (-finding.weight, finding.title))[:_MOST]


def _error(row: Row) -> ReportFinding:
    times, change = row["failures"], row["change_percent"]
    reason = (
        f"{shown(Kind.PERCENT, row['percent'])} of all failures, in {many(row['sessions'], 'session')} of"
    )
    reason += f" {many(row['users'], 'person', 'people')}; {_trend(change, row['before'])}"
    lost = 0 if row["recovered_percent"] is None else 100 - row["recovered_percent"]
    if lost:
        reason += f"; {shown(Kind.PERCENT, lost)} of them did not work later"
    reason += "."
    weight = times * (1 + lost / 100) * (_WEIGHT_OF_GROWTH if _has_grown(change, row["before"]) else 1)
    command = f"error_samples -p category={shlex.quote(row['category'])}"
    return ReportFinding(row["category"], times, reason, advice(row["category"]), command, weight)


def _server(row: Row) -> ReportFinding:
    attempts = row["failed"] + row["connected"]
    reason = f"{shown(Kind.COUNT, row['failed'])} of {many(attempts, 'attempt')} to connect failed, in"
    reason += f" {many(row['sessions'], 'session')}"
    if row["p95_ms"] is not None:
        reason += f"; one attempt in twenty took {shown(Kind.MS, row['p95_ms'])} or more"
    name = row["server"] or "one without a name"
    weight = row["failed"] * (1 + row["failed_percent"] / 100)
    return ReportFinding(
        f"MCP server {name}",
        row["failed"],
        f"{reason}.",
        advice("mcp connection"),
        "mcp_connections",
        weight,
    )


def _waste(row: Row) -> ReportFinding:
    reason = f"{many(row['wasted'], 'call')} that brought nothing new, in {many(row['sessions'], 'session')},"
    reason += f" for {shown(Kind.USD, row['usd'])}"
    if (row["minutes"] or 0) >= 1:
        reason += f" and {many(round(row['minutes']), 'minute')}"
    title = f"{_PATTERNS.get(row['pattern'], row['pattern'])}: {row['what']}"
    command = f"session -p session={shlex.quote(row['worst_session'])}"
    return ReportFinding(title, row["wasted"], f"{reason}.", advice(row["pattern"]), command, row["wasted"])


def _has_grown(change: float | None, before: float) -> bool:
    return before == 0 if change is None else change >= _GREW


def _trend(change: float | None, before: float) -> str:
    earlier = shown(Kind.COUNT, before)
    if change is None:
        return "none in the period before"
    if not round(change):
        return f"as many as in the period before ({earlier})"
    return f"{abs(change):.0f}% {'more' if change > 0 else 'fewer'} than in the period before ({earlier})"


def advice(category: str) -> str:
    """Return what helps against a category of failures, or a pattern of waste."""
    return next((text for start, text in _ADVICE if category.startswith(start)), "Read the samples.")
