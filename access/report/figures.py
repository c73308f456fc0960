"""The figures of a report: answers to questions of `queries/`, all asked for one period, one team, one user."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from access.query import Reader
from access.questions import find
from access.report.period import Period

Row = Mapping[str, Any]
"""A row of an answer, by the question's columns."""

_SAMPLED: Final = 3
_SAMPLES: Final = "3"


@dataclass(frozen=True, slots=True)
class Scope:
    """Whom a report is about; empty means all."""

    team: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """Each field is the answer to the question of that name, except where it says otherwise."""

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
    cost_month: list[Row]
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

    def measure(self, name: str) -> Row:
        """Give a row of the summary; one that has nothing to count is not in the answer."""
        return self.summary.get(name, {"value": 0, "before": 0, "change_percent": None})

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing happened in the period."""
        return not any(row["value"] for row in self.summary.values())


def gather(reader: Reader, period: Period, scope: Scope) -> Figures:
    """Ask all questions. Raises AskError."""

    def ask(name: str, **given: str) -> list[Row]:
        question = find(name)
        offered = {**period.parameters, "team": scope.team, "user": scope.user, **given}
        taken = {one.name for one in question.parameters}
        values = question.values({key: value for key, value in offered.items() if key in taken})
        answer = b"".join(reader.ask(question.sql, values, "jsonl"))
        return [orjson.loads(line) for line in answer.splitlines()]

    errors = ask("errors")
    return Figures(
        period=period,
        scope=scope,
        summary={row["measure"]: row for row in ask("summary")},
        errors=errors,
        errors_by_day=ask("errors_by_day"),
        samples={
            row["category"]: ask("error_samples", category=row["category"], limit=_SAMPLES)
            for row in errors[:_SAMPLED]
        },
        activity=ask("activity"),
        cost=ask("cost"),
        cost_month=ask("cost_month"),
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
    )
