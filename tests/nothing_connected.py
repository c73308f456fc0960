"""Connected systems that are never asked, for what an MCP server says of itself."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from connectors.connected import Asked, Connection, Question
from connectors.contract import Adapter, Signal

T = TypeVar("T")


class NothingConnected:
    """Fails when it is asked, with a secret in its words."""

    async def connections(self, caller: str, signal: Signal | None = None) -> Sequence[Connection]:
        del caller, signal
        raise LookupError("hunter2")

    async def choose(self, caller: str, signal: Signal, name: str | None = None) -> Connection:
        del caller, signal, name
        raise LookupError("hunter2")

    async def ask(
        self,
        caller: str,
        connection: Connection,
        question: Question,
        call: Callable[[Adapter], Awaitable[T]],
    ) -> Asked[T]:
        del caller, connection, question, call
        raise LookupError("hunter2")
