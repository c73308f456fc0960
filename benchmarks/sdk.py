"""What the SDK for MCP servers costs a call: tools of 0, 5, 25 and 100 ms, with and without it, in turns.

    python benchmarks/sdk.py [--rounds 24] [--with openllmetry|openinference]
    python benchmarks/sdk.py --flat 1000000

Prints the CPU time of a call, with and without, and the median of the differences of neighbouring turns; the same in
wall time; and spans a call. The client and the server are in one process, over a stream in memory. `--with` measures
another instrumentation in its place, where it is installed: opentelemetry-instrumentation-mcp,
openinference-instrumentation-mcp. These patch the whole process, so that their turns come after the plain ones, and the
tool is one of 0 ms: what was patched once cannot be taken out for the next. `--flat N`
passes N messages through the instrumentation alone and prints the resident memory after each tenth.
"""

import argparse
import asyncio
import gc
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

OTHERS = {
    "openllmetry": ("opentelemetry.instrumentation.mcp", "McpInstrumentor"),
    "openinference": ("openinference.instrumentation.mcp", "MCPInstrumentor"),
}
IS_2 = find_spec("mcp.server.mcpserver") is not None
CALLS = {0: 100, 5: 40, 25: 20, 100: 5}
"""Calls of a turn, by the milliseconds that the tool takes."""


class Counted(SpanExporter):
    """Counts the spans that are exported."""

    def __init__(self) -> None:
        self.spans = 0

    def export(self, spans: Any) -> SpanExportResult:
        """Count them."""
        self.spans += len(spans)
        return SpanExportResult.SUCCESS


def server() -> Any:
    """Return a server whose tool takes so many milliseconds, of whichever `mcp` is installed."""
    made: Any = import_module("mcp.server").MCPServer("measured") if IS_2 else _of_1()("measured")

    @made.tool()
    async def wait(milliseconds: int) -> int:
        """Wait."""
        if milliseconds:
            await asyncio.sleep(milliseconds / 1000)
        return milliseconds

    return made


def _of_1() -> Any:
    return import_module("mcp.server.fastmcp").FastMCP


def connected(to: Any) -> Any:
    """Return a context that yields a client of a server in this process."""
    if IS_2:
        return import_module("mcp").Client(to)
    memory = import_module("mcp.shared.memory")
    return memory.create_connected_server_and_client_session(to._mcp_server)  # noqa: SLF001  as its own tests do


async def calls(client: Any, milliseconds: int, number: int) -> tuple[float, float]:
    """Return the seconds of a call, and the CPU seconds of one."""
    cpu, begin = time.process_time(), time.perf_counter()
    for _ in range(number):
        await client.call_tool("wait", {"milliseconds": milliseconds})
    return (time.perf_counter() - begin) / number, (time.process_time() - cpu) / number


async def compared(other: str, rounds: int) -> None:
    """Print a line for each length of a tool."""
    exporter = Counted()
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=100_000))
    meter_provider = MeterProvider(metric_readers=[InMemoryMetricReader()])
    if other:
        # They ask the process's own.
        trace.set_tracer_provider(provider)
        metrics.set_meter_provider(meter_provider)
    turn = patched(other) if other else instrumented(provider, meter_provider)
    print(
        "| tool ms | CPU µs without | with | more | more, least of the turns | wall µs more | share of the call % |"
    )
    print("|---|---|---|---|---|---|---|")
    spans = 0
    for milliseconds, number in CALLS.items() if not other else [(0, CALLS[0])]:
        await turn(False, milliseconds, number)
        if not other:
            await turn(True, milliseconds, number)
        plain: list[tuple[float, float]] = []
        measured: list[tuple[float, float]] = []
        # Each begins as often as the other. Others stay in the process once they are there, and come last.
        order = (
            [False, True, True, False] * (rounds // 2) if not other else [False] * rounds + [True] * rounds
        )
        for is_measured in order:
            if (other and is_measured and not measured) or (not other and not plain):
                provider.force_flush()
                spans = exporter.spans
            (measured if is_measured else plain).append(await turn(is_measured, milliseconds, number))
        provider.force_flush()
        more = [
            statistics.median(
                after[kind] - before[kind] for before, after in zip(plain, measured, strict=True)
            )
            for kind in (0, 1)
        ]
        cpu = [statistics.median(one[1] for one in side) * 1e6 for side in (plain, measured)]
        least = min(one[1] for one in measured) - min(one[1] for one in plain)
        wall = statistics.median(one[0] for one in plain)
        print(
            f"| {milliseconds} | {cpu[0]:.0f} | {cpu[1]:.0f} | {more[1] * 1e6:.0f} | {least * 1e6:.0f} |"
            f" {more[0] * 1e6:.0f} |"
            f" {100 * more[0] / wall:.2f} |",
            flush=True,
        )
        print(f"  {(exporter.spans - spans) / (number * rounds):.2f} spans a call", flush=True)


Turn = Callable[[bool, int, int], Awaitable[tuple[float, float]]]


def instrumented(provider: TracerProvider, meter_provider: MeterProvider) -> Turn:
    """Return how a turn of our own is measured: on one of two servers."""
    from mcp_server_telemetry import instrument  # noqa: PLC0415  not needed to measure others

    servers = server(), server()
    instrument(servers[1], tracer_provider=provider, meter_provider=meter_provider)

    async def turn(is_measured: bool, milliseconds: int, number: int) -> tuple[float, float]:  # noqa: FBT001
        async with connected(servers[is_measured]) as client:
            await client.list_tools()
            return await calls(client, milliseconds, number)

    return turn


def patched(other: str) -> Turn:
    """Return how a turn of another instrumentation is measured: on a server that is made while it is in the process."""
    module, name = OTHERS[other]
    instrumentor = getattr(import_module(module), name)()

    is_there = False

    async def turn(is_measured: bool, milliseconds: int, number: int) -> tuple[float, float]:  # noqa: FBT001
        nonlocal is_there
        if is_measured is not is_there:
            (instrumentor.instrument if is_measured else instrumentor.uninstrument)()
            is_there = is_measured
        async with connected(server()) as client:
            await client.list_tools()
            return await calls(client, milliseconds, number)

    return turn


async def flat(number: int) -> None:
    """Print the resident memory after each tenth of so many messages, which pass the instrumentation alone."""
    from mcp_server_telemetry.messages import Message, Messages  # noqa: PLC0415
    from mcp_server_telemetry.options import Options  # noqa: PLC0415
    from mcp_server_telemetry.recorder import Recorder  # noqa: PLC0415

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Counted()))
    meter = MeterProvider(metric_readers=[InMemoryMetricReader()]).get_meter("measured")
    messages = Messages(Recorder(meter, provider.get_tracer("measured"), Options()))

    async def answer() -> int:
        return 1

    async def some(calls: range) -> None:
        for call in calls:
            # A fifth of the names are such as clients invent.
            name = f"invented {call}" if call % 5 == 0 else f"tool {call % 30}"
            message = Message("tools/call", name, str(call), None, "2025-11-25", user=f"user {call % 1000}")
            await messages.observe(message, answer, lambda _, failed=call % 5 == 0: failed)

    print("| messages | resident MiB |\n|---|---|")
    for part in range(10):
        await some(range(part * number // 10, (part + 1) * number // 10))
        gc.collect()
        print(f"| {(part + 1) * number // 10:,} | {resident():.1f} |", flush=True)


def resident() -> float:
    """Return this process's resident memory in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description="Measure what the SDK for MCP servers costs.")
    parser.add_argument("--rounds", type=int, default=24, help="turns with and turns without, for each tool")
    parser.add_argument("--with", dest="other", choices=list(OTHERS), default="")
    parser.add_argument("--flat", type=int, default=0, metavar="CALLS")
    arguments = parser.parse_args()
    asyncio.run(flat(arguments.flat) if arguments.flat else compared(arguments.other, arguments.rounds))


if __name__ == "__main__":
    main()
