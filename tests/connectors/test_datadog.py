"""Datadog: over HTTP to a stand-in that has the documented shapes and errors."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from connectors.adapters.datadog import Datadog, DatadogConfig
from connectors.addresses import Policy
from connectors.contract import (
    BackendError,
    Health,
    Kind,
    LogsRequest,
    MetricName,
    MetricsRequest,
    Severity,
    TracesRequest,
    Window,
)
from tests.connectors.datadog_server import API_KEY, START, datadog

T = TypeVar("T")
WINDOW = Window(START, START + timedelta(hours=1))
FIRST = START.timestamp()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Serve the stand-in."""
    with datadog() as address:
        yield address


def ask(url: str, call: Callable[[Datadog], Awaitable[T]], key: str = API_KEY) -> T:
    """Return what a call on an adapter of its own returns."""

    async def run() -> T:
        adapter = Datadog(DatadogConfig(api_key=key, app_key=key, url=url), Policy())
        try:
            return await call(adapter)
        finally:
            await adapter.close()

    return asyncio.run(run())


def refused(url: str, call: Callable[[Datadog], Awaitable[Any]], key: str = API_KEY) -> BackendError:
    with pytest.raises(BackendError) as caught:
        ask(url, call, key)
    assert key not in f"{caught.value!r}"
    return caught.value


def test_series_have_their_tags_as_labels_and_unknown_values_as_none(url: str) -> None:
    """Milliseconds become seconds; the bound on series is said."""
    found = ask(
        url, lambda one: one.query_range(MetricsRequest("avg:system.cpu.user{*} by {host}", WINDOW, 60, 2))
    )
    assert [(dict(one.labels), list(one.points)) for one in found.series] == [
        (
            {"__name__": "system.cpu.user", "host": f"host-{number}", "env": "prod"},
            [(FIRST, number), (FIRST + 60, None), (FIRST + 120, number + 1.0)],
        )
        for number in range(2)
    ]
    assert found.about.has_more


def test_an_error_with_status_200_is_one(url: str) -> None:
    """As Datadog answers a query that it cannot read."""
    error = refused(url, lambda one: one.query_range(MetricsRequest("avg:system.cpu.user", WINDOW, 60)))
    assert error.kind is Kind.BAD_QUERY
    assert "scope_expr" in error.detail


def test_errors_by_status(url: str) -> None:
    """403, 404, 400 and 429, with the seconds of its headers."""
    query = MetricsRequest("limited", WINDOW, 60)
    limited = refused(url, lambda one: one.query_range(query))
    assert (limited.kind, limited.retry_after_seconds) == (Kind.RATE_LIMITED, 7.0)
    assert refused(url, lambda one: one.query_range(query), "wrong-key").kind is Kind.UNAUTHORIZED
    assert refused(url, lambda one: one.label_names("../../x", WINDOW, 5)).kind is Kind.NOT_FOUND
    bad = refused(url, lambda one: one.search(LogsRequest(WINDOW, query="(status:error")))
    assert (bad.kind, bad.status) == (Kind.BAD_QUERY, 400)
    assert "unbalanced" in bad.detail
    assert refused(url, lambda one: one.search(LogsRequest(WINDOW, regex="x"))).kind is Kind.UNSUPPORTED


def test_metrics_and_tags_are_discovered(url: str) -> None:
    """With types and units."""

    async def discovered(one: Datadog) -> tuple[Any, ...]:
        return (
            await one.metric_names("CPU", 10),
            await one.label_names("system.cpu.user", WINDOW, 10),
            await one.label_values("host", "system.cpu.user", WINDOW, 2),
            await one.label_names("", WINDOW, 10),
            await one.services(WINDOW, 10),
            await one.operations("checkout", WINDOW, 10),
        )

    assert ask(url, discovered) == (
        [MetricName("system.cpu.user", "gauge", "percent", "CPU of programs")],
        ["env", "host"],
        ["host-0", "host-1"],
        ["env", "host", "team"],
        ["checkout", "payments"],
        ["GET /cart", "POST /pay"],
    )


def test_lines_are_found_by_words_severity_and_fields(url: str) -> None:
    """Critical is an error; nested attributes have names with points."""
    request = LogsRequest(
        WINDOW,
        text="payment failed",
        severity=Severity.ERROR,
        service="checkout",
        namespace="shop",
        pod="checkout-7f",
    )
    found = ask(url, lambda one: one.search(request))
    assert [(line.message, line.severity, line.trace_id) for line in found.lines] == [
        ("payment failed: no answer", Severity.ERROR, f"{4:032x}"),
        ("payment failed: card declined", Severity.ERROR, f"{2:032x}"),
    ]
    first = found.lines[0]
    assert (first.service, first.pod, first.namespace) == ("checkout", "checkout-7f", "shop")
    assert first.labels["http.status_code"] == "200"
    assert first.time_ns == int((FIRST + 180) * 10**9)
    assert found.about.total_count is None
    assert found.about.cost is not None
    assert found.about.cost.milliseconds == 12


def test_pages_follow_a_cursor_and_alternatives_are_searched(url: str) -> None:
    """Each line once."""
    first = ask(url, lambda one: one.search(LogsRequest(WINDOW, text="placed OR cache", limit=1)))
    assert [line.message for line in first.lines] == ["cache is slow"]
    request = LogsRequest(WINDOW, text="placed OR cache", limit=1, cursor=first.about.next_cursor)
    second = ask(url, lambda one: one.search(request))
    assert [line.message for line in second.lines] == ["order placed"]
    assert (first.about.has_more, second.about.has_more) == (True, False)


def test_lines_around_one_and_their_number_by_severity(url: str) -> None:
    """Of the same service and host."""

    async def read(one: Datadog) -> tuple[Any, ...]:
        found = await one.search(LogsRequest(WINDOW, text="declined"))
        before, after = await one.context(found.lines[0], 3, 1)
        counts = await one.count_by_severity(LogsRequest(WINDOW, service="checkout"))
        return [line.message for line in before], [line.message for line in after], dict(counts)

    assert ask(url, read) == (["order placed"], ["payment failed: no answer"], {"info": 2, "error": 2})


def test_a_trace_is_put_together_from_its_spans(url: str) -> None:
    """By either form of its id; decimal ids of spans become hexadecimal."""
    found = ask(url, lambda one: one.trace(f"{2:032x}", WINDOW))
    assert [(span.span_id, span.parent_id, span.service, span.is_error) for span in found.spans] == [
        (f"{200:016x}", "", "checkout", True),
        (f"{201:016x}", f"{200:016x}", "payments", True),
    ]
    assert (found.is_whole, found.has_error, found.root_name, found.duration_ns) == (
        True,
        True,
        "POST /pay",
        1_200_000_000,
    )
    assert found.spans[0].attributes["http.status_code"] == "500"
    assert refused(url, lambda one: one.trace("f" * 32, WINDOW)).kind is Kind.NOT_FOUND


@pytest.mark.parametrize(
    ("more", "traces"),
    [
        ({}, [3, 2, 1]),
        ({"operation": "POST /pay"}, [2, 1]),
        ({"has_error": True}, [2]),
        ({"has_error": False}, [3, 1]),
        ({"min_duration_ns": 150_000_000}, [2, 1]),
        ({"min_duration_ns": 150_000_000, "max_duration_ns": 300_000_000}, [1]),
        ({"tags": {"http.status_code": "500"}}, [2]),
        ({"service": "payments"}, [2, 1]),
        ({"service": "nothing"}, []),
        ({"limit": 1}, [3]),
    ],
)
def test_traces_are_found_by_filters(url: str, more: dict[str, Any], traces: list[int]) -> None:
    """Newest first, with the spans that were found."""
    request = TracesRequest(WINDOW, **{"service": "checkout", **more})
    found = ask(url, lambda one: one.find(request))
    assert [int(trace.trace_id, 16) for trace in found.traces] == traces
    assert not any(trace.is_whole for trace in found.traces)


def test_health_is_whether_the_key_is_valid(url: str) -> None:
    """A report, not an error."""
    assert ask(url, lambda one: one.health()).health is Health.HEALTHY
    report = ask(url, lambda one: one.health(), "wrong-key")
    assert report.health is Health.UNHEALTHY
    assert "credentials" in report.reason
