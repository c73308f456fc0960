"""What to fix first, and what is merely frequent, as access.insight finds them, in the words of a report."""

import shlex
from dataclasses import dataclass

from access.insight.finding import Finding, Insight
from access.report.numbers import Kind, many, shown


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


def always(insight: Insight) -> list[ReportFinding]:
    """Return what happens often, whether or not it changed, the most frequent first."""
    return [
        ReportFinding(one.title, one.times, one.reason, one.advice, one.command, one.times)
        for one in insight.always
    ]


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
