"""OTLP over HTTP for the load generator: connections that are kept, one request at a time on each.

As little of HTTP/1.1 as the benchmarked servers need, so that the client takes little of the machine that it shares:
a request is one write, an answer is read up to its Content-Length. An answer without one is an error.
"""

import asyncio
from typing import Any

CONTENT_TYPES = {"http/protobuf": "application/x-protobuf", "http/json": "application/json"}


class StatusError(Exception):
    """An answer that is not 200; the text is its status."""


class Connection:
    """A connection to one path of a server, opened when it is first called."""

    def __init__(self, target: str, signal: str, protocol: str) -> None:
        self._host, _, port = target.rpartition(":")
        self._port = int(port)
        self._head = (
            f"POST /v1/{signal} HTTP/1.1\r\nHost: {target}\r\nContent-Type: {CONTENT_TYPES[protocol]}\r\n"
            "Content-Length: "
        ).encode()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __call__(self, request: bytes, *, timeout: float) -> bytes:  # noqa: ASYNC109  as gRPC's methods have it
        """Send a request and return the answer's body. Raises StatusError, OSError, TimeoutError."""
        async with asyncio.timeout(timeout):
            if self._streams is None:
                self._streams = await asyncio.open_connection(self._host, self._port)
            reader, writer = self._streams
            writer.write(b"%b%d\r\n\r\n%b" % (self._head, len(request), request))
            head = await reader.readuntil(b"\r\n\r\n")
            status, *lines = head.decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
            }
            body = await reader.readexactly(int(headers["content-length"]))
        if status.split(" ")[1] != "200":
            raise StatusError(status.split(" ")[1])
        return body

    async def close(self, grace: Any = None) -> None:  # noqa: ARG002  as gRPC's channels have it
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
