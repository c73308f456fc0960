"""Which measures go together: Pearson's and Spearman's correlations of all pairs, with p-values and q-values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

from access.answer import Row, Table
from access.inference import (
    SIGNIFICANT,
    correlation_p_value,
    false_discovery,
    pearson,
    pearson_of_units,
    ranks,
    spearman,
    unit,
)

PAIRS: Final = 10
"""With fewer pairs of values there is no correlation."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two measures, the number of rows that have both, and their correlations with p- and q-values."""

    first: str
    second: str
    n: int
    pearson: float | None
    pearson_p: float | None
    spearman: float | None
    spearman_p: float | None
    pearson_q: float | None = None
    spearman_q: float | None = None

    @property
    def is_significant(self) -> bool:
        """Whether one of the two q-values says so."""
        return any(q is not None and q <= SIGNIFICANT for q in (self.pearson_q, self.spearman_q))


def correlate(columns: Mapping[str, Sequence[float | None]]) -> list[Pair]:
    """Return the correlations of all pairs of columns, over the rows that have both, the most certain first."""
    found = []
    # Without gaps, a column and its ranks are the same in all of its pairs.
    whole = {
        name: (unit(complete), unit(ranks(complete)))
        for name, values in columns.items()
        if (complete := _complete(values))
    }
    for (first, x), (second, y) in combinations(columns.items(), 2):
        if first in whole and second in whole and len(x) >= PAIRS:
            n = len(x)
            r, s = (pearson_of_units(*sides) for sides in zip(whole[first], whole[second], strict=True))
        else:
            n, r, s = _with_gaps(x, y)
        p_values = [None if value is None else correlation_p_value(value, n) for value in (r, s)]
        found.append(Pair(first, second, n, r, p_values[0], s, p_values[1]))
    # Both kinds of a pair are tests that could have found something by chance.
    q_values = false_discovery([p for pair in found for p in (pair.pearson_p, pair.spearman_p)])
    corrected = [
        replace(pair, pearson_q=q_values[2 * place], spearman_q=q_values[2 * place + 1])
        for place, pair in enumerate(found)
    ]
    return sorted(corrected, key=_certainty)


def _with_gaps(
    x: Sequence[float | None], y: Sequence[float | None]
) -> tuple[int, float | None, float | None]:
    """Return the number of rows that have both values, and the two correlations over these."""
    both = [(a, b) for a, b in zip(x, y, strict=True) if a is not None and b is not None]
    if len(both) < PAIRS:
        return len(both), None, None
    left, right = ([pair[side] for pair in both] for side in (0, 1))
    return len(both), pearson(left, right), spearman(left, right)


def _complete(values: Sequence[float | None]) -> list[float] | None:
    """Return the values, None where one is missing."""
    found = [value for value in values if value is not None]
    return found if len(found) == len(values) else None


def correlation_tables(measures: Sequence[str], pairs: Sequence[Pair]) -> dict[str, Table]:
    """Return the pairs, and the matrix of each of the two correlations."""
    found = {(pair.first, pair.second): pair for pair in pairs}

    def matrix(kind: str) -> list[Row]:
        return [
            (
                first,
                *(
                    1
                    if first == second
                    else getattr(found.get((first, second)) or found[second, first], kind)
                    for second in measures
                ),
            )
            for first in measures
        ]

    columns = (
        "first",
        "second",
        "n",
        "pearson",
        "pearson_p",
        "pearson_q",
        "spearman",
        "spearman_p",
        "spearman_q",
    )
    rows = [
        (*(getattr(pair, name) for name in columns), pair.is_significant)
        for pair in pairs
        if pair.pearson is not None
    ]
    return {
        "correlations": Table((*columns, "significant"), rows),
        "pearson": Table(("measure", *measures), matrix("pearson")),
        "spearman": Table(("measure", *measures), matrix("spearman")),
    }


def _certainty(pair: Pair) -> tuple[float, float, str, str]:
    q_values = [q for q in (pair.pearson_q, pair.spearman_q) if q is not None]
    return (min(q_values, default=2.0), -abs(pair.spearman or 0), pair.first, pair.second)
