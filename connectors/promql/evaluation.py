"""Runs PromQL over the tables of a store: instant and range queries, and what there is to ask for.

The catalog of metrics is read once a minute; an expression is then one statement. All calls wait for the store: call
them in a thread. They raise a BackendError and nothing else.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from cachetools import TTLCache
from promql_parser import (
    AggregateExpr,
    BinaryExpr,
    Call,
    Expr,
    MatrixSelector,
    ParenExpr,
    UnaryExpr,
    VectorSelector,
)

from access.store import Rows, Store
from connectors.contract import BackendError, Kind
from connectors.promql.catalog import Catalog, Known, read
from connectors.promql.matching import MATCHING_ERRORS
from connectors.promql.selectors import LOOKBACK_MS, Period, milliseconds, selected, template
from connectors.promql.translation import DEEPEST, Shape, Statement, statement
from connectors.promql.values import Values, bad_query
from connectors.promql_grammar import parsed
from connectors.refusals import backend_errors

MOST_STEPS: Final = 11_000
"""As Prometheus has it."""
_CATALOG_SECONDS: Final = 60.0
_CATALOGS: Final = 64
_HOUR_MS: Final = 3_600_000
_MOST_BYTES: Final = 64 << 20
_LABELS: Final = 10_000


@dataclass(frozen=True, slots=True)
class MetricTables:
    """The names of the tables, which the statements have as identifiers."""

    gauge: str = "otel_metrics_gauge"
    sum: str = "otel_metrics_sum"
    histogram: str = "otel_metrics_histogram"
    exp_histogram: str = "otel_metrics_exp_histogram"
    summary: str = "otel_metrics_summary"


@dataclass(frozen=True, slots=True)
class Found:
    """One series: its labels, and points of milliseconds and values. A scalar has no labels."""

    labels: Mapping[str, str]
    points: Sequence[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What an expression yields."""

    shape: Shape
    series: Sequence[Found]
    sql: str
    has_more: bool = False
    """There are more series than were asked for."""


@dataclass(slots=True)
class Evaluation:
    """PromQL over one store."""

    store: Store
    tables: MetricTables = field(default_factory=MetricTables)
    clock: Callable[[], float] = time.monotonic
    _catalogs: TTLCache[tuple[int, int], Catalog] = field(init=False)

    def __post_init__(self) -> None:
        self._catalogs = TTLCache(_CATALOGS, _CATALOG_SECONDS, self.clock)

    def instant(self, query: str, at: int, at_most: int) -> Evaluated:
        """Return the values of an expression at a time in milliseconds, in at most so many series."""
        return self._run(parsed(query), Period(at, 1, 1), at_most)

    def over(self, query: str, start: int, end: int, step: int, at_most: int) -> Evaluated:
        """Return the values of an expression from start to end, both in milliseconds, one each step."""
        if step <= 0:
            raise bad_query("the step must be more than 0")
        if end < start:
            raise bad_query("the end is before the start")
        steps = (end - start) // step + 1
        if steps > MOST_STEPS:
            raise bad_query(
                f"exceeded maximum resolution of {MOST_STEPS:,} points per timeseries: ask for a longer step"
            )
        tree = parsed(query)
        if isinstance(tree, MatrixSelector):
            raise bad_query("a range query needs a vector or a scalar, and this is a range of samples")
        return self._run(tree, Period(start, steps, step), at_most)

    def series(
        self, selectors: Sequence[str], start: int, end: int, at_most: int
    ) -> tuple[list[Mapping[str, str]], bool]:
        """Return the labels of the series that any of the selectors has in a period, and whether there are more."""
        catalog = self.catalog(start, end)
        found: dict[tuple[tuple[str, str], ...], None] = {}
        has_more = False
        for text in selectors:
            tree = parsed(text)
            if not isinstance(tree, VectorSelector):
                raise bad_query("a selector of series is needed")
            values = Values()
            chosen = selected(tree, end - start, Period(end, 1, 1), catalog, values, keep_name=True)
            rows = self._rows(
                f"SELECT labels FROM (\n{chosen.sql}\n) WHERE notEmpty(samples) ORDER BY labels",
                values.bound,
                at_most,
            )
            has_more = has_more or rows.has_more
            found.update(dict.fromkeys(tuple(sorted(labels.items())) for (labels,) in rows.rows))
        all_labels: list[Mapping[str, str]] = [dict(labels) for labels in sorted(found)]
        return all_labels[:at_most], has_more or len(found) > at_most

    def label_names(self, selectors: Sequence[str], start: int, end: int) -> list[str]:
        """Return the names of the labels of all series, or of those that any of the selectors has."""
        found, _ = self.series(selectors or ['{__name__!=""}'], start, end, _LABELS)
        return sorted({name for labels in found for name in labels})

    def label_values(self, label: str, selectors: Sequence[str], start: int, end: int) -> list[str]:
        """Return the values of a label in a period."""
        if label == "__name__" and not selectors:
            return sorted({source.name for source in self.catalog(start, end).sources()})
        found, _ = self.series(selectors or ['{__name__!=""}'], start, end, _LABELS)
        return sorted({labels[label] for labels in found if label in labels})

    def metrics(self, start: int, end: int) -> Sequence[Known]:
        """Return the metrics of a period, by name."""
        return sorted(self.catalog(start, end).metrics, key=lambda known: known.name)

    def catalog(self, start: int, end: int) -> Catalog:
        """Return which metrics there are in a period, as of the last minute."""
        hours = (start // _HOUR_MS * _HOUR_MS, (end // _HOUR_MS + 1) * _HOUR_MS)
        kept = self._catalogs.get(hours)
        if kept is None:
            bound = {"from": str(hours[0]), "to": str(hours[1])}
            kept = read(self._rows(template("catalog"), bound))
            self._catalogs[hours] = kept
        return kept

    def _run(self, tree: Expr, period: Period, at_most: int) -> Evaluated:
        reach = _reach(tree)
        made = statement(tree, period, self.catalog(period.start - reach[0], period.end + reach[1]))
        rows = self._rows(made.sql, made.values, at_most)
        if made.shape is Shape.SCALAR:
            series = [Found({}, _points(row[0])) for row in rows.rows]
        else:
            series = [Found(labels, _points(points)) for labels, points in rows.rows]
        for one in series:
            if any(point[0] == after[0] for point, after in zip(one.points, one.points[1:], strict=False)):
                raise bad_query("vector cannot contain metrics with the same labelset")
        return Evaluated(made.shape, _sorted(series, made), made.sql, rows.has_more)

    def _rows(self, sql: str, values: Mapping[str, str], at_most: int | None = None) -> Rows:
        bound = {**values, **asdict(self.tables)}
        try:
            with backend_errors():
                return self.store.rows(sql, bound, at_most=at_most, max_bytes=_MOST_BYTES)
        except BackendError as error:
            said = next((words for words in MATCHING_ERRORS if words in error.detail), None)
            if said or "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO" in error.detail:
                raise bad_query(said or MATCHING_ERRORS[0]) from None
            if error.kind is Kind.FAILED:
                error.message = "The store did not run the statement of this expression."
            raise


def _reach(tree: Expr) -> tuple[int, int]:
    """Return how far before and after its steps an expression looks. Raises BackendError for one that is too deep.

    The parser's own walk copies each part once more for each part around it.
    """
    before, after = LOOKBACK_MS, 0
    left: list[tuple[Any, int]] = [(tree, 0)]
    while left:
        node, depth = left.pop()
        if depth > DEEPEST:
            raise bad_query(f"it is more than {DEEPEST} expressions deep")
        match node:
            case MatrixSelector():
                offset = milliseconds(node.vector_selector.offset)
                before, after = max(before, milliseconds(node.range) + offset), max(after, -offset)
            case VectorSelector():
                offset = milliseconds(node.offset)
                before, after = max(before, LOOKBACK_MS + offset), max(after, -offset)
            case BinaryExpr():
                left += [(node.lhs, depth + 1), (node.rhs, depth + 1)]
            case Call():
                left += [(argument, depth + 1) for argument in node.args]
            case AggregateExpr():
                left += [(node.expr, depth + 1), (node.param, depth + 1)]
            case ParenExpr() | UnaryExpr():
                left.append((node.expr, depth + 1))
            case _:
                pass
    return before, after


def _points(points: Sequence[Sequence[object]]) -> list[tuple[int, float]]:
    return [(int(str(at)), float(str(value))) for at, value in points]


def _sorted(series: list[Found], made: Statement) -> list[Found]:
    if made.order == 0 or made.sql == "":
        return series
    return sorted(
        series,
        key=lambda one: (one.points[-1][1] != one.points[-1][1], made.order * one.points[-1][1]),
    )
