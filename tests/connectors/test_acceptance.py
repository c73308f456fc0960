"""The acceptance criteria of the connectors, a test each: its name begins with the criterion's number.

Where a criterion names a system, the tool asks its adapter over recorded answers of the real program, or over the
stand-in of one that cannot be run here. The others ask the shop of `tests.connectors.incident`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from access.budget import LEAST
from access.limits import Limiter
from access.refusal import Code, Refusal
from clickhouse.engine import Engine
from connectors.adapters.elasticsearch import BACKENDS as ELASTICSEARCH
from connectors.adapters.jaeger import BACKENDS as JAEGER
from connectors.adapters.loki import BACKENDS as LOKI
from connectors.adapters.prometheus import BACKENDS as PROMETHEUS
from connectors.adapters.tempo import BACKENDS as TEMPO
from connectors.entry import Draft
from connectors.tools.asker import Asker
from connectors.tools.compare_time_windows import compare_time_windows
from connectors.tools.correlate_metrics import correlate_metrics
from connectors.tools.detect_anomalies import detect_anomalies
from connectors.tools.get_traces import get_traces
from connectors.tools.investigate import investigate
from connectors.tools.query_metrics import query_metrics
from connectors.tools.search_logs import search_logs
from mcp_server.server import server
from tests.connectors.incident import INCIDENT, SHOP, TRACE, asker, asking, desk
from tests.connectors.replay import Exchanges, replaying
from tests.connectors.subject import Subject, found
from tests.engine_store import EngineStore
from tests.mcp_clients import refused

HOUR = {"start": "11:00", "end": "12:00"}
RECORDED = {"start": "2026-01-01T12:00:00Z", "end": "2026-01-01T13:00:00Z"}
KINDS = (*PROMETHEUS, *LOKI, *ELASTICSEARCH, *JAEGER, *TEMPO, SHOP)
SHOPS = (Draft("prod", "shop", {}),)
SUBJECTS: Mapping[str, Subject] = {one.name: one for one in found()}
Call = Callable[[Asker], Awaitable[Any]]


def ask(folder: Path, call: Call, drafts: tuple[Draft, ...] = SHOPS, **more: Any) -> Any:
    """Return what a tool answers to the user `owner`, as a client gets it."""
    store = more.pop("store", None)

    async def run() -> Any:
        async with asking(folder, drafts, KINDS, **more) as here:
            answer = await call(asker(here, store))
            return answer.as_dict()

    return asyncio.run(run())


def ask_system(folder: Path, name: str, backend_type: str, call: Call, **config: Any) -> Any:
    """Return what a tool answers from a system: recorded, or stood in."""
    subject = SUBJECTS[name]
    with ExitStack() as stack:
        if subject.stood_in is not None:
            url = stack.enter_context(subject.stood_in(folder))
        else:
            url = stack.enter_context(replaying(Exchanges.load(subject.recordings), subject.ignored))
        auth = {"type": "bearer", "token": "correct-horse-battery-staple"}
        return ask(folder, call, (Draft(name, backend_type, {"url": url, "auth": auth, **config}),))


def test_ac01_an_mcp_server_gives_access_to_observability_data(tmp_path: Path) -> None:
    """A client of the protocol lists the tools and gets an answer, in the fields of the interface."""

    async def use() -> tuple[set[str], Any]:
        async with asking(tmp_path, SHOPS, KINDS) as here, Client(server(desk(), connected=here)) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            arguments = {"query": "http_requests_total", "time_range": HOUR}
            return names, await client.call_tool("query_metrics", arguments)

    names, result = asyncio.run(use())
    assert {
        "query_metrics", "search_logs", "get_traces", "list_services", "get_service_metrics", "correlate_metrics",
        "detect_anomalies", "compare_time_windows", "discover", "investigate",
    } <= names  # fmt: skip
    assert not result.is_error
    assert {"results", "query_executed", "query_time_ms"} <= set(result.structured_content)


def test_ac02_a_user_has_several_connections(tmp_path: Path) -> None:
    """The one that is named is asked, and the default without a name; the answer says which and why."""
    drafts = (Draft("one", "shop", {}), Draft("two", "shop", {}, is_default=True))
    named = ask(
        tmp_path / "a", lambda one: query_metrics(one, "http_requests_total", connection="one"), drafts
    )
    default = ask(tmp_path / "b", lambda one: query_metrics(one, "http_requests_total"), drafts)
    assert (named["connection"]["name"], default["connection"]["name"]) == ("one", "two")
    assert default["connection"]["reason"]


def test_ac03_metrics_are_asked_in_plain_words(tmp_path: Path) -> None:
    """What was made of the words, and what else was considered, is in the answer; what fits nothing is refused."""
    sent = ask(
        tmp_path / "a", lambda one: query_metrics(one, "CPU usage for pod checkout-1 in the last 1 hour")
    )
    assert "container_cpu_usage_seconds_total" in sent["query_executed"]
    assert 'pod="checkout-1"' in sent["query_executed"]
    assert sent["results"]
    assert any("query_executed" in note for note in sent["notes"])
    assert sent["time_range"] == {
        "start": "2026-11-28T11:00:00Z",
        "end": "2026-11-28T12:00:00Z",
        "zone": "UTC",
    }
    filters = {"service": "checkout"}
    rate = ask(tmp_path / "b", lambda one: query_metrics(one, "http requests per second", filters=filters))
    assert 'rate(http_requests_total{service="checkout"' in rate["query_executed"]
    with pytest.raises(Refusal) as caught:
        ask(tmp_path / "c", lambda one: query_metrics(one, "phase of the moon"))
    assert (caught.value.code, caught.value.field) == (Code.UNKNOWN_NAME, "query")


def test_ac04_logs_are_searched_by_text_and_filters(tmp_path: Path) -> None:
    """All that is given must hold."""
    sent = ask(
        tmp_path,
        lambda one: search_logs(
            one,
            "heap",
            filters={"service": "checkout", "severity": "error", "pod": "checkout-1"},
            time_range=HOUR,
        ),
    )
    assert sent["returned_count"] == 12
    assert {line["level"] for line in sent["logs"]} == {"error"}
    assert all("heap space" in line["message"] for line in sent["logs"])


def test_ac05_traces_are_got_by_id_and_by_filters(tmp_path: Path) -> None:
    """One by its id, and those with errors of a service."""
    by_id = ask(tmp_path / "a", lambda one: get_traces(one, TRACE.upper()))
    filters = {"service": "checkout", "has_error": True}
    by_filter = ask(tmp_path / "b", lambda one: get_traces(one, filters=filters, time_range=HOUR))
    assert by_id["traces"][0]["trace_id"] == TRACE
    assert [one["trace_id"] for one in by_filter["traces"]] == [TRACE]


@pytest.mark.parametrize("name", ["prometheus", "victoriametrics"])
def test_ac06_prometheus_and_victoriametrics_answer_promql(name: str, tmp_path: Path) -> None:
    """Recorded answers of the real programs; what is not PromQL is refused before it is sent."""
    example = SUBJECTS[name].metrics
    assert example is not None
    sent = ask_system(
        tmp_path,
        name,
        name,
        lambda one: query_metrics(one, example.query, time_range=RECORDED, step_seconds=60),
    )
    assert len(sent["results"]) >= 3
    assert all(example.labels <= set(one["metric"]) for one in sent["results"])
    with pytest.raises(Refusal, match="not PromQL") as caught:
        ask(tmp_path / "b", lambda one: query_metrics(one, "rate(up[5m]"))
    assert (caught.value.code, caught.value.field) == (Code.INVALID_ARGUMENT, "query")


def test_ac07_metrics_are_filtered_by_service_pod_and_namespace(tmp_path: Path) -> None:
    """The labels are put into each selector, quoted."""
    sent = ask(
        tmp_path,
        lambda one: query_metrics(
            one,
            'sum(rate(http_requests_total{code="500"}[5m])) / sum(rate(http_requests_total[5m]))',
            filters={"service": "checkout", "pod": "checkout-1", "namespace": "shop"},
            time_range=HOUR,
        ),
    )
    labels = 'service="checkout",pod="checkout-1",namespace="shop"'
    assert sent["query_executed"] == (
        f'sum(rate(http_requests_total{{{labels},code="500"}}[5m])) / sum(rate(http_requests_total{{{labels}}}[5m]))'
    )
    assert len(sent["results"]) == 1


def test_ac08_series_have_times_and_values(tmp_path: Path) -> None:
    """Seconds and values in order within the period, with what describes them; all of them on request."""
    query = 'http_requests_total{code="500"}'
    sent = ask(tmp_path / "a", lambda one: query_metrics(one, query, time_range=HOUR))
    (series,) = sent["results"]
    times = [point[0] for point in series["values"]]
    assert times == sorted(times)
    assert (len(times), series["summary"]["points"]) == (60, 120)
    assert max(point[1] for point in series["values"]) == series["summary"]["max"] == 9.27
    assert sent["time_range"] == {
        "start": "2026-11-28T11:00:00Z",
        "end": "2026-11-28T12:00:00Z",
        "zone": "UTC",
    }
    whole = ask(tmp_path / "b", lambda one: query_metrics(one, query, time_range=HOUR, detail="points"))
    assert len(whole["results"][0]["values"]) == 120


@pytest.mark.parametrize(
    ("aggregation", "value"), [("sum", 37.94), ("avg", 12.65), ("max", 18.9), ("min", 9.45)]
)
def test_ac09_metrics_are_aggregated(aggregation: str, value: float, tmp_path: Path) -> None:
    """Over all series at each time."""
    sent = ask(
        tmp_path,
        lambda one: query_metrics(one, "http_requests_total", aggregation=aggregation, time_range=HOUR),
    )
    (series,) = sent["results"]
    assert sent["query_executed"] == f"{aggregation}(http_requests_total)"
    at = dict(map(tuple, series["values"]))
    assert any(abs(one - value) < value / 8 for one in at.values()), (value, at)


@pytest.mark.parametrize("aggregation", ["p95", "p99"])
def test_ac09_percentiles_are_quantiles_and_those_of_buckets_of_histograms(
    aggregation: str, tmp_path: Path
) -> None:
    """The query that was executed shows it."""
    sent = ask(tmp_path / "a", lambda one: query_metrics(one, "http_requests_total", aggregation=aggregation))
    share = f"0.{aggregation[1:]}"
    assert sent["query_executed"] == f"quantile({share}, http_requests_total)"
    query = "http_request_duration_seconds_bucket"
    sent = ask(tmp_path / "b", lambda one: query_metrics(one, query, aggregation=aggregation))
    assert sent["query_executed"] == f"histogram_quantile({share}, sum by (le) (rate({query}[5m])))"


def test_ac10_anomalies_are_found(tmp_path: Path) -> None:
    """The rise at the incident, with its expected range, and what is usual."""
    query = 'http_requests_total{code="500"}'
    sent = ask(tmp_path, lambda one: detect_anomalies(one, query, time_range=HOUR))
    assert sent["anomalies_detected"] is True
    first = sent["anomalies"][0]
    assert first["timestamp"] == INCIDENT.isoformat().replace("+00:00", "Z")
    assert first["severity"] == "high"
    assert first["expected_range"][1] < first["value"]
    assert {"deviation_score", "description"} <= set(first)
    assert 0.15 < sent["baseline_stats"]["mean"] < 0.25
    assert {"std_dev", "p95"} <= set(sent["baseline_stats"])


def test_ac11_loki_answers_logql(tmp_path: Path) -> None:
    """A stand-in of Loki: in its own language, and by words."""
    example = SUBJECTS["loki"].logs
    assert example is not None
    native = ask_system(
        tmp_path / "a",
        "loki",
        "loki",
        lambda one: search_logs(one, example.query, query_kind="native", time_range=RECORDED),
    )
    words = ask_system(
        tmp_path / "b", "loki", "loki", lambda one: search_logs(one, example.text, time_range=RECORDED)
    )
    assert native["returned_count"] >= 3
    assert [one["message"] for one in words["logs"]] == [one["message"] for one in native["logs"]]


def test_ac12_opensearch_is_searched(tmp_path: Path) -> None:
    """Recorded answers of the real program; only it knows how many there are."""
    example = SUBJECTS["opensearch"].logs
    assert example is not None
    sent = ask_system(
        tmp_path,
        "opensearch",
        "opensearch",
        lambda one: search_logs(one, example.text, time_range=RECORDED),
        index="logs-*",
    )
    assert sent["returned_count"] >= 3
    assert sent["total_count"] == sent["returned_count"]


def test_ac13_logs_are_filtered_by_severity_service_and_time(tmp_path: Path) -> None:
    """Times as 10:20 are read, and told; counts are by severity."""
    period = {"start": "11:24", "end": "11:27"}
    sent = ask(
        tmp_path / "a", lambda one: search_logs(one, filters={"service": "checkout"}, time_range=period)
    )
    assert sent["counts_by_severity"] == {"info": 6, "error": 6}
    assert sent["time_range"]["start"] == "2026-11-28T11:24:00Z"
    assert (
        ask(tmp_path / "b", lambda one: search_logs(one, filters={"service": "cart"}, time_range=period))[
            "logs"
        ]
        == []
    )
    with pytest.raises(Refusal) as caught:
        ask(tmp_path / "c", lambda one: search_logs(one, filters={"severity": "eror"}))
    assert caught.value.nearest == ("error",)


def test_ac14_logs_are_searched_by_words_and_regular_expressions(tmp_path: Path) -> None:
    """Words in any case and alternatives; an expression of RE2."""

    def count(folder: str, query: str, kind: str) -> int:
        call: Call = lambda one: search_logs(one, query, query_kind=kind, time_range=HOUR)  # noqa: E731
        return int(ask(tmp_path / folder, call)["returned_count"])

    assert count("a", "JAVA heap", "text") == 12
    assert count("b", "nothing OR heap", "text") == 12
    assert count("c", r"request [0-4]$", "regex") == 5


def test_ac15_lines_come_with_those_around_them(tmp_path: Path) -> None:
    """Before and after, of the same stream, in the order of time."""
    sent = ask(
        tmp_path,
        lambda one: search_logs(one, r"request 3$", query_kind="regex", time_range=HOUR, context_lines=2),
    )
    (line,) = sent["logs"]
    assert (
        line["context"]
        == {
            "before": ["OutOfMemoryError: Java heap space in request 2", "order 111 placed"],
            "after": ["order 112 placed", "OutOfMemoryError: Java heap space in request 4"],
        }
        or len(line["context"]["before"]) == len(line["context"]["after"]) == 2
    )


@pytest.mark.parametrize("name", ["jaeger", "tempo"])
def test_ac16_jaeger_and_tempo_are_asked_for_traces(name: str, tmp_path: Path) -> None:
    """Recorded answers of the real Jaeger, and a stand-in of Tempo."""
    example = SUBJECTS[name].traces
    assert example is not None
    sent = ask_system(
        tmp_path,
        name,
        name,
        lambda one: get_traces(one, filters={"service": example.service}, time_range=RECORDED),
    )
    assert example.failed_trace_id in {one["trace_id"] for one in sent["traces"]}


def test_ac17_traces_are_found_by_service_operation_durations_and_tags(tmp_path: Path) -> None:
    """All that is given must hold of one span."""
    filters = {
        "service": "checkout",
        "operation": "POST /pay",
        "min_duration": "500ms",
        "max_duration": "2s",
        "tags": {"http.status_code": "500"},
    }
    sent = ask(tmp_path, lambda one: get_traces(one, filters=filters, time_range=HOUR))
    assert [one["trace_id"] for one in sent["traces"]] == [TRACE]


def test_ac18_spans_have_details_durations_and_errors(tmp_path: Path) -> None:
    """The skeleton first, then all of each span."""
    skeleton = ask(tmp_path / "a", lambda one: get_traces(one, TRACE))
    assert [(one["depth"], one["service_name"], one["self_ms"]) for one in skeleton["tree"]] == [
        (0, "checkout", 2.0),
        (1, "payments", 898.0),
    ]
    assert [one["status"] for one in skeleton["errors"]] == ["heap is full"]
    spans = ask(tmp_path / "b", lambda one: get_traces(one, TRACE, detail="spans", span_ids=[f"{1:016x}"]))
    (span,) = spans["spans"]
    assert span["operation_name"] == "POST /pay"
    assert span["duration_ms"] == 900
    assert span["tags"]["http.status_code"] == "500"


def test_ac19_failed_and_slow_traces_are_found(tmp_path: Path) -> None:
    """By has_error, and by a duration."""
    failed = ask(tmp_path / "a", lambda one: get_traces(one, filters={"has_error": True}, time_range=HOUR))
    slow = ask(tmp_path / "b", lambda one: get_traces(one, filters={"min_duration": "5s"}, time_range=HOUR))
    assert [one["has_error"] for one in failed["traces"]] == [True]
    assert [one["duration_ms"] for one in slow["traces"]] == [5_200]


def incident(folder: Path, engine: Engine, drafts: tuple[Draft, ...] = SHOPS, **more: Any) -> Any:
    """Return what an investigation of checkout at the time of the incident finds."""
    call: Call = lambda one: investigate(one, "checkout", "11:25", max_characters=45_000, **more)  # noqa: E731
    return ask(folder, call, drafts, store=EngineStore(engine))


def rows(sent: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return an answer's rows by the names of their columns."""
    return [dict(zip(sent["columns"], row, strict=True)) for row in sent["rows"]]


def test_ac20_traces_are_joined_with_logs_and_metrics(tmp_path: Path, engine: Engine) -> None:
    """The failed trace with the line of the same id, and with the anomalies of its time."""
    found_ = rows(incident(tmp_path, engine))
    failed = next(one for one in found_ if one["kind"] == "trace" and one["trace_id"] == TRACE)
    assert "anomaly (time)" in failed["joined"]
    assert "log" in failed["joined"]
    assert {"anomaly", "log", "trace", "deploy"} <= {one["kind"] for one in found_}
    assert any("version 2.5" in one["what"] for one in found_ if one["kind"] == "deploy")


def test_ac21_metrics_of_several_namespaces_and_connections_are_asked_at_once(tmp_path: Path) -> None:
    """One call, each query with its own filters and connection."""
    queries = [
        {"query": "container_cpu_usage_seconds_total", "filters": {"namespace": "shop"}, "name": "shop"},
        {
            "query": "container_cpu_usage_seconds_total",
            "filters": {"namespace": "basket"},
            "connection": "other",
            "name": "basket",
        },
    ]
    sent = ask(
        tmp_path,
        lambda one: correlate_metrics(one, queries, time_range=HOUR, connection="prod"),
        (*SHOPS, Draft("other", "shop", {})),
    )
    (pair,) = rows(sent)
    assert {pair["first"], pair["second"]} == {"prod: shop", "other: basket"}
    assert pair["correlation"] > 0.99
    assert pair["significant"] is True


def test_ac22_metrics_and_logs_are_joined_by_time(tmp_path: Path, engine: Engine) -> None:
    """A new log template within two minutes of an anomaly says so."""
    found_ = rows(incident(tmp_path, engine))
    line = next(one for one in found_ if one["kind"] == "log")
    assert "OutOfMemoryError" in line["what"]
    assert line["what"].startswith("new")
    assert "anomaly (time)" in line["joined"]


def test_ac23_metrics_lead_to_traces(tmp_path: Path, engine: Engine) -> None:
    """An anomaly is joined with the traces of its time, and each piece has the call that looks closer."""
    found_ = rows(incident(tmp_path, engine))
    anomaly = next(one for one in found_ if one["kind"] == "anomaly")
    assert "trace (time)" in anomaly["joined"]
    assert anomaly["next"].startswith("query_metrics(query=")
    trace = next(one for one in found_ if one["kind"] == "trace")
    assert trace["next"].startswith("get_traces(trace_id=")


def test_ac24_two_periods_are_compared(tmp_path: Path) -> None:
    """The mean before and now of each series, by how much it changed, and how certain that is."""
    sent = ask(
        tmp_path,
        lambda one: compare_time_windows(
            one,
            'http_requests_total{code="500"}',
            time_range={"start": "11:25", "end": "11:35"},
            baseline={"start": "11:05", "end": "11:25"},
        ),
    )
    (series,) = rows(sent)
    assert series["before_mean"] == pytest.approx(0.2, rel=0.05)
    assert series["now_mean"] == pytest.approx(9.0, rel=0.05)
    assert series["change_percent"] > 4_000
    assert sent["parameters"]["baseline_start"] == "2026-11-28T11:05:00Z"


def test_ac25_anomalies_of_several_services_at_one_time_are_found(tmp_path: Path) -> None:
    """The moment at which both services' CPU rose."""
    sent = ask(
        tmp_path,
        lambda one: correlate_metrics(one, ["container_cpu_usage_seconds_total"], time_range=HOUR),
    )
    together = sent["tables"]["anomalies_together"]["rows"]
    assert together[0][:2] == ["2026-11-28T11:25:00Z", 2]


def test_ac26_users_have_connections_of_their_own(tmp_path: Path) -> None:
    """Another user does not find them by name, and is not answered from them."""

    async def use() -> Refusal:
        async with asking(tmp_path, SHOPS, KINDS) as here:
            with pytest.raises(Refusal) as caught:
                await query_metrics(asker(here, caller="bob"), "http_requests_total", connection="prod")
            return caught.value

    assert asyncio.run(use()).code is Code.UNKNOWN_NAME


def test_ac27_questions_are_limited(tmp_path: Path) -> None:
    """Of each caller; the refusal says when to come again."""

    async def call(one: Asker) -> Any:
        await query_metrics(one, "http_requests_total", time_range=HOUR)
        return await query_metrics(one, "http_requests_total", time_range=HOUR, step_seconds=90)

    with pytest.raises(Refusal) as caught:
        ask(tmp_path, call, callers=Limiter(1, 1))
    assert caught.value.code is Code.RATE_LIMITED
    assert caught.value.retry_after_seconds is not None


def test_ac28_large_results_are_paginated_and_sampled(tmp_path: Path) -> None:
    """Each line once over all pages, within the smallest budget; long series by their extremes."""

    async def use() -> tuple[list[str], int]:
        seen: list[str] = []
        pages = 0
        async with asking(tmp_path, SHOPS, KINDS) as here:
            one, cursor = asker(here), None
            while pages == 0 or cursor is not None:
                answer = await search_logs(
                    one, time_range=HOUR, limit=50, cursor=cursor, max_characters=LEAST
                )
                sent = answer.as_dict()
                assert len(answer.as_json()) <= LEAST
                seen += [f"{line['timestamp']} {line['message']}" for line in sent["logs"]]
                cursor = sent.get("next_cursor")
                pages += 1
                assert pages < 100
        return seen, pages

    seen, pages = asyncio.run(use())
    assert (len(seen), len(set(seen))) == (132, 132)
    assert pages > 3


def test_ac29_a_question_ends_when_its_time_is_up(tmp_path: Path) -> None:
    """By the connection's timeout_seconds, 30 by default."""
    assert PROMETHEUS[0].config.model_fields["timeout_seconds"].default == 30
    waited = SUBJECTS["loki"]
    assert waited.stood_in is not None
    import socket  # noqa: PLC0415

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        draft = Draft("slow", "prometheus", {"url": url, "timeout_seconds": 0.2})
        begin = time.monotonic()
        with pytest.raises(Refusal) as caught:
            ask(tmp_path, lambda one: query_metrics(one, "up"), (draft,))
    assert caught.value.code is Code.TIMEOUT
    assert time.monotonic() - begin < 30, "the default was waited for"


def test_ac30_credentials_are_encrypted_at_rest(tmp_path: Path) -> None:
    """No file of the state has them, nor has an answer."""
    secret = "correct-horse-battery-staple"
    draft = Draft(
        "safe", "prometheus", {"url": "http://127.0.0.1:1", "auth": {"type": "bearer", "token": secret}}
    )
    with pytest.raises(Refusal) as caught:
        ask(tmp_path, lambda one: query_metrics(one, "up"), (draft,))
    assert secret not in str(caught.value.as_dict())
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.read_bytes()[:6] == b"SQLite" for path in files)
    assert [path for path in files if secret.encode() in path.read_bytes()] == []


def test_an_investigation_is_partial_and_says_so(tmp_path: Path, engine: Engine) -> None:
    """A system that fails is named with its code; one whose credentials are refused is in the hints too."""
    drafts = (
        *SHOPS,
        Draft("shut", "shop", {"fails": "unauthorized"}),
        Draft("slow", "shop", {"fails": "timeout"}),
    )
    sent = incident(tmp_path, engine, drafts)
    assert {tuple(row[:3]) for row in sent["tables"]["failed"]["rows"]} == {
        (signal, name, code)
        for signal in ("metrics", "logs", "traces")
        for name, code in (("shut", "UPSTREAM_UNAUTHORIZED"), ("slow", "TIMEOUT"))
    }
    assert "shut" in sent["finding"]
    assert any("shut was not allowed" in hint for hint in sent["hints"])
    assert rows(sent)[0]["connection"] == "prod"


def test_a_refusal_reaches_the_client_in_its_form(tmp_path: Path) -> None:
    """A failing system is an error of the call, with the code and the connection's name."""

    async def use() -> Any:
        drafts = (Draft("shut", "shop", {"fails": "unauthorized"}),)
        async with asking(tmp_path, drafts, KINDS) as here, Client(server(desk(), connected=here)) as client:
            return await client.call_tool("search_logs", {"query": "x"})

    error = refused(asyncio.run(use()))
    assert error["code"] == "UPSTREAM_UNAUTHORIZED"
    assert "shut" in error["message"]
