"""What stands before the HTTP ports of this process, so that no web page can send or ask through a browser.

A server on loopback is asked by `localhost`, a loopback address, or a name of TELEMETRY_HOST_NAMES. A request of a page
of another origin is refused, unless its origin may send (TELEMETRY_CORS_ORIGINS). On other addresses a proxy may
stand before the server, so only the port with passwords, which a browser keeps, refuses there.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from prometheus_client import Counter

from config.own_names import OwnNames
from config.settings import is_loopback

_NAME: Final = (
    b"This server is not known by the name in the Host header: ask it by localhost or its address, or add the name to"
    b" TELEMETRY_HOST_NAMES.\n"
)
_NAMES_REMEMBERED: Final = 64
_PAGE: Final = b"Pages of other origins may not ask this server.\n"


class PageGuard:
    """An ASGI application with the checks before it. `refused` counts what was refused, by `port` and `reason`."""

    def __init__(
        self,
        app: Any,
        port: str,
        own: OwnNames,
        refused: Counter,
        *,
        origins: Sequence[str] = (),
        keeps_passwords: bool = False,
    ) -> None:
        self._app = app
        self._port = port
        self._own = own
        # Clients ask by the same few names, and to read one takes longer than all else here.
        self._is_known = lru_cache(_NAMES_REMEMBERED)(own.is_known)
        self._refused = refused
        self._origins = [re.compile(re.escape(origin).replace(r"\*", "[^/]*")) for origin in origins]
        self._any_origin = "*" in origins
        self._on_loopback = is_loopback(own.host)
        self._checks_pages = self._on_loopback or keeps_passwords

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        """Answer a request, or refuse it before its body is read."""
        if scope["type"] == "http":
            headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
            if self._on_loopback and not self._is_known(headers.get("host", "")):
                await self._refuse(421, "host", _NAME, send)
                return
            if self._checks_pages and self._own.is_foreign(headers) and not self._may_send(headers):
                await self._refuse(403, "page", _PAGE, send)
                return
        await self._app(scope, receive, send)

    def _may_send(self, headers: Mapping[str, str]) -> bool:
        origin = headers.get("origin")
        return origin is not None and (
            self._any_origin or any(allowed.fullmatch(origin) for allowed in self._origins)
        )

    async def _refuse(self, status: int, reason: str, message: bytes, send: Any) -> None:
        self._refused.labels(self._port, reason).inc()
        headers = [
            (b"content-type", b"text/plain; charset=UTF-8"),
            (b"content-length", str(len(message)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": message})
