"""The figures of a report: answers to questions of `queries/`, all for the same period, team and user.

Every text of telemetry enters the report here, and is made visible.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from access.ids import whole_in
from access.insight.find import find as find_insight
from access.insight.finding import Insight
from access.insight.series import Part
from access.needs import NEEDS, lacking
from access.query import Streams, records, rows
from access.questions import find
from access.report.period import Period
from access.text import visible

Row = Mapping[str, Any]
"""A row of an answer, by the question's columns."""

_SAMPLED: Final = 3
_SAMPLES: Final = "3"


@dataclass(frozen=True, slots=True)
class Scope:
    """The team, the user and the project that a report covers; empty means all."""

    team: str = ""
    user: str = ""
    project: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """The answers. Each field is named after its question, except where noted."""

    period: Period
    scope: Scope
    summary: dict[str, Row]
    """By measure."""
    errors: list[Row]
    errors_by_day: list[Row]
    samples: dict[str, list[Row]]
    """`error_samples` of the largest categories."""
    activity: list[Row]
    cost: list[Row]
    forecast: list[Row]
    """Of the month in which the period ends, against the budget where everybody's use is reported."""
    cost_per_commit: list[Row]
    cost_by_model: list[Row]
    cost_by_team: list[Row]
    cost_by_user: list[Row]
    cost_by_project: list[Row]
    cost_per_session: list[Row]
    dearest: list[Row]
    """`sessions`, those that cost the most."""
    failing: list[Row]
    """`sessions`, those with the most failures."""
    tools: list[Row]
    cache: list[Row]
    latency: list[Row]
    retries: list[Row]
    waste: list[Row]
    mcp_connections: list[Row]
    data_quality: list[Row]
    freshness: list[Row]
    insight: Insight
    """What changed for the worse, and what it cost."""
    lacks: Mapping[str, str]
    """What is not collected in the period: by the name of the need, the sentence to say."""

    def measure(self, name: str) -> Row:
        """Return a row of the summary; a measure without anything to count is not in the answer, and is 0."""
        was_recorded = any(row["before"] is not None for row in self.summary.values())
        return self.summary.get(
            name, {"value": 0, "before": 0 if was_recorded else None, "change_percent": None}
        )

    @property
    def is_empty(self) -> bool:
        """Whether nothing happened in the period."""
        return not any(row["value"] for row in self.summary.values())


def gather(client: Streams, period: Period, scope: Scope, budget_usd: float | None = None) -> Figures:
    """Ask all questions. Raises Ambiguous for a short form of several users, and what the store raises."""
    scope = replace(scope, user=whole_in(client, "user", scope.user))

    def answer(name: str, **given: str) -> list[dict[str, Any]]:
        question = find(name)
        offered = {
            **period.parameters,
            "team": scope.team,
            "user": scope.user,
            "project": scope.project,
            **given,
        }
        taken = {one.name for one in question.parameters}
        values = question.values({key: value for key, value in offered.items() if key in taken})
        return [*records(client, question.sql, values)]

    def ask(name: str, **given: str) -> list[Row]:
        return [_visible(row) for row in answer(name, **given)]

    whose = {**period.parameters, "team": scope.team, "user": scope.user}
    lacks = lacking(NEEDS, whose, lambda sql, bound: rows(client, sql, bound))
    # Samples are asked for by the category as it is stored.
    errors = answer("errors")
    return Figures(
        period=period,
        scope=Scope(visible(scope.team), visible(scope.user), visible(scope.project)),
        summary={row["measure"]: row for row in ask("summary")},
        errors=[_visible(row) for row in errors],
        errors_by_day=ask("errors_by_day"),
        samples={
            visible(row["category"]): ask("error_samples", category=row["category"], limit=_SAMPLES)
            for row in errors[:_SAMPLED]
        },
        activity=ask("activity"),
        cost=ask("cost"),
        forecast=ask("forecast", budget=f"{budget_usd or 0:g}" if scope == Scope() else "0"),
        cost_per_commit=ask("cost_per_commit"),
        cost_by_model=ask("cost_by", by="model"),
        cost_by_team=ask("cost_by", by="team"),
        cost_by_user=ask("cost_by", by="user", limit="10"),
        cost_by_project=ask("cost_by", by="project", limit="10"),
        cost_per_session=ask("cost_per_session"),
        dearest=ask("sessions", order="usd", limit="5"),
        failing=ask("sessions", order="failures", limit="5"),
        tools=ask("tools"),
        cache=ask("cache", by="model"),
        latency=ask("latency"),
        retries=ask("retries"),
        waste=ask("waste"),
        mcp_connections=ask("mcp_connections"),
        data_quality=ask("data_quality"),
        freshness=ask("freshness"),
        insight=find_insight(client, period.since, period.until, Part(scope.team, scope.user, scope.project)),
        lacks={name: lack.sentence for lack in lacks for name, need in NEEDS.items() if need is lack.need},
    )


def _visible(row: dict[str, Any]) -> Row:
    return {name: visible(value) if isinstance(value, str) else value for name, value in row.items()}
