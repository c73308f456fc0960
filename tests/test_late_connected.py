"""The connected systems of `telemetry mcp`: opened by the first who asks, and a wrong file is said to that caller."""

import asyncio
from pathlib import Path

import pytest

from access.refusal import Code, Refusal
from config.settings import Settings
from connectors.contract import Signal
from mcp_server.connected import LateConnected
from tests.nothing_store import NothingStore


def test_a_wrong_file_of_connections_is_a_refusal_of_the_call(tmp_path: Path) -> None:
    """It stops nothing else; its texts are not repeated."""
    file = tmp_path / "connections.yaml"
    file.write_text("connections: [{name: hunter2}]")
    settings = Settings(  # type: ignore[call-arg]
        _env_file=None, TELEMETRY_DATA_DIR=tmp_path, TELEMETRY_CONNECTIONS_FILE=file
    )

    async def use() -> None:
        connected = LateConnected(settings, NothingStore())
        with pytest.raises(Refusal) as caught:
            await connected.connections("local")
        assert caught.value.code is Code.STORE_UNAVAILABLE
        assert "hunter2" not in str(caught.value)
        await connected.close()

    asyncio.run(use())


def test_it_is_opened_once_and_closed(tmp_path: Path) -> None:
    """From the start there is the own store; of a kind that there is not, the refusal says how to add one."""
    settings = Settings(_env_file=None, TELEMETRY_DATA_DIR=tmp_path)  # type: ignore[call-arg]

    async def use() -> None:
        connected = LateConnected(settings, NothingStore())
        assert [one.name for one in await connected.connections("local", Signal.LOGS)] == ["telemetry"]
        assert (await connected.choose("local", Signal.LOGS)).name == "telemetry"
        with pytest.raises(Refusal) as caught:
            await connected.choose("local", Signal.LOGS, "loki")
        assert caught.value.accepted == ("telemetry",)
        await connected.close()

    asyncio.run(use())
