"""A trial of the whole: calls of a small server in memory, with and without instrumentation, and what was recorded.

Needs `mcp` 2.x. What it returns is counted, so that a lost span or call shows.
"""

import statistics
import time
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from mcp_server_telemetry.definitions import FAILURES
from mcp_server_telemetry.instrument import instrument

_ROUNDS: Final = 10


@dataclass(frozen=True, slots=True)
class Trial:
    """What a trial found. `cost_us` is the median CPU time that a call took more, in microseconds."""

    calls: int
    answered: int
    spans: int
    failures: int
    series: int
    cost_us: float

    @property
    def is_good(self) -> bool:
        """Whether every call was answered and recorded."""
        return self.answered == self.calls == self.spans and not self.failures


class _Counted(SpanExporter):
    def __init__(self) -> None:
        self.spans = 0

    def export(self, spans: Any) -> SpanExportResult:
        """Count the spans of tools."""
        self.spans += sum(span.name.startswith("tools/call") for span in spans)
        return SpanExportResult.SUCCESS


async def tried(calls: int) -> Trial:
    """Call a tool so often on an instrumented server, and as often, in turns, on one that is not."""
    from mcp import Client

    exporter, reader = _Counted(), InMemoryMetricReader()
    tracer_provider = TracerProvider(shutdown_on_exit=False)
    tracer_provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=4 * calls + 2048))
    plain, measured = _server(), _server()
    instrument(
        measured,
        tracer_provider=tracer_provider,
        meter_provider=MeterProvider(metric_readers=[reader], shutdown_on_exit=False),
    )
    answered = 0
    costs = []
    each = max(1, calls // _ROUNDS)
    async with Client(plain) as without, Client(measured) as client:
        for begin in range(0, calls, each):
            number = min(each, calls - begin)
            alone, _ = await _round(without, number)
            cost, good = await _round(client, number)
            answered += good
            tracer_provider.force_flush()
            costs.append((cost - alone) / number * 1e6)
    tracer_provider.shutdown()
    data = reader.get_metrics_data()
    metrics = [
        metric
        for resource in (data.resource_metrics if data else [])
        for scope in resource.scope_metrics
        for metric in scope.metrics
    ]
    failed: list[Any] = [
        point for metric in metrics if metric.name == FAILURES.name for point in metric.data.data_points
    ]
    failures = sum(int(point.value) for point in failed)
    series = sum(len(metric.data.data_points) for metric in metrics)
    return Trial(calls, answered, exporter.spans, failures, series, statistics.median(costs))


async def _round(client: Any, number: int) -> tuple[float, int]:
    begin = time.process_time()
    good = 0
    for _ in range(number):
        good += not (await client.call_tool("nothing", {})).is_error
    return time.process_time() - begin, good


def _server() -> Any:
    from mcp.server import MCPServer

    server: Any = MCPServer("trial")

    @server.tool()  # type: ignore[untyped-decorator]
    async def nothing() -> int:
        """Return 1."""
        return 1

    return server
