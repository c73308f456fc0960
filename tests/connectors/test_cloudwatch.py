"""CloudWatch: over real HTTP to moto's server, and with botocore's Stubber for what moto answers otherwise than AWS."""

import asyncio
import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path
from typing import Any, TypeVar

import pytest
from botocore.stub import Stubber

from connectors.adapters import aws
from connectors.adapters.cloudwatch import BACKENDS, CloudWatch, CloudWatchConfig
from connectors.addresses import Policy
from connectors.contract import (
    BackendError,
    Health,
    Kind,
    LogLine,
    LogsRequest,
    MetricsRequest,
    Severity,
    Window,
)

T = TypeVar("T")
SECRET = "correct-horse-battery-staple"
NOW = datetime.now(UTC).replace(second=0, microsecond=0)
WINDOW = Window(NOW - timedelta(hours=1), NOW)
LONG = datetime(2026, 1, 1, 12, tzinfo=UTC)
GOING = threading.Event()
FIXED = Window(LONG, LONG + timedelta(hours=1))


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run moto's server, filled with two namespaces of metrics and two log groups; its address."""
    log = tmp_path_factory.mktemp("moto") / "log"
    with log.open("wb") as output:
        program = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", "0"]
        process = subprocess.Popen(program, stdout=output, stderr=output, env={**os.environ, "NO_COLOR": "1"})
    try:
        while not (found := re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            threading.Event().wait(0.05)
        url = found[0]
        asyncio.run(_filled(url))
        yield url
    finally:
        process.kill()
        process.wait()


async def _filled(url: str) -> None:
    service = aws.Service("cloudwatch", config(url), Policy())
    for namespace, metric, dimension, values in (
        ("AWS/EC2", "CPUUtilization", "i-1", [10.0, 20.0, 90.0]),
        ("AWS/EC2", "CPUUtilization", "i-2", [5.0, 5.0, 5.0]),
        ("AWS/RDS", "CPUUtilization", "db-1", [40.0]),
    ):
        await service.call(
            "put_metric_data",
            Namespace=namespace,
            MetricData=[
                {
                    "MetricName": metric,
                    "Dimensions": [{"Name": "InstanceId", "Value": dimension}],
                    "Timestamp": NOW - timedelta(minutes=30 - number),
                    "Value": value,
                }
                for number, value in enumerate(values)
            ],
        )
    logs = aws.Service("logs", config(url), Policy())
    for group in ("/ecs/checkout", "/ecs/cart"):
        await logs.call("create_log_group", logGroupName=group)
        await logs.call("create_log_stream", logGroupName=group, logStreamName="task-1")
        await logs.call(
            "put_log_events",
            logGroupName=group,
            logStreamName="task-1",
            logEvents=[
                {"timestamp": _milliseconds(30 - number), "message": f"{group} {text}"}
                for number, text in enumerate(("INFO started", "ERROR out of memory", "INFO stopped"))
            ],
        )
    await service.close()
    await logs.close()


def _milliseconds(minutes_ago: int) -> int:
    return int((NOW - timedelta(minutes=minutes_ago)).timestamp() * 1_000)


def config(url: str = "", **more: Any) -> CloudWatchConfig:
    return CloudWatchConfig(
        region="us-east-1", access_key_id="AKIATEST", secret_access_key=SECRET, endpoint_url=url, **more
    )


def ask(
    config: CloudWatchConfig, call: Callable[[CloudWatch], Awaitable[T]], policy: Policy | None = None
) -> T:
    """Return what a call on an adapter of its own returns."""

    async def run() -> T:
        adapter = CloudWatch(config, policy or Policy())
        try:
            return await call(adapter)
        finally:
            await adapter.close()

    return asyncio.run(run())


def stubbed(
    service: str, answers: list[tuple[str, Any, Any]], call: Callable[[CloudWatch], Awaitable[T]], **more: Any
) -> T:
    """Return what a call returns when AWS answers so: an operation, its answer or its error's code, its parameters."""

    async def run(adapter: CloudWatch) -> T:
        client = await (adapter._metrics if service == "cloudwatch" else adapter._logs_service).client()
        with Stubber(client) as stub:
            for operation, answer, expected in answers:
                if isinstance(answer, str):
                    stub.add_client_error(operation, answer, "words of AWS", expected_params=expected)
                else:
                    stub.add_response(operation, answer, expected)
            found = await call(adapter)
            stub.assert_no_pending_responses()
            return found

    return ask(config(**more), run)


def test_a_metric_without_a_namespace_is_asked_in_each_of_the_connection_s(moto: str) -> None:
    """Several namespaces at once, a series for each set of dimensions, points by time."""
    found = ask(
        config(moto, namespaces=("AWS/EC2", "AWS/RDS")),
        lambda one: one.query_range(MetricsRequest("CPUUtilization Maximum", WINDOW, 60)),
    )
    start = (NOW - timedelta(minutes=30)).timestamp()
    assert [(dict(one.labels), list(one.points)) for one in found.series] == [
        (_labels("AWS/EC2", "i-1"), [(start, 10.0), (start + 60, 20.0), (start + 120, 90.0)]),
        (_labels("AWS/EC2", "i-2"), [(start, 5.0), (start + 60, 5.0), (start + 120, 5.0)]),
        (_labels("AWS/RDS", "db-1"), [(start, 40.0)]),
    ]
    assert found.about.query_executed == "CPUUtilization Maximum (period 60 s)"


def _labels(namespace: str, instance: str) -> dict[str, str]:
    return {"__name__": "CPUUtilization", "namespace": namespace, "stat": "Maximum", "InstanceId": instance}


def test_dimensions_choose_a_series_and_the_number_of_series_is_bounded(moto: str) -> None:
    """What is left out is said."""
    one = ask(
        config(moto),
        lambda one: one.query_range(MetricsRequest('AWS/EC2:CPUUtilization{InstanceId="i-2"}', WINDOW, 60)),
    )
    assert [dict(series.labels)["InstanceId"] for series in one.series] == ["i-2"]
    first = ask(config(moto), lambda one: one.query_range(MetricsRequest("CPUUtilization", WINDOW, 60, 1)))
    assert (len(first.series), first.about.has_more) == (1, True)


def test_names_dimensions_and_values_are_discovered(moto: str) -> None:
    """By ListMetrics; a name has its namespace, so that it can be asked for."""

    async def discovered(one: CloudWatch) -> tuple[Any, ...]:
        return (
            [metric.name for metric in await one.metric_names("cpu", 10)],
            await one.label_names("AWS/EC2:CPUUtilization", WINDOW, 10),
            await one.label_values("InstanceId", "CPUUtilization", WINDOW, 2),
            (await one.health()).health,
        )

    assert ask(config(moto), discovered) == (
        ["AWS/EC2:CPUUtilization", "AWS/RDS:CPUUtilization"],
        ["InstanceId"],
        ["db-1", "i-1"],
        Health.HEALTHY,
    )


def test_a_filter_pattern_finds_lines_and_those_around_one(moto: str) -> None:
    """Over all groups, or those that the service names; the severity is that of the line's words."""

    async def searched(one: CloudWatch) -> Any:
        found = await one.search(LogsRequest(WINDOW, query="ERROR", service="checkout"))
        before, after = await one.context(found.lines[0], 2, 2)
        return found.lines, [line.message for line in before], [line.message for line in after]

    lines, before, after = ask(config(moto), searched)
    assert [(line.message, line.severity, line.service, line.stream) for line in lines] == [
        ("/ecs/checkout ERROR out of memory", Severity.ERROR, "checkout", "/ecs/checkout\ntask-1")
    ]
    assert before == ["/ecs/checkout INFO started"]
    assert after == ["/ecs/checkout INFO stopped"]


def test_pages_of_metrics_are_put_together_and_their_states_said() -> None:
    """Newest first and in parts, as AWS sends them; PartialData is what every page but the last says."""
    times = [LONG + timedelta(minutes=minute) for minute in (2, 1, 0)]

    def page(values: list[float], at: list[datetime], status: str, **more: Any) -> dict[str, Any]:
        return {
            "MetricDataResults": [
                {"Id": "q0", "Label": "i-1", "Timestamps": at, "Values": values, "StatusCode": status}
            ],
            **more,
        }

    found = stubbed(
        "cloudwatch",
        [
            ("get_metric_data", page([3.0, 2.0], times[:2], "PartialData", NextToken="next"), None),
            (
                "get_metric_data",
                page([1.0], times[2:], "Complete", Messages=[{"Code": "MaxMetricsExceeded", "Value": "100"}]),
                {
                    "MetricDataQueries": [
                        {"Id": "q0", "Expression": 'SELECT AVG(CPUUtilization) FROM "AWS/EC2"', "Period": 60}
                    ],
                    "StartTime": FIXED.start,
                    "EndTime": FIXED.end,
                    "ScanBy": "TimestampDescending",
                    "MaxDatapoints": 100_800,
                    "NextToken": "next",
                },
            ),
        ],
        lambda one: one.query_range(MetricsRequest('SELECT AVG(CPUUtilization) FROM "AWS/EC2"', FIXED, 45)),
    )
    (series,) = found.series
    assert [value for _, value in series.points] == [1.0, 2.0, 3.0]
    assert series.labels == {"label": "i-1"}
    assert found.about.warnings == ("MaxMetricsExceeded: 100",)
    assert not found.about.is_partial


INSIGHTS = {
    "status": "Complete",
    "results": [
        [
            {"field": "@timestamp", "value": "2026-01-01 12:30:00.125"},
            {"field": "@message", "value": '{"level":"error","msg":"out of memory"}'},
            {"field": "@logStream", "value": "task-1"},
            {"field": "@log", "value": "123456789012:/ecs/checkout"},
            {"field": "@ptr", "value": "pointer"},
        ]
    ],
    "statistics": {"recordsMatched": 1.0, "recordsScanned": 42.0, "bytesScanned": 4096.0},
}
GROUPS = ("describe_log_groups", {"logGroups": [{"logGroupName": "/ecs/checkout"}]}, None)


def test_a_search_is_a_query_of_insights_that_is_awaited() -> None:
    """With the words, expressions and fields of the request, quoted; what it read is its cost."""
    request = LogsRequest(
        FIXED,
        text='out of OR "quoted"',
        regex="mem/ory",
        severity=Severity.ERROR,
        service="checkout",
        pod='a"b',
    )
    query = (
        "fields @timestamp, @message, @logStream, @log"
        r" | filter (@message like /(?i)out/ and @message like /(?i)of/) or (@message like /(?i)\"quoted\"/)"
        r" | filter @message like /mem\/ory/"
        r" | filter @message like /(?i)\b(error|err|fatal|critical|crit|severe|emerg|alert|panic)\b/"
        ' | filter `kubernetes.pod_name` = "a\\"b"'
        " | sort @timestamp desc | limit 100"
    )
    found = stubbed(
        "logs",
        [
            GROUPS,
            (
                "start_query",
                {"queryId": "7"},
                {
                    "logGroupNames": ["/ecs/checkout"],
                    "startTime": int(FIXED.start.timestamp()),
                    "endTime": int(FIXED.end.timestamp()) - 1,
                    "queryString": query,
                    "limit": 100,
                },
            ),
            ("get_query_results", {"status": "Scheduled", "results": []}, {"queryId": "7"}),
            ("get_query_results", {"status": "Running", "results": []}, {"queryId": "7"}),
            ("get_query_results", INSIGHTS, {"queryId": "7"}),
        ],
        lambda one: one.search(request),
    )
    (line,) = found.lines
    assert line == LogLine(
        time_ns=int(LONG.timestamp() * 10**9) + 1_800_125_000_000,
        message='{"level":"error","msg":"out of memory"}',
        severity=Severity.ERROR,
        service="checkout",
        labels={"log_group": "/ecs/checkout", "log_stream": "task-1"},
        stream="/ecs/checkout\ntask-1",
        id="pointer",
    )
    assert found.about.query_executed == query
    assert found.about.cost is not None
    assert (found.about.cost.rows, found.about.cost.bytes) == (42, 4096)


def test_a_query_without_time_left_is_stopped() -> None:
    """CloudWatch would work on it for an hour."""
    with pytest.raises(BackendError) as caught:
        stubbed(
            "logs",
            [
                GROUPS,
                ("start_query", {"queryId": "7"}, None),
                ("get_query_results", {"status": "Running", "results": []}, None),
                ("stop_query", {"success": True}, {"queryId": "7"}),
            ],
            lambda one: one.search(LogsRequest(FIXED, text="x")),
            timeout_seconds=0.1,
        )
    assert caught.value.kind is Kind.TIMEOUT


def test_a_query_whose_caller_leaves_is_stopped() -> None:
    """The cancellation goes on after that."""
    stopped = []

    async def run(adapter: CloudWatch) -> None:
        client = await adapter._logs_service.client()
        loop, asked = asyncio.get_running_loop(), asyncio.Event()
        client.meta.events.register(
            "provide-client-params.*.GetQueryResults",
            lambda **_: loop.call_soon_threadsafe(asked.set) and None,
        )
        client.meta.events.register(
            "provide-client-params.*.StopQuery", lambda params, **_: stopped.append(params)
        )
        with Stubber(client) as stub:
            stub.add_response("describe_log_groups", GROUPS[1])
            stub.add_response("start_query", {"queryId": "7"})
            for _ in range(100):
                stub.add_response("get_query_results", {"status": "Running", "results": []})
            searching = asyncio.create_task(adapter.search(LogsRequest(FIXED, text="x")))
            await asyncio.wait_for(asked.wait(), 180)
            searching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await searching
            assert searching.cancelled()

    ask(config(), run)
    assert stopped == [{"queryId": "7"}]


def test_empty_pages_with_a_token_are_not_the_end() -> None:
    """FilterLogEvents returns them while it searches."""
    event = {
        "timestamp": int(LONG.timestamp() * 1_000),
        "message": "WARN late",
        "logStreamName": "s",
        "eventId": "1",
    }
    found = stubbed(
        "logs",
        [
            GROUPS,
            ("filter_log_events", {"events": [], "nextToken": "a"}, None),
            ("filter_log_events", {"events": [], "nextToken": "b"}, None),
            ("filter_log_events", {"events": [event]}, None),
        ],
        lambda one: one.search(LogsRequest(FIXED, query='"late"')),
    )
    assert [(line.message, line.severity) for line in found.lines] == [("WARN late", Severity.WARN)]
    assert not found.about.has_more


def test_lines_are_counted_by_severity() -> None:
    """By the word in the line; several words are one severity."""
    counts = stubbed(
        "logs",
        [
            GROUPS,
            ("start_query", {"queryId": "7"}, None),
            (
                "get_query_results",
                {
                    "status": "Complete",
                    "results": [
                        [{"field": "level", "value": "ERROR"}, {"field": "lines", "value": "3"}],
                        [{"field": "level", "value": "Fatal"}, {"field": "lines", "value": "2"}],
                        [{"field": "level", "value": "info"}, {"field": "lines", "value": "9"}],
                        [{"field": "lines", "value": "4"}],
                    ],
                },
                None,
            ),
        ],
        lambda one: one.count_by_severity(LogsRequest(FIXED)),
    )
    assert counts == {"error": 5, "info": 9, "unknown": 4}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("Throttling", Kind.RATE_LIMITED),
        ("ThrottlingException", Kind.RATE_LIMITED),
        ("LimitExceededException", Kind.RATE_LIMITED),
        ("AccessDenied", Kind.UNAUTHORIZED),
        ("InvalidClientTokenId", Kind.UNAUTHORIZED),
        ("ExpiredTokenException", Kind.UNAUTHORIZED),
        ("ResourceNotFoundException", Kind.NOT_FOUND),
        ("ValidationError", Kind.BAD_QUERY),
        ("InternalServiceFault", Kind.FAILED),
    ],
)
def test_errors_of_aws_are_one_of_ours(code: str, kind: Kind) -> None:
    """With AWS' words as detail, and no credentials."""
    with pytest.raises(BackendError) as caught:
        stubbed(
            "cloudwatch",
            [("get_metric_data", code, None)],
            lambda one: one.query_range(MetricsRequest("SELECT AVG(x) FROM y", FIXED, 60)),
        )
    assert (caught.value.kind, caught.value.detail) == (kind, f"{code}: words of AWS")


def test_a_metadata_address_is_refused_before_anything_is_sent() -> None:
    """The same policy guards it as every other system."""
    with pytest.raises(BackendError) as caught:
        ask(config("http://169.254.169.254"), lambda one: one.metric_names("", 1))
    assert caught.value.kind is Kind.FORBIDDEN_ADDRESS
    only = Policy(ports=frozenset({443}), allowed=(ip_network("10.0.0.0/8"),))
    with pytest.raises(BackendError) as caught:
        ask(config("http://127.0.0.1:9"), lambda one: one.metric_names("", 1), only)
    assert caught.value.kind is Kind.FORBIDDEN_ADDRESS


@contextlib.contextmanager
def answering(
    status: int, body: bytes, wait: threading.Event | None = None
) -> Iterator[tuple[str, list[str]]]:
    """Serve one answer to everything on loopback; the address, and the bodies and headers that were sent."""
    seen: list[str] = []
    GOING.clear()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            seen.append(f"{self.headers}{self.rfile.read(length)!r}")
            if wait is not None:
                GOING.set()
                wait.wait(180)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"<html>login</html>", Kind.MALFORMED),
        (500, b"<html>oops</html>", Kind.FAILED),
        (403, b"{}", Kind.UNAUTHORIZED),
        (429, b"{}", Kind.RATE_LIMITED),
        (200, b"x" * 5_000, Kind.TOO_LARGE),
    ],
)
def test_what_is_no_answer_of_aws_is_an_error_of_ours(status: int, body: bytes, kind: Kind) -> None:
    """As from a proxy; the secret key is never sent, and is in no error."""
    with answering(status, body) as (url, seen), pytest.raises(BackendError) as caught:
        ask(config(url, max_response_bytes=2_000), lambda one: one.metric_names("", 1))
    assert caught.value.kind is kind
    assert "AWS4-HMAC-SHA256" in seen[0]
    assert len(seen) == 1, "it is not asked twice"
    assert SECRET not in "".join([*seen, str(caught.value), caught.value.detail])


def test_a_call_that_is_cancelled_ends_at_once() -> None:
    """Its connection is closed while the server still waits."""
    wait = threading.Event()

    async def run(adapter: CloudWatch) -> float:
        await adapter._metrics.client()
        asking = asyncio.create_task(adapter.metric_names("", 1))
        await asyncio.wait_for(asyncio.to_thread(GOING.wait, 180), 180)
        asking.cancel()
        started = asyncio.get_running_loop().time()
        with contextlib.suppress(asyncio.CancelledError):
            await asking
        return asyncio.get_running_loop().time() - started

    with answering(200, b"{}", wait) as (url, _):
        took = ask(config(url), run)
        wait.set()
    assert took < 100


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 is not installed with the rest."""
    monkeypatch.setattr(aws.util, "find_spec", lambda _: None)
    (backend,) = BACKENDS
    with pytest.raises(BackendError, match=r"claude-code-telemetry\[aws\]") as caught:
        backend.opened(config(), Policy())
    assert caught.value.kind is Kind.UNSUPPORTED


def test_importing_the_adapter_does_not_import_boto3() -> None:
    """It takes half a second, and most have no use for it."""
    code = "import sys, connectors.adapters.cloudwatch; sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
