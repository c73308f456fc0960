"""MCP over HTTP in both eras: requests of 2026-07-28 stand alone; a client of 2025-11-25 may have a session.

A session is what a client of that era is notified over, on the stream that it opens with GET. A call needs none: one
without a session, or of a session that was lost when this process was started again, is answered by itself.
"""

from typing import Final

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from mcp_server.audit import CALLER_HEADER

SESSIONS: Final = 256
"""Sessions at a time. One more client has none, and calls as before."""
IDLE_SECONDS: Final = 1_800.0
_INITIALIZE: Final = b'"initialize"'


class Sessions(StreamableHTTPSessionManager):
    """The package's own, with sessions for those alone who begin or have one."""

    async def _handle_stateful_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        session = headers.get(MCP_SESSION_ID_HEADER)
        is_known = session is not None and session in self._server_instances
        if scope["method"] == "POST" and not is_known:
            first = await receive()
            messages = [first]

            async def replay() -> Message:
                return messages.pop() if messages else await receive()

            begins = session is None and _INITIALIZE in first.get("body", b"")
            if not begins or len(self._server_instances) >= SESSIONS:
                version = headers.get("mcp-protocol-version")
                await self._handle_stateless_request(version, scope, replay, send)
                return
            await super()._handle_stateful_request(_owned(scope, headers), replay, send)
            return
        await super()._handle_stateful_request(_owned(scope, headers), receive, send)


def _owned(scope: Scope, headers: Headers) -> Scope:
    """Return the request with its caller as the package looks for it: a session is its caller's alone."""
    caller = headers.get(CALLER_HEADER, "")
    return {**scope, "user": AuthenticatedUser(AccessToken(token="", client_id=caller, scopes=[]))}
