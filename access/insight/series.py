"""What is measured, of whom, by the hour or the day: the rows of `sql/insight_series.sql`.

A series is one measure of one thing (failures of `tool Bash pytest`) for one value of one dimension (a team).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from access.query import Streams
from access.reading import statement
from access.store import ROWS, Rows, parsed

DAY: Final = 86_400
HOUR: Final = 3_600
_GROUPS: Final = ("tools", "others", "requests")
"""The measures of all things are asked for in these groups, one after another: each statement takes its memory."""
_LEAST: Final = 10


class Measure(StrEnum):
    """What is measured. The values are those of the statement."""

    CONNECTION = "connection"
    TOOL_FAILS = "tool fails"
    HOOK_FAILS = "hook fails"
    HOOK_BLOCKS = "hook blocks"
    API = "api"
    MODEL = "model"
    AGENT_COST = "agent cost"
    ANSWERS = "answers"
    SUBAGENTS = "subagents"
    LOOPS = "loops"
    COMPACTIONS = "compactions"
    CACHE = "cache"
    REFUSALS = "refusals"
    HOOK_TIME = "hook time"
    TOOL_TIME = "tool time"
    FIRST_TOKEN = "first token"  # noqa: S105  not a password
    WAIT = "wait"
    RETRIES = "retries"
    REQUEST_TIME = "request time"
    REQUESTS = "requests"
    REQUEST_COST = "request cost"


TIMES: Final = frozenset(
    {
        Measure.HOOK_TIME,
        Measure.TOOL_TIME,
        Measure.FIRST_TOKEN,
        Measure.WAIT,
        Measure.REQUEST_TIME,
    }
)
"""Those whose mean is of logarithms of milliseconds."""
MEANS: Final = TIMES | {Measure.CACHE, Measure.REQUEST_COST, Measure.AGENT_COST, Measure.ANSWERS}
"""Those that are means; the others are counts of how often a thing happened, of how often it could."""


SHARES: Final = frozenset(
    {
        Measure.CONNECTION,
        Measure.TOOL_FAILS,
        Measure.HOOK_FAILS,
        Measure.HOOK_BLOCKS,
        Measure.API,
        Measure.MODEL,
        Measure.REFUSALS,
        Measure.LOOPS,
    }
)
"""Counts that are at most how often a thing could happen."""


@dataclass(frozen=True, slots=True)
class Step:
    """An hour or a day of a series; see the statement."""

    begin: int
    """Unix seconds."""
    n: float
    k: float
    x: float
    xx: float
    ms: float
    usd: float


@dataclass(frozen=True, slots=True)
class Part:
    """The part of the data that is asked about; empty: all."""

    team: str = ""
    user: str = ""
    project: str = ""

    @property
    def values(self) -> dict[str, str]:
        """Return it as parameters of the statements."""
        return {"team": self.team, "user": self.user, "project": self.project}


ALL: Final = Part()


@dataclass(frozen=True, slots=True)
class Scope:
    """A value of a dimension: `team` and `search`; `everyone` has none."""

    dimension: str
    value: str = ""


EVERYONE: Final = Scope("everyone")


@dataclass(frozen=True, slots=True)
class Series:
    """A measure of a thing for a scope, in steps that are in order."""

    measure: Measure
    thing: str
    scope: Scope
    steps: Sequence[Step]
    users: tuple[str, ...] = ()
    """Of a label that people share: those who have it, whose series this one adds up."""
    also: tuple[Scope, ...] = ()
    """Other labels of the same people: which of them it is cannot be told."""


@dataclass(frozen=True, slots=True)
class Sum:
    """Some steps added up."""

    n: float = 0.0
    k: float = 0.0
    x: float = 0.0
    xx: float = 0.0
    ms: float = 0.0
    usd: float = 0.0

    def __add__(self, other: "Sum | Step") -> "Sum":
        """Return both together."""
        return Sum(
            self.n + other.n,
            self.k + other.k,
            self.x + other.x,
            self.xx + other.xx,
            self.ms + other.ms,
            self.usd + other.usd,
        )

    def __sub__(self, other: "Sum") -> "Sum":
        """Return what is left without the other."""
        return Sum(
            self.n - other.n,
            self.k - other.k,
            self.x - other.x,
            self.xx - other.xx,
            self.ms - other.ms,
            self.usd - other.usd,
        )


def total(steps: Sequence[Step]) -> Sum:
    """Return the sum of steps."""
    n = k = x = xx = ms = usd = 0.0
    for step in steps:
        n += step.n
        k += step.k
        x += step.x
        xx += step.xx
        ms += step.ms
        usd += step.usd
    return Sum(n, k, x, xx, ms, usd)


def summed(scopes: Sequence[Scope], some: Sequence[Series]) -> Series:
    """Return series of some users added up, all of one measure of one thing, for the labels that they share."""
    steps: dict[int, Sum] = {}
    for series in some:
        for step in series.steps:
            steps[step.begin] = steps.get(step.begin, Sum()) + step
    added = [
        Step(begin, one.n, one.k, one.x, one.xx, one.ms, one.usd) for begin, one in sorted(steps.items())
    ]
    users = tuple(one.scope.value for one in some)
    return Series(some[0].measure, some[0].thing, scopes[0], added, users, tuple(scopes[1:]))


def answer(store: Streams, name: str, values: Mapping[str, str]) -> Rows:
    """Return the answer to one of the statements of `sql/`. Raises what the store raises."""
    return parsed(store.stream(statement(name), values, ROWS))


def read(
    store: Streams,
    begin: datetime,
    end: datetime,
    part: Part,
    *,
    bucket: int = DAY,
    odd: float = 0.0,
    only: Sequence[tuple[Measure, str]] = (),
) -> list[Series]:
    """Return the series of a time, in steps of `bucket` seconds. Raises what the store raises.

    `odd` leaves out series that are less than so many standard deviations from their own rest, but for everyone's and
    those of requests; `only` asks for some things alone.
    """
    values = {
        "from": seconds(begin),
        "to": seconds(end),
        **part.values,
        "bucket": str(bucket),
        "least": str(_LEAST if bucket == DAY else 1),
        "odd": str(odd or -1e9),
        "only": json.dumps([f"{measure}: {thing}" for measure, thing in only]),
    }
    return [
        Series(Measure(measure), thing, Scope(dimension, value), [_step(one) for one in steps])
        for group in (_GROUPS if not only else ("",))
        for measure, thing, dimension, value, steps in answer(
            store, "insight_series", values | {"group": group}
        ).rows
    ]


def _step(one: Sequence[Any] | Mapping[str, Any]) -> Step:
    return Step(*(one.values() if isinstance(one, Mapping) else one))


def seconds(time: datetime) -> str:
    """Return a time as a parameter of the statements, without fractions."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
