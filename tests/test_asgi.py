"""The HTTP servers of the process: what they add to uvicorn, with real sockets."""

import asyncio
from typing import Any

import pytest

from telemetry.listeners.asgi import WebServer

ASKED = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def answer(_: Any, __: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def test_every_response_has_the_date_of_its_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the second one of a connection that rested, and that to a request that is none."""
    now = 1_800_000_000.0
    monkeypatch.setattr("telemetry.listeners.asgi.time.time", lambda: now)

    async def play() -> list[bytes]:
        nonlocal now
        server = WebServer(answer, 60)
        reader, writer = await asyncio.open_connection("127.0.0.1", await server.start("127.0.0.1", 0))
        dates = []
        for asked in (ASKED, ASKED, b"no request\r\n\r\n"):
            writer.write(asked)
            head = await reader.readuntil(b"\r\n\r\n")
            dates += [line for line in head.split(b"\r\n") if line.lower().startswith(b"date")]
            now += 3600
        writer.close()
        await writer.wait_closed()
        await server.stop(1)
        return dates

    assert asyncio.run(play()) == [
        b"date: Fri, 15 Jan 2027 08:00:00 GMT",
        b"date: Fri, 15 Jan 2027 09:00:00 GMT",
        b"date: Fri, 15 Jan 2027 10:00:00 GMT",
    ]
