"""The one middleware of the MCP server: it says whose call a message is, bounds the calls under way, and counts them.

How often a caller may ask is counted where questions are answered (`access.limits`): one question is one token, by
whichever tool it comes. The signature of middleware is provisional in the `mcp` package, so no other file knows it.
"""

import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

import orjson
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

from access.refusal import Code, Refusal

CALLER_HEADER: Final = "x-telemetry-caller"
"""The name of who asks, set by the web process for each request; what a client sends under it is removed there."""
LOCAL: Final = "local"
"""Who asks over stdio: the one person who started this process."""
AT_A_TIME: Final = 64
"""Calls under way. One more is told to come again, so that many callers cost a bounded amount of memory."""
_BUSY_SECONDS: Final = 2.0
_CALL: Final = "tools/call"

caller: ContextVar[str] = ContextVar("caller", default=LOCAL)
"""The name of who asks, for the functions of tools and resources."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool. `code` is the refusal's, "" for an answer, `ERROR` for a failure of the server."""

    tool: str
    seconds: float
    characters: int
    code: str
    is_cached: bool


FAILED: Final = "ERROR"
Observe = Callable[[Call], None]


class Audit:
    """The middleware. `observe` is told of every call of a tool."""

    def __init__(self, tools: frozenset[str], observe: Observe | None, at_a_time: int = AT_A_TIME) -> None:
        self._tools = tools
        self._observe = observe
        self._at_a_time = at_a_time
        self._running = 0

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Run one message."""
        token = caller.set(_caller(ctx))
        try:
            return await self._counted(ctx, call_next) if ctx.method == _CALL else await call_next(ctx)
        finally:
            caller.reset(token)

    async def _counted(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        begin = time.perf_counter()
        result: HandlerResult = None
        self._running += 1
        try:
            result = _busy() if self._running > self._at_a_time else await call_next(ctx)
        finally:
            self._running -= 1
            if self._observe is not None:
                name = str((ctx.params or {}).get("name", ""))
                self._observe(_call(name if name in self._tools else "other", begin, result))
        return result


def _caller(ctx: ServerRequestContext[Any, Any]) -> str:
    headers = getattr(ctx.request, "headers", None)
    return str(headers.get(CALLER_HEADER, LOCAL)) if headers is not None else LOCAL


def _busy() -> dict[str, Any]:
    refusal = Refusal(
        Code.BUSY, "Too many calls are under way. Call again.", retry_after_seconds=_BUSY_SECONDS
    )
    return {
        "content": [{"type": "text", "text": refusal.as_json()}],
        "isError": True,
        "resultType": "complete",
    }


def _call(tool: str, begin: float, result: HandlerResult) -> Call:
    seconds = time.perf_counter() - begin
    # What goes out is a plain dict by now; None when the call raised, or was cancelled.
    found = result if isinstance(result, dict) else {}
    text = "".join(part.get("text", "") for part in found.get("content", ()))
    structured = found.get("structuredContent") or {}
    code = "" if found and not found.get("isError") else _code(text)
    return Call(tool, seconds, len(text), code, structured.get("cached_age_seconds") is not None)


def _code(text: str) -> str:
    try:
        return Code(orjson.loads(text)["error"]["code"]).value
    except (orjson.JSONDecodeError, TypeError, KeyError, ValueError):
        return FAILED
