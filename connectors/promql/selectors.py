"""A selector as SQL: the series of the metrics that it names, for which its matchers hold, with their samples."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import re2
from promql_parser import Matcher, MatchOp, VectorSelector

from connectors.promql.catalog import EDGES, Catalog, Source
from connectors.promql.values import Values, bad_query, filled, unsupported

NAME: Final = "__name__"
LOOKBACK_MS: Final = 300_000
DELTA_MS: Final = 86_400_000
"""From how long before a period on deltas are added up."""
LABEL_SQL: Final = "replaceRegexpOne(replaceRegexpAll(key, '[^a-zA-Z0-9_]', '_'), '^([0-9])', 'key_\\\\1')"
_MADE: Final = frozenset({NAME, "job", "instance", *EDGES.values()})
"""Labels that are no attribute's alone."""
_NOTHING: Final = (
    "SELECT CAST(map(), 'Map(String, String)') AS labels,"
    " CAST([], 'Array(Tuple(Int64, Bool, Float64))') AS samples WHERE false"
)


def template(name: str) -> str:
    """Return one of the statements of `sql/`, without the remarks above it."""
    text = (Path(__file__).parent / "sql" / f"{name}.sql").read_text(encoding="utf-8")
    return re.sub(r"\A(?:--.*\n)+", "", text).strip()


@dataclass(frozen=True, slots=True)
class Period:
    """The steps at which an expression is evaluated, in milliseconds since 1970; both ends are steps."""

    start: int
    steps: int
    step: int

    @property
    def end(self) -> int:
        """The last step."""
        return self.start + (self.steps - 1) * self.step


@dataclass(frozen=True, slots=True)
class Selected:
    """The statement of a selector's series: labels, and samples as (milliseconds, is stale, value)."""

    sql: str
    has_name: bool
    """Whether `__name__` is among the labels still."""


def milliseconds(duration: timedelta | None) -> int:
    """Return a duration in whole milliseconds."""
    return duration // timedelta(milliseconds=1) if duration else 0


def selected(
    selector: VectorSelector, back: int, period: Period, catalog: Catalog, values: Values, *, keep_name: bool
) -> Selected:
    """Return the series of a selector, with their samples from `back` milliseconds before each step on.

    Without `keep_name` the name is left out where that cannot make two series the same.
    """
    if selector.at is not None:
        raise unsupported("@ modifier")
    offset = milliseconds(selector.offset)
    first, last = period.start - offset - back, period.end - offset
    matchers = list(selector.matchers.matchers)
    if selector.matchers.or_matchers:
        raise unsupported("alternatives of matchers (or between braces)")
    sources = _sources(selector.name, matchers, catalog)
    if not sources:
        return Selected(_NOTHING, has_name=False)
    likely = [
        f"(has(mapValues(Attributes), {text}) OR has(mapValues(ResourceAttributes), {text}))"
        for text in (values.text(one.value) for one in matchers if _is_of_an_attribute(one))
    ]
    of_kind = sorted(sources, key=lambda source: source.rows)
    series = "\nUNION ALL\n".join(
        _series(kind, list(found), first, last, likely, values)
        for kind, found in groupby(of_kind, lambda source: source.rows)
    )
    is_one = len({source.name for source in sources}) == 1
    has_name = keep_name or not is_one
    labels = "found" if has_name else f"mapFilter((key, value) -> key != '{NAME}', found)"
    conditions = [
        condition(one, f"labels[{values.text(one.name)}]", values) for one in matchers if one.name != NAME
    ]
    parts = {
        "series": series,
        "labels": labels,
        "first": values.integer(first),
        "matchers": " AND ".join(conditions) or "true",
    }
    return Selected(filled(template("selected"), parts), has_name)


def selectors_of(selector: VectorSelector, catalog: Catalog) -> list[Source]:
    """Return where the series are that a selector names."""
    return _sources(selector.name, list(selector.matchers.matchers), catalog)


def condition(matcher: Matcher, value: str, values: Values) -> str:
    """Return the condition of one matcher on the SQL of a label's value, which is empty for a missing label."""
    if matcher.op == MatchOp.Equal:
        return f"{value} = {values.text(matcher.value)}"
    if matcher.op == MatchOp.NotEqual:
        return f"{value} != {values.text(matcher.value)}"
    found = f"match({value}, {values.text(whole(matcher.value))})"
    return found if matcher.op == MatchOp.Re else f"NOT {found}"


def whole(pattern: str) -> str:
    """Return a regular expression that a whole value matches; a dot is no line break, unlike ClickHouse's."""
    return f"^(?-s:{pattern})$"


def _sources(name: str | None, matchers: Iterable[Any], catalog: Catalog) -> list[Source]:
    """Return where the series are whose name is given and fits all matchers of names."""
    of_name = [one for one in matchers if one.name == NAME]
    equal = [one.value for one in of_name if one.op == MatchOp.Equal]
    if name is not None:
        equal.append(name)
    sources = catalog.named(equal[0]) if equal and equal[0] else [] if equal else list(catalog.sources())
    return [source for source in sources if all(_fits(source.name, one) for one in of_name)]


def _fits(name: str, matcher: Matcher) -> bool:
    if matcher.op == MatchOp.Equal:
        return name == matcher.value
    if matcher.op == MatchOp.NotEqual:
        return name != matcher.value
    try:
        found = re2.fullmatch(matcher.value, name) is not None
    except re2.error:
        raise bad_query("a regular expression of the metric's name cannot be read") from None
    return bool(found == (matcher.op == MatchOp.Re))


def _is_of_an_attribute(matcher: Matcher) -> bool:
    """Whether each series that it selects has an attribute of this value: a look at each row leaves out the others."""
    return matcher.op == MatchOp.Equal and bool(matcher.value) and matcher.name not in _MADE


def _series(
    kind: str, sources: Sequence[Source], first: int, last: int, likely: Sequence[str], values: Values
) -> str:
    """Return the statement of the series of one kind of metric."""
    metrics = {source.metric: source.name for source in sources}
    names = set(metrics.values())
    if len(names) == 1:
        name = values.text(names.pop())
    else:
        pairs = [(values.text(metric), values.text(found)) for metric, found in metrics.items()]
        known, called = (", ".join(part) for part in zip(*pairs, strict=True))
        name = f"transform(toString(MetricName), [{known}], [{called}], '')"
    rows = template(f"rows_{kind}")
    times = f"TimeUnix <= fromUnixTimestamp64Milli({values.integer(last)})"
    begin = f"TimeUnix >= fromUnixTimestamp64Milli({values.integer(first)})"
    if "AggregationTemporality" in rows:
        earlier = f"TimeUnix >= fromUnixTimestamp64Milli({values.integer(first - DELTA_MS)})"
        begin = f"{earlier} AND (AggregationTemporality = 1 OR {begin})"
    parts = {
        "name": name,
        "which": " AND ".join([f"MetricName IN {values.texts(list(metrics))}", begin, times, *likely]),
    }
    return filled(
        template("series"),
        {"rows": filled(rows, parts), "label": LABEL_SQL, "edge": EDGES.get(kind, "edge")},
    )
