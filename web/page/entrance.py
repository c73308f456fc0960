"""How a browser gets in and out, and what it loads: the log-in by a token, the files, server-sent events."""

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from web.guard import LOGIN
from web.login import PREFIX as COOKIES
from web.login import SECONDS, cookie, token_of
from web.page.filters import filters_of
from web.page.site import HEADERS, STATIC_TYPES, Site

_FOLDER: Final = Path(__file__).parent


class Entrance:
    """The log-in, the files, and the connection over which open pages are told of new data."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._static = {name: (_FOLDER / "static" / name).read_bytes() for name in STATIC_TYPES}

    async def login(self, request: Request) -> Response:
        """Let a browser in that has a token: from the printed link, or from the form."""
        given = request.query_params.get("token", "")
        if request.method == "POST":
            given = str((await request.form(max_files=0, max_fields=5)).get("token", ""))
        onward = request.query_params.get("next", "/")
        known = token_of(given, self._site.doors.tokens) if given else None
        if known is None:
            values = {"was_wrong": bool(given), "onward": onward}
            return self._site.html(request, "login.html", filters_of({}), 403 if given else 200, **values)
        response = RedirectResponse(_local(onward), 303, dict(HEADERS))
        name, value = cookie(*known)
        is_secure = request.url.scheme == "https"
        response.set_cookie(
            name, value, SECONDS, path="/", secure=is_secure, httponly=True, samesite="strict"
        )
        return response

    async def logout(self, request: Request) -> Response:
        """Take the browser's cookies back."""
        await self._site.form(request)
        response = RedirectResponse(LOGIN, 303, dict(HEADERS))
        for name in request.cookies:
            if name.startswith(COOKIES):
                response.delete_cookie(name, path="/", httponly=True, samesite="strict")
        return response

    async def static(self, request: Request) -> Response:
        """Return a file of the page; its address changes with its content."""
        name = request.path_params["name"]
        if name not in STATIC_TYPES:
            return Response(status_code=404)
        headers = {
            "Cache-Control": "public, max-age=31536000, immutable",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(self._static[name], media_type=STATIC_TYPES[name], headers=headers)

    async def live(self, _: Request) -> Response:
        """Notify a page of new data, as long as it is open."""
        if self._site.live.is_full:
            return Response(status_code=204)  # tells a browser not to come again
        return StreamingResponse(
            self._site.live.events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )


def _local(address: str) -> str:
    """Return an address of this page, `/` for any other."""
    parts = urlsplit(address)
    is_local = not parts.scheme and not parts.netloc and address.startswith("/") and "\\" not in address
    return address if is_local and not address.startswith("//") and address.isprintable() else "/"
