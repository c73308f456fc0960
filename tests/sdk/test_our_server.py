"""Our own MCP server, measured by the SDK when a setting says where to send."""

import os
import sys
from pathlib import Path

import anyio
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.sdk.backend import receiving
from tests.server import ROOT, free_port


@pytest.mark.parametrize("is_on", [True, False])
def test_our_server_sends_its_telemetry_where_the_setting_says(tmp_path: Path, *, is_on: bool) -> None:
    """And nowhere else, and nothing when it is unset; a refused call is a failed one."""
    with receiving() as backend:
        program = StdioServerParameters(
            command=sys.executable,
            args=["-m", "telemetry", "mcp", "--url", f"http://127.0.0.1:{free_port()}"],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": f"{ROOT}:{ROOT / 'sdk'}",
                "TELEMETRY_DATA_DIR": str(tmp_path / "data"),
                **({"TELEMETRY_MCP_TELEMETRY": backend.url} if is_on else {}),
            },
            cwd=tmp_path,
        )

        async def session() -> None:
            with (tmp_path / "log").open("w") as log:
                async with Client(stdio_client(program, errlog=log)) as client:
                    await client.list_tools()
                    assert (await client.call_tool("run_sql", {"nothing": 1})).is_error

        anyio.run(session)
        if is_on:
            assert "tools/call run_sql" in backend.names()
            assert backend.resource["service.name"] == "telemetry-mcp"
        else:
            assert backend.requests == 0
