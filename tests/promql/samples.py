"""The samples that Prometheus and the store are both given, as series of OTLP and as Prometheus has them.

The names and labels of Prometheus are written out here, so that the translation of names is tested too.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clickhouse.engine import Engine, memory_file

BASE = 1_767_268_800
"""Seconds: noon of the first of January 2026."""
EVERY = 30
COUNT = 200
STALE = object()
"""In place of a value: the series ends here."""
Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Point:
    """What one series of OTLP says at a time; `value` is STALE, a number, or of a histogram or summary a dict."""

    ms: int
    value: Any


@dataclass(frozen=True, slots=True)
class OtlpSeries:
    """One series as it is stored, and its labels as Prometheus has them; `prometheus` is the name without a part."""

    kind: str
    metric: str
    unit: str
    resource: Labels
    attributes: Labels
    points: Sequence[Point]
    prometheus: str
    labels: Labels
    is_delta: bool = False
    is_monotonic: bool = True
    bounds: tuple[float, ...] = field(default=())


def _random(seed: int) -> Iterator[int]:
    """Yield the numbers of a generator that every machine has, from 0 to 999."""
    state = seed
    while True:
        state = (state * 1_103_515_245 + 12_345) % 2**31
        yield state // 65_536 % 1000


def _times(start: int = 0, count: int = COUNT, jitter: int = 0) -> list[int]:
    return [
        (BASE + EVERY * (start + place)) * 1000 + (place * 7_919 % jitter if jitter else 0)
        for place in range(count)
    ]


def _counter(seed: int, times: Sequence[int], resets: Sequence[int] = ()) -> list[Point]:
    total, numbers, made = 0, _random(seed), []
    for place, ms in enumerate(times):
        total = 0 if place in resets else total + next(numbers) % 17
        made.append(Point(ms, float(total)))
    return made


def _gauge(seed: int, times: Sequence[int], scale: float = 1.0) -> list[Point]:
    return [Point(ms, (value - 300) * scale) for ms, value in zip(times, _random(seed), strict=False)]


def _without(points: Sequence[Point], first: int, last: int) -> list[Point]:
    return [point for place, point in enumerate(points) if not first <= place < last]


def _replaced(points: Sequence[Point], values: Mapping[int, Any]) -> list[Point]:
    return [
        Point(point.ms, values[place]) if place in values else point for place, point in enumerate(points)
    ]


def _histogram(seed: int, bounds: Sequence[float], resets: Sequence[int], *, is_delta: bool) -> list[Point]:
    counts, total, numbers, made = [0] * (len(bounds) + 1), 0.0, _random(seed), []
    for place, ms in enumerate(_times()):
        if is_delta or place in resets:
            counts, total = [0] * (len(bounds) + 1), 0.0
        for _ in range(1 + next(numbers) % 5):
            value = next(numbers) / 250
            total += value
            counts[sum(value > bound for bound in bounds)] += 1
        made.append(Point(ms, {"counts": list(counts), "sum": total}))
    return made


_HOST = {"service.name": "shop", "service.instance.id": "i-1", "k8s.pod.name": "shop-0"}
_HOST_LABELS = {"job": "shop", "instance": "i-1", "service_name": "shop", "service_instance_id": "i-1",
                "k8s_pod_name": "shop-0"}  # fmt: skip
_OTHER = {"service.name": "pay", "service.namespace": "money"}
_OTHER_LABELS = {"job": "money/pay", "service_name": "pay", "service_namespace": "money"}
_BOUNDS = (0.1, 0.5, 1.0, 2.5)


def _series() -> Iterator[OtlpSeries]:
    for seed, (method, code, resets) in enumerate(
        [("get", "200", ()), ("get", "500", (60, 61, 140)), ("post", "200", (100,))], 1
    ):
        given = {"http.method": method, "http.code": code}
        yield OtlpSeries(
            "sum", "http.requests", "{request}", _HOST, given, _counter(seed, _times(), resets),
            "http_requests_total", {**_HOST_LABELS, "http_method": method, "http_code": code},
        )  # fmt: skip
    late = _without(_counter(4, _times(50, 100), (30,)), 40, 60)
    given = {"http.method": "get", "http.code": "200"}
    yield OtlpSeries(
        "sum", "http.requests", "{request}", _OTHER, given, late,
        "http_requests_total", {**_OTHER_LABELS, "http_method": "get", "http_code": "200"},
    )  # fmt: skip
    ended = _replaced(_counter(5, _times()), {80: STALE, 81: STALE, 150: STALE})
    yield OtlpSeries(
        "sum", "jobs.done.total", "1", _HOST, {}, _without(ended, 82, 95), "jobs_done_total", _HOST_LABELS
    )
    yield OtlpSeries(
        "gauge", "memory.usage", "By", _HOST, {"state": 'a "b"\\c\nd'}, _gauge(6, _times(jitter=9_000), 1e6),
        "memory_usage_bytes", {**_HOST_LABELS, "state": 'a "b"\\c\nd'},
    )  # fmt: skip
    holes = _replaced(_gauge(7, _times()), {70: math.nan, 100: math.inf, 130: -math.inf})
    yield OtlpSeries(
        "gauge", "memory.usage", "By", _OTHER, {"state": "größe", "empty": ""}, _without(holes, 20, 50),
        "memory_usage_bytes", {**_OTHER_LABELS, "state": "größe"},
    )  # fmt: skip
    yield OtlpSeries(
        "gauge", "cpu.utilization", "1", _HOST, {"9lives": "x"}, _gauge(8, _times(), 0.001),
        "cpu_utilization_ratio", {**_HOST_LABELS, "key_9lives": "x"},
    )  # fmt: skip
    yield OtlpSeries(
        "gauge",
        "cpu.limit",
        "1",
        _HOST,
        {},
        [Point(ms, 2.5) for ms in _times()],
        "cpu_limit_ratio",
        _HOST_LABELS,
    )
    yield OtlpSeries(
        "sum",
        "queue.size",
        "",
        _OTHER,
        {},
        _gauge(9, _times()),
        "queue_size",
        _OTHER_LABELS,
        is_monotonic=False,
    )
    for seed, (route, resets) in enumerate([("/a", (90,)), ("/b", ())], 10):
        yield OtlpSeries(
            "histogram", "http.duration", "s", _HOST, {"route": route},
            _histogram(seed, _BOUNDS, resets, is_delta=False),
            "http_duration_seconds", {**_HOST_LABELS, "route": route}, bounds=_BOUNDS,
        )  # fmt: skip
    yield OtlpSeries(
        "histogram", "tool.duration", "ms", _OTHER, {}, _histogram(12, _BOUNDS, (), is_delta=True),
        "tool_duration_milliseconds", _OTHER_LABELS, is_delta=True, bounds=_BOUNDS,
    )  # fmt: skip
    for seed, model in enumerate(["small", "large"], 13):
        values = _without(
            [Point(ms, float(n % 50)) for ms, n in zip(_times(), _random(seed), strict=False)], 90, 110
        )
        yield OtlpSeries(
            "sum", "claude_code.token.usage", "tokens", _OTHER, {"model": model}, values,
            "claude_code_token_usage_tokens_total", {**_OTHER_LABELS, "model": model}, is_delta=True,
        )  # fmt: skip
    quantiles = [
        Point(ms, {"quantiles": {"0.5": value, "0.99": value * 2.0}, "count": place, "sum": value * 1.5})
        for place, (ms, value) in enumerate(zip(_times(), _random(15), strict=False))
    ]
    yield OtlpSeries(
        "summary", "rpc.latency", "ms", _HOST, {}, quantiles, "rpc_latency_milliseconds", _HOST_LABELS
    )


SERIES = tuple(_series())


def prometheus_series() -> Iterator[tuple[dict[str, str], list[tuple[int, Any]]]]:
    """Yield the labels and samples of each of Prometheus' series; deltas are added up."""
    for series in SERIES:
        for suffix, more, samples in _parts(series):
            total = 0.0
            made: list[tuple[int, Any]] = []
            for ms, value in samples:
                total = value if value is STALE or not series.is_delta else total + value
                made.append((ms, total))
            yield {"__name__": series.prometheus + suffix, **series.labels, **more}, made


def _parts(series: OtlpSeries) -> Iterator[tuple[str, dict[str, str], list[tuple[int, Any]]]]:
    if series.kind in {"gauge", "sum"}:
        yield "", {}, [(point.ms, point.value) for point in series.points]
        return
    if series.kind == "summary":
        for quantile in ("0.5", "0.99"):
            yield (
                "", {"quantile": quantile},
                [(point.ms, point.value["quantiles"][quantile]) for point in series.points],
            )  # fmt: skip
        for name in ("count", "sum"):
            yield f"_{name}", {}, [(point.ms, float(point.value[name])) for point in series.points]
        return
    for place, bound in enumerate(["0.1", "0.5", "1", "2.5", "+Inf"]):
        counts = [(point.ms, float(sum(point.value["counts"][: place + 1]))) for point in series.points]
        yield "_bucket", {"le": bound}, counts
    yield "_count", {}, [(point.ms, float(sum(point.value["counts"]))) for point in series.points]
    yield "_sum", {}, [(point.ms, point.value["sum"]) for point in series.points]


def store(engine: Engine) -> None:
    """Fill the tables of the database in use."""
    tables: dict[str, list[dict[str, Any]]] = {}
    for series in SERIES:
        tables.setdefault(f"otel_metrics_{series.kind}", []).extend(
            _row(series, point) for point in series.points
        )
    # The first two rows of counters twice: what a hop sent again in another request.
    tables["otel_metrics_sum"] += tables["otel_metrics_sum"][:2]
    for table, rows in tables.items():
        columns = ", ".join(f"`{name}`" for name in rows[0])
        with memory_file([json.dumps(row).encode() + b"\n" for row in rows]) as path:
            engine.command(
                f"INSERT INTO {table} ({columns}) FROM INFILE '{path}' COMPRESSION 'none' FORMAT JSONEachRow"
            )


def _row(series: OtlpSeries, point: Point) -> dict[str, Any]:
    value: Any = 0.0 if point.value is STALE else point.value
    row: dict[str, Any] = {
        "ServiceName": series.resource["service.name"],
        "MetricName": series.metric,
        "MetricUnit": series.unit,
        "ResourceAttributes": dict(series.resource),
        "Attributes": dict(series.attributes),
        "TimeUnix": f"{point.ms // 1000}.{point.ms % 1000:03}",
        "Flags": int(point.value is STALE),
    }
    temporality = 1 if series.is_delta else 2
    match series.kind:
        case "gauge":
            row["Value"] = str(value) if math.isnan(value) or math.isinf(value) else value
        case "sum":
            row |= {"Value": value, "AggregationTemporality": temporality, "IsMonotonic": series.is_monotonic}
        case "histogram":
            row |= {
                "Count": sum(value["counts"]), "Sum": value["sum"], "BucketCounts": value["counts"],
                "ExplicitBounds": list(series.bounds), "AggregationTemporality": temporality,
            }  # fmt: skip
        case _:
            row |= {
                "Count": value["count"], "Sum": value["sum"],
                "ValueAtQuantiles.Quantile": [float(key) for key in value["quantiles"]],
                "ValueAtQuantiles.Value": list(value["quantiles"].values()),
            }  # fmt: skip
    return row
