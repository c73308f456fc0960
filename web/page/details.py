"""The views of one session and of traces: what happened in it, step by step and span by span."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any, Final

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from access.ids import is_short_trace, whole_in
from access.reading import Reading
from access.refusal import Code, Refusal
from connectors.connected import Connection
from connectors.contract import Signal
from web.page.filters import filters_of
from web.page.replay import EVENTS, STEPS, Replay, exported, named, replay, whose
from web.page.replay import Part as ReplayPart
from web.page.site import HEADERS, Site, place_of
from web.page.streaming import Part, gathered
from web.page.timeline import timeline
from web.page.traces import Line, connections, found_traces, log_lines, wanted_of
from web.page.views import MINUTES_NOW
from web.page.waterfall import OWN, SPANS, waterfall

_LONGEST_CURSOR: Final = 2_000


class Details:
    """One session, one trace, and the traces among which it is."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def session(self, request: Request) -> Response:
        """Show how one session went, a part of a long one; one that runs renews itself while it is looked at.

        What renews it names the state that it shows (`part`), and is answered with nothing where there is no other.
        """
        given, role, reading = request.query_params, self._site.role(request), self._site.reading(request)
        session, step = given.get("id", "")[:200], max(place_of(given.get("step", "1")), 1)
        about = await self._site.live.shared(
            ("session", session, role.team, role.user),
            partial(asyncio.to_thread, whose, reading, session, role),
        )
        state = _state(about)
        if given.get("part") == state:
            return Response(status_code=204, headers=dict(HEADERS))
        may_forget = self._site.may_forget(request)
        body = partial(
            self._site.shared,
            request,
            "replay.html",
            filters_of({}),
            {"shown": partial(_shown, reading, about, step)},
            (session, state, str(step), str(may_forget)),
            most=EVENTS,
            per_view=STEPS,
            may_forget=may_forget,
        )
        values = {
            "about": about,
            "state": state,
            "step": step,
            "is_running": about["ended"] > reading.desk.clock() - timedelta(minutes=MINUTES_NOW),
        }
        if "part" in given:
            # Escaped already, as a template's text.
            text = Markup((await body()).text)  # noqa: S704
            return self._site.html(request, "session_body.html", filters_of({}), body=text, **values)
        parts = {"replay": Part((body,), lambda found: found[0].text)}
        return self._site.streamed(request, "session.html", filters_of({}), parts, **values)

    async def exported(self, request: Request) -> Response:
        """Return a session as a file: all of its events, as lines of JSON."""
        session = request.query_params.get("id", "")[:200]
        (lines,) = await gathered(
            partial(exported, self._site.reading(request), session, self._site.role(request))
        )
        name = re.sub(r"[^A-Za-z0-9-]", "", session)[:40]
        headers = {**HEADERS, "Content-Disposition": f'attachment; filename="session-{name}.jsonl"'}
        return StreamingResponse(lines, media_type="application/x-ndjson", headers=headers)

    async def trace(self, request: Request) -> Response:
        """Show one trace."""
        given = request.query_params
        role = self._site.role(request)
        found = await waterfall(
            self._site.reading(request),
            self._site.asking,
            await self._trace_id(request),
            (given.get("connection") or None) if role.sees_all else OWN,
            place_of(given.get("begin", "0")),
        )
        if not role.sees_all:
            # Refused, as a trace that there is not, when its session is another's.
            await gathered(partial(whose, self._site.reading(request), found.session, role))
        return self._site.html(request, "trace.html", filters_of({}), trace=found, most=SPANS)

    async def _trace_id(self, request: Request) -> str:
        """Return the whole id of the trace that is asked for. Raises Refusal."""
        given = request.query_params.get("id", "")[:80]
        if self._site.role(request).sees_all and is_short_trace(given):
            (given,) = await gathered(partial(whole_in, self._site.reading(request).store, "trace", given))
        return given

    async def traces(self, request: Request) -> Response:
        """List the traces of a connection; for who sees a part of the data, those of one session of it."""
        given, filters, role = request.query_params, self._site.filters(request), self._site.role(request)
        reading, wanted = self._site.reading(request), wanted_of(given)
        if wanted.session:
            (session,) = await gathered(partial(named, reading, wanted.session, role))
            wanted = replace(wanted, session=session)
        offered: Sequence[Connection] = ()
        if role.sees_all:
            offered = await connections(reading, self._site.asking, Signal.TRACES)
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
        cursor = given.get("cursor", "")[:_LONGEST_CURSOR]
        ask = partial(found_traces, reading, self._site.asking, wanted, about, connection, cursor)
        parts = {
            "traces": Part(
                (ask,),
                lambda found: self._site.rendered(
                    request, "traces_found.html", filters, found=found[0], wanted=wanted
                ),
            )
        }
        return self._site.streamed(
            request,
            "traces.html",
            filters,
            parts,
            connection=connection,
            connections=offered,
            wanted=wanted,
        )

    async def trace_logs(self, request: Request) -> Response:
        """Show the log lines of a trace, from the connection that is named or fits best."""
        given, role = request.query_params, self._site.role(request)
        reading = self._site.reading(request)
        found = await waterfall(
            reading,
            self._site.asking,
            await self._trace_id(request),
            (given.get("connection") or None) if role.sees_all else OWN,
        )
        if not role.sees_all:
            await gathered(partial(whose, reading, found.session, role))
        source = (given.get("logs") or None) if role.sees_all else OWN
        others = await connections(reading, self._site.asking, Signal.LOGS) if role.sees_all else ()
        if source is None and any(one.name == found.connection for one in others):
            source = found.connection
        lines: Sequence[Line] = ()
        refused = None
        try:
            source, lines = await log_lines(reading, self._site.asking, found.trace_id, found.window, source)
        except Refusal as refusal:
            refused = refusal
        template = "trace_logs.html" if "hx-request" in request.headers else "trace_logs_page.html"
        return self._site.html(
            request,
            template,
            filters_of({}),
            trace=found,
            source=source or "",
            lines=lines,
            others=[one.name for one in others],
            refusal=refused,
        )


@dataclass(frozen=True, slots=True)
class _Shown:
    """A session, the part of it that is shown, and its picture."""

    replay: Replay
    part: ReplayPart
    picture: Markup


def _shown(reading: Reading, about: Mapping[str, Any], step: int) -> _Shown:
    found = replay(reading, about)
    return _Shown(found, found.part(step), timeline(found))


def _state(about: Mapping[str, Any]) -> str:
    """Return what changes when something has happened in a session."""
    names = ("prompts", "requests", "tool_calls", "failures", "compactions")
    return " ".join([about["ended"].isoformat(), *(str(about[name]) for name in names)])
