"""The page's addresses. Each answers with HTML that needs no script to be read; scripts only renew what is shown.

A view's slow parts have addresses of their own below /part, which the page asks for when it is open.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from access.library import MOST, run_sql
from access.questions import TOPICS, QuestionError, find, questions
from access.reading import Desk
from access.refusal import Refusal, unknown
from access.report.contents import write
from access.report.figures import Scope, gather
from access.report.page import page as report_page
from access.report.period import period
from access.tail import latest_events
from connectors.asking import Asking
from web.guard import LOGIN, STATIC, Admission
from web.page import cells
from web.page.details import Details
from web.page.entrance import Entrance
from web.page.filters import filters_of
from web.page.managing import Managing
from web.page.panels import Panel, as_csv, covered, taken
from web.page.site import HEADERS, Handler, Shared, Site, caller_of, compressed
from web.page.streaming import Ask, Part, gathered
from web.page.tail import latest
from web.page.views import (
    ORDERS,
    OVERVIEW,
    SAMPLED,
    SESSIONS,
    VIEWS,
    collected,
    measures,
    present,
    privacy_effects,
    space,
    what_to_fix,
)

_REPORT_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
PER_MINUTE: Final = 600.0
"""Questions that a person's views may ask."""
AT_ONCE: Final = 150
_TAIL: Final = 60
_LONGEST_SQL: Final = 20_000


class Page:
    """The addresses, and the views over many sessions."""

    def __init__(
        self, desk: Desk, asking: Asking, version: str, admission: Admission, forget: Sequence[str] = ()
    ) -> None:
        self._site = Site(desk, asking, version, admission, forget)
        self._entrance = Entrance(self._site)
        self._details = Details(self._site)
        self._managing = Managing(self._site)
        self._is_empty = True
        """As far as is known: what has been seen to hold something is not looked at again before the overview."""

    def routes(self) -> list[Route]:
        """Return the routes."""
        table: tuple[tuple[str, Handler], ...] = (
            ("/", self.overview),
            ("/part/now", self.now),
            ("/part/fix", self.fix),
            ("/sessions", self.sessions),
            ("/session", self._details.session),
            ("/session.jsonl", self._details.exported),
            ("/trace", self._details.trace),
            ("/traces", self._details.traces),
            ("/part/trace-logs", self._details.trace_logs),
            ("/tail", self.tail),
            ("/ask", self.library),
            ("/ask/{name}.csv", self.csv),
            ("/ask/{name}", self.question),
            ("/sql", self.sql),
            ("/report", self.report),
            ("/forget", self._managing.forget),
            ("/connections", self._managing.connections),
            ("/connections/edit", self._managing.connection),
            *((f"/{path}", self.view) for path in VIEWS),
        )
        return [
            *(Route(path, self._site.answering(handler), methods=["GET"]) for path, handler in table),
            Route("/sql", self._site.answering(self.sql), methods=["POST"]),
            Route("/forget/count", self._site.answering(self._managing.count_forgotten), methods=["POST"]),
            Route("/forget/erase", self._site.answering(self._managing.erase), methods=["POST"]),
            Route("/connections/test", self._site.answering(self._managing.test), methods=["POST"]),
            Route("/connections/edit", self._site.answering(self._managing.connect), methods=["POST"]),
            Route("/connections/remove", self._site.answering(self._managing.disconnect), methods=["POST"]),
            Route(LOGIN, self._entrance.login, methods=["GET", "POST"]),
            Route("/logout", self._site.answering(self._entrance.logout), methods=["POST"]),
            Route(f"{STATIC}{{name}}", self._entrance.static, methods=["GET"]),
            Route("/live", self._entrance.live, methods=["GET"]),
        ]

    async def close(self) -> None:
        """Stop what runs beside requests."""
        await self._managing.close()

    async def overview(self, request: Request) -> Response:
        """Show what is going on, and what to fix first."""
        filters = self._site.filters(request)
        if self._is_empty:
            (fresh,) = await gathered(self._site.live.reading(caller_of(request)).freshness)
            self._is_empty = fresh.newest is None
        parts = {
            # Escaped already, as a template's text.
            "now": Part((partial(self._now, request),), lambda found: found[0].text),
            **self._site.panels(request, OVERVIEW, filters),
        }
        names = [name for name in parts if name != "now"]
        return self._site.streamed(
            request, "overview.html", filters, parts, panels=names, is_empty=self._is_empty
        )

    async def now(self, request: Request) -> Response:
        """Show the part of the overview that is renewed when data arrives."""
        return compressed(request, await self._now(request))

    async def _now(self, request: Request) -> Shared:
        filters, now = self._site.filters(request), self._site.live.reading(caller_of(request))
        asks: dict[str, Ask] = {
            "now": partial(present, now, filters),
            "measures": partial(measures, now, filters),
        }
        return await self._site.shared(request, "now.html", filters, asks)

    async def fix(self, request: Request) -> Response:
        """Show the findings of the period."""
        filters = self._site.filters(request)
        (found,) = await gathered(partial(what_to_fix, self._site.reading(request), filters))
        template = "fix.html" if "hx-request" in request.headers else "fix_page.html"
        return self._site.html(request, template, filters, found=found)

    async def sessions(self, request: Request) -> Response:
        """List sessions."""
        filters = self._site.filters(request)
        order = request.query_params.get("order", ORDERS[0])
        order = order if order in ORDERS else ORDERS[0]
        panel = Panel(
            SESSIONS.question,
            SESSIONS.title,
            {"order": order, "limit": "100"},
            SESSIONS.columns,
            rows=SESSIONS.rows,
        )
        parts = self._site.panels(request, [panel], filters)
        return self._site.streamed(
            request, "sessions.html", filters, parts, panels=list(parts), order=order, orders=ORDERS
        )

    async def view(self, request: Request) -> Response:
        """Show a view of panels."""
        view = VIEWS[request.url.path.strip("/")]
        filters, reading = self._site.filters(request), self._site.reading(request)
        parts = self._site.panels(request, view.panels, filters)
        panels = list(parts)
        if view.path == "data" and self._site.role(request).sees_all:
            parts["collected"] = self._site.table(
                request, filters, "What is collected", partial(collected, reading, filters)
            )
            parts["space"] = self._site.table(
                request, filters, "Space and retention", partial(space, reading)
            )
            parts["effects"] = self._site.table(
                request, filters, "What the privacy rules did", partial(privacy_effects, reading, filters)
            )
        return self._site.streamed(
            request,
            "view.html",
            filters,
            parts,
            view=view,
            panels=panels,
            has_more="space" in parts,
            sampled=SAMPLED,
            may_forget=self._site.may_forget(request),
        )

    async def tail(self, request: Request) -> Response:
        """Show the latest events."""
        self._site.sees_all(request)
        reading = self._site.reading(request)
        events = await self._site.shared(
            request, "events.html", filters_of({}), {"rows": lambda: latest(latest_events(reading, _TAIL))}
        )
        if request.query_params.get("part"):
            return compressed(request, events)
        # Escaped already, as a template's text.
        return self._site.html(request, "tail.html", filters_of({}), events=Markup(events.text))  # noqa: S704

    async def library(self, request: Request) -> Response:
        """List all questions."""
        by_topic = [(topic, [one for one in questions() if one.topic == topic]) for topic in TOPICS]
        return self._site.html(request, "ask.html", self._site.filters(request), topics=by_topic)

    async def question(self, request: Request) -> Response:
        """Show one question with its parameters as a form, and its answer."""
        question, given = _question(request), dict(request.query_params)
        filters = self._site.filters(request)
        values = {one.name: given.get(one.name, "") for one in question.parameters}
        panel = Panel(question.name, "", {name: value for name, value in values.items() if value}, rows=MOST)
        parts = self._site.panels(request, [panel], filters)
        return self._site.streamed(
            request, "question.html", filters, parts, panels=list(parts), question=question, values=values
        )

    async def csv(self, request: Request) -> Response:
        """Return an answer as a file."""
        question, given = _question(request), dict(request.query_params)
        covered(question, self._site.role(request))
        mine = self._site.filters(request)
        values = taken(question, mine, {name: value for name, value in given.items() if value})
        (text,) = await gathered(partial(as_csv, self._site.reading(request), question, values))
        headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{question.name}.csv"'}
        return Response(text, media_type="text/csv; charset=utf-8", headers=headers)

    async def sql(self, request: Request) -> Response:
        """Answer a statement of the person's own, asked as the user who only reads."""
        self._site.sees_all(request)
        statement, table, answer, refused = "", None, None, None
        if request.method == "POST":
            form = await self._site.form(request)
            statement = str(form.get("sql", ""))[:_LONGEST_SQL]
            try:
                (answer,) = await gathered(
                    partial(
                        run_sql, self._site.reading(request), statement, limit=MOST, max_characters=45_000
                    )
                )
                table = cells.grid(answer, {}, filters_of({}))
            except Refusal as refusal:
                refused = refusal
        return self._site.html(
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
        filters = self._site.filters(request)
        reading = self._site.reading(request)
        about = reading.period(filters.parameters()["from"], filters.parameters()["to"])[0]

        def made() -> str:
            asked = period("weekly", about.start.isoformat(), about.end.isoformat())
            scope = Scope(filters.team, filters.user, filters.project)
            return report_page(write(gather(reading.store, asked, scope, reading.desk.budget_usd)))

        reading.admit()
        (text,) = await gathered(made)
        return compressed(request, text, policy=_REPORT_POLICY)


def _question(request: Request) -> Any:
    name = request.path_params["name"]
    try:
        return find(name)
    except QuestionError:
        raise unknown("question", name, [one.name for one in questions()], "name") from None
