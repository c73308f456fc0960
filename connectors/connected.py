"""The connected systems as a tool sees them: which there are for a caller, which one is meant, and the way to ask it.

Tools ask in this way alone. An implementation of Connected applies to every question, in this order: the caller's rate
limit, the cache (one question at a time of equal ones), the connection's rate limit, the time limit, the removal of
what is private, the history. A BackendError becomes a Refusal that names the connection.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from connectors.contract import Adapter, Health, Signal

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection of a caller's. `reason` says why this one was chosen, when none was named."""

    id: str
    name: str
    backend_type: str
    signals: frozenset[Signal]
    is_default: bool = False
    health: Health = Health.UNKNOWN
    tags: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """What identifies a question, for the cache and the history: equal questions have equal answers for a while.

    `request` is a request of the contract, or any frozen dataclass with the same purpose. `goes_on` is whether its
    period reaches the present, so that its answer changes.
    """

    kind: str
    """metrics, logs, traces, trace, context, discovery, …: the query_type of the history."""
    text: str
    """The query as it was asked, for the history."""
    request: object
    seconds: float = 0.0
    """The length of the period."""
    goes_on: bool = True
    tool: str = ""
    session: str = ""


@dataclass(frozen=True, slots=True)
class Asked(Generic[T]):
    """A system's answer, without what is private, and how it was got."""

    result: T
    connection: Connection
    query_id: str
    """Of the history: by this it can be linked and run again."""
    query_time_ms: int
    cached_age_seconds: float | None = None
    """None when the system was asked for this question."""


class Connected(Protocol):
    """All connections of all callers."""

    async def connections(self, caller: str, signal: Signal | None = None) -> Sequence[Connection]:
        """Return a caller's enabled connections that have a signal, the default of each kind first."""
        ...

    async def choose(self, caller: str, signal: Signal, name: str | None = None) -> Connection:
        """Return the connection that is meant: by name or id, or the one that fits best. Raises Refusal."""
        ...

    async def ask(
        self,
        caller: str,
        connection: Connection,
        question: Question,
        call: Callable[[Adapter], Awaitable[T]],
    ) -> Asked[T]:
        """Return what `call` gets from the connection's adapter. Raises Refusal."""
        ...
