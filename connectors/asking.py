"""The connected systems of all callers: chosen, asked within bounds, without what is private, and remembered.

Every question passes in one order: the caller's limit; what is kept; the connection's limit and the pause that its
system asked for; the time limit; the removal of what is private; the history. A kept answer costs its connection
nothing. A question whose callers have all left is cancelled, at which the adapter closes its connection and the system
can stop its work. Callers hear of every failure as a Refusal. Of one event loop.
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import structlog

from access.cache import Cache
from access.limits import Limiter
from access.refusal import Code, Refusal
from access.text import visible
from connectors import answers, recording
from connectors.answers import Answers
from connectors.choosing import chosen, described, ordered
from connectors.connected import Asked, Connection, Question
from connectors.contract import (
    Adapter,
    BackendError,
    Kind,
    Logs,
    LogsRequest,
    Metrics,
    MetricsRequest,
    Signal,
    Traces,
)
from connectors.directory import Directory, pick
from connectors.entry import Entry, Source, user_of
from connectors.failures import PAUSE_SECONDS, named, refused
from connectors.pool import Pool
from connectors.redaction import Redaction
from connectors.remembered import Past, Remembered
from connectors.state.errors import StateError
from connectors.upstream import TIMEOUT_SECONDS

T = TypeVar("T")
log = structlog.get_logger()

CACHE_SECONDS: Final = 300.0
CACHE_BYTES: Final = 64 << 20
_LONGEST_PAUSE: Final = 3600.0


def _present() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a question to a connected system ended. Nothing in it is of a caller's making."""

    backend_type: str
    code: str
    """Of the refusal; empty for an answer."""
    seconds: float
    is_cached: bool = False


def _unobserved(outcome: Outcome) -> None:
    """Take nothing: no one counts in this process."""
    del outcome


class Asking:
    """What tools, the page and REST ask through; see `connectors.connected.Connected`."""

    def __init__(
        self,
        directory: Directory,
        history: Callable[[], Remembered],
        redaction: Redaction,
        *,
        callers: Limiter | None = None,
        connections: Limiter | None = None,
        cache: Cache | None = None,
        pool: Pool | None = None,
        clock: Callable[[], datetime] = _present,
    ) -> None:
        self.directory = directory
        self.redaction = redaction
        self.pool = pool or Pool()
        self.answers = Answers(cache or Cache(CACHE_SECONDS, CACHE_BYTES))
        self._history = history
        self._callers = callers
        self._connections = connections
        self._cache_seconds = cache.seconds if cache else CACHE_SECONDS
        self._clock = clock
        self._paused: dict[str, float] = {}
        self._observe: Callable[[Outcome], None] = _unobserved

    def report_to(self, observe: Callable[[Outcome], None]) -> None:
        """Call `observe` with each question from now on."""
        self._observe = observe

    async def connections(self, caller: str, signal: Signal | None = None) -> Sequence[Connection]:
        """Return a caller's enabled connections that have a signal, defaults first; see Connected."""
        entries = await self.entries(caller)
        found = [(one, self.directory.signals(one)) for one in ordered(entries)]
        return [described(one, signals) for one, signals in found if signal is None or signal in signals]

    async def choose(self, caller: str, signal: Signal, name: str | None = None) -> Connection:
        """Return the connection that is meant; see Connected. Raises Refusal."""
        return chosen(
            await self.entries(caller), self.directory.signals, signal, name, self.directory.only_named
        )

    async def ask(
        self,
        caller: str,
        connection: Connection,
        question: Question,
        call: Callable[[Adapter], Awaitable[T]],
    ) -> Asked[T]:
        """Return what `call` gets from the connection's adapter; see Connected. Raises Refusal."""
        begin = time.perf_counter()
        entry = pick(await self.entries(caller), connection.id, "connection")
        if not entry.is_enabled:
            raise Refusal(Code.FORBIDDEN, f"{named(entry)} is disabled: enable it.", "connection")
        self.admit(caller)
        try:
            result, age = await self._answer(entry, question, call)
        except Refusal as refusal:
            self._observe(self._outcome(entry, begin, refusal.code.value))
            await self._remember(caller, entry, question, begin, refusal=refusal)
            raise
        self._observe(self._outcome(entry, begin, "", is_cached=age is not None))
        milliseconds = _milliseconds(begin)
        query_id = await self._remember(
            caller, entry, question, begin, result=result, is_cached=age is not None
        )
        return Asked(result, connection, query_id, milliseconds, age)

    def _outcome(self, entry: Entry, begin: float, code: str, *, is_cached: bool = False) -> Outcome:
        # The kind of a distribution that is gone is only a text in the state.
        known = entry.source is Source.OWN or entry.backend_type in self.directory.registry.backends()
        return Outcome(
            entry.backend_type if known else "other", code, time.perf_counter() - begin, is_cached=is_cached
        )

    def admit(self, caller: str) -> None:
        """Count a question of a caller's. Raises Refusal."""
        if self._callers is not None:
            _take(self._callers, user_of(caller), "You have")

    def past(
        self, caller: str, session: str = "", after: tuple[datetime, str] | None = None, limit: int = 50
    ) -> Sequence[Past]:
        """Return a caller's questions, newest first; see `Remembered.listed`. Blocks; raises StateError."""
        return self._history().listed(user_of(caller), session, after, limit)

    def question(self, caller: str, query_id: str) -> Past | None:
        """Return a caller's question of the history. Blocks; raises StateError."""
        return self._history().found(user_of(caller), query_id)

    async def entries(self, caller: str) -> list[Entry]:
        """Return all entries of a caller's. While the state cannot be used, those of the file and the own store."""
        try:
            return await asyncio.to_thread(self.directory.entries, caller)
        except StateError as error:
            fixed = self.directory.fixed(user_of(caller))
            log.warning("The state of connections cannot be used.", reason=str(error))
            return fixed

    async def close(self) -> None:
        """Cancel what is under way, and close all adapters."""
        await self.answers.close()
        await self.pool.close()

    async def _answer(
        self, entry: Entry, question: Question, call: Callable[[Adapter], Awaitable[T]]
    ) -> tuple[T, float | None]:
        now = self._clock()
        key = answers.key(entry.version, question, now)
        kept = self.answers.kept(key)
        if kept is not None:
            return kept.value, kept.age_seconds
        if not self.answers.is_running(key):
            self._admit(entry)
        seconds = answers.seconds(question, now, self._cache_seconds)
        try:
            made = await self.answers.made(key, lambda: self._upstream(entry, call), seconds)
        except BackendError as error:
            self._pause(entry, error)
            raise refused(entry, error, self.redaction) from None
        return made.value, made.age_seconds

    async def _upstream(self, entry: Entry, call: Callable[[Adapter], Awaitable[T]]) -> T:
        """Return the system's answer without what is private. Raises BackendError or Refusal, and nothing else."""
        seconds = float(entry.config.get("timeout_seconds", TIMEOUT_SECONDS))
        try:
            async with self.adapter(entry) as adapter, asyncio.timeout(seconds):
                result = await call(adapter)
        except TimeoutError:
            raise BackendError(
                Kind.TIMEOUT, f"No answer within {seconds:g} seconds (the connection's timeout_seconds)."
            ) from None
        except (BackendError, Refusal):
            raise
        except StateError as error:
            raise Refusal(Code.STORE_UNAVAILABLE, str(error)) from None
        except Exception as error:  # noqa: BLE001  the code of another distribution, or a fault of an adapter
            log.error("An adapter failed.", backend_type=entry.backend_type, error=type(error).__name__)  # noqa: TRY400
            raise BackendError(
                Kind.FAILED, f"The adapter failed ({type(error).__name__}); the log has it."
            ) from None
        return await asyncio.to_thread(self.redaction.redacted, result)

    def adapter(self, entry: Entry) -> AbstractAsyncContextManager[Adapter]:
        """Return a context manager that yields an entry's open adapter. Raises Refusal and StateError."""

        async def opened() -> Adapter:
            return (await asyncio.to_thread(self.directory.configured, entry))()

        return self.pool.adapter(entry.id, entry.version, opened)

    def _admit(self, entry: Entry) -> None:
        """Count a question to a system. Raises Refusal."""
        until = self._paused.get(entry.id, 0.0)
        left = until - time.monotonic()
        if left > 0:
            raise Refusal(
                Code.RATE_LIMITED,
                f"{named(entry)}: the system asked to wait, and is not asked before.",
                "connection",
                retry_after_seconds=round(left + 0.05, 1),
            )
        self._paused.pop(entry.id, None)
        if self._connections is not None:
            _take(self._connections, entry.id, f"{named(entry)} has")

    def _pause(self, entry: Entry, error: BackendError) -> None:
        if error.kind is Kind.RATE_LIMITED:
            seconds = PAUSE_SECONDS if error.retry_after_seconds is None else error.retry_after_seconds
            until = time.monotonic() + min(seconds, _LONGEST_PAUSE)
            self._paused[entry.id] = max(until, self._paused.get(entry.id, 0.0))

    async def _remember(
        self,
        caller: str,
        entry: Entry,
        question: Question,
        begin: float,
        *,
        result: Any = None,
        refusal: Refusal | None = None,
        is_cached: bool = False,
    ) -> str:
        """Keep a question in the history and return its id; empty, and logged, when that cannot be done."""
        redacted = self.redaction.redacted(question.request)
        past = Past(
            str(uuid.uuid4()),
            user_of(caller),
            entry.id,
            entry.name,
            visible(question.kind, 50),
            recording.text(self.redaction.text(question.text)),
            visible(question.session, 255),
            visible(question.tool, 100),
            recording.parameters(question.request, redacted),
            len(recording.rows(result)) if refusal is None else None,
            recording.sample(result) if refusal is None else None,
            refusal.code.value if refusal else "",
            self.redaction.text(visible(refusal.message, 1_000)) if refusal else "",
            _milliseconds(begin),
            is_cached,
        )
        try:
            await asyncio.to_thread(lambda: self._history().add(past))
        except StateError as error:
            # The answer is worth more than its place in the history; its id is then empty.
            log.warning("A question is not in the history.", reason=str(error))
            return ""
        return past.id

    async def again(self, caller: str, past: Past) -> Asked[Any]:
        """Ask a question of the history again, over the same period. Raises Refusal."""
        request = recording.request_of(past.query_params)
        entry = pick(await self.entries(caller), past.connection_id, "connection")
        connection = described(entry, self.directory.signals(entry), "as before")
        window = request.window
        question = Question(
            past.query_type,
            past.query_text,
            request,
            window.seconds,
            window.end >= self._clock(),
            past.tool,
            past.session_id,
        )

        async def call(adapter: Adapter) -> Any:
            if isinstance(request, MetricsRequest) and isinstance(adapter, Metrics):
                return await adapter.query_range(request)
            if isinstance(request, LogsRequest) and isinstance(adapter, Logs):
                return await adapter.search(request)
            if not isinstance(request, MetricsRequest | LogsRequest) and isinstance(adapter, Traces):
                return await adapter.find(request)
            raise BackendError(
                Kind.UNSUPPORTED, f"This system cannot answer a question of {past.query_type}."
            )

        return await self.ask(caller, connection, question, call)


def _take(limiter: Limiter, key: str, who: str) -> None:
    try:
        limiter.take(key)
    except Refusal as refusal:
        raise Refusal(
            Code.RATE_LIMITED,
            f"{who} no question left for now (TELEMETRY_CONNECTOR_QUERIES_PER_MINUTE,"
            " TELEMETRY_CONNECTOR_QUERIES_AT_ONCE).",
            "connection",
            retry_after_seconds=refusal.retry_after_seconds,
        ) from None


def _milliseconds(begin: float) -> int:
    return round((time.perf_counter() - begin) * 1000)
