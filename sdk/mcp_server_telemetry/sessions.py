"""Sessions, and steps of one's own: those of a server's protocol, and those that a program manages itself.

A program that manages sessions, as one that starts a process for each, uses TracedSessionManager:

    with manager.create("id", model="claude-opus-4") as session:
        with manager.step("process.start"):
            ...
    session.checkpoint(len(data))
    session.end()

The span `session.create` has the steps as children and ends when the session is made; the session is open until `end`.
"""

import functools
import inspect
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any, Final, ParamSpec, TypeVar, cast

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode

from mcp_server_telemetry import definitions
from mcp_server_telemetry.recorder import Recorder

P = ParamSpec("P")
R = TypeVar("R")

_UNKNOWN: Final = "unknown"
_NAME: Final = "mcp_server_telemetry"


class Session:
    """One session, from its beginning to `end`. Its counts are for the store; nothing of its content is kept."""

    def __init__(
        self,
        recorder: Recorder,
        session_id: str,
        *,
        model: str = "",
        is_restored: bool = False,
        transport: str = "",
    ) -> None:
        self._recorder = recorder
        self._id = session_id
        self._begin = time.monotonic()
        self._started = datetime.now(UTC)
        self._started_ns = time.time_ns()
        self._model = recorder.model(model) if model else _UNKNOWN
        self._transport = transport or _UNKNOWN
        self._is_open = True
        self.messages = 0
        self.tokens = 0
        self.checkpoints = 0
        self.errors = 0
        self.protocol_version = ""
        recorder.record(
            definitions.SESSIONS,
            1,
            {
                definitions.MODEL: self._model,
                definitions.RESTORED: str(is_restored).lower(),
                definitions.TRANSPORT: self._transport,
            },
        )
        recorder.record(definitions.ACTIVE_SESSIONS, 1, {})

    def message(self, count: int = 1) -> None:
        """Count messages, for the rate that is recorded when the session ends."""
        self.messages += count

    def checkpoint(self, size: int) -> None:
        """Record a checkpoint of so many bytes."""
        self.checkpoints += 1
        self._recorder.record(definitions.CHECKPOINT_SIZE, size, {})

    def end(self, error: str = "") -> None:
        """Record the session's duration; a second call does nothing. `error` is a class's name, empty without one."""
        if not self._is_open:
            return
        self._is_open = False
        seconds = time.monotonic() - self._begin
        recorder = self._recorder
        status = "error" if error else "completed"
        recorder.record(definitions.ACTIVE_SESSIONS, -1, {})
        recorder.record(
            definitions.SESSION_DURATION,
            seconds,
            {
                definitions.MODEL: self._model,
                definitions.STATUS: status,
                definitions.TRANSPORT: self._transport,
            },
        )
        more = {definitions.ERROR: recorder.error(error)} if error else {}
        if self.protocol_version:
            more[definitions.PROTOCOL] = recorder.version(self.protocol_version)
        recorder.record(
            definitions.SERVER_SESSION_DURATION, seconds, {**more, definitions.TRANSPORT: self._transport}
        )
        if self.messages and seconds > 0:
            recorder.record(definitions.THROUGHPUT, self.messages / seconds, {})
        self._trace(status, recorder.error(error) if error else "")
        recorder.session_ended(
            {
                "session_id": recorder.options.hashed(self._id),
                "model": self._model,
                "start_time": self._started.isoformat(),
                "end_time": datetime.now(UTC).isoformat(),
                "duration_seconds": seconds,
                "token_count": self.tokens,
                "message_count": self.messages,
                "checkpoint_count": self.checkpoints,
                "error_count": self.errors + bool(error),
            }
        )

    def _trace(self, status: str, error: str) -> None:
        """Make the session's own span, `mcp.session`, now that its counts are known."""
        span = self._recorder.tracer.start_span(
            "mcp.session",
            Context(),
            SpanKind.SERVER,
            {
                "mcp.session.id": self._recorder.options.hashed(self._id),
                "mcp.model": self._model,
                "mcp.session.status": status,
                "mcp.session.messages": self.messages,
                "mcp.session.tokens": self.tokens,
                "mcp.session.checkpoints": self.checkpoints,
                "mcp.session.errors": self.errors + bool(error),
                definitions.TRANSPORT: self._transport,
            },
            start_time=self._started_ns,
        )
        if error:
            span.set_attribute(definitions.ERROR, error)
            span.set_status(StatusCode.ERROR)
        span.end()


class TracedSessionManager:
    """Sessions that a program manages itself, with a span for the making of each and for each step of it."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._tracer = recorder.tracer

    @asynccontextmanager
    async def session(
        self, session_id: str, *, model: str = "", restored: bool = False, prompt_length: int | None = None
    ) -> AsyncIterator[Session]:
        """Count a session while the block runs, for a session that needs no steps to be made."""
        with self.create(session_id, model=model, restored=restored, prompt_length=prompt_length) as session:
            pass
        error = ""
        try:
            yield session
        except BaseException as raised:
            error = type(raised).__name__
            raise
        finally:
            session.end(error)

    @contextmanager
    def create(
        self, session_id: str, *, model: str = "", restored: bool = False, prompt_length: int | None = None
    ) -> Iterator[Session]:
        """Return a session made in the block, which is the span `session.create`; its owner calls `end` on it later.

        When the block raises, the session ends with the error.
        """
        session = Session(self._recorder, session_id, model=model, is_restored=restored)
        attributes = self._attributes(session_id, model, restored=restored, length=prompt_length)
        with self._span("session.create", SpanKind.SERVER, attributes) as span:
            try:
                yield session
            except BaseException as raised:
                session.end(type(raised).__name__)
                raise
            span.add_event("session.created", {"mcp.session.id": self._recorder.options.hashed(session_id)})

    @contextmanager
    def step(self, name: str, **attributes: str | float | bool) -> Iterator[Span]:
        """Trace a step, such as `process.start`, below the current span."""
        with self._span(name, SpanKind.INTERNAL, attributes) as span:
            yield span

    @contextmanager
    def _span(self, name: str, kind: SpanKind, attributes: dict[str, Any]) -> Iterator[Span]:
        with self._tracer.start_as_current_span(
            name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield span
            except BaseException as raised:
                _mark(span, raised)
                raise

    def _attributes(
        self, session_id: str, model: str, *, restored: bool, length: int | None
    ) -> dict[str, Any]:
        found: dict[str, Any] = {
            "mcp.session.id": self._recorder.options.hashed(session_id),
            "mcp.session.type": "restored" if restored else "new",
        }
        if model:
            found["mcp.model"] = self._recorder.model(model)
        if length is not None:
            found["mcp.prompt.length"] = length
        return found


def step(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that traces a function, or a coroutine function, as a step of this name."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def traced(*args: P.args, **kwargs: P.kwargs) -> Any:
                with _stepped(name):
                    return await function(*args, **kwargs)

            return cast("Callable[P, R]", traced)

        @functools.wraps(function)
        def traced_directly(*args: P.args, **kwargs: P.kwargs) -> R:
            with _stepped(name):
                return function(*args, **kwargs)

        return traced_directly

    return decorate


@contextmanager
def _stepped(name: str) -> Iterator[None]:
    with trace.get_tracer(_NAME).start_as_current_span(
        name, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield
        except BaseException as raised:
            _mark(span, raised)
            raise


def _mark(span: Span, error: BaseException) -> None:
    """Mark a span as failed, by the error's class alone: its text may be content."""
    span.set_attribute(definitions.ERROR, type(error).__name__)
    span.set_status(StatusCode.ERROR)
    span.add_event("exception", {"exception.type": type(error).__name__})
