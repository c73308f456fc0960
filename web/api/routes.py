"""The paths of the REST interface, and what each does."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from access.cursor import Signer, fingerprint
from access.refusal import unknown
from connectors import health, recording
from connectors.asking import Asking
from connectors.entry import Entry
from connectors.remembered import Past
from web.api import models
from web.api.answering import PREFIX, answering, body, caller, json, number, only
from web.api.openapi import document

CONNECTIONS: Final = f"{PREFIX}/observability/connections"
HISTORY: Final = f"{PREFIX}/observability/query-history"
BACKENDS: Final = f"{PREFIX}/observability/backends"
DEFAULT: Final = 50
MOST: Final = 500
"""Items of a page."""


class Api:
    """The handlers, over what all tools ask through."""

    def __init__(self, asking: Asking, signer: Signer, version: str) -> None:
        self._asking = asking
        self._directory = asking.directory
        self._signer = signer
        self._version = version

    def routes(self) -> list[Route]:
        """Return the routes; a method that a path does not have is answered by 405."""
        one, past = f"{CONNECTIONS}/{{connection_id}}", f"{HISTORY}/{{query_id}}"
        table = (
            (f"{PREFIX}/openapi.json", "GET", self.openapi),
            (BACKENDS, "GET", self.backends),
            (CONNECTIONS, "GET", self.listed),
            (CONNECTIONS, "POST", self.added),
            (one, "GET", self.shown),
            (one, "PUT", self.replaced),
            (one, "DELETE", self.removed),
            (f"{one}/test", "POST", self.tested),
            (HISTORY, "GET", self.history),
            (past, "GET", self.past),
            (f"{past}/run", "POST", self.run),
        )
        return [Route(path, answering(handler), methods=[method]) for path, method, handler in table]

    async def openapi(self, request: Request) -> Response:
        """Return the OpenAPI document."""
        only(request)
        return JSONResponse(document(self._version))

    async def backends(self, request: Request) -> Response:
        """Return the kinds of system that can be connected."""
        only(request)
        found = await asyncio.to_thread(self._directory.registry.backends)
        return json(
            models.Backends(
                backends=[
                    models.BackendShown(
                        backend_type=one.backend_type,
                        title=one.title,
                        signals=sorted(signal.value for signal in one.signals),
                        config_schema=one.config.model_json_schema(),
                    )
                    for one in sorted(found.values(), key=lambda one: one.backend_type)
                ]
            )
        )

    async def listed(self, request: Request) -> Response:
        """Return a page of the caller's connections."""
        only(request, "limit", "cursor")
        who, limit = caller(request), number(request, "limit", DEFAULT, MOST)
        entries = await asyncio.to_thread(self._directory.entries, who)
        begin = 0
        if cursor := request.query_params.get("cursor"):
            (begin,) = self._signer.position(cursor, who, "connections")
        page = entries[begin : begin + limit]
        has_more = len(entries) > begin + len(page)
        return json(
            models.Connections(
                connections=[await asyncio.to_thread(self._shown, one) for one in page],
                has_more=has_more,
                next_cursor=self._signer.cursor(who, "connections", [begin + len(page)])
                if has_more
                else None,
                total_count=len(entries),
            )
        )

    async def added(self, request: Request) -> Response:
        """Add a connection."""
        only(request)
        draft = (await body(request, models.ConnectionWritten)).draft()
        entry = await asyncio.to_thread(self._directory.added, caller(request), draft)
        return json(
            await asyncio.to_thread(self._shown, entry), 201, {"Location": f"{CONNECTIONS}/{entry.id}"}
        )

    async def shown(self, request: Request) -> Response:
        """Return a connection."""
        only(request)
        entry = await self._entry(request)
        return json(await asyncio.to_thread(self._shown, entry))

    async def replaced(self, request: Request) -> Response:
        """Write a connection again."""
        only(request)
        draft = (await body(request, models.ConnectionWritten)).draft()
        entry = await asyncio.to_thread(
            self._directory.replaced, caller(request), request.path_params["connection_id"], draft
        )
        await self._asking.pool.drop(entry.id)
        return json(await asyncio.to_thread(self._shown, entry))

    async def removed(self, request: Request) -> Response:
        """Remove a connection with its credentials."""
        only(request)
        entry = await self._entry(request)
        await asyncio.to_thread(self._directory.removed, caller(request), entry.id)
        await self._asking.pool.drop(entry.id)
        return Response(status_code=204)

    async def tested(self, request: Request) -> Response:
        """Check a connection's health now."""
        only(request)
        entry = await self._entry(request)
        self._asking.admit(caller(request))
        report, checked = await health.check(self._asking, entry)
        return json(models.tested(report, checked))

    async def history(self, request: Request) -> Response:
        """Return a page of the caller's questions, newest first."""
        only(request, "session_id", "limit", "cursor")
        who, limit = caller(request), number(request, "limit", DEFAULT, MOST)
        session = request.query_params.get("session_id", "")
        about = fingerprint("query-history", session)
        after = None
        if cursor := request.query_params.get("cursor"):
            at, last = self._signer.position(cursor, who, about)
            after = (datetime.fromisoformat(at), str(last))
        found = await asyncio.to_thread(self._asking.past, who, session, after, limit)
        page: Sequence[Past] = found[:limit]
        has_more = len(found) > limit
        place: list[Any] = [page[-1].queried_at.isoformat(), page[-1].id] if page else []
        return json(
            models.Queries(
                queries=[models.past(one) for one in page],
                has_more=has_more,
                next_cursor=self._signer.cursor(who, about, place) if has_more else None,
            )
        )

    async def past(self, request: Request) -> Response:
        """Return a question of the history."""
        only(request)
        return json(models.past(await self._past(request)))

    async def run(self, request: Request) -> Response:
        """Ask a question of the history again."""
        only(request)
        asked = await self._asking.again(caller(request), await self._past(request))
        return json(
            models.Again(
                query_id=asked.query_id,
                connection=asked.connection.name,
                result_count=len(recording.rows(asked.result)),
                result_sample=recording.sample(asked.result),
                query_time_ms=asked.query_time_ms,
                cached_age_seconds=asked.cached_age_seconds,
            )
        )

    async def _entry(self, request: Request) -> Entry:
        return await asyncio.to_thread(
            self._directory.found, caller(request), request.path_params["connection_id"], "connection_id"
        )

    async def _past(self, request: Request) -> Past:
        query_id = request.path_params["query_id"]
        found = await asyncio.to_thread(self._asking.question, caller(request), query_id)
        if found is None:
            raise unknown("question in the history", query_id, (), "query_id")
        return found

    def _shown(self, entry: Entry) -> models.ConnectionShown:
        return models.shown(entry, self._directory.signals(entry))
