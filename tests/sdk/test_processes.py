"""Instrumented servers as processes of their own: standard output, exporters, backends that fail, forks, packages.

Servers on other packages run where an environment variable names an interpreter that has them, as `.ci/run` makes.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.sdk.backend import Backend, attributes, receiving
from tests.sdk.served import SECRET
from tests.server import ROOT, free_port

PYTHONS = {
    "mcp": sys.executable,
    "mcp1": os.environ.get("SDK_MCP1_PYTHON", ""),
    "fastmcp": os.environ.get("SDK_FASTMCP_PYTHON", ""),
}
each_package = pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            kind,
            marks=pytest.mark.skipif(
                not python, reason=f"SDK_{kind.upper()}_PYTHON names no interpreter: .ci/run makes one"
            ),
        )
        for kind, python in PYTHONS.items()
    ],
)
SUM = {"a": 1, "b": 2}


def command(kind: str, transport: str, **environment: str) -> StdioServerParameters:
    """Return how a server is started, which sends nothing unless the environment says where to."""
    return StdioServerParameters(
        command=PYTHONS[kind],
        args=[str(ROOT / "tests/sdk/served.py"), kind, transport],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "sdk"),
            "OTEL_METRIC_EXPORT_INTERVAL": "200",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            **environment,
        },
    )


@asynccontextmanager
async def over_stdio(
    errors: Path, era: str = "auto", kind: str = "mcp", **environment: str
) -> AsyncIterator[Client]:
    """Connect to a server that this starts; its standard error goes into a file."""
    with errors.open("w") as log:
        async with Client(
            stdio_client(command(kind, "stdio", **environment), errlog=log), mode=era
        ) as client:
            yield client


@contextmanager
def otlp(backend: str, exporter: str = "otlp") -> Iterator[dict[str, str]]:
    """Return the environment for a server that sends to an address."""
    yield {"EXPORTER": exporter, "OTEL_EXPORTER_OTLP_ENDPOINT": backend, "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}


async def called(client: Client) -> None:
    """Call each kind of tool, of which one fails, and look at the answers."""
    content = (await client.call_tool("add", SUM)).content
    assert content[0].text == "3"  # type: ignore[union-attr]
    assert (await client.call_tool("fails", {})).is_error
    await client.list_tools()
    await client.get_prompt("asked", {"about": SECRET})


def check(backend: Backend) -> None:
    """Hold what was received of `called`."""
    names = backend.names()
    assert names.count("tools/call add") == 1
    assert names.count("prompts/get asked") == 1
    (ended,) = [span for span in backend.spans if span.name == "mcp.session"]
    assert attributes(ended)["network.transport"] == "pipe"
    failed = [span for span in backend.spans if attributes(span).get("error.type") == "tool_error"]
    assert len(failed) == 1
    points = {
        attributes(point).get("gen_ai.tool.name"): point for point in backend.metrics["mcp.message.latency"]
    }
    assert points["add"].count == 1
    assert backend.metrics["mcp.sessions.active"][0].as_int == 0
    assert backend.resource["service.name"] == "mcp-server"
    assert SECRET.encode() not in b"".join(backend.bodies)


@each_package
@pytest.mark.parametrize("era", ["auto", "legacy"])
def test_a_server_over_standard_input_sends_all_of_its_spans_before_it_ends(
    tmp_path: Path, kind: str, era: str
) -> None:
    """On each package and in each era; nothing of the content is sent."""

    async def session(**environment: str) -> None:
        async with over_stdio(tmp_path / "log", era, kind, **environment) as client:
            await called(client)

    with receiving() as backend, otlp(backend.url) as environment:
        anyio.run(lambda: session(**environment))
        check(backend)


@each_package
def test_a_server_over_http_is_measured(tmp_path: Path, kind: str) -> None:
    """Each package by its own HTTP server, which then is ended by a signal."""
    port = free_port()
    bound = {"FASTMCP_PORT": str(port), "FASTMCP_HOST": "127.0.0.1"}
    if kind == "mcp":
        pytest.skip("test_messages has it in both eras; this server's port is no setting")
    with receiving() as backend, otlp(backend.url) as environment, (tmp_path / "log").open("w") as log:
        start = command(kind, "http", **environment, **bound)
        with subprocess.Popen([start.command, *start.args], env=start.env, stdout=log, stderr=log) as process:
            wait(lambda: listening(port))

            async def session() -> None:
                async with Client(f"http://127.0.0.1:{port}/mcp", mode="legacy") as client:
                    await client.call_tool("add", SUM)

            anyio.run(session)
            wait(lambda: "tools/call add" in backend.names())
            process.terminate()
    (span,) = [span for span in backend.spans if span.name == "tools/call add"]
    assert attributes(span)["network.transport"] == "tcp"
    begun = {attributes(point)["network.transport"] for point in backend.metrics["mcp.sessions.total"]}
    assert begun == {"tcp"}


@pytest.mark.parametrize("exporter", ["console", "otlp", "prometheus"])
def test_nothing_but_the_protocol_is_on_standard_output(tmp_path: Path, exporter: str) -> None:
    """Each line there is a message, also while the backend is away and the console is the exporter."""
    start = command(
        "mcp",
        "stdio",
        EXPORTER=exporter,
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}",
        OTEL_EXPORTER_PROMETHEUS_PORT=str(free_port()),
    )
    messages = (
        '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},'
        '"clientInfo":{"name":"x","version":"1"}}}\n{"jsonrpc":"2.0","method":"notifications/initialized"}\n'
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fails","arguments":{}}}\nno json\n'
    )
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            [start.command, *start.args],
            env=start.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        assert process.stdin
        assert process.stdout
        process.stdin.write(messages)
        process.stdin.flush()
        answers = [process.stdout.readline() for _ in range(2)]
        process.stdin.close()
        answers += process.stdout.readlines()
        assert process.wait(180) == 0
    assert [line for line in answers if not line.startswith('{"jsonrpc"')] == []
    assert SECRET not in (tmp_path / "log").read_text().replace(f"ValueError: {SECRET}", "")


@pytest.mark.parametrize("backend", ["away", "slow", "full", "wrong"])
def test_a_backend_that_fails_costs_no_call(tmp_path: Path, backend: str) -> None:
    """Every one of many calls is answered, soon, and the server ends in time; at most few words are said of it."""

    async def session(url: str) -> float:
        with otlp(url) as environment:
            async with over_stdio(tmp_path / "log", **environment) as client:
                begin = time.monotonic()
                for _ in range(200):
                    content = (await client.call_tool("add", SUM)).content
                    assert content[0].text == "3"  # type: ignore[union-attr]
                return time.monotonic() - begin

    begin = time.monotonic()
    if backend in {"slow", "full"}:
        with receiving(status=429 if backend == "full" else 200, delay=5 if backend == "slow" else 0) as real:
            spent = anyio.run(session, real.url)
            assert real.requests > 0
    else:
        spent = anyio.run(
            session, f"http://127.0.0.1:{free_port()}" if backend == "away" else "http://no such host"
        )
    assert spent < 300
    assert time.monotonic() - begin < 400
    assert len((tmp_path / "log").read_text().splitlines()) < 1000


def test_a_tool_that_forks_and_a_second_instrumentation(tmp_path: Path) -> None:
    """The child ends as it would, and no span is sent twice."""

    async def session(**environment: str) -> None:
        async with over_stdio(tmp_path / "log", TWICE="1", **environment) as client:
            content = (await client.call_tool("forks", {})).content
            assert content[0].text == "7"  # type: ignore[union-attr]
            await client.call_tool("add", SUM)

    with receiving() as backend, otlp(backend.url) as environment:
        anyio.run(lambda: session(**environment))
        spans = [span.span_id for span in backend.spans]
        assert len(spans) == len(set(spans))
        assert backend.names().count("tools/call forks") + backend.names().count("tools/call") == 1
        assert backend.names().count("tools/call add") == 1
    assert (tmp_path / "log").read_text().count("This server is instrumented") == 1


@contextmanager
def called_by_hand(
    log_file: Path, name: str, environment: Mapping[str, str]
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server whose client has opened a session and called a tool."""
    start = command("mcp", "stdio", **environment)
    with (
        log_file.open("w") as log,
        subprocess.Popen(
            [start.command, *start.args],
            env=start.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        ) as process,
    ):
        assert process.stdin
        process.stdin.write(
            b'{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25",'
            b'"capabilities":{},"clientInfo":{"name":"x","version":"1"}}}\n'
            b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n'
            b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"%s","arguments":{"a":1,"b":2}}}\n'
            % name.encode()
        )
        process.stdin.flush()
        yield process


def test_a_client_that_vanishes_ends_its_session(tmp_path: Path) -> None:
    """A killed client leaves no open session: the server's input ends, and the session's span is sent."""
    with receiving() as backend, otlp(backend.url) as environment:
        with called_by_hand(tmp_path / "log", "hangs", environment) as process:
            assert process.stdin
            assert process.stdout
            process.stdout.readline()
            process.stdout.close()
            process.stdin.close()
            process.wait(180)
        assert backend.names().count("mcp.session") == 1
        assert backend.metrics["mcp.sessions.active"][0].as_int == 0


def test_a_server_that_is_terminated_sends_what_it_has(tmp_path: Path) -> None:
    """Clients terminate a server that takes long to end; the signal still ends it."""
    with receiving() as backend, otlp(backend.url) as environment:
        with called_by_hand(tmp_path / "log", "add", environment) as process:
            assert process.stdout
            assert [b'"id":%d' % number in process.stdout.readline() for number in range(2)] == [True, True]
            process.terminate()
            assert process.wait(180) == -signal.SIGTERM
        assert "tools/call add" in backend.names()


def test_the_page_for_prometheus_has_the_metrics(tmp_path: Path) -> None:
    """On loopback, at the port of OpenTelemetry's own setting; a port that is taken is said and harms nothing."""
    port = free_port()
    environment = {"EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": str(port)}

    async def session() -> str:
        async with over_stdio(tmp_path / "log", **environment) as client:
            await called(client)
            page = await anyio.to_thread.run_sync(
                lambda: httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=180).text
            )
            async with over_stdio(tmp_path / "second", **environment) as other:
                await called(other)
            return page

    page = anyio.run(session)
    assert re.search(r'mcp_server_operation_duration_seconds_bucket\{[^}]*gen_ai_tool_name="add"', page)
    assert re.search(r"mcp_sessions_active\{[^}]*\} 1\.0", page)
    assert SECRET not in page
    assert "cannot listen" in (tmp_path / "second").read_text()


def test_the_sdk_can_be_switched_off(tmp_path: Path) -> None:
    """By OpenTelemetry's own variable."""

    async def session(**environment: str) -> None:
        async with over_stdio(tmp_path / "log", OTEL_SDK_DISABLED="true", **environment) as client:
            await called(client)

    with receiving() as backend, otlp(backend.url) as environment:
        anyio.run(lambda: session(**environment))
        assert backend.requests == 0


def listening(port: int) -> bool:
    """Whether something listens at a port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait(condition: Any) -> None:
    """Wait until a condition holds, for half a minute at most."""
    until = time.monotonic() + 180
    while not condition():
        assert time.monotonic() < until, "it did not come true"
        time.sleep(0.02)
