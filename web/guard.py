"""What stands before the web process's application: who may ask, by which name, how many at a time, and for how long.

A page of another origin may not ask: a name that leads to this machine (DNS rebinding) is refused by its Host, another
page by its Origin. Programs bring a token; the browsers of people who logged in bring a cookie, for the page alone.
Each refusal is JSON of `access.refusal`, made before a body is read.
"""

import asyncio
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final
from urllib.parse import quote, urlencode

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from access.refusal import Code, Refusal
from config.own_names import OwnNames
from mcp_server.audit import CALLER_HEADER
from web.login import holder
from web.roles import ALL, Role

MCP: Final = "/mcp"
LOGIN: Final = "/login"
STATIC: Final = "/static/"
AT_A_TIME: Final = 512
"""Requests under way, streams of subscribers among them."""
REQUEST_BYTES: Final = 1 << 20
"""The largest request: a question is small."""
SESSION_HEADER: Final = "mcp-session-id"
_RETRY_SECONDS: Final = 2
_OPEN: Final = frozenset({"/health", "/metrics", LOGIN})
"""What holds no telemetry needs no token."""
_PROGRAMS: Final = (f"{MCP}/", "/api/", "/prometheus/", "/exports/")
"""Below these a cookie says nothing: what programs ask has their token, and no page can send it for them."""


@dataclass(frozen=True, slots=True)
class Admission:
    """By which names the process may be asked, and with which tokens, each after the name of who has it."""

    host: str
    names: Sequence[str]
    tokens: Sequence[tuple[str, str]]
    roles: Mapping[str, Role] = field(default_factory=dict)
    """Whose data those see who do not see all, by the names of their tokens."""

    def role(self, caller: str) -> Role:
        """Return a caller's role."""
        return self.roles.get(caller, ALL)

    @property
    def own(self) -> OwnNames:
        """The names as they are checked."""
        return OwnNames(self.host, self.names)

    def caller(self, authorization: str | None) -> str | None:
        """Return the name of the token's holder, None without an accepted one; takes constant time."""
        scheme, _, given = (authorization or "").partition(" ")
        sent = given.strip().encode("utf-8", "surrogateescape")
        known = [name for name, token in self.tokens if hmac.compare_digest(sent, token.encode())]
        return known[0] if known and scheme.lower() == "bearer" else None


class Guard:
    """The ASGI application with the checks before it."""

    def __init__(
        self, app: ASGIApp, admission: Admission, body_seconds: float, at_a_time: int = AT_A_TIME
    ) -> None:
        self._app = app
        self._doors = admission
        self._body_seconds = body_seconds
        self._at_a_time = at_a_time
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        refused = self._refused(scope, headers)
        if refused is not None:
            await refused(scope, receive, send)
            return
        caller = self._doors.caller(headers.get("authorization"))
        is_for_people = not _is_for_programs(scope["path"])
        if caller is None and is_for_people:
            caller = holder(cookie_parser(headers.get("cookie", "")), self._doors.tokens)
        if caller is None and scope["path"] not in _OPEN and not scope["path"].startswith(STATIC):
            to_login = is_for_people and scope["method"] == "GET" and "text/html" in headers.get("accept", "")
            await (_login(scope) if to_login else _unauthorized())(scope, receive, send)
            return
        if caller is not None and not is_for_people and not self._doors.role(caller).sees_all:
            message = "This token sees a part of the data, and may use the page alone (TELEMETRY_WEB_ROLES)."
            await _refusal(403, message, "Authorization")(scope, receive, send)
            return
        self._running += 1
        try:
            await self._run(_named(scope, caller), receive, send)
        finally:
            self._running -= 1

    def _refused(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if not self._doors.own.is_known(host):
            return _refusal(
                421,
                "This server is not known by the name in the Host header: ask it by its address, or add the name to"
                " TELEMETRY_WEB_NAMES.",
                "Host",
            )
        if self._doors.own.is_foreign(headers):
            if scope["method"] == "GET" and _is_followed(headers) and not _is_for_programs(scope["path"]):
                return _again(scope)
            return _refusal(403, "Pages of other origins may not ask this server.", "Origin")
        # A session, of the era before, has a stream to open with GET, and ends with DELETE.
        if scope["path"] == MCP and scope["method"] != "POST" and SESSION_HEADER not in headers:
            return _refusal(405, "MCP is spoken here by POST alone.", "", {"Allow": "POST"})
        if self._running >= self._at_a_time:
            busy = Refusal(
                Code.BUSY,
                "Too many requests are under way. Send it again.",
                retry_after_seconds=_RETRY_SECONDS,
            )
            return JSONResponse({"error": busy.as_dict()}, 503, {"Retry-After": str(_RETRY_SECONDS)})
        return None

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application on a request whose body is here, or refuse one that is too large or too slow."""
        try:
            async with asyncio.timeout(self._body_seconds):
                first = await _whole(receive, Headers(scope=scope).get("content-length", "0"))
        except _TooLarge:
            message = f"A request has {REQUEST_BYTES:,} bytes at most."
            await _refusal(413, message, "", {"Connection": "close"})(scope, receive, send)
            return
        except TimeoutError:
            message = "The body did not arrive in time (TELEMETRY_BODY_TIMEOUT_SECONDS)."
            await _refusal(408, message, "", {"Connection": "close"})(scope, receive, send)
            return
        messages = [first]

        async def replay() -> Message:
            return messages.pop() if messages else await receive()

        await self._app(scope, replay, send)


class _TooLarge(Exception):  # noqa: N818  a reason
    """The body is larger than any question."""


async def _whole(receive: Receive, declared: str) -> Message:
    """Return a request's whole body as one message, or the one that ends the connection. Raises _TooLarge.

    `declared` is the length that its header says.
    """
    if not declared.isdecimal() or int(declared) > REQUEST_BYTES:
        raise _TooLarge
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return message
        body += message.get("body", b"")
        if len(body) > REQUEST_BYTES:
            raise _TooLarge
        if not message.get("more_body", False):
            return {"type": "http.request", "body": body, "more_body": False}


def _named(scope: Scope, caller: str | None) -> Scope:
    """Return the request without the token, and with the name of its holder where the MCP server looks for it."""
    name = CALLER_HEADER.encode()
    headers = [pair for pair in scope["headers"] if pair[0] not in {name, b"authorization"}]
    return {**scope, "headers": [*headers, (name, (caller or "").encode())]}


def _is_for_programs(path: str) -> bool:
    return path == MCP or path.startswith(_PROGRAMS)


def _is_followed(headers: Headers) -> bool:
    """Whether a person follows a link to here, as from a chat, and no page asks by itself or in a frame."""
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"


def _again(scope: Scope) -> Response:
    """Let the browser ask once more, as this server's own page does: only then it sends the cookie. Tells nothing."""
    address = escape(_address(scope), quote=True)
    return HTMLResponse(
        f'<!doctype html><title>Claude Code telemetry</title><meta http-equiv="refresh" content="0; url={address}">'
        f'<p><a href="{address}">Go on</a>',
        headers={
            "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
            "Cache-Control": "no-store",
        },
    )


def _address(scope: Scope) -> str:
    """Return the path and the query that were asked for; never another host, as `//host` would be."""
    query = scope["query_string"].decode("latin-1")
    return "/" + quote(scope["path"].lstrip("/")) + (f"?{query}" if query else "")


def _login(scope: Scope) -> Response:
    """Send a person to the log-in, and from there back."""
    asked = _address(scope)
    onward = f"?{urlencode({'next': asked})}" if asked != "/" else ""
    return RedirectResponse(f"{LOGIN}{onward}", 303, {"Cache-Control": "no-store"})


def _unauthorized() -> Response:
    return _refusal(
        401,
        "A bearer token that this server accepts is needed: send Authorization: Bearer <token> with one of"
        " TELEMETRY_WEB_TOKENS, or on this machine TELEMETRY_WEB_TOKEN of credentials.env in the data directory.",
        "Authorization",
        {"WWW-Authenticate": "Bearer"},
    )


def _refusal(status: int, message: str, field: str, headers: dict[str, str] | None = None) -> Response:
    refusal = Refusal(Code.FORBIDDEN if status != 408 else Code.TIMEOUT, message, field)  # noqa: PLR2004
    return JSONResponse({"error": refusal.as_dict()}, status, headers)
