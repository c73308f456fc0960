"""Prometheus and VictoriaMetrics beyond the contract: what is asked, how errors are read, and large answers."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from connectors.adapters import prometheus
from connectors.adapters.prometheus import PROMETHEUS, VICTORIAMETRICS
from connectors.addresses import Policy
from connectors.backend import Backend
from connectors.contract import BackendError, Cost, Health, Kind, MetricsRequest, SeriesResult, Window
from tests.connectors.hostile import Script, answer, endless, hostile, saying
from tests.connectors.subject import START, WINDOW

HOUR = MetricsRequest("up", WINDOW, 60.0)
BASE = int(START.timestamp())


def ask(
    script: Script, call: Callable[[Any], Awaitable[Any]], backend: Backend = PROMETHEUS, **config: Any
) -> tuple[Any, list[str]]:
    """Return what a call returns at a server that does as the script says, and the requests' first lines."""

    async def run() -> tuple[Any, list[str]]:
        async with hostile(script) as server:
            given = backend.config.model_validate({"url": server.url, **config})
            adapter = backend.opened(given, Policy())
            try:
                found = await call(adapter)
            finally:
                await adapter.close()
            return found, [head.partition(b"\r\n")[0].decode() for head in server.heads]

    return asyncio.run(run())


def refused(
    script: Script, request: MetricsRequest = HOUR, backend: Backend = PROMETHEUS, **config: Any
) -> BackendError:
    """Return the error of a query over a period."""
    with pytest.raises(BackendError) as caught:
        ask(script, lambda adapter: adapter.query_range(request), backend, **config)
    return caught.value


def matrix(rows: list[Any], **more: Any) -> bytes:
    """Return a successful answer."""
    return json.dumps(
        {
            "status": "success",
            "data": {"resultType": "matrix", "result": rows, **more.pop("data", {})},
            **more,
        }
    ).encode()


def result_of(
    body: bytes, request: MetricsRequest = HOUR, backend: Backend = PROMETHEUS, **config: Any
) -> SeriesResult:
    """Return the result of a query that is answered with this body."""
    found, _ = ask(saying("200 OK", body), lambda adapter: adapter.query_range(request), backend, **config)
    assert isinstance(found, SeriesResult)
    return found


def params_of(line: str) -> dict[str, str]:
    """Return the parameters of a request's first line."""
    return {name: values[0] for name, values in parse_qs(urlsplit(line.split(" ")[1]).query).items()}


def asked(
    request: MetricsRequest, backend: Backend = PROMETHEUS, **config: Any
) -> tuple[dict[str, str], SeriesResult]:
    """Return the parameters that a query is sent with, and its result."""
    found, lines = ask(
        saying("200 OK", matrix([])), lambda adapter: adapter.query_range(request), backend, **config
    )
    return params_of(lines[0]), found


# ---------------------------------------------------------------- what is asked


def test_a_period_is_asked_without_its_end() -> None:
    """The window is up to but without its end; the interface's range has both ends."""
    params, _ = asked(HOUR)
    assert params == {
        "query": "up", "start": f"{BASE}", "end": f"{BASE + 3540}", "step": "60", "timeout": "30s", "stats": "true",
    }  # fmt: skip
    params, _ = asked(MetricsRequest("up", WINDOW, 7.0))
    last = int(params["end"])
    assert (last - BASE) % 7 == 0
    assert last < BASE + 3600 <= last + 7


@pytest.mark.parametrize(("backend", "most"), [(PROMETHEUS, 11_000), (VICTORIAMETRICS, 30_000)])
def test_the_step_is_widened_to_the_points_that_the_system_allows(backend: Backend, most: int) -> None:
    """By whole multiples, and the answer says so."""
    month = Window(START, START + timedelta(days=30))
    params, result = asked(MetricsRequest("up", month, 15.0), backend)
    step = float(params["step"])
    points = (float(params["end"]) - float(params["start"])) / step + 1
    assert most * 0.8 < points <= most
    assert step % 15 == 0
    assert [f"{step:g} seconds instead of 15" in note for note in result.about.notes] == [True]
    assert asked(MetricsRequest("up", WINDOW, 60.0), backend)[1].about.notes == []
    assert asked(MetricsRequest("up", WINDOW, 0.0), backend)[0]["step"] != "0"


def test_limits_of_the_connection_are_held() -> None:
    """The seed's query_limits: samples of an answer, hours of a period."""
    limits = {"max_samples": 100, "max_time_range_hours": 2}
    params, result = asked(MetricsRequest("up", WINDOW, 15.0), query_limits=limits)
    assert params["step"] == "45"
    assert result.about.notes
    rows = [{"metric": {"n": str(n)}, "values": [[BASE + 60 * k, "1"] for k in range(40)]} for n in range(5)]
    result = result_of(matrix(rows), query_limits=limits)
    assert (len(result.series), result.about.has_more, result.about.total_count) == (2, True, 5)
    day = MetricsRequest("up", Window(START, START + timedelta(hours=24)), 60.0)
    error = refused(saying("200 OK", matrix([])), day, query_limits=limits)
    assert error.kind == Kind.BAD_QUERY
    assert "query_limits.max_time_range_hours" in error.message


def test_a_cluster_is_asked_below_its_tenants_path() -> None:
    """VictoriaMetrics' tenant is a path, not a header; its cache, which moves times, is not used."""

    async def heads() -> bytes:
        async with hostile(saying("200 OK", matrix([]))) as server:
            config = VICTORIAMETRICS.config.model_validate({"url": f"{server.url}/", "tenant": "42:7"})
            adapter = VICTORIAMETRICS.opened(config, Policy())
            await adapter.query_range(HOUR)  # type: ignore[attr-defined]
            await adapter.close()
            return server.heads[0]

    head = asyncio.run(heads())
    assert head.startswith(b"GET /select/42:7/prometheus/api/v1/query_range?")
    assert b"nocache=1" in head
    assert b"X-Scope-OrgID" not in head
    with pytest.raises(ValueError, match="tenant"):
        VICTORIAMETRICS.config.model_validate({"url": "http://vm", "tenant": "../../admin"})


def test_a_long_query_is_sent_as_a_form() -> None:
    """Proxies bound the length of a URL."""
    query = 'up{pod=~"' + "|".join(f"pod-{number}" for number in range(400)) + '"}'
    _, lines = ask(
        saying("200 OK", matrix([])), lambda one: one.query_range(MetricsRequest(query, WINDOW, 60.0))
    )
    assert lines == ["POST /api/v1/query_range HTTP/1.1"]


def test_names_are_asked_for_by_what_they_contain() -> None:
    """The part of a name and the limit are pushed down, and neither can break out of the selector."""
    body = json.dumps({"status": "success", "data": []}).encode()

    async def script(head: bytes, writer: asyncio.StreamWriter) -> None:
        empty = b'{"status":"success","data":{}}'
        writer.write(answer("200 OK", empty if b"/metadata" in head else body))

    _, lines = ask(script, lambda one: one.metric_names('a.b"}', 5))
    (names,) = [line for line in lines if "__name__/values" in line]
    assert params_of(names) == {"limit": "18", "match[]": '{__name__=~".*a\\\\.b\\"\\\\}.*"}'}
    _, lines = ask(saying("200 OK", body), lambda one: one.label_values("a/../b", "m", WINDOW, 5))
    assert lines[0].startswith("GET /api/v1/label/a%2F..%2Fb/values?")


# ---------------------------------------------------------------- what is read


def test_values_are_numbers_or_none() -> None:
    """NaN and infinities have no place in JSON; points outside of the window are left out."""
    values = [[BASE - 60, "9"], [BASE, "1.5"], [BASE + 60.5, "NaN"], [BASE + 120, "+Inf"], [BASE + 180, "-Inf"],
              [BASE + 240, "1e-7"], [BASE + 3600, "9"]]  # fmt: skip
    (series,) = result_of(matrix([{"metric": {"a": "b"}, "values": values}])).series
    assert series.labels == {"a": "b"}
    assert list(series.points) == [
        (BASE, 1.5), (BASE + 60.5, None), (BASE + 120, None), (BASE + 180, None), (BASE + 240, 1e-7),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "row",
    [
        {"metric": {"a": 1}, "values": []},
        {"metric": [], "values": []},
        {"values": []},
        {"metric": {}, "values": {}},
        {"metric": {}, "values": [[BASE]]},
        {"metric": {}, "values": [[BASE, "one"]]},
        {"metric": {}, "values": [[BASE, None]]},
        {"metric": {}, "values": [[BASE, [1]]]},
        {"metric": {}, "values": [["x", "1"]]},
        {"metric": {}, "values": [None]},
        {"metric": {}, "values": "abc"},
        None,
        7,
    ],
)
def test_values_of_other_types_are_malformed(row: Any) -> None:
    """They are never taken for numbers."""
    assert refused(saying("200 OK", matrix([row]))).kind == Kind.MALFORMED


@pytest.mark.parametrize("kind", ["vector", "scalar", "string", None, 7, []])
def test_another_type_of_result_is_malformed(kind: Any) -> None:
    """A range has a matrix."""
    body = json.dumps({"status": "success", "data": {"resultType": kind, "result": []}}).encode()
    assert refused(saying("200 OK", body)).kind == Kind.MALFORMED


def test_what_a_query_cost_is_told() -> None:
    """Samples in Prometheus, series in VictoriaMetrics; nothing where the system says nothing, or nonsense."""
    stats = {"samples": {"totalQueryableSamples": 720}, "timings": {"execTotalTime": 0.0015}}
    assert result_of(matrix([], data={"stats": stats})).about.cost == Cost(720, milliseconds=1.5)
    stats = {"seriesFetched": "6", "executionTimeMsec": 3}
    assert result_of(matrix([], stats=stats), backend=VICTORIAMETRICS).about.cost == Cost(6, milliseconds=3)
    assert result_of(matrix([])).about.cost is None
    assert result_of(matrix([], data={"stats": {"samples": [], "timings": "x"}})).about.cost == Cost()


def test_the_systems_own_words_are_passed_on() -> None:
    """Warnings, hints, and that a part did not answer; native histograms have no single value."""
    rows = [{"metric": {}, "histograms": [[BASE, {"count": "1", "sum": "1"}]]}]
    about = result_of(matrix(rows, warnings=["store away"], infos=["no counter"], isPartial=True)).about
    assert (about.warnings, about.is_partial) == (["store away", "no counter"], True)
    assert ["native histograms" in note for note in about.notes] == [True]


def test_a_large_answer_is_read_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it holds up no other question; a small one is read at once."""
    threads: list[bool] = []

    def seen(*given: Any) -> Any:
        threads.append(threading.current_thread() is threading.main_thread())
        return read(*given)

    read = prometheus._points
    monkeypatch.setattr(prometheus, "_points", seen)
    for points in (10, 30_000):
        values = [[BASE + 0.1 * number, f"{number}.5"] for number in range(points)]
        (series,) = result_of(matrix([{"metric": {}, "values": values}])).series
        assert len(series.points) == points
    assert threads == [True, False]


def test_series_without_end_are_too_large_and_say_what_to_ask_instead() -> None:
    """A million series are never held."""
    row = b'{"metric":{"__name__":"up","instance":"' + b"x" * 200 + b'"},"values":[[1767268800,"1"]]},'
    start = b'{"status":"success","data":{"resultType":"matrix","result":['
    error = refused(endless(start, [row * 100]), max_response_bytes=1 << 20)
    assert error.kind == Kind.TOO_LARGE
    assert "topk" in error.message


# ---------------------------------------------------------------- errors


def failure(kind: Any, text: str) -> bytes:
    """Return an error of the interface."""
    return json.dumps({"status": "error", "errorType": kind, "error": text}).encode()


@pytest.mark.parametrize(
    ("status", "kind", "text", "expected"),
    [
        ("400 Bad Request", "bad_data", "invalid parameter", Kind.BAD_QUERY),
        ("422 Unprocessable Entity", "execution", "many-to-many matching not allowed", Kind.BAD_QUERY),
        ("422 Unprocessable Entity", "execution", "query processing would load too many samples", Kind.TOO_LARGE),
        ("422 Unprocessable Entity", "422", "cannot execute query: unknown func", Kind.BAD_QUERY),
        ("422 Unprocessable Entity", "422", "cannot select more than -search.maxSamplesPerQuery=1", Kind.TOO_LARGE),
        ("422 Unprocessable Entity", "422", "timeout exceeded during the query: 1.000 seconds", Kind.TIMEOUT),
        ("503 Service Unavailable", "timeout", "query timed out in expression evaluation", Kind.TIMEOUT),
        ("503 Service Unavailable", "canceled", "query was canceled", Kind.TIMEOUT),
        ("500 Internal Server Error", "internal", "no such block", Kind.FAILED),
        ("503 Service Unavailable", "unavailable", "TSDB not ready", Kind.FAILED),
        ("404 Not Found", "not_found", "no such thing", Kind.NOT_FOUND),
        ("400 Bad Request", None, "?", Kind.FAILED),
        ("200 OK", "execution", "an error with 200", Kind.BAD_QUERY),
    ],
)  # fmt: skip
def test_errors_are_read_by_their_type(status: str, kind: Any, text: str, expected: Kind) -> None:
    """The system's words are the detail, whole; the message is ours."""
    error = refused(saying(status, failure(kind, text)))
    assert (error.kind, error.detail, error.status) == (expected, text, int(status[:3]))
    assert text not in error.message


def test_errors_without_the_interfaces_form_say_nothing_of_the_query() -> None:
    """A path that is not there is not found; a page is not quoted."""
    error = refused(saying("404 Not Found", b"404 page not found\n", kind="text/plain"))
    assert (error.kind, error.detail) == (Kind.NOT_FOUND, "404 page not found")
    text = b'remoteAddr: "10.0.0.1:5"; requestURI: /x; unsupported path requested: "/x"\n'
    error = refused(saying("400 Bad Request", text, kind="text/plain"), backend=VICTORIAMETRICS)
    assert (error.kind, error.detail) == (Kind.NOT_FOUND, "")
    error = refused(saying("400 Bad Request", b"<html>", kind="text/html"))
    assert (error.kind, error.detail) == (Kind.FAILED, "")


def test_a_query_outside_of_the_grammar_is_not_sent() -> None:
    """Of Prometheus; VictoriaMetrics has more than PromQL, and reads its queries itself."""
    request = MetricsRequest("sum(up", WINDOW, 60.0)
    with pytest.raises(BackendError) as caught:
        ask(saying("200 OK", matrix([])), lambda one: one.query_range(request))
    assert (caught.value.status, caught.value.detail) == (None, "unclosed left parenthesis")
    extended = MetricsRequest("rate(up) keep_metric_names default 0", WINDOW, 60.0)
    assert asked(extended, VICTORIAMETRICS)[0]["query"] == extended.query


# ---------------------------------------------------------------- health


def health(script: Script) -> Any:
    """Return the report on a server that does as the script says."""
    return ask(script, lambda adapter: adapter.health())[0]


def vector(**more: Any) -> bytes:
    """Return the answer to `vector(1)`, which serves as build information too."""
    data = {"resultType": "vector", "result": [{"metric": {}, "value": [1, "1"]}], "version": "3.1.0"}
    return json.dumps({"status": "success", "data": data, **more}).encode()


def test_health_says_the_version_and_what_is_not_as_it_should_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is wrong, warnings, slowness; no build information is no fault."""
    report = health(saying("200 OK", vector()))
    assert (report.health, report.version) == (Health.HEALTHY, "3.1.0")
    date = format_datetime(datetime.now(UTC) - timedelta(minutes=10), usegmt=True)
    report = health(saying("200 OK", vector(), f"Date: {date}"))
    assert report.health == Health.DEGRADED
    assert "behind ours" in report.reason
    report = health(saying("200 OK", vector(warnings=["a store is away"])))
    assert (report.health, "warnings" in report.reason) == (Health.DEGRADED, True)

    async def without_version(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer("404 Not Found", b"") if b"buildinfo" in head else answer("200 OK", vector()))

    assert health(without_version).health == Health.HEALTHY

    async def stale(head: bytes, writer: asyncio.StreamWriter) -> None:
        is_age = b"timestamp" in head
        data = {"resultType": "vector", "result": [{"metric": {}, "value": [1, "1860" if is_age else "1"]}]}
        writer.write(answer("200 OK", json.dumps({"status": "success", "data": data}).encode()))

    report = health(stale)
    assert (report.health, report.reason) == (Health.DEGRADED, "No target was scraped for 31 minutes.")
    monkeypatch.setattr(prometheus, "SLOW_SECONDS", 0.0)
    report = health(saying("200 OK", vector()))
    assert (report.health, "seconds to answer" in report.reason) == (Health.DEGRADED, True)


def test_metadata_that_there_is_not_costs_no_names() -> None:
    """Types are then read from names."""

    async def script(head: bytes, writer: asyncio.StreamWriter) -> None:
        names = {"status": "success", "data": ["jobs_total", "wait_seconds_bucket", "wait_seconds_sum"]}
        body = json.dumps(names).encode()
        writer.write(answer("404 Not Found", b"no") if b"metadata" in head else answer("200 OK", body))

    names, _ = ask(script, lambda one: one.metric_names("", 10))
    found: Mapping[str, str] = {one.name: one.type for one in names}
    assert found == {"jobs_total": "counter", "wait_seconds": "histogram"}
