"""What a request to a model costs by the list of prices, in Python, where there is no table to ask.

The rules are those of `queries/prices.sql`: the longest pattern that fits the model's name counts, of it the band of
prompts that the request is in, and of that the latest price of its day.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from clickhouse.model_names import canonical
from clickhouse.prices import Price

_STANDARD: Final = frozenset({"", "normal", "standard"})
_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of one request. `written_1h` of `written` are kept in the cache for an hour, the others 5 minutes."""

    sent: int
    received: int
    cached: int = 0
    written: int = 0
    written_1h: int = 0


class Prices:
    """A list of prices, in an order in which the last one that fits counts."""

    def __init__(self, prices: Sequence[Price]) -> None:
        self._prices = sorted(
            (len(name.replace("*", "")), price.prompt_over, price.since, number, _pattern(name), price)
            for number, price in enumerate(prices)
            for name in (canonical(price.model),)
        )

    def usd(self, model: str, speed: str, day: date, usage: Usage) -> float | None:
        """Return the cost of a request in US dollars; None when its price is not known."""
        name = canonical(model)
        wanted = "" if speed in _STANDARD else speed
        prompt = usage.sent + usage.cached + usage.written
        found = None
        for _, over, since, _, pattern, price in self._prices:
            is_in_band = over == 0 or prompt > over
            if is_in_band and since <= day and price.speed == wanted and pattern.fullmatch(name):
                found = price
        if found is None:
            return None
        micros = (
            usage.sent * found.input
            + usage.received * found.output
            + usage.cached * found.cache_read
            + (usage.written - usage.written_1h) * found.cache_write_5m
            + usage.written_1h * found.cache_write_1h
        )
        return round(micros / _MILLION, 9)


def _pattern(model: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, model.split("*"))))
