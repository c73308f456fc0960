"""How many planted anomalies each method finds, and how many it invents: the table of docs/statistics.md.

    python -m benchmarks.anomalies              # the published table: parameters and seeds that no one tuned to
    python -m benchmarks.anomalies --tuning     # those that the methods' bounds were chosen by

A series has one to three planted anomalies of one kind, or none. An anomaly that is reported counts as right when it
touches the time of a planted one, and a planted one as found when such an anomaly is reported. A shift that is reported
as 500 spikes would be one that is found, and 499 that are invented. Series without anything planted are in the total.
"""

import argparse
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from connectors.analysis.anomalies import detect
from connectors.analysis.judging import Method
from connectors.contract import Point

START = 1_790_000_000.0
DAY = 86_400.0


@dataclass(frozen=True)
class Parameters:
    """The sizes of what is planted, in standard deviations of the noise, and the shapes of series."""

    seeds: range
    spikes: tuple[float, float]
    shifts: tuple[float, float]
    trends: tuple[float, float]
    seasons: tuple[float, float]
    lengths: tuple[int, ...]
    steps: tuple[int, ...]
    levels: tuple[float, float]


TUNING = Parameters(range(10), (7, 14), (2.5, 6), (4, 9), (5, 9), (360, 1_441), (60, 300), (50, 500))
PUBLISHED = Parameters(
    range(1_000, 1_024), (6, 18), (2, 8), (3.5, 12), (4, 12), (288, 720, 2_016), (15, 120, 600), (5, 9_000)
)
"""Other sizes, lengths, steps and levels than those of TUNING."""


@dataclass
class Made:
    """A series, and from where to where something is planted."""

    values: list[float]
    planted: list[tuple[int, int]] = field(default_factory=list)


def gaussian(chance: random.Random) -> float:
    """Return normal noise."""
    return chance.gauss(0, 1)


def heavy(chance: random.Random) -> float:
    """Return noise of Student's t with three degrees of freedom, whose median distance is that of normal noise."""
    square = sum(chance.gauss(0, 1) ** 2 for _ in range(3)) / 3
    return chance.gauss(0, 1) / math.sqrt(square) * 0.6745 / 0.7649


Noise = Callable[[random.Random], float]


def _size(chance: random.Random, bounds: tuple[float, float]) -> float:
    return chance.uniform(*bounds)


def _places(chance: random.Random, n: int) -> list[int]:
    """Return one to three places, apart from one another and from the ends."""
    slots = chance.sample(range(1, 9), chance.randint(1, 3))
    return [n * slot // 9 + chance.randint(-n // 40, n // 40) for slot in slots]


def spikes(made: Made, chance: random.Random, p: Parameters) -> None:
    """Plant single values or short runs that are too high."""
    for place in _places(chance, len(made.values)):
        size, width = _size(chance, p.spikes), chance.choice((1, 1, 2, 3))
        for at in range(place, place + width):
            made.values[at] += size
        made.planted.append((place, place + width))


def drops(made: Made, chance: random.Random, p: Parameters) -> None:
    """Plant single values or short runs that are too low."""
    for place in _places(chance, len(made.values)):
        size, width = _size(chance, p.spikes), chance.choice((1, 2, 3, 4))
        for at in range(place, place + width):
            made.values[at] -= size
        made.planted.append((place, place + width))


def shifts(made: Made, chance: random.Random, p: Parameters) -> None:
    """Plant a new level, for good or for a while."""
    n = len(made.values)
    begin = chance.randint(n // 4, 3 * n // 4)
    end = n if chance.random() < 0.5 else min(n, begin + chance.randint(n // 10, n // 4))
    size = _size(chance, p.shifts) * chance.choice((1, -1))
    for at in range(begin, end):
        made.values[at] += size
    made.planted.append((begin, end))


def trends(made: Made, chance: random.Random, p: Parameters) -> None:
    """Plant a slope that begins somewhere."""
    n = len(made.values)
    begin = chance.randint(0, n // 2)
    size = _size(chance, p.trends) * chance.choice((1, -1))
    for at in range(begin, n):
        made.values[at] += size * (at - begin) / (n - begin)
    made.planted.append((begin, n))


def breaks(made: Made, chance: random.Random, _: Parameters) -> None:
    """Plant hours of a day at which the season is missing or at the wrong time. `season` made it."""
    n = len(made.values)
    day = n // 5
    at = chance.randint(1, 3) * day + chance.randint(0, day // 2)
    width = day // chance.choice((4, 6, 8))
    lowest, highest = min(made.values[:day]), max(made.values[:day])
    for place in range(at, min(n, at + width)):
        # What is far from its usual by a half of the season's height.
        made.values[place] += (highest - lowest) * (
            0.5 if made.values[place] < (lowest + highest) / 2 else -0.5
        )
    made.planted.append((at, min(n, at + width)))


KINDS: dict[str, Callable[[Made, random.Random, Parameters], None] | None] = {
    "spikes": spikes,
    "drops": drops,
    "level shifts": shifts,
    "trends": trends,
    "seasonal breaks": breaks,
    "spikes on a season": spikes,
    "nothing planted": None,
    "nothing planted, a season": None,
}


def series(kind: str, noise: Noise, seed: int, p: Parameters) -> tuple[list[Point], list[tuple[int, int]]]:
    """Return a series' points and where something is planted."""
    chance = random.Random(f"{kind} {noise.__name__} {seed}")
    is_seasonal = "season" in kind
    n, step = chance.choice(p.lengths), chance.choice(p.steps)
    if is_seasonal:
        step, n = 900, 480  # five days
    values = [noise(chance) for _ in range(n)]
    if is_seasonal:
        size, phase = _size(chance, p.seasons) / 2, chance.uniform(0, 2 * math.pi)
        for at in range(n):
            angle = 2 * math.pi * at * step / DAY + phase
            values[at] += size * (math.sin(angle) + 0.3 * math.sin(2 * angle))
    made = Made(values)
    plant = KINDS[kind]
    if plant is not None:
        plant(made, chance, p)
    level = _size(chance, p.levels)
    # The noise is 4 % of the level; one point in fifty is missing.
    points: list[Point] = [
        (START + at * step, None if chance.random() < 0.02 else level * (1 + 0.04 * value))
        for at, value in enumerate(made.values)
    ]
    spans = [(int(points[a][0]), int(points[b - 1][0])) for a, b in made.planted]
    return points, spans


@dataclass
class Score:
    """What was planted, found, reported and right."""

    planted: int = 0
    found: int = 0
    reported: int = 0
    right: int = 0

    def add(self, other: "Score") -> None:
        """Add another's counts."""
        self.planted += other.planted
        self.found += other.found
        self.reported += other.reported
        self.right += other.right

    @property
    def recall(self) -> float:
        """The share of the planted that is found."""
        return self.found / self.planted if self.planted else 1.0

    @property
    def precision(self) -> float:
        """The share of the reported that is right."""
        return self.right / self.reported if self.reported else 1.0

    @property
    def f1(self) -> float:
        """The harmonic mean of both."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def scored(points: Sequence[Point], spans: Sequence[tuple[int, int]], method: str, sensitivity: str) -> Score:
    """Return how a method does on a series."""
    found = [
        (one.timestamp.timestamp(), one.until.timestamp())
        for one in detect(points, method, sensitivity).anomalies
    ]
    step = points[1][0] - points[0][0]

    def touch(a: tuple[float, float], b: tuple[float, float]) -> bool:
        return a[0] <= b[1] + 2 * step and b[0] <= a[1] + 2 * step

    return Score(
        len(spans),
        sum(any(touch(span, one) for one in found) for span in spans),
        len(found),
        sum(any(touch(one, span) for span in spans) for one in found),
    )


def measured(p: Parameters, sensitivity: str = "medium") -> dict[tuple[str, str], Score]:
    """Return the scores by method and kind, `all` among the kinds. A method is given only series that it takes."""
    scores: dict[tuple[str, str], Score] = {}
    for kind, noise, seed in cases(p):
        points, spans = series(kind, noise, seed, p)
        for method in Method:
            if method is Method.SEASONAL and "season" not in kind:
                continue
            one = scored(points, spans, method.value, sensitivity)
            rows = [kind, "all", f"all, {noise.__name__}"]
            if "season" in kind:
                rows.append("all with a season")
            for row in rows:
                scores.setdefault((method.value, row), Score()).add(one)
    return scores


def cases(p: Parameters) -> Iterator[tuple[str, Noise, int]]:
    """Yield every kind with every noise and seed."""
    for kind in KINDS:
        for noise in (gaussian, heavy):
            for seed in p.seeds:
                yield kind, noise, seed


def table(scores: dict[tuple[str, str], Score]) -> Iterator[str]:
    """Yield the table's lines: precision / recall, and what was invented where nothing is planted."""
    methods = [method.value for method in Method]
    yield "| planted | " + " | ".join(methods) + " |"
    yield "|---|" + "---|" * len(methods)
    for kind in [*KINDS, "all with a season", "all, gaussian", "all, heavy", "all"]:
        cells = []
        for method in methods:
            score = scores.get((method, kind))
            if score is None:
                cells.append("")
            elif not score.planted:
                cells.append(f"{score.reported} invented")
            else:
                f1 = f", F1 {score.f1:.2f}" if kind.startswith("all") else ""
                cells.append(f"{score.precision:.2f} / {score.recall:.2f}{f1}")
        yield f"| {kind} | " + " | ".join(cells) + " |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tuning", action="store_true", help="the parameters that the bounds were chosen by")
    parser.add_argument("--sensitivity", default="medium", choices=("low", "medium", "high"))
    options = parser.parse_args()
    p = TUNING if options.tuning else PUBLISHED
    print(f"{len(p.seeds) * 2} series a kind, sensitivity {options.sensitivity}; precision / recall")
    for line in table(measured(p, options.sensitivity)):
        print(line)


if __name__ == "__main__":
    main()
