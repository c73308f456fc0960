"""What PromQL makes of samples and of values, as SQL: functions of a range, of a value, and aggregations.

Source: Prometheus 2.42, promql/functions.go, promql/engine.go and promql/quantile.go.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

PAIR: Final = 2
LOWEST: Final = "if(countIf(NOT isNaN(x)) = 0, nan, minIf(x, NOT isNaN(x)))"
HIGHEST: Final = "if(countIf(NOT isNaN(x)) = 0, nan, maxIf(x, NOT isNaN(x)))"
"""NaN is more and less than nothing."""


@dataclass(frozen=True, slots=True)
class Ranged:
    """A function of the samples in a range, which the groups of `sql/ranged.sql` are: ts, x, before_x, is_inner.

    `value` is made of `parts`, each an aggregate; `count` is how many samples it needs.
    """

    value: str
    parts: Mapping[str, str]
    count: int = 1
    keeps_name: bool = False


_ENDS: Final = {
    "n": "count()",
    "first_ts": "min(ts)",
    "last_ts": "max(ts)",
    "first_x": "argMin(x, ts)",
    "last_x": "argMax(x, ts)",
    "lost": "sumIf(before_x, is_inner AND x < before_x)",
}
"""`lost` is what a counter had counted each time it began again."""
_SECONDS: Final = "(ts - t) / 1000"
_LINE: Final = {
    "slope": "if(min(x) = max(x), if(isInfinite(min(x)), nan, 0),"
    f" covarPopStable(x, {_SECONDS}) / varPopStable({_SECONDS}))",
    "middle": "avg(x)",
    "around": f"avg({_SECONDS})",
}


def _extrapolated(*, is_counter: bool, is_rate: bool) -> Ranged:
    """Return increase, rate or delta: the growth between the samples, extended towards the ends of the range."""
    grown = "last_x - first_x + lost" if is_counter else "last_x - first_x"
    to_start = "(first_ts - (t - /* offset */ - /* range */)) / 1000"
    if is_counter:
        # A counter is extended to where it was 0 at most.
        zero = f"(last_ts - first_ts) / 1000 * (first_x / ({grown}))"
        to_start = f"if(({grown}) > 0 AND first_x >= 0 AND {zero} < {to_start}, {zero}, {to_start})"
    to_end = "((t - /* offset */) - last_ts) / 1000"
    between = "((last_ts - first_ts) / 1000 / (n - 1))"
    factor = (
        f"((last_ts - first_ts) / 1000 + if({to_start} < {between} * 1.1, {to_start}, {between} / 2)"
        f" + if({to_end} < {between} * 1.1, {to_end}, {between} / 2)) / ((last_ts - first_ts) / 1000)"
    )
    per = " / (/* range */ / 1000)" if is_rate else ""
    return Ranged(f"({grown}) * ({factor}{per})", _ENDS, count=PAIR)


_LATEST: Final = "arraySlice(arraySort(groupArray((ts, x))), -2)"


def _instant(*, is_rate: bool) -> Ranged:
    """Return irate or idelta, made of the last two samples."""
    grown = "latest[2].2 - latest[1].2"
    if is_rate:
        grown = f"if(latest[2].2 < latest[1].2, latest[2].2, {grown}) / ((latest[2].1 - latest[1].1) / 1000)"
    return Ranged(grown, {"latest": _LATEST}, count=PAIR)


def _over(value: str, *, keeps_name: bool = False) -> Ranged:
    return Ranged("made", {"made": value}, keeps_name=keeps_name)


RANGED: Final[Mapping[str, Ranged]] = {
    "rate": _extrapolated(is_counter=True, is_rate=True),
    "increase": _extrapolated(is_counter=True, is_rate=False),
    "delta": _extrapolated(is_counter=False, is_rate=False),
    "irate": _instant(is_rate=True),
    "idelta": _instant(is_rate=False),
    "deriv": Ranged("slope", _LINE, count=PAIR),
    "predict_linear": Ranged("middle - slope * around + slope * /* argument */", _LINE, count=PAIR),
    "sum_over_time": _over("sum(x)"),
    "avg_over_time": _over("avg(x)"),
    "min_over_time": _over(LOWEST),
    "max_over_time": _over(HIGHEST),
    "count_over_time": _over("toFloat64(count())"),
    "stddev_over_time": _over("stddevPopStable(x)"),
    "stdvar_over_time": _over("varPopStable(x)"),
    "last_over_time": _over("argMax(x, ts)", keeps_name=True),
    "present_over_time": _over("toFloat64(1)"),
    "changes": _over("toFloat64(countIf(is_inner AND x != before_x AND NOT (isNaN(x) AND isNaN(before_x))))"),
    "resets": _over("toFloat64(countIf(is_inner AND x < before_x))"),
    "quantile_over_time": Ranged("/* quantile */", {"sorted": "arraySort(groupArray(x))"}),
}
QUANTILE: Final = (
    "multiIf(isNaN({q}), nan, {q} < 0, -inf, {q} > 1, inf,"
    " sorted[1 + toUInt64(floor({q} * (length(sorted) - 1)))]"
    " * (1 - ({q} * (length(sorted) - 1) - floor({q} * (length(sorted) - 1))))"
    " + sorted[least(length(sorted), 2 + toUInt64(floor({q} * (length(sorted) - 1))))]"
    " * ({q} * (length(sorted) - 1) - floor({q} * (length(sorted) - 1))))"
)
"""The quantile `q` of the array `sorted`."""

AGGREGATES: Final[Mapping[str, str]] = {
    "sum": "sum(x)",
    "avg": "avg(x)",
    "min": LOWEST,
    "max": HIGHEST,
    "count": "toFloat64(count())",
    "group": "toFloat64(1)",
    "stddev": "stddevPopStable(x)",
    "stdvar": "varPopStable(x)",
}

_Function = Callable[..., str]


def _round(value: str, to: str = "1") -> str:
    return f"floor({value} * (1 / {to}) + 0.5) / (1 / {to})"


def _bounded(value: str, low: str, high: str) -> str:
    return f"if(isNaN({value}), nan, greatest({low}, least({high}, {value})))"


OF_VALUE: Final[Mapping[str, _Function]] = {
    "abs": lambda x: f"abs({x})",
    "ceil": lambda x: f"ceil({x})",
    "floor": lambda x: f"floor({x})",
    "exp": lambda x: f"exp({x})",
    "ln": lambda x: f"log({x})",
    "log2": lambda x: f"log2({x})",
    "log10": lambda x: f"log10({x})",
    "sqrt": lambda x: f"sqrt({x})",
    "sgn": lambda x: f"if(isNaN({x}), nan, toFloat64(sign({x})))",
    "round": _round,
    "clamp": _bounded,
    "clamp_min": lambda x, low: _bounded(x, low, "inf"),
    "clamp_max": lambda x, high: _bounded(x, "-inf", high),
}
"""Functions of a value and of scalars, by the SQL of each."""

ARITHMETIC: Final[Mapping[str, str]] = {
    "+": "({} + {})",
    "-": "({} - {})",
    "*": "({} * {})",
    "/": "({} / {})",
    "%": "if(isInfinite({1}) AND NOT isInfinite({0}), {0}, {0} - {1} * trunc({0} / {1}))",
    "^": "pow({}, {})",
}
COMPARISONS: Final = {"==": "=", "!=": "!=", ">": ">", "<": "<", ">=": ">=", "<=": "<="}
