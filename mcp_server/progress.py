"""The progress of calls: one that lasts over two seconds says each second how far it is, to callers that want it.

An export says how many of its events are written. Of other calls only the time is known: their progress is in seconds,
without a total. A caller who did not ask is sent nothing.
"""

import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final, TypeVar

import anyio
from mcp.server.mcpserver import Context

T = TypeVar("T")

AFTER_SECONDS: Final = 2.0
EVERY_SECONDS: Final = 1.0


class Steps:
    """How far one call is: written by the thread that answers it, read by who reports it."""

    def __init__(self) -> None:
        self.done = 0
        self.total = 0
        """0 where only the time is known."""
        self.is_wanted = True
        """False when the call is over, or its caller has gone."""

    def show(self, done: int, total: int) -> None:
        """Keep how much is done; see `access.export.export.Progress`."""
        self.done, self.total = done, total


steps: ContextVar[Steps] = ContextVar("steps")
"""Those of the call under way, for the functions of tools."""


async def reported(context: Context[None, Any] | None, run: Callable[[], Awaitable[T]]) -> T:
    """Return what a call returns, and report meanwhile how far it is.

    A thread is not interrupted when its caller goes: `Steps.is_wanted` tells it, and this waits for its end.
    """
    mine = Steps()
    token = steps.set(mine)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_report, context, mine)
            found = await run()
            group.cancel_scope.cancel()
    finally:
        steps.reset(token)
    return found


async def _report(context: Context[None, Any] | None, mine: Steps) -> None:
    began = time.monotonic()
    told = 0.0
    try:
        await anyio.sleep(AFTER_SECONDS)
        while context is not None:
            seconds = time.monotonic() - began
            progress = float(mine.done) if mine.total else round(seconds, 1)
            # The protocol has it that progress grows with each notification.
            if progress > told and (mine.total or not mine.done):
                told = progress
                message = (
                    f"{mine.done:,} of {mine.total:,} events" if mine.total else f"{seconds:.0f} s so far"
                )
                await context.report_progress(progress, mine.total or None, message)
            await anyio.sleep(EVERY_SECONDS)
        await anyio.sleep_forever()
    finally:
        mine.is_wanted = False
