"""What the tools share: periods, cursors, refusals, hints, and what they cost at the start."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from access.refusal import Code, Refusal
from connectors.analysis.judging import Method, Sensitivity
from connectors.contract import Severity
from connectors.entry import Draft
from connectors.tools import names
from connectors.tools.asker import Asker
from connectors.tools.compare_time_windows import compare_time_windows
from connectors.tools.correlate_metrics import correlate_metrics
from connectors.tools.detect_anomalies import detect_anomalies
from connectors.tools.discover import discover
from connectors.tools.get_service_metrics import get_service_metrics
from connectors.tools.get_traces import get_traces
from connectors.tools.investigate import investigate
from connectors.tools.list_services import list_services
from connectors.tools.query_metrics import query_metrics
from connectors.tools.search_logs import search_logs
from tests.connectors.incident import asker, asking

HOUR = {"start": "11:00", "end": "12:00"}
Call = Callable[[Asker], Awaitable[Any]]


def ask(folder: Path, call: Call, *drafts: Draft) -> Any:
    """Return what a call returns, as it is sent."""

    async def run() -> Any:
        async with asking(folder, drafts or (Draft("prod", "shop", {}),)) as here:
            return (await call(asker(here))).as_dict()

    return asyncio.run(run())


REFUSED: list[tuple[Call, str, Code]] = [
    (lambda one: query_metrics(one, ""), "query", Code.INVALID_ARGUMENT),
    (lambda one: query_metrics(one, "up", time_range={"begin": "1h"}), "time_range.begin", Code.UNKNOWN_NAME),
    (lambda one: query_metrics(one, "up", time_range={"start": "soon"}), "time_range.start", Code.INVALID_ARGUMENT),
    (lambda one: query_metrics(one, "up", time_range={"start": "90d"}), "time_range.start", Code.RANGE_TOO_LONG),
    (lambda one: query_metrics(one, "up", aggregation="median"), "aggregation", Code.UNKNOWN_NAME),
    (lambda one: query_metrics(one, "up", detail="all"), "detail", Code.UNKNOWN_NAME),
    (lambda one: query_metrics(one, "up", filters={"host": "a"}), "filters.host", Code.UNKNOWN_NAME),
    (lambda one: query_metrics(one, "up", step_seconds=0.1), "step_seconds", Code.INVALID_ARGUMENT),
    (lambda one: query_metrics(one, "up", step_seconds=float("nan")), "step_seconds", Code.INVALID_ARGUMENT),
    (lambda one: query_metrics(one, "up", connection="staging"), "connection", Code.UNKNOWN_NAME),
    (lambda one: query_metrics(one, "up", max_characters=10), "max_characters", Code.INVALID_ARGUMENT),
    (lambda one: query_metrics(one, "up", cursor="x"), "cursor", Code.INVALID_CURSOR),
    (lambda one: search_logs(one, limit=5_000), "limit", Code.INVALID_ARGUMENT),
    (lambda one: search_logs(one, context_lines=11), "context_lines", Code.INVALID_ARGUMENT),
    (lambda one: search_logs(one, query_kind="sql"), "query_kind", Code.UNKNOWN_NAME),
    (lambda one: search_logs(one, filters={"labels": ["a"]}), "filters.labels", Code.INVALID_ARGUMENT),
    (lambda one: get_traces(one, "not an id"), "trace_id", Code.INVALID_ARGUMENT),
    (lambda one: get_traces(one, "f" * 32), "connection", Code.UNKNOWN_NAME),
    (lambda one: get_traces(one, filters={"min_duration": "5"}), "filters.min_duration", Code.INVALID_ARGUMENT),
    (lambda one: get_traces(one, filters={"has_error": "yes"}), "filters.has_error", Code.INVALID_ARGUMENT),
    (lambda one: detect_anomalies(one, "up", method="best"), "method", Code.UNKNOWN_NAME),
    (lambda one: detect_anomalies(one, "up", sensitivity="max"), "sensitivity", Code.UNKNOWN_NAME),
    (lambda one: correlate_metrics(one, "up"), "metrics", Code.INVALID_ARGUMENT),
    (lambda one: correlate_metrics(one, ["no_such_metric"]), "metrics", Code.INVALID_ARGUMENT),
    (lambda one: correlate_metrics(one, ["up"], max_lag=-1), "max_lag", Code.INVALID_ARGUMENT),
    (lambda one: compare_time_windows(one, "up", baseline="1y"), "baseline", Code.INVALID_ARGUMENT),
    (lambda one: compare_time_windows(one, "up", time_range="3h", baseline="1h"), "baseline", Code.INVALID_ARGUMENT),
    (lambda one: discover(one, "tables"), "what", Code.UNKNOWN_NAME),
    (lambda one: discover(one, "values"), "label", Code.INVALID_ARGUMENT),
    (lambda one: get_service_metrics(one, "nobody"), "service", Code.UNKNOWN_NAME),
    (lambda one: investigate(one, "checkout", window="2 days"), "window", Code.INVALID_ARGUMENT),
    (lambda one: investigate(one, "checkout", at="now+3h"), "at", Code.INVALID_ARGUMENT),
]  # fmt: skip


def test_a_wrong_argument_is_refused_with_its_name(tmp_path: Path) -> None:
    """No value is replaced by a default in silence."""

    async def run() -> list[tuple[str, Code]]:
        found = []
        async with asking(tmp_path) as here:
            for call, _, _ in REFUSED:
                with pytest.raises(Refusal) as caught:
                    await call(asker(here))
                found.append((caught.value.field, caught.value.code))
        return found

    assert asyncio.run(run()) == [(field, code) for _, field, code in REFUSED]


def test_a_cursor_goes_on_in_the_same_period_of_the_same_question(tmp_path: Path) -> None:
    """Services page by page; another question, and another caller, cannot use it."""

    async def run() -> None:
        async with asking(tmp_path) as here:
            one = asker(here)
            first = (await list_services(one, limit=2)).as_dict()
            assert [row[0] for row in first["rows"]] == ["cart", "checkout"]
            second = (await list_services(one, limit=2, cursor=first["next_cursor"])).as_dict()
            assert [row[0] for row in second["rows"]] == ["payments"]
            assert second["time_range"] == first["time_range"]
            assert (first["has_more"], second["has_more"]) == (True, False)
            with pytest.raises(Refusal) as caught:
                await list_services(one, limit=3, cursor=first["next_cursor"])
            assert caught.value.code is Code.INVALID_CURSOR
            other = Asker(one.reading.desk.reading("bob"), here)
            with pytest.raises(Refusal) as caught:
                await list_services(other, limit=2, cursor=first["next_cursor"])
            assert caught.value.code is Code.FORBIDDEN

    asyncio.run(run())


def test_an_empty_answer_is_no_error_and_says_what_to_ask(tmp_path: Path) -> None:
    """The query ran: a model does not have to repair it."""
    sent = ask(tmp_path, lambda one: query_metrics(one, "no_such_metric", time_range=HOUR))
    assert (sent["results"], sent["total_count"]) == ([], 0)
    assert "discover" in sent["hints"][0]


def test_many_series_come_with_what_to_ask_instead(tmp_path: Path) -> None:
    """And the system's own cost is told."""
    sent = ask(tmp_path, lambda one: query_metrics(one, '{__name__=~".+"}', time_range=HOUR))
    assert sent["returned_count"] == 6
    assert any("720 rows" in note for note in sent["notes"])


def test_a_system_that_fails_is_named_and_the_others_answer(tmp_path: Path) -> None:
    """When none answers, the call is refused."""
    shut = Draft("shut", "shop", {"fails": "unauthorized"})
    sent = ask(tmp_path / "a", list_services, Draft("prod", "shop", {}), shut)
    assert sent["tables"]["failed"]["rows"][0][:2] == ["shut", "UPSTREAM_UNAUTHORIZED"]
    assert "shut" in sent["hints"][0]
    with pytest.raises(Refusal) as caught:
        ask(tmp_path / "b", list_services, shut)
    assert caught.value.code is Code.UPSTREAM_UNAUTHORIZED


def test_what_can_be_asked_is_discovered(tmp_path: Path) -> None:
    """Connections, metrics with types and units, labels, values, fields, operations."""

    def rows(folder: str, *arguments: Any, **more: Any) -> Any:
        return ask(tmp_path / folder, lambda one: discover(one, *arguments, time_range=HOUR, **more))["rows"]

    assert [row[:3] for row in rows("a")] == [["prod", "shop", "logs, metrics, traces"]]
    assert rows("b", "metrics", match="duration") == [
        ["http_request_duration_seconds_bucket", "counter", "s", "help"]
    ]
    assert rows("c", "labels", metric="container_cpu_usage_seconds_total") == [["namespace"], ["pod"]]
    assert rows("d", "values", label="code", metric="http_requests_total") == [["200"], ["500"]]
    assert ["container", 132, "text", "app"] in rows("e", "fields", service="checkout")
    assert rows("f", "operations", service="checkout") == [["POST /pay"]]


def test_a_service_s_signals_are_found_by_usual_names(tmp_path: Path) -> None:
    """Rate, errors, durations and CPU, each with its query."""
    sent = ask(tmp_path, lambda one: get_service_metrics(one, "checkout", time_range=HOUR))
    assert [row[0] for row in sent["rows"]] == [
        "rate",
        "errors",
        "duration_p50",
        "duration_p95",
        "duration_p99",
        "CPU",
    ]
    errors = dict(zip(sent["columns"], sent["rows"][1], strict=True))
    assert errors["max"] == pytest.approx(1 / 3, rel=0.01)
    assert errors["query"] == (
        '(sum(rate(http_requests_total{service="checkout",code=~"5.."}[5m])) or vector(0))'
        ' / sum(rate(http_requests_total{service="checkout"}[5m]))'
    )


def test_names_for_schemas_are_those_of_the_functions() -> None:
    """The schemas are made without importing what the names are of."""
    assert set(names.METHODS) == {one.value for one in Method}
    assert tuple(one.value for one in Sensitivity) == names.SENSITIVITIES
    assert tuple(one.value for one in Severity) == names.SEVERITIES


def test_the_server_starts_without_what_only_tools_need() -> None:
    """A client that asks no other system does not pay for adapters, analysis, grammar and state."""
    code = (
        "import sys, mcp_server.stdio\n"
        "heavy = ('promql_parser', 'sqlalchemy', 'boto3', 'connectors.analysis', 'connectors.asking',"
        " 'connectors.adapters', 'connectors.tools.query_metrics')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (found.stdout, found.stderr) == ("[]\n", "")
