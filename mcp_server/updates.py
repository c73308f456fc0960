"""Updates of resources for clients that subscribed, in both eras of the protocol.

A client of 2026-07-28 listens (`subscriptions/listen`), which the `mcp` package serves from a bus. One of 2025-11-25
subscribes to an address (`resources/subscribe`) and is notified over its connection: over standard output, or on the
stream that it opened with GET. For the latter the package has no part of its own, so the handlers are here. The store
is asked only while anybody listens.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import anyio
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.mcpserver import MCPServer
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated, ServerEvent
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, EmptyResult, SubscribeRequestParams, UnsubscribeRequestParams

from access.refusal import Refusal
from mcp_server.resources import UPDATED, Resources

WATCH_SECONDS: Final = 3.0
_SEND_SECONDS: Final = 5.0
"""Of a client that does not read."""
_KEY: Final = "telemetry subscriptions"


class Bus(InMemorySubscriptionBus):
    """The subscriptions of all clients; `is_heard` while there are any."""

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        self._connections: set[Connection] = set()

    @property
    def is_heard(self) -> bool:
        """Whether anybody subscribed to anything."""
        return self._count > 0 or bool(self._connections)

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Add a listener of the present era; returns what removes it."""
        unsubscribe = super().subscribe(listener)
        self._count += 1
        ended = False

        def end() -> None:
            nonlocal ended
            self._count -= not ended
            ended = True
            unsubscribe()

        return end

    async def updated(self, uri: str) -> None:
        """Notify all who subscribed to a resource."""
        await self.publish(ResourceUpdated(uri=uri))
        for connection in [one for one in self._connections if uri in one.state[_KEY]]:
            with anyio.move_on_after(_SEND_SECONDS):
                await connection.send_resource_updated(uri)

    async def add(self, ctx: ServerRequestContext[Any, Any], params: SubscribeRequestParams) -> EmptyResult:
        """Serve `resources/subscribe`."""
        uri = str(params.uri)
        if uri not in UPDATED:
            raise MCPError(INVALID_PARAMS, f"These resources are updated: {', '.join(UPDATED)}.")
        connection = _connection(ctx)
        if not connection.has_standalone_channel:
            raise MCPError(
                INVALID_PARAMS, "Without a session there is nothing to notify: begin with initialize."
            )
        if connection not in self._connections:
            connection.state[_KEY] = set()
            self._connections.add(connection)
            connection.exit_stack.callback(self._connections.discard, connection)
        connection.state[_KEY].add(uri)
        return EmptyResult()

    async def remove(
        self, ctx: ServerRequestContext[Any, Any], params: UnsubscribeRequestParams
    ) -> EmptyResult:
        """Serve `resources/unsubscribe`."""
        _connection(ctx).state.get(_KEY, set()).discard(str(params.uri))
        return EmptyResult()


def _connection(ctx: ServerRequestContext[Any, Any]) -> Connection:
    """Return what a client has for longer than one request: no public name leads to it."""
    found: Connection = ctx.session._connection  # noqa: SLF001
    return found


def serve(server: MCPServer[None], bus: Bus) -> None:
    """Have a server answer `resources/subscribe` and `resources/unsubscribe`."""
    below = lowlevel(server)
    below.add_request_handler("resources/subscribe", SubscribeRequestParams, bus.add)
    below.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, bus.remove)


def lowlevel(server: MCPServer[None]) -> Server[Any]:
    """Return the server below an `MCPServer`, which takes no handlers and no transports of its own."""
    found: Server[Any] = server._lowlevel_server  # noqa: SLF001
    return found


@asynccontextmanager
async def watching(resources: Resources, bus: Bus, server: MCPServer[None]) -> AsyncIterator[None]:
    """Notify subscribers of what is new while the server runs."""
    del server
    task = asyncio.create_task(_watch(resources, bus))
    try:
        yield None
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _watch(resources: Resources, bus: Bus) -> None:
    seen: dict[str, object] = {}
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        if not bus.is_heard:
            seen.clear()
            continue
        for uri in UPDATED:
            try:
                state = await asyncio.to_thread(partial(resources.state, uri))
            except (Refusal, OSError):
                # The store is away: those who subscribed hear of it when it is back.
                continue
            # The first look always notifies: what it finds may have come after the subscription.
            if seen.get(uri) != state:
                seen[uri] = state
                await bus.updated(uri)
