"""What an incident cost: dollars from the requests themselves, and minutes of waiting from what was measured.

Only what is beyond the usual counts. A refused request is free; it costs minutes.
"""

import json
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
    return {**values, "measure": change.measure.value, "thing": change.series.thing, **_whose(change)}


def _whose(change: Change) -> dict[str, str]:
    """Return the scope as the statements take it: of a label that people share, the people."""
    scope, users = change.series.scope, change.series.users
    if users:
        return {"dimension": "users", "value": json.dumps(users)}
    return {"dimension": scope.dimension, "value": scope.value}


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
    asked = {
        **values,
        "from": history,
        "begins": values["from"],
        "ends": values["to"],
        **_whose(change),
    }
    is_agent = change.measure is Measure.AGENT_COST
    name = "insight_agent_usage" if is_agent else "insight_usage"
    rows = answer(store, name, asked | ({"thing": change.series.thing} if is_agent else {})).dicts()
    inside, outside = ([_used(row) for row in rows if row["is_inside"] == side] for side in (1, 0))
    prices = [Price(*row) for row in answer(store, "insight_prices", {"to": values["to"]}).rows]
    spent, usual = (sum(one.usd for one in some) for some in (inside, outside))
    requests, were = (sum(one.requests for one in some) for some in (inside, outside))
    per_request, per_inside = usual / were if were else 0.0, spent / requests if requests else 0.0
    match change.measure:
        case Measure.MODEL:
            return _dearer(change, inside, outside, prices, per_request)
        case Measure.ANSWERS:
            return _longer(inside, outside, prices)
        case Measure.AGENT_COST:
            return _dearer_agent(inside, outside, prices, spent - requests * per_request)
        case Measure.CACHE:
            return _uncached(inside, outside, prices, spent - requests * per_request)
        case Measure.SUBAGENTS | Measure.COMPACTIONS:
            is_agents = change.measure is Measure.SUBAGENTS
            theirs = [
                sum(one.agents_usd if is_agents else one.compactions_usd for one in some)
                for some in (inside, outside)
            ]
            before = theirs[1] / change.usual.n if change.usual.n else 0.0
            whose = "subagents' own requests" if is_agents else "the requests that compact"
            words = f"what {whose} cost, beyond the usual for as many prompts"
            return Cost(max(0.0, theirs[0] - before * change.inside.n), 0.0, words)
        case Measure.REQUESTS:
            usd = change.excess * per_inside
            words = "the requests beyond the usual for as many prompts"
        case _:
            usd = max(0.0, spent - requests * per_request)
            words = "what the requests cost beyond the usual for as many"
    return Cost(usd, 0.0, words)


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


def _dearer_agent(
    inside: Sequence[Used], outside: Sequence[Used], prices: Sequence[Price], otherwise: float
) -> Cost:
    """Return what a subagent cost beyond the prices of its model before, or beyond as many requests of the same one."""
    now, before = (max(some, key=lambda one: one.requests, default=Used("")) for some in (inside, outside))
    price = price_of(prices, before.model)
    if now.model == before.model or price is None:
        return Cost(max(0.0, otherwise), 0.0, "what its requests cost beyond the usual for as many")
    usd = sum(one.usd - one.at(price) for one in inside)
    return Cost(
        usd, 0.0, f"now mostly {now.model}, before mostly {before.model}: the same tokens at both prices"
    )


def _longer(inside: Sequence[Used], outside: Sequence[Used], prices: Sequence[Price]) -> Cost:
    """Return the tokens that models answered with beyond their usual for as many requests, at the price of answers."""
    usual = {one.model: one.received / one.requests for one in outside if one.requests}
    usd = 0.0
    for one in inside:
        price = price_of(prices, one.model)
        if price is not None and one.model in usual:
            usd += (one.received - one.requests * usual[one.model]) * price.received / _MILLION
    return Cost(max(0.0, usd), 0.0, "the tokens of answers beyond the usual for as many requests")


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
