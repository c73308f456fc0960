"""The list of tools as a client gets it. `python -m tests.tools_list` writes the golden file after a wanted change."""

import asyncio
import json
from pathlib import Path
from typing import Any

from mcp import Client

from access.export.shelf import Shelf
from access.reading import Desk
from mcp_server.server import server
from tests.nothing_connected import NothingConnected
from tests.nothing_store import NothingStore

FILE = Path(__file__).parent / "data" / "tools-list.json"


def tools_list() -> list[dict[str, Any]]:
    """Return the tools, as they are sent."""

    async def ask() -> list[dict[str, Any]]:
        here = server(Desk(NothingStore()), Shelf(Path("exports")), connected=NothingConnected())
        async with Client(here) as client:
            listed = await client.list_tools()
            return [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in listed.tools]

    return asyncio.run(ask())


if __name__ == "__main__":
    FILE.write_text(json.dumps(tools_list(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
