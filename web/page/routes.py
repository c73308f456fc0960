"""The page's addresses. Each answers with HTML that needs no script to be read; scripts only renew what is shown.

A view's slow parts have addresses of their own below /part, which the page asks for when it is open. All texts are
escaped by the templates; the policy in the headers lets a browser run and load nothing but this server's own files.
"""

import asyncio
import gzip
import hashlib
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote_plus, urlencode, urlsplit

import structlog
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from access.answer import Answer
from access.library import MOST, run_sql
from access.questions import TOPICS, QuestionError, find, questions
from access.reading import Desk, Reading
from access.refusal import Code, Refusal, invalid, unknown
from access.report.contents import write
from access.report.figures import Scope, gather
from access.report.numbers import Kind, shown
from access.report.page import page as report_page
from access.report.period import period
from access.tail import latest_events
from access.text import visible
from connectors.asking import Asking
from connectors.contract import Signal
from connectors.entry import OWNER, Draft, Entry, Source
from connectors.health import check
from mcp_server.audit import CALLER_HEADER
from web.guard import LOGIN, STATIC, Admission
from web.login import PREFIX as COOKIES
from web.login import SECONDS, cookie, form_key, token_of
from web.page import cells
from web.page.connection_form import blank, draft_from, draft_of, fields
from web.page.filters import PERIODS, Filters, filters_of
from web.page.forgetting import KINDS, Forgetting, Said
from web.page.live import Live
from web.page.panels import Panel, as_csv, covered, fill, taken
from web.page.replay import EVENTS, STEPS, Replay, exported, replay, whose
from web.page.streaming import Part, Slots, gathered, packed, plain, streamed
from web.page.tail import latest
from web.page.timeline import timeline
from web.page.traces import Line, connections, found_traces, log_lines, wanted_of
from web.page.views import (
    ORDERS,
    OVERVIEW,
    SAMPLED,
    SESSIONS,
    VIEWS,
    choices,
    collected,
    forgotten,
    measures,
    present,
    privacy_effects,
    space,
    what_to_fix,
)
from web.page.waterfall import OWN, SPANS, waterfall
from web.roles import Role

log = structlog.get_logger()
T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Response]]

_FOLDER: Final = Path(__file__).parent
_STATIC: Final = {
    "style.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
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
_REPORT_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
PER_MINUTE: Final = 600.0
"""Questions that a person's views may ask."""
AT_ONCE: Final = 150
_TAIL: Final = 60
_LEVEL: Final = 5
"""Of gzip: a view is compressed to a sixth, for less than a millisecond of work."""
_DIGITS: Final = 7
_LONGEST_CURSOR: Final = 2_000
_LONGEST_SQL: Final = 20_000
_STATUSES: Final[Mapping[Code, int]] = {
    Code.STORE_UNAVAILABLE: 503, Code.BUSY: 503, Code.RATE_LIMITED: 429, Code.UNKNOWN_NAME: 404, Code.FORBIDDEN: 403,
    Code.TIMEOUT: 504,
}  # fmt: skip


class Page:
    """The handlers over one desk and the connected systems."""

    def __init__(
        self, desk: Desk, asking: Asking, version: str, admission: Admission, forget: Sequence[str] = ()
    ) -> None:
        self._desk = desk
        self._asking = asking
        self._doors = admission
        # Forms hold until the process is started again.
        self._secret = secrets.token_hex(32)
        self._live = Live(desk)
        self._slots = Slots()
        self._forgetting = Forgetting(forget)
        self._static = {name: (_FOLDER / "static" / name).read_bytes() for name in _STATIC}
        self._packed = {name: gzip.compress(content) for name, content in self._static.items()}
        self._environment = Environment(
            loader=FileSystemLoader(_FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        tags = {name: hashlib.sha256(content).hexdigest()[:12] for name, content in self._static.items()}
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
        }

    def routes(self) -> list[Route]:
        """Return the routes."""
        table: tuple[tuple[str, Handler], ...] = (
            ("/", self.overview),
            ("/part/now", self.now),
            ("/part/fix", self.fix),
            ("/sessions", self.sessions),
            ("/session", self.session),
            ("/session.jsonl", self.exported),
            ("/trace", self.trace),
            ("/traces", self.traces),
            ("/part/trace-logs", self.trace_logs),
            ("/tail", self.tail),
            ("/ask", self.library),
            ("/ask/{name}.csv", self.csv),
            ("/ask/{name}", self.question),
            ("/sql", self.sql),
            ("/report", self.report),
            ("/forget", self.forget),
            ("/connections", self.connections),
            ("/connections/edit", self.connection),
            *((f"/{path}", self.view) for path in VIEWS),
        )
        return [
            *(Route(path, self._answering(handler), methods=["GET"]) for path, handler in table),
            Route("/sql", self._answering(self.sql), methods=["POST"]),
            Route("/forget/count", self._answering(self.count_forgotten), methods=["POST"]),
            Route("/forget/erase", self._answering(self.erase), methods=["POST"]),
            Route("/connections/test", self._answering(self.test), methods=["POST"]),
            Route("/connections/edit", self._answering(self.connect), methods=["POST"]),
            Route("/connections/remove", self._answering(self.disconnect), methods=["POST"]),
            Route(LOGIN, self.login, methods=["GET", "POST"]),
            Route("/logout", self._answering(self.logout), methods=["POST"]),
            Route(f"{STATIC}{{name}}", self.static, methods=["GET"]),
            Route("/live", self.live, methods=["GET"]),
        ]

    async def overview(self, request: Request) -> Response:
        """Show what is going on, and what to fix first."""
        filters, now = self._filters(request), self._live.reading(_caller(request))
        fresh = (await gathered(now.freshness))[0]
        parts = {
            "now": Part(
                (partial(present, now, filters), partial(measures, now, filters)),
                lambda found: self._rendered(request, "now.html", filters, now=found[0], measures=found[1]),
            ),
            **self._panels(request, OVERVIEW, filters),
        }
        names = [name for name in parts if name != "now"]
        return self._streamed(
            request, "overview.html", filters, parts, panels=names, is_empty=fresh.newest is None
        )

    async def now(self, request: Request) -> Response:
        """Show the part of the overview that is renewed when data arrives."""
        filters, reading = self._filters(request), self._reading(request)
        now, figures = await gathered(partial(present, reading, filters), partial(measures, reading, filters))
        return self._html(request, "now.html", filters, now=now, measures=figures)

    async def fix(self, request: Request) -> Response:
        """Show the findings of the period."""
        filters = self._filters(request)
        (found,) = await gathered(partial(what_to_fix, self._reading(request), filters))
        template = "fix.html" if "hx-request" in request.headers else "fix_page.html"
        return self._html(request, template, filters, findings=found)

    async def sessions(self, request: Request) -> Response:
        """List sessions."""
        filters = self._filters(request)
        order = request.query_params.get("order", ORDERS[0])
        order = order if order in ORDERS else ORDERS[0]
        panel = Panel(
            SESSIONS.question,
            SESSIONS.title,
            {"order": order, "limit": "100"},
            SESSIONS.columns,
            rows=SESSIONS.rows,
        )
        parts = self._panels(request, [panel], filters)
        return self._streamed(
            request, "sessions.html", filters, parts, panels=list(parts), order=order, orders=ORDERS
        )

    async def session(self, request: Request) -> Response:
        """Show how one session went, a part of a long one."""
        given = request.query_params
        found: Replay
        (found,) = await gathered(
            partial(replay, self._reading(request), given.get("id", "")[:200], self._role(request))
        )
        return self._html(
            request,
            "session.html",
            filters_of({}),
            replay=found,
            part=found.part(_place(given.get("step", "1"))),
            picture=timeline(found),
            most=EVENTS,
            per_view=STEPS,
            may_forget=self._may_forget(request),
        )

    async def exported(self, request: Request) -> Response:
        """Return a session as a file: all of its events, as lines of JSON."""
        session = request.query_params.get("id", "")[:200]
        (lines,) = await gathered(partial(exported, self._reading(request), session, self._role(request)))
        name = re.sub(r"[^A-Za-z0-9-]", "", session)[:40]
        headers = {**HEADERS, "Content-Disposition": f'attachment; filename="session-{name}.jsonl"'}
        return StreamingResponse(lines, media_type="application/x-ndjson", headers=headers)

    async def trace(self, request: Request) -> Response:
        """Show one trace."""
        given = request.query_params
        role = self._role(request)
        found = await waterfall(
            self._reading(request),
            self._asking,
            given.get("id", "")[:80],
            (given.get("connection") or None) if role.sees_all else OWN,
            _place(given.get("begin", "0")),
        )
        if not role.sees_all:
            # Refused, as a trace that there is not, when its session is another's.
            await gathered(partial(whose, self._reading(request), found.session, role))
        return self._html(request, "trace.html", filters_of({}), trace=found, most=SPANS)

    async def traces(self, request: Request) -> Response:
        """List the traces of a connection; for who sees a part of the data, those of one session of it."""
        given, filters, role = request.query_params, self._filters(request), self._role(request)
        reading, wanted = self._reading(request), wanted_of(given)
        values: dict[str, Any] = {"wanted": wanted, "found": None, "refusal": None, "connections": ()}
        if role.sees_all:
            values["connections"] = await connections(reading, self._asking, Signal.TRACES)
        elif wanted.session:
            await gathered(partial(whose, reading, wanted.session, role))
        else:
            message = (
                "Name a session: its page leads to its traces. All traces are for those who see all data."
            )
            raise Refusal(Code.FORBIDDEN, message, "session")
        connection = (given.get("connection") or OWN) if role.sees_all else OWN
        about = reading.period(filters.parameters()["from"], filters.parameters()["to"])
        if wanted.session and not filters.query():
            # The traces of a session, whenever it was.
            about = reading.period("30d", "now")
        try:
            values["found"] = await found_traces(
                reading, self._asking, wanted, about, connection, given.get("cursor", "")[:_LONGEST_CURSOR]
            )
        except Refusal as refusal:
            values["refusal"] = refusal
        return self._html(request, "traces.html", filters, connection=connection, **values)

    async def trace_logs(self, request: Request) -> Response:
        """Show the log lines of a trace, from the connection that is named or fits best."""
        given, role = request.query_params, self._role(request)
        reading = self._reading(request)
        found = await waterfall(
            reading,
            self._asking,
            given.get("id", "")[:80],
            (given.get("connection") or None) if role.sees_all else OWN,
        )
        if not role.sees_all:
            await gathered(partial(whose, reading, found.session, role))
        source = (given.get("logs") or None) if role.sees_all else OWN
        others = await connections(reading, self._asking, Signal.LOGS) if role.sees_all else ()
        if source is None and any(one.name == found.connection for one in others):
            source = found.connection
        lines: Sequence[Line] = ()
        refused = None
        try:
            source, lines = await log_lines(reading, self._asking, found.trace_id, found.window, source)
        except Refusal as refusal:
            refused = refusal
        template = "trace_logs.html" if "hx-request" in request.headers else "trace_logs_page.html"
        return self._html(
            request,
            template,
            filters_of({}),
            trace=found,
            source=source or "",
            lines=lines,
            others=[one.name for one in others],
            refusal=refused,
        )

    async def view(self, request: Request) -> Response:
        """Show a view of panels."""
        view = VIEWS[request.url.path.strip("/")]
        filters, reading = self._filters(request), self._reading(request)
        parts = self._panels(request, view.panels, filters)
        panels = list(parts)
        if view.path == "data" and self._role(request).sees_all:
            parts["collected"] = self._table(
                request, filters, "What is collected", partial(collected, reading, filters)
            )
            parts["space"] = self._table(request, filters, "Space and retention", partial(space, reading))
            parts["effects"] = self._table(
                request, filters, "What the privacy rules did", partial(privacy_effects, reading, filters)
            )
        return self._streamed(
            request,
            "view.html",
            filters,
            parts,
            view=view,
            panels=panels,
            has_more="space" in parts,
            sampled=SAMPLED,
            may_forget=self._may_forget(request),
        )

    async def tail(self, request: Request) -> Response:
        """Show the latest events."""
        self._sees_all(request)
        reading = self._live.reading(_caller(request))

        def events() -> Answer:
            about = reading.period("1h", "now")
            key = ("page latest", _TAIL)
            kept: Answer = reading.keep(
                reading.desk.queries, key, about, lambda: latest_events(reading, _TAIL)
            ).value
            return kept

        (found,) = await gathered(events)
        template = "events.html" if request.query_params.get("part") else "tail.html"
        return self._html(request, template, filters_of({}), rows=latest(found))

    async def library(self, request: Request) -> Response:
        """List all questions."""
        by_topic = [(topic, [one for one in questions() if one.topic == topic]) for topic in TOPICS]
        return self._html(request, "ask.html", self._filters(request), topics=by_topic)

    async def question(self, request: Request) -> Response:
        """Show one question with its parameters as a form, and its answer."""
        question, given = _question(request), dict(request.query_params)
        filters = self._filters(request)
        values = {one.name: given.get(one.name, "") for one in question.parameters}
        panel = Panel(question.name, "", {name: value for name, value in values.items() if value}, rows=MOST)
        (found,) = await gathered(partial(fill, self._reading(request), panel, filters, self._role(request)))
        return self._html(request, "question.html", filters, shown=found, question=question, values=values)

    async def csv(self, request: Request) -> Response:
        """Return an answer as a file."""
        question, given = _question(request), dict(request.query_params)
        covered(question, self._role(request))
        mine = self._filters(request)
        values = taken(question, mine, {name: value for name, value in given.items() if value})
        (text,) = await gathered(partial(as_csv, self._reading(request), question, values))
        headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{question.name}.csv"'}
        return Response(text, media_type="text/csv; charset=utf-8", headers=headers)

    async def sql(self, request: Request) -> Response:
        """Answer a statement of the person's own, asked as the user who only reads."""
        self._sees_all(request)
        statement, table, answer, refused = "", None, None, None
        if request.method == "POST":
            form = await self._form(request)
            statement = str(form.get("sql", ""))[:_LONGEST_SQL]
            try:
                (answer,) = await gathered(
                    partial(run_sql, self._reading(request), statement, limit=MOST, max_characters=45_000)
                )
                table = cells.grid(answer, {}, filters_of({}))
            except Refusal as refusal:
                refused = refusal
        return self._html(
            request,
            "sql.html",
            filters_of({}),
            statement=statement,
            grid=table,
            answer=answer,
            refusal=refused,
        )

    async def report(self, request: Request) -> Response:
        """Show the report of the period, to read and to print."""
        filters = self._filters(request)
        reading = self._reading(request)
        about = reading.period(filters.parameters()["from"], filters.parameters()["to"])[0]

        def made() -> str:
            asked = period("weekly", about.start.isoformat(), about.end.isoformat())
            return report_page(
                write(gather(reading.store, asked, Scope(filters.team, filters.user, filters.project)))
            )

        reading.admit()
        (text,) = await gathered(made)
        return _compressed(request, text, policy=_REPORT_POLICY)

    async def connections(self, request: Request) -> Response:
        """List the connected systems and their health."""
        self._sees_all(request)
        return await self._listed(request)

    async def connection(self, request: Request) -> Response:
        """Show the form of a connection: of a new one of a kind, or of one that is there."""
        self._sees_all(request)
        given, directory = request.query_params, self._asking.directory
        if name := given.get("id"):
            entry = await asyncio.to_thread(directory.found, _caller(request), name, "id")
            if entry.source is not Source.STATE:
                raise Refusal(
                    Code.FORBIDDEN,
                    f"{visible(entry.name, 80)} cannot be changed here: it is of the settings.",
                )
            return self._form_of(request, draft_from(entry), entry.id)
        backend = await asyncio.to_thread(directory.registry.backend, given.get("kind", "")[:50])
        return self._form_of(request, blank(backend), "")

    async def connect(self, request: Request) -> Response:
        """Add a connection, or write one again, and check whether it answers."""
        self._sees_all(request)
        form, caller, directory = await self._form(request), _caller(request), self._asking.directory
        entry_id = str(form.get("id", ""))[:80]
        backend = await asyncio.to_thread(directory.registry.backend, str(form.get("kind", ""))[:50])
        draft = blank(backend)
        try:
            draft = draft_of(backend, form)
            if entry_id:
                entry = await asyncio.to_thread(directory.replaced, caller, entry_id, draft)
                await self._asking.pool.drop(entry.id)
            else:
                entry = await asyncio.to_thread(directory.added, caller, draft)
        except Refusal as refusal:
            return self._form_of(request, draft, entry_id, refusal)
        return await self._tested(request, entry)

    async def disconnect(self, request: Request) -> Response:
        """Remove a connection with its credentials."""
        self._sees_all(request)
        form, caller, directory = await self._form(request), _caller(request), self._asking.directory
        entry = await asyncio.to_thread(directory.found, caller, str(form.get("id", "")), "id")
        await asyncio.to_thread(directory.removed, caller, entry.id)
        await self._asking.pool.drop(entry.id)
        return await self._listed(request, f"{visible(entry.name, 80)} is removed, with its credentials.")

    async def test(self, request: Request) -> Response:
        """Check one connection's health now."""
        self._sees_all(request)
        form, caller = await self._form(request), _caller(request)
        entry = await asyncio.to_thread(self._asking.directory.found, caller, str(form.get("id", "")), "id")
        return await self._tested(request, entry)

    async def _tested(self, request: Request, entry: Entry) -> Response:
        self._asking.admit(_caller(request))
        _, checked = await check(self._asking, entry)
        words = f"{visible(entry.name, 80)}: {checked.health.value}"
        return await self._listed(request, f"{words}, {visible(checked.reason)}" if checked.reason else words)

    async def _listed(self, request: Request, said: str = "") -> Response:
        """Return the list of connections, with what was done."""
        directory = self._asking.directory
        entries = await self._asking.entries(_caller(request))
        backends = await asyncio.to_thread(directory.registry.backends)
        return self._html(
            request,
            "connections.html",
            filters_of({}),
            entries=[(one, sorted(directory.signals(one))) for one in entries],
            said=said,
            backends=sorted(backends.values(), key=lambda one: one.title),
        )

    def _form_of(
        self, request: Request, draft: Draft, entry_id: str, refusal: Refusal | None = None
    ) -> Response:
        backend = self._asking.directory.registry.backend(draft.backend_type)
        shown_fields = fields(backend, draft.config)
        return self._html(
            request,
            "connection.html",
            filters_of({}),
            400 if refusal else 200,
            draft=draft,
            entry_id=entry_id,
            backend=backend,
            fields=shown_fields,
            refusal=refusal,
        )

    async def forget(self, request: Request) -> Response:
        """Show the form of a deletion, how the last one went, and which there were."""
        self._check_forget(request)
        return await self._forget_page(request, value=request.query_params.get("session", "")[:200])

    async def count_forgotten(self, request: Request) -> Response:
        """Show what a deletion would delete."""
        self._check_forget(request)
        form = await self._form(request)
        kind, value = str(form.get("kind", "")), str(form.get("value", "")).strip()
        return await self._forget_page(
            request, kind=kind, value=value, counted=await self._forgetting.count(kind, value)
        )

    async def erase(self, request: Request) -> Response:
        """Begin a deletion that was shown and confirmed."""
        self._check_forget(request)
        form = await self._form(request)
        if not form.get("sure"):
            raise invalid("sure", "Nothing was deleted: the box that says so was not ticked.")
        self._forgetting.begin(
            str(form.get("kind", "")), str(form.get("value", "")).strip(), _caller(request)
        )
        return RedirectResponse("/forget", 303, dict(HEADERS))

    async def _forget_page(
        self, request: Request, *, kind: str = KINDS[0], value: str = "", counted: Said | None = None
    ) -> Response:
        (done,) = await gathered(partial(forgotten, self._reading(request)))
        return self._html(
            request,
            "forget.html",
            filters_of({}),
            kind=kind,
            value=value,
            counted=counted,
            forgetting=self._forgetting,
            done=cells.grid(done, {}, filters_of({})),
        )

    def _may_forget(self, request: Request) -> bool:
        """Whether this is the owner, on the machine of the server: a token to read gives no right to delete."""
        return self._forgetting.is_possible and _caller(request) == OWNER

    def _check_forget(self, request: Request) -> None:
        if not self._may_forget(request):
            message = (
                "Only the owner may delete, who is logged in by telemetry open: or run telemetry forget."
            )
            raise Refusal(Code.FORBIDDEN, message)

    async def close(self) -> None:
        """Stop what runs beside requests."""
        await self._forgetting.close()

    async def login(self, request: Request) -> Response:
        """Let a browser in that has a token: from the printed link, or from the form."""
        given = request.query_params.get("token", "")
        if request.method == "POST":
            given = str((await request.form(max_files=0, max_fields=5)).get("token", ""))
        onward = request.query_params.get("next", "/")
        known = token_of(given, self._doors.tokens) if given else None
        if known is None:
            values = {"was_wrong": bool(given), "onward": onward}
            return self._html(request, "login.html", filters_of({}), 403 if given else 200, **values)
        response = RedirectResponse(_local(onward), 303, dict(HEADERS))
        name, value = cookie(*known)
        is_secure = request.url.scheme == "https"
        response.set_cookie(
            name, value, SECONDS, path="/", secure=is_secure, httponly=True, samesite="strict"
        )
        return response

    async def logout(self, request: Request) -> Response:
        """Take the browser's cookies back."""
        await self._form(request)
        response = RedirectResponse(LOGIN, 303, dict(HEADERS))
        for name in request.cookies:
            if name.startswith(COOKIES):
                response.delete_cookie(name, path="/", httponly=True, samesite="strict")
        return response

    async def static(self, request: Request) -> Response:
        """Return a file of the page; its address changes with its content."""
        name = request.path_params["name"]
        if name not in _STATIC:
            return Response(status_code=404)
        headers = {
            "Cache-Control": "public, max-age=31536000, immutable",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(self._static[name], media_type=_STATIC[name], headers=headers)

    async def live(self, _: Request) -> Response:
        """Notify a page of new data, as long as it is open."""
        if self._live.is_full:
            return Response(status_code=204)  # tells a browser not to come again
        return StreamingResponse(
            self._live.events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    def _role(self, request: Request) -> Role:
        return self._doors.role(_caller(request))

    def _filters(self, request: Request) -> Filters:
        """Return the filters of an address, within what the person may see."""
        role = self._role(request)
        return filters_of(request.query_params, team=role.team, user=role.user)

    def _sees_all(self, request: Request) -> None:
        """Raise Refusal for a person who sees a part of the data."""
        if not self._role(request).sees_all:
            raise Refusal(Code.FORBIDDEN, "This is for those who see all data (TELEMETRY_WEB_ROLES).")

    def _reading(self, request: Request) -> Reading:
        return self._desk.reading(_caller(request))

    def _panels(self, request: Request, panels: Sequence[Panel], filters: Filters) -> dict[str, Part]:
        """Return panels as parts of a view."""
        reading, role = self._reading(request), self._role(request)
        return {
            f"panel-{number}": Part(
                (partial(fill, reading, panel, filters, role),),
                lambda found: self._rendered(request, "panel.html", filters, one=found[0]),
            )
            for number, panel in enumerate(panels)
        }

    def _table(self, request: Request, filters: Filters, title: str, ask: Callable[[], Answer]) -> Part:
        """Return an answer as a part of a view."""
        return Part(
            (ask,),
            lambda found: self._rendered(
                request,
                "table.html",
                filters,
                title=title,
                grid=cells.grid(found[0], {}, filters_of({})),
            ),
        )

    def _streamed(
        self, request: Request, template: str, filters: Filters, parts: Mapping[str, Part], **values: Any
    ) -> Response:
        """Return a view whose parts are sent as they are answered. What its filters offer comes last."""
        offered = Part(
            (partial(choices, self._reading(request), self._role(request)),),
            lambda found: self._rendered(request, "choices.html", filters, choices=found[0]),
        )
        text = self._rendered(request, template, filters, **values)

        def failed(error: Exception) -> str:
            if not isinstance(error, Refusal):
                log.error("A part of a view failed.", path=request.url.path, error=type(error).__name__)
                error = Refusal(Code.QUERY_FAILED, "This part failed; the server's log has the reason.")
            return self._rendered(request, "refused_part.html", filters, refusal=error)

        texts = streamed(self._slots.split(text), {**parts, "choices": offered}, failed)
        is_packed = "gzip" in request.headers.get("accept-encoding", "")
        headers = {**HEADERS, "Vary": "Accept-Encoding"} | ({"Content-Encoding": "gzip"} if is_packed else {})
        return StreamingResponse(
            packed(texts) if is_packed else plain(texts), 200, headers, "text/html; charset=utf-8"
        )

    async def _form(self, request: Request) -> Mapping[str, Any]:
        """Return a form that this page itself was sent with. Raises Refusal."""
        form = await request.form(max_files=0, max_fields=100)
        if form.get("key") != form_key(self._secret, _caller(request)):
            raise Refusal(Code.FORBIDDEN, "This form is no longer valid: load the page again.", "key")
        return form

    def _html(
        self, request: Request, template: str, filters: Filters, status: int = 200, **values: Any
    ) -> Response:
        return _compressed(request, self._rendered(request, template, filters, **values), status)

    def _rendered(self, request: Request, template: str, filters: Filters, **values: Any) -> str:
        return self._environment.get_template(template).render(
            filters=filters,
            path=request.url.path,
            caller=_caller(request),
            role=self._role(request),
            key=form_key(self._secret, _caller(request)),
            **values,
        )

    def _answering(self, handler: Handler) -> Handler:
        """Return a handler whose failures are pages too. Nothing that an unforeseen exception says is shown."""

        async def answered(request: Request) -> Response:
            try:
                return await handler(request)
            except Refusal as refusal:
                status = _STATUSES.get(refusal.code, 400)
                return self._html(request, "refused.html", filters_of({}), status, refusal=refusal)
            except QuestionError as error:
                wrong = Refusal(Code.INVALID_ARGUMENT, str(error))
                return self._html(request, "refused.html", filters_of({}), 400, refusal=wrong)
            except Exception as error:  # noqa: BLE001  the edge of the service
                log.error("A view failed.", path=request.url.path, error=type(error).__name__)  # noqa: TRY400
                failed = Refusal(Code.QUERY_FAILED, "This view failed; the server's log has the reason.")
                return self._html(request, "refused.html", filters_of({}), 500, refusal=failed)

        return answered


def _place(text: str) -> int:
    """Return a place in a list, as an address names it; the first for what is no number."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else 0


def _caller(request: Request) -> str:
    return request.headers.get(CALLER_HEADER, "")


def _compressed(request: Request, text: str, status: int = 200, policy: str = "") -> Response:
    """Return a page, in gzip where the browser takes it."""
    headers = {**HEADERS, "Vary": "Accept-Encoding"} | ({"Content-Security-Policy": policy} if policy else {})
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return HTMLResponse(text, status, headers)
    return HTMLResponse(gzip.compress(text.encode(), _LEVEL), status, {**headers, "Content-Encoding": "gzip"})


def _local(address: str) -> str:
    """Return an address of this page, `/` for any other."""
    parts = urlsplit(address)
    is_local = not parts.scheme and not parts.netloc and address.startswith("/") and "\\" not in address
    return address if is_local and not address.startswith("//") and address.isprintable() else "/"


def _question(request: Request) -> Any:
    name = request.path_params["name"]
    try:
        return find(name)
    except QuestionError:
        raise unknown("question", name, [one.name for one in questions()], "name") from None
