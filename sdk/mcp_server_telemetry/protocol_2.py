"""How servers of `mcp` 2.x, and of `fastmcp` over it, are observed: by a middleware around every message.

A session is a client's connection: over standard input the run of the server, over HTTP what begins with `initialize`.
Over stateless HTTP there are no sessions, as the specification has it, and none are counted.
"""

import contextlib
import hashlib
import secrets
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from mcp_server_telemetry.messages import Message, Messages
from mcp_server_telemetry.recorder import Recorder
from mcp_server_telemetry.sessions import Session

_THEIRS: Final = "OpenTelemetryMiddleware"
_OPENED: Final = "_mcp_server_telemetry_session"
_LISTS: Final = {"tools/list": "tools", "prompts/list": "prompts"}
_PIPE: Final = "pipe"
_TCP: Final = "tcp"


def is_known(server: Any) -> bool:
    """Whether this is a low-level server of `mcp` 2.x: it has a list of middleware and a table of handlers."""
    return isinstance(getattr(server, "middleware", None), list) and hasattr(server, "get_request_handler")


def attach(server: Any, low_level: Any, messages: Messages, recorder: Recorder) -> None:
    """Put ours in place of the middleware that traces, or first, and count each run as a session."""
    del server
    ours = _Middleware(messages, recorder)
    low_level.run = ours.counted(low_level.run)
    chain = low_level.middleware
    for place, one in enumerate(chain):
        if type(one).__name__ == _THEIRS:
            chain[place] = ours
            return
    chain.insert(0, ours)


class _Middleware:
    def __init__(self, messages: Messages, recorder: Recorder) -> None:
        self._messages = messages
        self._recorder = recorder
        self._runs: list[Session] = []

    def counted(self, run: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        """Return the server's `run` with a session for each call."""

        async def counted(*args: Any, **kwargs: Any) -> None:
            error = ""
            session = None
            with self._recorder.guarded():
                session = Session(self._recorder, secrets.token_hex(8), transport=_PIPE)
                self._runs.append(session)
            try:
                await run(*args, **kwargs)
            except Exception as raised:
                error = type(raised).__name__
                raise
            finally:
                if session is not None:
                    with self._recorder.guarded():
                        self._runs.remove(session)
                        session.end(error)

        return counted

    async def __call__(self, ctx: Any, call_next: Callable[[Any], Awaitable[Any]]) -> Any:
        """Answer a message as the rest of the chain does, and measure it."""
        message, session = self._seen(ctx)
        if message is None:
            return await call_next(ctx)

        async def answer() -> Any:
            with _suppressed():
                return await call_next(ctx)

        try:
            result = await self._messages.observe(message, answer, _is_error)
        except Exception:
            if session is not None:
                session.errors += 1
            raise
        if session is not None and _is_error(result):
            session.errors += 1
        with self._recorder.guarded():
            self._learn(message.method, result)
            if session is None and not self._runs and message.method == "initialize":
                self._open(ctx, message)
        return result

    def _seen(self, ctx: Any) -> tuple[Message | None, Session | None]:
        """Return the message and the session that it belongs to, None for what cannot be read."""
        with self._recorder.guarded():
            message = _message(ctx)
            # A message's task does not descend from its run. Of several runs, none is known to be a message's.
            session = self._runs[0] if len(self._runs) == 1 and message.transport == _PIPE else None
            if session is None:
                connection = getattr(ctx.session, "_connection", None)
                session = getattr(connection, "state", {}).get(_OPENED)
            if session is not None:
                session.message()
                session.protocol_version = session.protocol_version or message.protocol_version
            return message, session
        return None, None

    def _open(self, ctx: Any, message: Message) -> None:
        """Count a connection's session until the connection is closed.

        The connection is a private name of `mcp`; where it is called otherwise, sessions over HTTP go uncounted.
        """
        connection = getattr(ctx.session, "_connection", None)
        stack = getattr(connection, "exit_stack", None)
        if connection is None or stack is None or _OPENED in connection.state:
            return
        session = Session(
            self._recorder, message.session_id or secrets.token_hex(8), transport=message.transport
        )
        session.message()
        session.protocol_version = message.protocol_version
        connection.state[_OPENED] = session
        stack.callback(session.end)

    def _learn(self, method: str, result: Any) -> None:
        """Let what the server lists be counted under its own name."""
        kind = _LISTS.get(method)
        if kind is None:
            return
        values = self._recorder.tools if kind == "tools" else self._recorder.prompts
        for entry in _field(result, kind) or ():
            name = _field(entry, "name")
            if isinstance(name, str):
                values.admit(name)


def _message(ctx: Any) -> Message:
    params = ctx.params if isinstance(ctx.params, Mapping) else {}
    name = params.get("name")
    request = ctx.request
    headers = getattr(request, "headers", None)
    authorization = headers.get("authorization") if headers is not None else None
    return Message(
        method=str(ctx.method),
        name=name if isinstance(name, str) else "",
        request_id=None if ctx.request_id is None else str(ctx.request_id),
        meta=ctx.meta if isinstance(ctx.meta, Mapping) else None,
        protocol_version=str(ctx.protocol_version or ""),
        session_id=headers.get("mcp-session-id") if headers is not None else None,
        transport=_PIPE if request is None else _TCP,
        # The token names the user and is a secret: it is hashed here, and again with the key.
        user=hashlib.sha256(authorization.encode()).hexdigest() if authorization else None,
        arguments=params.get("arguments"),
    )


def _is_error(result: Any) -> bool:
    return _field(result, "is_error", "isError") is True


def _field(value: Any, *names: str) -> Any:
    for name in names:
        found = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
        if found is not None:
            return found
    return None


def _suppressed() -> contextlib.AbstractContextManager[None]:
    """Return a context in which `fastmcp` makes no span of its own, where that is installed and in use."""
    telemetry = sys.modules.get("fastmcp.telemetry")
    suppress = getattr(telemetry, "suppress_fastmcp_telemetry", None)
    found: contextlib.AbstractContextManager[None] = (
        contextlib.nullcontext() if suppress is None else suppress()
    )
    return found
