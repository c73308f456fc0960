"""What is recorded of messages, and that a server answers as it would without: in memory and over HTTP, both eras."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from mcp_server_telemetry import Options, instrument
from tests.sdk.measured import Measured
from tests.sdk.served import SECRET, served

ERAS = ("auto", "legacy")
each_era = pytest.mark.parametrize("era", ERAS)


@asynccontextmanager
async def over_http(server: Any, era: str, token: str = "") -> AsyncIterator[Client]:
    """Connect to a server's HTTP application within the process."""
    app = server.streamable_http_app()
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app),
            base_url="http://127.0.0.1:8000",
            headers={"Authorization": f"Bearer {token}"} if token else {},
        ) as http,
        Client(streamable_http_client("http://127.0.0.1:8000/mcp", http_client=http), mode=era) as client,
    ):
        yield client


@each_era
def test_a_call_is_one_span_and_its_metrics(era: str) -> None:
    """The span's name and attributes are those of the conventions, and every metric of a call has it once."""
    server = served("mcp")
    measured = Measured(server)

    async def calls() -> None:
        async with Client(server, mode=era) as client:
            assert (await client.call_tool("add", {"a": 1, "b": 2})).structured_content == {"result": 3}
            assert (await client.call_tool("fails", {})).is_error
            await client.get_prompt("asked", {"about": SECRET})

    asyncio.run(calls())
    (span,) = measured.named("tools/call add")
    assert span.kind.name == "SERVER"
    assert span.attributes is not None
    assert span.attributes["gen_ai.operation.name"] == "execute_tool"
    assert len(measured.named("prompts/get asked")) == 1
    failed = [one for one in measured.spans() if (one.attributes or {}).get("error.type") == "tool_error"]
    assert len(failed) == 1
    for name in ("mcp.server.operation.duration", "mcp.message.latency"):
        assert measured.total(name, gen_ai_tool_name="add") == 1
    assert measured.total("mcp.errors.total", error_type="tool_error") == 1
    assert measured.total("mcp.feature.usage", mcp_feature_kind="tool", mcp_feature_name="add") == 1
    assert measured.total("mcp.feature.usage", mcp_feature_kind="prompt", mcp_feature_name="asked") == 1


@each_era
def test_no_content_is_recorded(era: str) -> None:
    """Not of arguments, results, errors, names that a client invents, tokens or addresses of resources."""
    server = served("mcp")
    measured = Measured(server, Options(record_content=True))

    async def calls() -> None:
        async with over_http(server, era, SECRET) as client:
            await client.call_tool("fails", {})
            await client.call_tool("large", {"size": 3})
            for attempt in (
                client.call_tool(SECRET, {SECRET: SECRET}),
                client.call_tool("add", {"a": SECRET, "b": 1}),
                client.get_prompt("asked", {"about": SECRET}),
                client.get_prompt(SECRET, {}),
                client.read_resource(f"file://{SECRET}"),
            ):
                try:
                    await attempt
                except MCPError:
                    continue

    asyncio.run(calls())
    recorded = repr(
        [(span.name, span.attributes, span.events, span.status.description) for span in measured.spans()]
    )
    assert "gen_ai.tool.call.arguments" in recorded
    assert SECRET not in recorded + repr(measured.points())
    assert measured.total("mcp.users.unique") == 1


@each_era
def test_a_clients_trace_goes_on(era: str) -> None:
    """The span's parent is the client's, by `_meta.traceparent`; a wrong one is passed over."""
    server = served("mcp")
    measured = Measured(server)
    trace = "0af7651916cd43dd8448eb211c80319c"

    async def calls() -> None:
        async with Client(server, mode=era) as client:
            for parent in (f"00-{trace}-b7ad6b7169203331-01", "00-zz", "x" * 100_000):
                await client.call_tool("add", {"a": 1, "b": 2}, meta={"traceparent": parent})

    asyncio.run(calls())
    spans = measured.named("tools/call add") + measured.named("tools/call")
    assert len(spans) == 3
    assert [f"{span.context.trace_id:032x}" == trace for span in spans].count(True) == 1


@each_era
def test_a_cancelled_call_is_no_error_of_the_server(era: str) -> None:
    """A tool that hangs ends with its client's call, is recorded as cancelled, and others are answered meanwhile."""
    server = served("mcp")
    measured = Measured(server)
    measured.of.admit_tools(["hangs"])

    async def calls() -> None:
        async with Client(server, mode=era) as client:
            with anyio.move_on_after(0.05):
                await client.call_tool("hangs", {})
            assert (await client.call_tool("add", {"a": 1, "b": 2})).structured_content == {"result": 3}

    asyncio.run(calls())
    (span,) = measured.named("tools/call hangs")
    assert (span.attributes or {})["error.type"] == "cancelled"
    assert span.status.status_code.name == "UNSET"
    assert measured.total("mcp.errors.total") == 0


@each_era
def test_sessions_over_http_are_counted_and_end(era: str) -> None:
    """A handshake makes a session, with a span at its end; the later era has none; none is left open."""
    server = served("mcp")
    measured = Measured(server)

    async def calls() -> None:
        async with over_http(server, era) as client:
            await client.call_tool("add", {"a": 1, "b": 2})
            assert measured.total("mcp.sessions.active") == (era == "legacy")

    asyncio.run(calls())
    has_session = int(era == "legacy")
    assert measured.total("mcp.sessions.total") == has_session
    assert measured.total("mcp.sessions.active") == 0
    spans = measured.named("mcp.session")
    assert len(spans) == has_session
    if spans:
        assert (spans[0].attributes or {})["mcp.session.messages"] >= 2


def test_answers_are_those_of_a_server_without_instrumentation() -> None:
    """Whatever is called: results, errors and refusals are equal, a megabyte and odd names too."""
    questions: list[tuple[str, dict[str, Any]]] = [
        ("add", {"a": 1, "b": 2}),
        ("add", {}),
        ("fails", {}),
        ("large", {"size": 3_000_000}),
        ("", {}),
        ("no such", {"x": None}),
        ("\U0001f345\n\x00", {}),
        ("x" * 100_000, {}),
    ]

    async def answers(server: Any) -> list[str]:
        found = []
        async with Client(server) as client:
            for name, arguments in questions:
                try:
                    found.append((await client.call_tool(name, arguments)).model_dump_json())
                except MCPError as error:
                    found.append(repr(error.error))
        return found

    plain, instrumented = served("mcp"), served("mcp")
    measured = Measured(instrumented)
    assert asyncio.run(answers(instrumented)) == asyncio.run(answers(plain))
    assert measured.total("mcp.telemetry.failures") == 0


def test_a_measurement_that_fails_harms_no_call(caplog: pytest.LogCaptureFixture) -> None:
    """It is counted, and said once."""
    server = served("mcp")

    class Broken:
        def measurement(self, *_: Any) -> None:
            raise RuntimeError(SECRET)

        session = use = measurement

    measured = Measured(server, sinks=[Broken()])

    async def calls() -> None:
        async with Client(server) as client:
            for _ in range(5):
                assert (await client.call_tool("add", {"a": 1, "b": 2})).structured_content == {"result": 3}

    with caplog.at_level(logging.WARNING, "mcp_server_telemetry"):
        asyncio.run(calls())
    assert measured.total("mcp.telemetry.failures") >= 5
    said = [record.getMessage() for record in caplog.records if record.name == "mcp_server_telemetry"]
    assert len(said) == 1
    assert SECRET not in said[0]
    assert len(measured.named("tools/call add") + measured.named("tools/call")) == 5


def test_a_second_instrumentation_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Each call is recorded once, and the second is told of."""
    server = served("mcp")
    measured = Measured(server)
    assert instrument(server) is measured.of
    assert "already" in caplog.text

    async def calls() -> None:
        async with Client(server) as client:
            await client.call_tool("add", {"a": 1, "b": 2})

    asyncio.run(calls())
    assert measured.total("mcp.server.operation.duration", gen_ai_tool_name="add") == 1


def test_what_is_no_server_is_refused() -> None:
    """With the kinds that are known."""
    with pytest.raises(TypeError, match="MCPServer"):
        instrument(object())
