"""A stand-in for Loki, which does not run where the tests do: its documented interface over lines in memory.

It evaluates what it is asked: matchers, filters, times, limit and direction. It orders lines within a stream alone,
answers errors in plain text, leaves `data` out where there is nothing, and tells labels from structured metadata only
when asked to, as the documentation of Loki's HTTP interface has it. `is_old` is Loki before version 2.9: no structured
metadata, no detected level, no service_name.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.connectors.logql_reader import LogQuery, MetricQuery, ParseError, read
from tests.connectors.replay import Answered, served
from tests.connectors.shop import LINES, Line

MOST_LINES = 5_000
_TEXT = {"content-type": "text/plain; charset=utf-8"}
_JSON = {"content-type": "application/json; charset=UTF-8"}


@dataclass(frozen=True)
class Entry:
    time_ns: int
    line: str
    stream: Mapping[str, str]
    metadata: Mapping[str, str]

    @property
    def labels(self) -> dict[str, str]:
        return {**self.stream, **self.metadata}


class RefusedError(Exception):
    """An answer that is an error: a status and a text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@contextmanager
def loki(lines: Sequence[Line] = LINES, *, is_old: bool = False, tenant: str = "") -> Iterator[str]:
    """Serve lines on loopback; the address."""
    entries = [_old_entry(line) if is_old else _entry(line) for line in lines]

    def answer(_: str, target: str, headers: Mapping[str, str], __: bytes) -> Answered:
        parts = urlsplit(target)
        params = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        is_categorized = not is_old and "categorize-labels" in headers.get(
            "x-loki-response-encoding-flags", ""
        )
        if tenant and headers.get("x-scope-orgid") != tenant:
            return Answered(401, _TEXT, b"no org id\n")
        try:
            found = _answer(parts.path, params, entries, is_categorized=is_categorized)
        except ParseError as error:
            return Answered(400, _TEXT, f"{error}\n".encode())
        except RefusedError as error:
            return Answered(error.status, _TEXT, f"{error}\n".encode())
        return Answered(200, _JSON, json.dumps(found).encode())

    with served(answer) as url:
        yield url


def _entry(line: Line) -> Entry:
    stream = {"service_name": line.service, "app": line.service, "namespace": line.namespace, "pod": line.pod}
    metadata = {"detected_level": line.severity.lower() or "unknown"}
    if line.trace_id:
        metadata |= {"trace_id": line.trace_id, "span_id": line.span_id}
    return Entry(line.time_ns, line.message, stream, metadata)


def _old_entry(line: Line) -> Entry:
    stream = {"job": f"{line.namespace}/{line.service}", "namespace": line.namespace, "pod": line.pod}
    trace = f" trace_id={line.trace_id}" if line.trace_id else ""
    level = f"level={line.severity.lower()} " if line.severity else ""
    return Entry(line.time_ns, level + line.message + trace, stream, {})


def _answer(
    path: str, params: Mapping[str, str], entries: Sequence[Entry], *, is_categorized: bool
) -> Mapping[str, Any]:
    start, end = int(params.get("start", "0")), int(params.get("end", str(2**62)))
    within = [entry for entry in entries if start <= entry.time_ns < end]
    match path.removeprefix("/loki/api/v1").split("/")[1:]:
        case ["labels"]:
            return _some({name for entry in within for name in entry.stream})
        case ["label", name, "values"]:
            return _some({entry.stream[unquote(name)] for entry in within if unquote(name) in entry.stream})
        case ["status", "buildinfo"]:
            return {"version": "3.5.0", "revision": "abc", "branch": "HEAD", "goVersion": "go1.24"}
        case ["query_range"]:
            query = read(params["query"])
            if isinstance(query, MetricQuery):
                times = range(start, int(params["end"]) + 1, _step(params))
                return _matrix(query, entries, times)
            return _streams(query, within, params, is_categorized=is_categorized)
        case ["query"]:
            query = read(params["query"])
            if isinstance(query, LogQuery):
                raise RefusedError(400, "log queries are not supported as an instant query type")
            return _vector(query, entries, int(params["time"]))
        case _:
            raise RefusedError(404, "404 page not found")


def _step(params: Mapping[str, str]) -> int:
    seconds = float(params.get("step") or max(1, (int(params["end"]) - int(params["start"])) // 250 // 10**9))
    return int(seconds * 10**9)


def _some(texts: set[str]) -> Mapping[str, Any]:
    return {"status": "success", **({"data": sorted(texts)} if texts else {})}


def _streams(
    query: LogQuery, within: Sequence[Entry], params: Mapping[str, str], *, is_categorized: bool
) -> Mapping[str, Any]:
    limit = int(params.get("limit", "100"))
    if limit > MOST_LINES:
        raise RefusedError(
            400,
            f"max entries limit per query exceeded, limit > max_entries_limit_per_query ({limit} > {MOST_LINES})",
        )
    found = [one for one in within if query.selects(one.stream) and query.passes(one.labels, one.line)]
    is_backward = params.get("direction", "backward") == "backward"
    found = sorted(found, key=lambda one: one.time_ns, reverse=is_backward)[:limit]
    streams: dict[str, dict[str, Any]] = {}
    for one in found:
        labels = one.stream if is_categorized else one.labels
        stream = streams.setdefault(json.dumps(labels, sort_keys=True), {"stream": labels, "values": []})
        more = [{"structuredMetadata": one.metadata}] if is_categorized else []
        stream["values"].append([str(one.time_ns), one.line, *more])
    flags = {"encodingFlags": ["categorize-labels"]} if is_categorized else {}
    # No order of streams is promised: by label, not by time.
    result = [streams[key] for key in sorted(streams)]
    summary = {"totalLinesProcessed": len(within), "totalBytesProcessed": 4_096, "execTime": 0.002}
    data = {"resultType": "streams", **flags, "result": result, "stats": {"summary": summary}}
    return {"status": "success", "data": data}


def _counted(query: MetricQuery, entries: Sequence[Entry], moment: int) -> dict[str, float]:
    found: dict[str, float] = {}
    for one in entries:
        if not moment - query.range_ns < one.time_ns <= moment or not query.logs.selects(one.stream):
            continue
        if query.logs.passes(one.labels, one.line):
            kept = one.labels if query.by is None else {k: v for k, v in one.labels.items() if k in query.by}
            key = json.dumps(kept, sort_keys=True)
            found[key] = found.get(key, 0.0) + (1e9 / query.range_ns if query.function == "rate" else 1.0)
    return found


def _vector(query: MetricQuery, entries: Sequence[Entry], moment: int) -> Mapping[str, Any]:
    result = [
        {"metric": json.loads(key), "value": [moment / 1e9, f"{value:g}"]}
        for key, value in _counted(query, entries, moment).items()
    ]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def _matrix(query: MetricQuery, entries: Sequence[Entry], times: range) -> Mapping[str, Any]:
    if len(times) > 11_000:
        raise RefusedError(400, "exceeded maximum resolution of 11,000 points per time series")
    series: dict[str, list[Any]] = {}
    for moment in times:
        for key, value in _counted(query, entries, moment).items():
            series.setdefault(key, []).append([moment / 1e9, f"{value:g}"])
    result = [{"metric": json.loads(key), "values": values} for key, values in sorted(series.items())]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}
