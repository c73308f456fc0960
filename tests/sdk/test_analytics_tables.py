"""The three tables of analytics, fed by what an instrumented server sends to a real telemetry server."""

import os
import signal
import sys
from pathlib import Path

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.sdk.served import SECRET
from tests.server import ROOT, running


def test_an_instrumented_server_fills_the_three_tables(tmp_path: Path) -> None:
    """Over OTLP: sessions when they end, uses by feature, and points with their label sets; no content."""
    with running(
        tmp_path / "store", TELEMETRY_BATCH_AGE_MS="0", TELEMETRY_ANALYTICS_RETENTION_DAYS="12"
    ) as server:
        program = StdioServerParameters(
            command=sys.executable,
            args=[str(ROOT / "tests/sdk/served.py"), "mcp", "stdio"],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT / "sdk"),
                "EXPORTER": "otlp",
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{server.listening['otlp_http']}",
                "OTEL_SERVICE_NAME": "shop",
            },
        )

        async def session() -> None:
            with (tmp_path / "log").open("w") as log:
                async with Client(stdio_client(program, errlog=log), mode="legacy") as client:
                    for _ in range(3):
                        await client.call_tool("add", {"a": 1, "b": 2})
                    await client.call_tool("large", {"size": 1})
                    await client.call_tool("fails", {})
                    await client.get_prompt("asked", {"about": SECRET})

        anyio.run(session)
        # Sent before the program ended, and acknowledged when they are stored.
        assert server.stop(signal.SIGTERM) == 0
        sessions, used, points, kept = server.rows(
            "SELECT * FROM telemetry.session_metrics",
            "SELECT feature, sum(usage_count) AS uses FROM telemetry.feature_usage GROUP BY feature",
            "SELECT labels['gen_ai.tool.name'] AS tool, max(count) AS calls FROM telemetry.performance_metrics"
            " WHERE metric_name = 'mcp.message.latency' GROUP BY tool",
            "SELECT name FROM system.tables WHERE database = 'telemetry' AND engine_full LIKE '%toIntervalDay(13)%'",
        )
        assert [(row["service_name"], row["status"], int(row["error_count"])) for row in sessions] == [
            ("shop", "completed", 1)
        ]
        assert int(sessions[0]["message_count"]) >= 6
        assert {row["feature"]: int(row["uses"]) for row in used} == {
            "tool:add": 3, "tool:large": 1, "tool:fails": 1, "prompt:asked": 1,
        }  # fmt: skip
        assert {row["tool"]: int(row["calls"]) for row in points if row["tool"] in {"add", "large"}} == {
            "add": 3,
            "large": 1,
        }
        assert {row["name"] for row in kept} == {"session_metrics", "performance_metrics", "feature_usage"}
