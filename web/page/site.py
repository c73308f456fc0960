"""What all handlers of the page share: who asks and what they may see, templates, forms, failures as pages.

All texts are escaped by the templates; the policy in the headers lets a browser run and load nothing but this server's
own files.
"""

import gzip
import hashlib
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

import structlog
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse

from access.answer import Answer
from access.questions import QuestionError
from access.reading import Desk, Reading
from access.refusal import Code, Refusal
from access.report.numbers import Kind, shown
from access.text import visible
from connectors.asking import Asking
from connectors.entry import OWNER
from mcp_server.audit import CALLER_HEADER
from web.guard import STATIC, Admission
from web.login import form_key
from web.page import cells
from web.page.filters import PERIODS, Filters, filters_of
from web.page.forgetting import Forgetting
from web.page.live import Live
from web.page.panels import Panel, fill
from web.page.streaming import Ask, Part, Slots, gathered, packed, plain, streamed
from web.page.views import VIEWS, choices
from web.roles import Role

log = structlog.get_logger()
Handler = Callable[[Request], Awaitable[Response]]

_FOLDER: Final = Path(__file__).parent
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self';"
        " frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_LEVEL: Final = 5
"""Of gzip: a view is compressed to a sixth, for less than a millisecond of work."""
_DIGITS: Final = 7
_CODE: Final = re.compile("`([^`]+)`")
STATIC_TYPES: Final[Mapping[str, str]] = {
    "style.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_STATUSES: Final[Mapping[Code, int]] = {
    Code.STORE_UNAVAILABLE: 503, Code.BUSY: 503, Code.RATE_LIMITED: 429, Code.UNKNOWN_NAME: 404, Code.FORBIDDEN: 403,
    Code.TIMEOUT: 504,
}  # fmt: skip


class Site:
    """One desk, the connected systems, and how a view of them is written. Handlers of several modules share it."""

    def __init__(
        self, desk: Desk, asking: Asking, version: str, admission: Admission, forget: Sequence[str] = ()
    ) -> None:
        self._desk = desk
        self.asking = asking
        self.doors = admission
        # Forms hold until the process is started again.
        self._secret = secrets.token_hex(32)
        self.live = Live(desk)
        self._slots = Slots()
        self.forgetting = Forgetting(forget)
        static = {name: (_FOLDER / "static" / name).read_bytes() for name in STATIC_TYPES}
        self._environment = Environment(
            loader=FileSystemLoader(_FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        tags = {name: hashlib.sha256(content).hexdigest()[:12] for name, content in static.items()}
        self._environment.globals |= {
            "static": lambda name: f"{STATIC}{name}?v={tags[name]}",
            "views": tuple(VIEWS.values()),
            "periods": PERIODS,
            "version": version,
            "slot": self._slots.slot,
            "session_href": cells.session_href,
            "trace_href": cells.trace_href,
            "step_href": cells.step_href,
        }
        self._environment.filters |= {
            "usd": partial(shown, Kind.USD),
            "ms": partial(shown, Kind.MS),
            "tokens": partial(shown, Kind.TOKENS),
            "short": partial(shown, Kind.ID),
            "short_id": cells.short_id,
            "when": cells.when,
            "number": cells.number,
            "urlencode": urlencode,
            "urlencode_text": quote_plus,
            "seen": visible,
            "coded": coded,
        }

    def role(self, request: Request) -> Role:
        """Return what the person may see."""
        return self.doors.role(caller_of(request))

    def filters(self, request: Request) -> Filters:
        """Return the filters of an address, within what the person may see."""
        role = self.role(request)
        return filters_of(request.query_params, team=role.team, user=role.user)

    def sees_all(self, request: Request) -> None:
        """Raise Refusal for a person who sees a part of the data."""
        if not self.role(request).sees_all:
            raise Refusal(Code.FORBIDDEN, "This is for those who see all data (TELEMETRY_WEB_ROLES).")

    def reading(self, request: Request) -> Reading:
        """Return the desk as the person has it."""
        return self._desk.reading(caller_of(request))

    def may_forget(self, request: Request) -> bool:
        """Whether this is the owner, on the machine of the server: a token to read gives no right to delete."""
        return self.forgetting.is_possible and caller_of(request) == OWNER

    def panels(self, request: Request, panels: Sequence[Panel], filters: Filters) -> dict[str, Part]:
        """Return panels as parts of a view."""
        reading, role = self.reading(request), self.role(request)
        return {
            f"panel-{number}": Part(
                (partial(fill, reading, panel, filters, role),),
                lambda found: self.rendered(request, "panel.html", filters, one=found[0]),
            )
            for number, panel in enumerate(panels)
        }

    def table(self, request: Request, filters: Filters, title: str, ask: Callable[[], Answer]) -> Part:
        """Return an answer as a part of a view."""
        return Part(
            (ask,),
            lambda found: self.rendered(
                request,
                "table.html",
                filters,
                title=title,
                grid=cells.grid(found[0], {}, filters_of({})),
            ),
        )

    def streamed(
        self, request: Request, template: str, filters: Filters, parts: Mapping[str, Part], **values: Any
    ) -> Response:
        """Return a view whose parts are sent as they are answered. What its filters offer comes last."""
        offered = Part(
            (partial(choices, self.reading(request), self.role(request)),),
            lambda found: self.rendered(request, "choices.html", filters, choices=found[0]),
        )
        text = self.rendered(request, template, filters, **values)

        def failed(error: Exception) -> str:
            if not isinstance(error, Refusal):
                log.error("A part of a view failed.", path=request.url.path, error=type(error).__name__)
                error = Refusal(Code.QUERY_FAILED, "This part failed; the server's log has the reason.")
            return self.rendered(request, "refused_part.html", filters, refusal=error)

        texts = streamed(self._slots.split(text), {**parts, "choices": offered}, failed)
        is_packed = "gzip" in request.headers.get("accept-encoding", "")
        headers = {**HEADERS, "Vary": "Accept-Encoding"} | ({"Content-Encoding": "gzip"} if is_packed else {})
        return StreamingResponse(
            packed(texts) if is_packed else plain(texts), 200, headers, "text/html; charset=utf-8"
        )

    async def form(self, request: Request) -> Mapping[str, Any]:
        """Return a form that this page itself was sent with. Raises Refusal."""
        form = await request.form(max_files=0, max_fields=100)
        if form.get("key") != form_key(self._secret, caller_of(request)):
            raise Refusal(Code.FORBIDDEN, "This form is no longer valid: load the page again.", "key")
        return form

    def html(
        self, request: Request, template: str, filters: Filters, status: int = 200, **values: Any
    ) -> Response:
        """Return a rendered template as an answer."""
        return compressed(request, self.rendered(request, template, filters, **values), status)

    async def shared(
        self,
        request: Request,
        template: str,
        filters: Filters,
        asks: Mapping[str, Ask],
        key: tuple[str, ...] = (),
        **values: Any,
    ) -> "Shared":
        """Return a part that is made once for all who look at it with the same filters, role and `key`.

        The answers have the names by which the template knows them. `key` names what the values and the asks depend on.
        The template is given nothing of the reader's own: no name and no form's key.
        """
        role = self.role(request)

        async def make() -> Shared:
            found = dict(zip(asks, await gathered(*asks.values()), strict=True))
            return Shared(self._environment.get_template(template).render(filters=filters, **found, **values))

        return await self.live.shared((template, filters.query(), role.team, role.user, *key), make)

    def rendered(self, request: Request, template: str, filters: Filters, **values: Any) -> str:
        """Return a rendered template."""
        return self._environment.get_template(template).render(
            filters=filters,
            path=request.url.path,
            caller=caller_of(request),
            role=self.role(request),
            key=form_key(self._secret, caller_of(request)),
            **values,
        )

    def answering(self, handler: Handler) -> Handler:
        """Return a handler whose failures are pages too. Nothing that an unforeseen exception says is shown."""

        async def answered(request: Request) -> Response:
            try:
                return await handler(request)
            except Refusal as refusal:
                status = _STATUSES.get(refusal.code, 400)
                return self.html(request, "refused.html", filters_of({}), status, refusal=refusal)
            except QuestionError as error:
                wrong = Refusal(Code.INVALID_ARGUMENT, str(error))
                return self.html(request, "refused.html", filters_of({}), 400, refusal=wrong)
            except Exception as error:  # noqa: BLE001  the edge of the service
                log.error("A view failed.", path=request.url.path, error=type(error).__name__)  # noqa: TRY400
                failed = Refusal(Code.QUERY_FAILED, "This view failed; the server's log has the reason.")
                return self.html(request, "refused.html", filters_of({}), 500, refusal=failed)

        return answered


class Shared:
    """A part that several readers get, compressed once for all of them."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def in_gzip(self) -> bytes:
        """The text in gzip."""
        return gzip.compress(self.text.encode(), _LEVEL)


def coded(text: str) -> Markup:
    """Return a note with what stands between backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704  escaped before


def caller_of(request: Request) -> str:
    """Return the name of the person's token."""
    return request.headers.get(CALLER_HEADER, "")


def place_of(text: str) -> int:
    """Return a place in a list, as an address names it; the first for what is no number."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else 0


def compressed(request: Request, text: str | Shared, status: int = 200, policy: str = "") -> Response:
    """Return a page, in gzip where the browser takes it."""
    headers = {**HEADERS, "Vary": "Accept-Encoding"} | ({"Content-Security-Policy": policy} if policy else {})
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return HTMLResponse(text.text if isinstance(text, Shared) else text, status, headers)
    content = text.in_gzip if isinstance(text, Shared) else gzip.compress(text.encode(), _LEVEL)
    return HTMLResponse(content, status, {**headers, "Content-Encoding": "gzip"})
