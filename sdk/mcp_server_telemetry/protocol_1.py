"""How servers of `mcp` 1.x are observed: by the table of their handlers, and by the run of each session.

The table is replaced by one that looks handlers up in the same way and measures each call, so that handlers that are
registered later are measured too.
"""

import hashlib
import inspect
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final

from mcp_server_telemetry.messages import Message, Messages
from mcp_server_telemetry.recorder import Recorder
from mcp_server_telemetry.sessions import Session

_session: ContextVar[Session | None] = ContextVar("_session", default=None)
_PIPE: Final = "pipe"
_TCP: Final = "tcp"
_OVER_HTTP: Final = ("starlette.", "mcp.server.streamable_http")
Handler = Callable[[Any], Awaitable[Any]]


def is_known(server: Any) -> bool:
    """Whether this is a low-level server of `mcp` 1.x."""
    return isinstance(getattr(server, "request_handlers", None), dict) and hasattr(
        type(server), "request_context"
    )


def attach(server: Any, low_level: Any, messages: Messages, recorder: Recorder) -> None:
    """Measure each handler's calls and each session's run."""
    del server
    observer = _Observer(low_level, messages, recorder)
    low_level.request_handlers = _Handlers(low_level.request_handlers, observer)
    run = low_level.run

    async def measured(*args: Any, **kwargs: Any) -> Any:
        # A stateless run lasts for one request, and is no session.
        if kwargs.get("stateless"):
            return await run(*args, **kwargs)
        session = observer.opened()
        # The tasks of its messages descend from this one.
        token = _session.set(session)
        error = ""
        try:
            return await run(*args, **kwargs)
        except Exception as raised:
            error = type(raised).__name__
            raise
        finally:
            _session.reset(token)
            if session is not None:
                with recorder.guarded():
                    session.end(error)

    low_level.run = measured


class _Handlers(dict[type, Handler]):
    """The handlers by the class of their requests. A lookup returns one that is measured."""

    def __init__(self, handlers: Mapping[type, Handler], observer: "_Observer") -> None:
        super().__init__(handlers)
        self._observer = observer

    def get(self, key: type, default: Any = None) -> Any:
        """Return the handler of a request, measured."""
        handler = super().get(key, default)
        return handler if handler is None or handler is default else self._observer.measured(handler)


class _Observer:
    def __init__(self, low_level: Any, messages: Messages, recorder: Recorder) -> None:
        self._server = low_level
        self._messages = messages
        self._recorder = recorder

    def opened(self) -> Session | None:
        """Return a session that begins now, None when it cannot be measured."""
        with self._recorder.guarded():
            return Session(self._recorder, secrets.token_hex(8), transport=_transport())
        return None

    def measured(self, handler: Handler) -> Handler:
        """Return a handler that answers as this one does, and is measured."""

        async def answer(request: Any) -> Any:
            message = None
            with self._recorder.guarded():
                message = self._message(request)
            if message is None:
                return await handler(request)
            session = _session.get()
            if session is not None:
                session.message()
                session.protocol_version = session.protocol_version or message.protocol_version
            try:
                result = await self._messages.observe(message, lambda: handler(request), _is_error)
            except Exception:
                if session is not None:
                    session.errors += 1
                raise
            with self._recorder.guarded():
                self._learn(result)
                if session is not None and _is_error(result):
                    session.errors += 1
            return result

        return answer

    def _message(self, request: Any) -> Message:
        params = getattr(request, "params", None)
        context = self._server.request_context
        http = getattr(context, "request", None)
        headers = getattr(http, "headers", None)
        authorization = headers.get("authorization") if headers is not None else None
        meta = getattr(params, "meta", None)
        client = getattr(getattr(context, "session", None), "client_params", None)
        name = getattr(params, "name", None)
        return Message(
            method=str(getattr(request, "method", "")),
            name=name if isinstance(name, str) else "",
            request_id=str(getattr(context, "request_id", "")),
            meta=meta.model_extra if meta is not None else None,
            protocol_version=str(getattr(client, "protocolVersion", "") or ""),
            session_id=headers.get("mcp-session-id") if headers is not None else None,
            transport=_PIPE if http is None else _TCP,
            user=hashlib.sha256(authorization.encode()).hexdigest() if authorization else None,
            arguments=getattr(params, "arguments", None),
        )

    def _learn(self, result: Any) -> None:
        """Let what the server lists be counted under its own name."""
        root = getattr(result, "root", result)
        for kind, values in (("tools", self._recorder.tools), ("prompts", self._recorder.prompts)):
            for entry in getattr(root, kind, None) or ():
                values.admit(entry.name)


def _transport() -> str:
    """Return the transport of a run that begins now: its streams do not say, and those who began it do.

    Over HTTP that is the manager of sessions, or a route of Starlette for the older transport of events.
    """
    frame = inspect.currentframe()
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).startswith(_OVER_HTTP):
            return _TCP
        frame = frame.f_back
    return _PIPE


def _is_error(result: Any) -> bool:
    return getattr(getattr(result, "root", result), "isError", False) is True
