"""The pool of engine sessions: new ones, idle ones to use again, and those that a client keeps by a name.

A reader's session is read-only, so a request leaves no state in it, and a later request with the same settings can use
it. A writer's session is closed with its request, unless the request names the session with `session_id`.
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
from gateway.errors import QueryError
from gateway.session import EngineSession

_MAX_KEPT: Final = 100
_MAX_IDLE: Final = 8
_LONGEST_SECONDS: Final = 3600
_DEFAULT_SECONDS: Final = 60

Threaded = Callable[[Callable[[], Any]], Coroutine[Any, Any, Any]]


@dataclass(slots=True)
class _Kept:
    session: EngineSession
    expires: float = math.inf
    busy: bool = False


class SessionPool:
    """All engine sessions of the interface. `threaded` runs a blocking call in a thread."""

    def __init__(self, engine: Engine, threaded: Threaded) -> None:
        self._engine = engine
        self._threaded = threaded
        self._idle: list[tuple[tuple[object, ...], EngineSession]] = []
        self._kept: dict[str, _Kept] = {}
        self._finding = asyncio.Lock()
        self._later: set[asyncio.Future[Any]] = set()

    @asynccontextmanager
    async def reading(
        self, database: str, settings: Mapping[str, str], read_only: int
    ) -> AsyncIterator[EngineSession]:
        """Lend a session with these settings, read-only as `EngineSession.settle` says."""
        key = (database, read_only, *sorted(settings.items()))
        at = next((at for at, (found, _) in enumerate(self._idle) if found == key), None)
        if at is None:
            session = await self._open()
            unusable = True
            try:
                await self._threaded(lambda: session.settle(database, settings, read_only=read_only))
                unusable = False
            finally:
                if unusable:
                    await self._threaded(session.close)
        else:
            session = self._idle.pop(at)[1]
        try:
            yield session
        except BaseException:
            await self._close(session)
            raise
        self._idle.append((key, session))
        if len(self._idle) > _MAX_IDLE:
            await self._threaded(self._idle.pop(0)[1].close)

    @asynccontextmanager
    async def writing(
        self, database: str, settings: Mapping[str, str], url: Mapping[str, str]
    ) -> AsyncIterator[EngineSession]:
        """Lend a session that may write: the one named by the URL's `session_id`, or a new one."""
        name = url.get("session_id")
        kept = None
        if name:
            async with self._finding:
                kept = await self._find(name, must_exist=url.get("session_check") == "1")
                kept.busy = True
        session = kept.session if kept else await self._open()
        try:
            await self._threaded(lambda: session.settle(database, settings))
            yield session
        finally:
            if session.work is not None:
                self._kept.pop(name or "", None)
                await self._close(session)
            elif kept:
                asked = url.get("session_timeout", "")
                seconds = int(asked) if asked.isdigit() else _DEFAULT_SECONDS
                kept.expires = time.monotonic() + min(seconds, _LONGEST_SECONDS)
                kept.busy = False
            else:
                await self._close(session)

    def close(self) -> None:
        """Close all sessions; none may be lent."""
        for session in [
            *(session for _, session in self._idle),
            *(kept.session for kept in self._kept.values()),
        ]:
            session.close()

    async def _close(self, session: EngineSession) -> None:
        """Close a session, at the end of its statement if that runs on."""
        if session.work is None:
            await self._threaded(session.close)
        else:
            closing = self._threaded
            session.work.add_done_callback(
                lambda _: self._later.add(asyncio.ensure_future(closing(session.close)))
            )

    async def _find(self, name: str, *, must_exist: bool) -> _Kept:
        """Find or open the session of this name, and close those that have expired."""
        now = time.monotonic()
        for over in [over for over, kept in self._kept.items() if kept.expires < now and not kept.busy]:
            await self._threaded(self._kept.pop(over).session.close)
        if name not in self._kept:
            if must_exist:
                raise QueryError.of(372, "SESSION_NOT_FOUND", "EngineSession not found")
            if len(self._kept) >= _MAX_KEPT:
                raise QueryError.of(202, "TOO_MANY_SIMULTANEOUS_QUERIES", "Too many open sessions.")
            self._kept[name] = _Kept(await self._open())
        if self._kept[name].busy:
            raise QueryError.of(373, "SESSION_IS_LOCKED", "EngineSession is locked by a concurrent client.")
        return self._kept[name]

    async def _open(self) -> EngineSession:
        session: EngineSession = await self._threaded(lambda: EngineSession(self._engine, uuid.uuid4().hex))
        return session
