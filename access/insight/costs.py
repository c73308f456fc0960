"""What an incident cost: dollars from the requests themselves, and minutes of waiting from what was measured.

Only what is beyond the usual counts. A refused request is free; it costs minutes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from access.insight.change import Change
from access.insight.series import TIMES, Measure, answer
from access.query import Streams
from access.report.numbers import many

_TYPES: Final[Mapping[Measure, tuple[str, ...]]] = {
    Measure.CONNECTION: ("mcp_server_connection",),
    Measure.TOOL_FAILS: ("tool_result",),
    Measure.LOOPS: ("tool_result",),
    Measure.TOOL_TIME: ("tool_result",),
    Measure.HOOK_FAILS: ("hook_execution_complete",),
    Measure.HOOK_BLOCKS: ("hook_execution_complete",),
    Measure.HOOK_TIME: ("hook_execution_complete",),
    Measure.API: ("api_error",),
    Measure.SUBAGENTS: ("subagent_completed", "tool_result"),
    Measure.COMPACTIONS: ("compaction",),
    Measure.REFUSALS: ("tool_decision",),
    Measure.WAIT: ("tool_decision",),
}
"""The events of a measure; of the others, model requests."""
_MS: Final = 60_000.0
_MILLION: Final = 1e6


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars for a million tokens."""

    pattern: str
    sent: float
    received: float
    cached: float
    written: float


@dataclass(frozen=True, slots=True)
class Used:
    """What requests of a model used."""

    model: str
    requests: float = 0.0
    sent: float = 0.0
    received: float = 0.0
    cached: float = 0.0
    written: float = 0.0
    usd: float = 0.0
    agents_usd: float = 0.0
    compactions_usd: float = 0.0

    def at(self, price: Price) -> float:
        """Return what they would cost at a price."""
        return (
            self.sent * price.sent
            + self.received * price.received
            + self.cached * price.cached
            + self.written * price.written
        ) / _MILLION

    @property
    def prompt(self) -> float:
        """Return all tokens that were sent."""
        return self.sent + self.cached + self.written


@dataclass(frozen=True, slots=True)
class Detail:
    """Whose events they are, and what they say."""

    events: int
    ms: float
    next_usd: float
    next_requests: int
    sessions: Sequence[tuple[str, int]]
    users: Sequence[tuple[str, int]]
    teams: Sequence[tuple[str, int]]
    versions: Sequence[tuple[str, int]]
    shapes: Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Cost:
    """Dollars and minutes beyond the usual, and how they were worked out."""

    usd: float
    minutes: float
    worked_out: str


def detail(store: Streams, change: Change, values: Mapping[str, str]) -> Detail:
    """Return the events of a change. `values` are from, to, team and user. Raises Refusal."""
    types = _TYPES.get(change.measure, ("api_request",))
    row = answer(store, "insight_detail", {**_about(change, values), "types": ",".join(types)}).dicts()[0]
    return Detail(
        row["events"],
        row["ms"] or 0.0,
        row["next_usd"] or 0.0,
        row["next_requests"] or 0,
        *(_pairs(row[name]) for name in ("sessions", "users", "teams", "versions", "shapes")),
    )


def _pairs(value: list[Any]) -> list[tuple[str, int]]:
    return [(str(one[0]), int(one[1])) for one in value]


def _about(change: Change, values: Mapping[str, str]) -> dict[str, str]:
    scope = change.series.scope
    return {
        **values,
        "measure": change.measure.value,
        "thing": change.series.thing,
        "dimension": scope.dimension,
        "value": scope.value,
    }


def cost(store: Streams, change: Change, about: Detail, values: Mapping[str, str], history: str) -> Cost:
    """Return what a change cost. `values` are from and to of its time, team and user. Raises Refusal."""
    measure, inside = change.measure, change.inside
    share = change.excess / inside.k if inside.k else 0.0
    if measure in TIMES:
        slower = max(0.0, 1 - change.before / change.now) if change.now else 0.0
        return Cost(0.0, inside.ms * slower / _MS, "the time beyond the usual, of all that were slower")
    if measure in {Measure.API, Measure.CONNECTION, Measure.HOOK_FAILS}:
        words = "the time until they failed; a request that fails is free"
        if measure is not Measure.API:
            words = "the time until they failed"
        return Cost(0.0, about.ms * share / _MS, words)
    if measure in {Measure.TOOL_FAILS, Measure.LOOPS, Measure.REFUSALS, Measure.HOOK_BLOCKS}:
        words = f"{many(about.next_requests, 'request')} followed them in their sessions: the share beyond the usual"
        minutes = about.ms * share / _MS if measure in {Measure.TOOL_FAILS, Measure.LOOPS} else 0.0
        return Cost(about.next_usd * share, minutes, words)
    if measure is Measure.RETRIES:
        row = answer(store, "insight_retries", _about(change, values)).rows[0]
        return Cost(
            0.0, max(0.0, (row[0] or 0.0) * share / _MS), "the time beyond that of requests answered at once"
        )
    return _of_requests(store, change, values, history)


def _of_requests(store: Streams, change: Change, values: Mapping[str, str], history: str) -> Cost:
    scope = change.series.scope
    asked = {
        **values,
        "from": history,
        "begins": values["from"],
        "ends": values["to"],
        "dimension": scope.dimension,
        "value": scope.value,
    }
    rows = answer(store, "insight_usage", asked).dicts()
    inside, outside = ([_used(row) for row in rows if row["is_inside"] == side] for side in (1, 0))
    prices = [Price(*row) for row in answer(store, "insight_prices", {"to": values["to"]}).rows]
    spent, usual = (sum(one.usd for one in some) for some in (inside, outside))
    requests, were = (sum(one.requests for one in some) for some in (inside, outside))
    per_request = usual / were if were else 0.0
    match change.measure:
        case Measure.MODEL:
            return _dearer(change, inside, outside, prices, per_request)
        case Measure.CACHE:
            return _uncached(inside, outside, prices, spent - requests * per_request)
        case Measure.SUBAGENTS:
            before = sum(one.agents_usd for one in outside) / change.usual.n if change.usual.n else 0.0
            usd = sum(one.agents_usd for one in inside) - before * change.inside.n
            return Cost(
                max(0.0, usd), 0.0, "what subagents' own requests cost, beyond the usual for as many prompts"
            )
        case Measure.COMPACTIONS:
            before = sum(one.compactions_usd for one in outside) / change.usual.n if change.usual.n else 0.0
            usd = sum(one.compactions_usd for one in inside) - before * change.inside.n
            return Cost(
                max(0.0, usd),
                0.0,
                "what the requests that compact cost, beyond the usual for as many prompts",
            )
        case Measure.REQUESTS:
            usd = change.excess * (spent / requests if requests else 0.0)
            return Cost(usd, 0.0, "the requests beyond the usual for as many prompts")
        case _:
            usd = max(0.0, spent - requests * per_request)
            return Cost(usd, 0.0, "what the requests cost beyond the usual for as many")


def _used(row: Mapping[str, Any]) -> Used:
    return Used(**{name: value for name, value in row.items() if name != "is_inside"})


def price_of(prices: Sequence[Price], model: str) -> Price | None:
    """Return a model's price: the longest pattern wins. None when it is not known."""
    found = [one for one in prices if fnmatchcase(model, one.pattern.replace("%", "*"))]
    return found[-1] if found else None


def _dearer(
    change: Change,
    inside: Sequence[Used],
    outside: Sequence[Used],
    prices: Sequence[Price],
    per_request: float,
) -> Cost:
    mine = next((one for one in inside if one.model == change.series.thing), None)
    others = [one for one in outside if one.model != change.series.thing]
    if mine is None or not others:
        return Cost(0.0, 0.0, "")
    share = change.excess / change.inside.k if change.inside.k else 0.0
    known = [(one.requests, price) for one in others if (price := price_of(prices, one.model))]
    if known:
        whole = sum(requests for requests, _ in known)
        were = sum(requests * mine.at(price) for requests, price in known) / whole
        names = max(others, key=lambda one: one.requests).model
        words = f"the same tokens at the prices of the models before, mostly {names}"
    else:
        were, words = mine.requests * per_request, "beyond what as many requests cost before"
    return Cost((mine.usd - were) * share, 0.0, words)


def _uncached(
    inside: Sequence[Used], outside: Sequence[Used], prices: Sequence[Price], otherwise: float
) -> Cost:
    """Return the tokens that the cache usually has, at the difference between writing and reading them."""
    prompt = sum(one.prompt for one in outside)
    usual = sum(one.sent + one.written for one in outside) / prompt if prompt else 0.0
    usd = 0.0
    for one in inside:
        price = price_of(prices, one.model)
        if price is None:
            return Cost(max(0.0, otherwise), 0.0, "what the requests cost beyond the usual for as many")
        usd += (
            max(0.0, one.sent + one.written - usual * one.prompt) * (price.written - price.cached) / _MILLION
        )
    return Cost(
        usd, 0.0, "the input that the cache usually has, at the price of writing less that of reading"
    )
