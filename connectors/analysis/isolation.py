"""An isolation forest (Liu, Ting, Zhou 2008) over a value and how it changes, in plain Python.

Odd points are separated from the others by fewer random cuts. The score of the paper is returned, from 0 to 1. The
forest is the same each time: its random numbers begin at a fixed place.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

TREES: Final = 100
SAMPLE: Final = 256
_SEED: Final = 20_081_215
_EULER: Final = 0.5772156649

Row = Sequence[float]


@dataclass(frozen=True, slots=True)
class _Cut:
    column: int
    at: float
    below: "_Cut | float"
    above: "_Cut | float"


def scores(rows: Sequence[Row]) -> list[float]:
    """Return how easily each row is separated from the others, from 0 to 1; 0.5 is what most have."""
    chance = random.Random(_SEED)  # noqa: S311  cuts, no secrets
    size = min(SAMPLE, len(rows))
    deepest = math.ceil(math.log2(max(size, 2)))
    trees = [_tree(chance.sample(rows, size), 0, deepest, chance) for _ in range(TREES)]
    usual = _usual(size) or 1.0
    known: dict[tuple[float, ...], float] = {}
    found = []
    for row in rows:
        key = tuple(row)
        if key not in known:
            known[key] = 2 ** (-math.fsum(_depth(row, tree) for tree in trees) / TREES / usual)
        found.append(known[key])
    return found


def _tree(rows: list[Row], depth: int, deepest: int, chance: random.Random) -> "_Cut | float":
    """Return a cut, or the depth at which the rows that are left would be separated."""
    if depth >= deepest or len(rows) <= 1:
        return depth + _usual(len(rows))
    columns = [
        (column, low, high)
        for column in range(len(rows[0]))
        for low, high in [(min(row[column] for row in rows), max(row[column] for row in rows))]
        if low < high
    ]
    if not columns:
        return depth + _usual(len(rows))
    column, low, high = chance.choice(columns)
    at = chance.uniform(low, high)
    below = [row for row in rows if row[column] < at]
    above = [row for row in rows if row[column] >= at]
    return _Cut(
        column, at, _tree(below, depth + 1, deepest, chance), _tree(above, depth + 1, deepest, chance)
    )


def _depth(row: Row, tree: "_Cut | float") -> float:
    while isinstance(tree, _Cut):
        tree = tree.below if row[tree.column] < tree.at else tree.above
    return tree


def _usual(size: int) -> float:
    """Return the mean depth of an unsuccessful search in a binary tree of so many rows."""
    if size <= 1:
        return 0.0
    return 2 * (math.log(size - 1) + _EULER) - 2 * (size - 1) / size if size > 2 else 1.0  # noqa: PLR2004  log(1)
