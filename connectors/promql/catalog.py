"""Which metrics the tables have, under the names by which PromQL may ask for them.

A metric is asked for by its whole name as Prometheus has it, by that without suffixes, or by its own name with dots.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from access.store import Rows
from connectors.promql.names import bare_name, metric_name

_PARTS: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "gauge": (("gauge", ""),),
    "sum": (("sum", ""),),
    "histogram": (
        ("histogram_bucket", "_bucket"),
        ("histogram_count", "_count"),
        ("histogram_sum", "_sum"),
    ),
    "exp_histogram": (("exp_histogram_count", "_count"), ("exp_histogram_sum", "_sum")),
    "summary": (("summary_quantile", ""), ("summary_count", "_count"), ("summary_sum", "_sum")),
}
"""The series that a kind of metric has: the file of `sql/` that reads them, and the suffix of their name."""
EDGES: Final[Mapping[str, str]] = {"histogram_bucket": "le", "summary_quantile": "quantile"}
"""The label that tells apart the series of one point."""


@dataclass(frozen=True, slots=True)
class Known:
    """A metric. `type` and `unit` are the contract's; `name` has no suffix of a part."""

    kind: str
    metric: str
    """Its own name, with dots."""
    name: str
    type: str
    unit: str
    help: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where the series of one name are read: the rows of one metric in one table."""

    rows: str
    """A file of `sql/`, without `rows_`."""
    metric: str
    name: str
    """As `__name__` has it."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """The metrics of a period."""

    metrics: Sequence[Known]

    def sources(self) -> Iterator[Source]:
        """Yield all series, by their whole names."""
        for known in self.metrics:
            for rows, suffix in _PARTS[known.kind]:
                yield Source(rows, known.metric, known.name + suffix)

    def named(self, name: str) -> list[Source]:
        """Return where the series of a name are, in any of its spellings; they are called as they were asked for."""
        return [
            Source(rows, known.metric, name)
            for known in self.metrics
            for rows, suffix in _PARTS[known.kind]
            if name
            in {
                known.name + suffix,
                bare_name(known.metric) + suffix,
                known.metric + suffix.replace("_", "."),
            }
            or (name == known.metric and not suffix)
        ]


def read(rows: Rows) -> Catalog:
    """Return the catalog that `sql/catalog.sql` finds."""
    return Catalog([_known(*row) for row in rows.rows])


def _known(kind: str, metric: str, unit: str, description: str, is_counter: bool) -> Known:  # noqa: FBT001  a row
    name = metric_name(metric, unit, is_counter=bool(is_counter), is_gauge=kind == "gauge")
    types = {"sum": "counter" if is_counter else "gauge", "exp_histogram": "histogram"}
    return Known(kind, metric, name, types.get(kind, kind), unit, description)
