"""`detect_anomalies`: the odd points of a query's series."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from access.answer import moment
from access.document import Document, fit
from connectors.analysis.anomalies import Anomalies, Anomaly, detect_many
from connectors.contract import Series, Signal
from connectors.tools.asker import Asker, characters, named_values, one_of, said, text_of, told
from connectors.tools.names import METHODS, METRIC_FILTERS, SENSITIVITIES
from connectors.tools.query_metrics import name_of, series_of, understood

TOOL: Final = "detect_anomalies"
SERIES: Final = 50


async def detect_anomalies(
    asker: Asker,
    metric_query: str,
    *,
    time_range: Any = None,
    sensitivity: str = "medium",
    method: str = "auto",
    filters: Any = None,
    connection: str | None = None,
    zone: str = "UTC",
    max_characters: int | None = None,
) -> Document:
    """Return the anomalies of each series, the most severe first. Raises Refusal."""
    size = characters(max_characters)
    one_of(sensitivity, SENSITIVITIES, "sensitivity")
    one_of(method, METHODS, "method")
    labels = {
        name: text_of(value, f"filters.{name}")
        for name, value in named_values(filters, METRIC_FILTERS, "filters").items()
    }
    period = asker.period(time_range, zone)
    chosen = await asker.choose(Signal.METRICS, connection)
    made = await understood(asker, chosen, metric_query, labels, period)
    asked = await series_of(asker, chosen, made.text, period, period.step, series=SERIES, tool=TOOL)
    series = asked.result.series
    found = detect_many(series, method, sensitivity)
    anomalies = ranked(series, found)
    notes = [*made.notes, *list(dict.fromkeys(note for one in found for note in one.notes))[:6]]
    hints = []
    if not series:
        hints.append(
            "The query is valid and selects no series in this period: discover lists metrics and labels."
        )
    elif asked.result.about.has_more:
        hints.append(
            f"Only the first {SERIES} series were judged: an aggregate, or filters, make them fewer."
        )
    if anomalies:
        hints.append("investigate(service, at) looks at logs, traces and deploys around a time.")
    finding = (
        f"{len(anomalies)} anomalies in {len(series)} series."
        if anomalies
        else f"No anomalies in {len(series)} series at sensitivity {sensitivity}."
    )
    baselines = [
        {
            "metric": name_of(one.labels),
            "method": judged.method.value,
            "n": judged.n,
            "missing": judged.missing,
            **(_stats(judged) or {}),
        }
        for one, judged in zip(series, found, strict=True)
    ]
    document = Document(
        {"anomalies": anomalies, **({"baselines": baselines} if len(series) > 1 else {})},
        {
            "anomalies_detected": bool(anomalies),
            "returned_count": len(anomalies),
            "baseline_stats": _stats(found[0]) if found else None,
            "method": found[0].method.value if found else method,
            "sensitivity": sensitivity,
            "query_time_ms": asked.query_time_ms,
            "query_id": asked.query_id or None,
            "step_seconds": period.step,
            "connection": told(chosen),
        },
        replace(said(asked, asked.result.about, period, hints=hints, notes=notes), finding=finding),
    )
    return fit(document, size)


def ranked(series: Sequence[Series], found: Sequence[Anomalies]) -> list[dict[str, Any]]:
    """Return the anomalies of all series as they are shown, the furthest off first."""
    pairs = [
        (one, anomaly) for one, judged in zip(series, found, strict=True) for anomaly in judged.anomalies
    ]
    pairs.sort(key=lambda pair: -pair[1].deviation_score)
    return [shown(one, anomaly) for one, anomaly in pairs]


def shown(series: Series, anomaly: Anomaly) -> dict[str, Any]:
    """Return an anomaly with the fields of the interface."""
    return {
        "timestamp": moment(anomaly.timestamp),
        "until": moment(anomaly.until),
        "metric": name_of(series.labels),
        "value": anomaly.value,
        "expected_range": list(anomaly.expected_range),
        "deviation_score": round(anomaly.deviation_score, 2),
        "severity": anomaly.severity,
        "kind": anomaly.kind.value,
        "p_value": anomaly.p_value,
        "description": anomaly.description,
    }


def _stats(judged: Anomalies) -> dict[str, Any] | None:
    base = judged.baseline_stats
    return None if base is None else {"mean": base.mean, "std_dev": base.std_dev, "p95": base.p95}
