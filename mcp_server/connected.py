"""The connected systems as this process asks them: opened when a tool first needs them.

So `telemetry mcp` starts as fast without them, and a wrong file of connections is reported to the caller who asks, and
stops nothing else.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from access.refusal import Code, Refusal
from access.store import Store
from config.settings import Settings
from connectors.connected import Asked, Connected, Connection, Question
from connectors.contract import Adapter, Signal

if TYPE_CHECKING:
    from connectors.asking import Asking

T = TypeVar("T")


class LateConnected:
    """A `connectors.connected.Connected` that is made by the first who asks."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._lock = asyncio.Lock()
        self._made: Asking | None = None
        self._close: Callable[[], None] = lambda: None

    async def connections(self, caller: str, signal: Signal | None = None) -> Sequence[Connection]:
        """Return a caller's connections; see Connected."""
        return await (await self._connected()).connections(caller, signal)

    async def choose(self, caller: str, signal: Signal, name: str | None = None) -> Connection:
        """Return the connection that is meant; see Connected."""
        return await (await self._connected()).choose(caller, signal, name)

    async def ask(
        self,
        caller: str,
        connection: Connection,
        question: Question,
        call: Callable[[Adapter], Awaitable[T]],
    ) -> Asked[T]:
        """Return what `call` gets; see Connected."""
        return await (await self._connected()).ask(caller, connection, question, call)

    async def close(self) -> None:
        """Close what was opened."""
        if self._made is not None:
            await self._made.close()
        self._close()

    async def _connected(self) -> Connected:
        async with self._lock:
            if self._made is None:
                made, self._close = await asyncio.to_thread(_made, self._settings, self._store)
                self._made = made
                return made
            return self._made


def _made(settings: Settings, store: Store) -> "tuple[Asking, Callable[[], None]]":
    """Return the way to ask, and what closes its state."""
    from connectors.connections_file import ConnectionsFileError  # noqa: PLC0415  adapters, state: see above
    from connectors.installation import LateState, asking, own_store  # noqa: PLC0415

    try:
        state = LateState(settings)
        return asking(settings, state, own_store(store)), state.close
    except (ConnectionsFileError, ValueError) as error:  # the second of the rules of redaction
        raise Refusal(
            Code.STORE_UNAVAILABLE,
            f"The connections cannot be used ({type(error).__name__}): telemetry connections list says what is wrong.",
        ) from None
