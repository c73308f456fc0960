"""`correlate_metrics`: which series move together, with lags, over one or several connections and namespaces."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from access import budget
from access.answer import Answer, Table
from access.refusal import Refusal, invalid
from connectors.analysis.anomalies import detect_many
from connectors.analysis.correlation import correlate
from connectors.contract import Series, Signal
from connectors.tools.asker import Asker, Period, characters, named_values, text_of, time_of
from connectors.tools.names import METRIC_FILTERS
from connectors.tools.query_metrics import name_of, series_of, understood

TOOL: Final = "correlate_metrics"
QUERIES: Final = 10
SERIES: Final = 50
COLUMNS: Final = (
    "first", "second", "correlation", "lag_seconds", "at_no_lag", "p_value", "q_value", "significant", "n", "note",
)  # fmt: skip
_HOW: Final = (
    "lag_seconds is positive where first is ahead of second. p_value counts neighbouring points as dependent; q_value"
    " is corrected for the number of pairs. Agreement is no cause."
)
_TOGETHER: Final = 120.0
"""Seconds within which anomalies of two series are one moment."""


async def correlate_metrics(
    asker: Asker,
    metrics: Sequence[Any],
    *,
    time_range: Any = None,
    max_lag: float = 300.0,
    connection: str | None = None,
    zone: str = "UTC",
    max_characters: int | None = None,
) -> Answer:
    """Return each pair of series by how strongly they agree. Raises Refusal."""
    size = characters(max_characters)
    if not isinstance(metrics, Sequence) or isinstance(metrics, str) or not 1 <= len(metrics) <= QUERIES:
        raise invalid("metrics", f"metrics is a list of one to {QUERIES} queries.")
    if isinstance(max_lag, bool) or not isinstance(max_lag, int | float) or not 0 <= max_lag <= 86_400:  # noqa: PLR2004
        raise invalid("max_lag", "max_lag is a number of seconds from 0 to 86,400.")
    period = asker.period(time_range, zone)
    read = await asyncio.gather(
        *(_read(asker, number, one, connection, period) for number, one in enumerate(metrics)),
        return_exceptions=True,
    )
    series: list[tuple[str, Series]] = []
    failures: list[tuple[int, str, str]] = []
    for number, one in enumerate(read):
        if isinstance(one, Refusal):
            failures.append((number, one.code.value, one.message))
        elif isinstance(one, BaseException):
            raise one
        else:
            series += one
    if failures and len(failures) == len(metrics):
        raise next(one for one in read if isinstance(one, Refusal))
    left = max(0, len(series) - SERIES)
    series = series[:SERIES]
    hints = [f"{left} more series were left out: aggregate them."] if left else []
    if len(series) < 2:  # noqa: PLR2004  a pair
        raise invalid(
            "metrics",
            f"These queries have {len(series)} series in this period, and two are needed: ask query_metrics for each.",
        )
    found = correlate([(name, one.points) for name, one in series], float(max_lag))
    rows = [
        (
            pair.first, pair.second, pair.correlation, pair.lag_seconds, pair.at_no_lag, pair.p_value, pair.q_value,
            pair.significant, pair.n, pair.note,
        )
        for pair in found.pairs
    ]  # fmt: skip
    strongest = next((pair for pair in found.pairs if pair.significant), None)
    finding = "No pair agrees more than chance explains."
    if strongest is not None and strongest.correlation is not None:
        ahead = f", {abs(strongest.lag_seconds):g} s {'ahead' if strongest.lag_seconds > 0 else 'behind'}"
        finding = (
            f"{strongest.first} and {strongest.second} agree most: {strongest.correlation:.2f}"
            f"{ahead if strongest.lag_seconds else ''}."
        )
    answer = Answer(
        COLUMNS,
        rows,
        finding=finding,
        tables={
            "anomalies_together": together(series),
            **({"failed": Table(("metric", "code", "message"), failures)} if failures else {}),
        },
        time_range=period.range,
        hints=tuple(hints),
        notes=(
            _HOW,
            f"Series are compared in buckets of {found.bucket_seconds:g} seconds.",
            *(["Of some metrics there is no answer: see the table failed."] if failures else []),
        ),
    )
    return budget.fit(answer, size)


async def _read(
    asker: Asker, number: int, one: Any, connection: str | None, period: Period
) -> list[tuple[str, Series]]:
    """Return one query's series by name. A query is a text, or an object with its connection and filters."""
    where = f"metrics.{number}"
    given: Mapping[str, Any] = (
        {"query": one}
        if isinstance(one, str)
        else named_values(one, ("query", "connection", "filters", "name"), where)
    )
    labels = {
        name: text_of(value, f"{where}.filters.{name}")
        for name, value in named_values(given.get("filters"), METRIC_FILTERS, f"{where}.filters").items()
    }
    chosen = await asker.choose(
        Signal.METRICS, text_of(given.get("connection"), f"{where}.connection") or connection
    )
    made = await understood(asker, chosen, given.get("query", ""), labels, period)
    asked = await series_of(asker, chosen, made.text, period, period.step, series=SERIES, tool=TOOL)
    title = text_of(given.get("name"), f"{where}.name") or made.text
    found = asked.result.series
    return [
        (f"{chosen.name}: {title}" + (f" {name_of(series.labels)}" if len(found) > 1 else ""), series)
        for series in found
    ]


def together(series: Sequence[tuple[str, Series]]) -> Table:
    """Return the moments at which several series have anomalies."""
    judged = detect_many([one for _, one in series])
    odd = [
        (anomaly.timestamp.timestamp(), name, anomaly)
        for (name, _), found in zip(series, judged, strict=True)
        for anomaly in found.anomalies
    ]
    odd.sort(key=lambda one: one[:2])
    rows = []
    place = 0
    while place < len(odd):
        group = [one for one in odd[place:] if one[0] - odd[place][0] <= _TOGETHER]
        if len({name for _, name, _ in group}) > 1:
            rows.append(
                (
                    time_of(int(group[0][0] * 10**9)),
                    len({name for _, name, _ in group}),
                    "; ".join(
                        f"{name}: {anomaly.kind.value} ({anomaly.severity})"
                        for _, name, anomaly in group[:10]
                    ),
                )
            )
        place += len(group)
    return Table(("time", "series", "anomalies"), rows)
