"""One judged statement in an engine session: its result streamed or whole, its data inserted, its time watched.

A result is streamed while the engine makes it. What cannot be streamed is held in memory, and bounded. When the client
leaves, or the time is over, the statement is cancelled in the engine.
"""

import asyncio
import fcntl
import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from gateway import native
from gateway.errors import QueryError
from gateway.insert_text import from_file
from gateway.inserted import Inserted
from gateway.policy import READS, Role
from gateway.request import Request
from gateway.response import Response
from gateway.running import Running
from gateway.session import EngineSession, Summary
from gateway.statement import Statement, with_output

_PIPE: Final = 1 << 20
_GRACE_SECONDS: Final = 3.0
"""How much longer than its limit a reader's statement may take to notice the limit."""


@dataclass(frozen=True, slots=True)
class Execution:
    """A statement, and all that it takes to run it."""

    request: Request
    statement: Statement
    role: Role
    response: Response
    receive: Any
    running: Running
    session: EngineSession
    settings: Mapping[str, str]
    """The session's settings."""

    async def run(self, inserted: Inserted) -> None:
        """Run the statement and send its response. `inserted` counts the rows that it stored. Raises QueryError."""
        request, statement, response = self.request, self.statement, self.response
        response.format = statement.format or request.default_format or "TabSeparated"
        response.has_result = statement.kind in READS
        response.framed = response.has_result and request.flag("compress")
        if request.data is None and statement.around_output and not self._is_rewritten:
            await self._stream()
            return
        if request.data is not None:
            data, summary = b"", await self._insert()
        else:
            data, summary = await self._whole()
        if statement.inserted:
            inserted.count(statement.inserted, summary.written_rows)
        await response.whole(200, data, {"X-ClickHouse-Summary": summary.header()})

    @property
    def _is_rewritten(self) -> bool:
        return self.response.format == "Native" and self.request.revision >= native.REVISION

    async def _whole(self) -> tuple[bytes, Summary]:
        """Run a statement whose result is held in memory."""
        if self._is_rewritten:
            work = self._begin(lambda: _fetch_blocks(self.session, self.statement, self.request))
        else:
            sql, params = self.statement.sql, self.request.params
            work = self._begin(lambda: self.session.fetch(sql, self.response.format, params))
        result: tuple[bytes, Summary] = await self._watched(work, work, lambda: False)
        return result

    async def _insert(self) -> Summary:
        data = self.request.data
        assert data is not None  # noqa: S101  for the type checker
        request = self.request
        sql = partial(from_file, self.statement.sql, request.input_format, request.data_compression)
        insert = await self.running.thread(lambda: self.session.insert(sql))
        try:
            async for piece in data:
                await self.running.thread(partial(insert.append, piece))
            return await self.running.thread(insert.finish)
        except BaseException:
            await self.running.thread(insert.abandon)
            raise

    async def _stream(self) -> None:
        """Run a statement that writes its result to a pipe, and send the result on as it arrives."""
        assert self.statement.around_output is not None  # noqa: S101  for the type checker
        response = self.response
        # The engine checks its own limit once a block, and a block can be far larger than the limit.
        limit = math.inf if self.role is Role.WRITER else float(self.settings["max_result_bytes"])
        response.encoding = None if response.framed else self.request.encoding
        source, target = os.pipe()
        fcntl.fcntl(target, fcntl.F_SETPIPE_SZ, _PIPE)
        sql = with_output(
            self.statement.around_output, f"/proc/self/fd/{target}", response.encoding or "none"
        )
        if not self.statement.format:
            sql += f"FORMAT {response.format}"
        try:
            work = self._begin(lambda: self.session.stream(sql, target, self.request.params))
        except QueryError:
            os.close(source)
            os.close(target)
            raise
        sender = asyncio.ensure_future(
            response.stream(source, work, limit, everything_first=self.request.flag("wait_end_of_query"))
        )
        try:
            await self._watched(sender, work, lambda: response.is_arriving)
        finally:
            sender.cancel()
            await asyncio.wait([sender])
            os.close(source)  # otherwise the engine waits for ever to write into it
            await self.running.end(work, self.session)

    def _begin(self, work: Callable[[], Any]) -> "asyncio.Future[Any]":
        return self.running.begin(work, self.role)

    async def _watched(
        self, awaited: "asyncio.Future[Any]", work: "asyncio.Future[Any]", is_arriving: Callable[[], bool]
    ) -> Any:
        """Wait for a result; end the work when its client leaves or its time is over.

        The engine's own limit of time does not count while it waits for a client that does not read, who has as long
        again.
        """

        def is_over(seconds: float) -> bool:
            if self.role is Role.WRITER:
                return False
            limit = float(self.settings["max_execution_time"])
            return seconds > limit + _GRACE_SECONDS and (not is_arriving() or seconds > 2 * limit)

        try:
            return await self.running.watched(awaited, self.receive, is_over, self.role)
        finally:
            if not work.done() and awaited is work:
                await self.running.end(work, self.session)


def _fetch_blocks(session: EngineSession, statement: Statement, request: Request) -> tuple[bytes, Summary]:
    """Run a statement for a client that announces a protocol revision; return the blocks that it expects."""
    data, summary = session.fetch(statement.sql, "Native", request.params)
    types: list[str] = []
    if statement.around_output and b"DateTime" in data[: 1 << 16]:
        described, _ = session.fetch(
            f"DESCRIBE TABLE ({statement.around_output[0]}\n)", "JSONCompactColumns", request.params
        )
        # DESCRIBE writes nested types over several lines.
        types = [" ".join(kind.split()).replace("( ", "(") for kind in json.loads(described)[1]]
    return native.rewrite(data, types), summary
