"""The sessions with the engine: fresh ones, idle ones to use again, and those that a client keeps by a name.

A reader's session is read-only, so a request leaves nothing in it, and the next one with the same settings can have
it. A writer's session is closed with its request, unless the request names it with `session_id`.
"""

import asyncio
import math
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from clickhouse.engine import Engine
from clickhouse.http.errors import QueryError
from clickhouse.http.session import Session

_MAX_KEPT: Final = 100
_MAX_IDLE: Final = 8
_LONGEST_SECONDS: Final = 3600
_DEFAULT_SECONDS: Final = 60

Threaded = Callable[[Callable[[], Any]], Coroutine[Any, Any, Any]]


@dataclass(slots=True)
class _Kept:
    session: Session
    expires: float = math.inf
    busy: bool = False


class Sessions:
    """All sessions of the interface. `threaded` runs what blocks."""

    def __init__(self, engine: Engine, threaded: Threaded) -> None:
        self._engine = engine
        self._threaded = threaded
        self._idle: list[tuple[tuple[object, ...], Session]] = []
        self._kept: dict[str, _Kept] = {}
        self._finding = asyncio.Lock()

    @asynccontextmanager
    async def reading(self, database: str, settings: Mapping[str, str]) -> AsyncIterator[Session]:
        """Lend a read-only session with these settings."""
        key = (database, *sorted(settings.items()))
        at = next((at for at, (found, _) in enumerate(self._idle) if found == key), None)
        if at is None:
            session = await self._open()
            unusable = True
            try:
                await self._threaded(lambda: session.settle(database, settings, read_only=True))
                unusable = False
            finally:
                if unusable:
                    await self._threaded(session.close)
        else:
            session = self._idle.pop(at)[1]
        try:
            yield session
        except BaseException:
            await self._threaded(session.close)
            raise
        self._idle.append((key, session))
        if len(self._idle) > _MAX_IDLE:
            await self._threaded(self._idle.pop(0)[1].close)

    @asynccontextmanager
    async def writing(
        self, database: str, settings: Mapping[str, str], url: Mapping[str, str]
    ) -> AsyncIterator[Session]:
        """Lend a session that may write; the one that the URL's `session_id` names, if it names one."""
        name = url.get("session_id")
        kept = None
        if name:
            async with self._finding:
                kept = await self._find(name, must_exist=url.get("session_check") == "1")
                kept.busy = True
        session = kept.session if kept else await self._open()
        try:
            await self._threaded(lambda: session.settle(database, settings, read_only=False))
            yield session
        finally:
            if kept:
                asked = url.get("session_timeout", "")
                seconds = int(asked) if asked.isdigit() else _DEFAULT_SECONDS
                kept.expires = time.monotonic() + min(seconds, _LONGEST_SECONDS)
                kept.busy = False
            else:
                await self._threaded(session.close)

    def close(self) -> None:
        """Close all; none may be lent."""
        for session in [
            *(session for _, session in self._idle),
            *(kept.session for kept in self._kept.values()),
        ]:
            session.close()

    async def _find(self, name: str, *, must_exist: bool) -> _Kept:
        """Find or open the session of this name, and close those whose time is over."""
        now = time.monotonic()
        for over in [over for over, kept in self._kept.items() if kept.expires < now and not kept.busy]:
            await self._threaded(self._kept.pop(over).session.close)
        if name not in self._kept:
            if must_exist:
                raise QueryError.of(372, "SESSION_NOT_FOUND", "Session not found")
            if len(self._kept) >= _MAX_KEPT:
                raise QueryError.of(202, "TOO_MANY_SIMULTANEOUS_QUERIES", "Too many open sessions.")
            self._kept[name] = _Kept(await self._open())
        if self._kept[name].busy:
            raise QueryError.of(373, "SESSION_IS_LOCKED", "Session is locked by a concurrent client.")
        return self._kept[name]

    async def _open(self) -> Session:
        session: Session = await self._threaded(lambda: Session(self._engine, uuid.uuid4().hex))
        return session
