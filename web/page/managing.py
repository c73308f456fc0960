"""The views by which something is changed: the connections to other systems, and what is stored of whom."""

import asyncio
from functools import partial

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from access.refusal import Code, Refusal, invalid
from access.text import visible
from connectors.entry import Draft, Entry, Source
from connectors.health import check
from web.page import cells
from web.page.connection_form import blank, draft_from, draft_of, fields
from web.page.filters import filters_of
from web.page.forgetting import KINDS, Said
from web.page.site import HEADERS, Site, caller_of
from web.page.streaming import gathered
from web.page.views import forgotten


class Managing:
    """What changes something: connections, and deletions on demand."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def connections(self, request: Request) -> Response:
        """List the connected systems and their health."""
        self._site.sees_all(request)
        return await self._listed(request)

    async def connection(self, request: Request) -> Response:
        """Show the form of a connection: of a new one of a kind, or of one that is there."""
        self._site.sees_all(request)
        given, directory = request.query_params, self._site.asking.directory
        if name := given.get("id"):
            entry = await asyncio.to_thread(directory.found, caller_of(request), name, "id")
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
        self._site.sees_all(request)
        form, caller, directory = (
            await self._site.form(request),
            caller_of(request),
            self._site.asking.directory,
        )
        entry_id = str(form.get("id", ""))[:80]
        backend = await asyncio.to_thread(directory.registry.backend, str(form.get("kind", ""))[:50])
        draft = blank(backend)
        try:
            draft = draft_of(backend, form)
            if entry_id:
                entry = await asyncio.to_thread(directory.replaced, caller, entry_id, draft)
                await self._site.asking.pool.drop(entry.id)
            else:
                entry = await asyncio.to_thread(directory.added, caller, draft)
        except Refusal as refusal:
            return self._form_of(request, draft, entry_id, refusal)
        return await self._tested(request, entry)

    async def disconnect(self, request: Request) -> Response:
        """Remove a connection with its credentials."""
        self._site.sees_all(request)
        form, caller, directory = (
            await self._site.form(request),
            caller_of(request),
            self._site.asking.directory,
        )
        entry = await asyncio.to_thread(directory.found, caller, str(form.get("id", "")), "id")
        await asyncio.to_thread(directory.removed, caller, entry.id)
        await self._site.asking.pool.drop(entry.id)
        return await self._listed(request, f"{visible(entry.name, 80)} is removed, with its credentials.")

    async def test(self, request: Request) -> Response:
        """Check one connection's health now."""
        self._site.sees_all(request)
        form, caller = await self._site.form(request), caller_of(request)
        entry = await asyncio.to_thread(
            self._site.asking.directory.found, caller, str(form.get("id", "")), "id"
        )
        return await self._tested(request, entry)

    async def _tested(self, request: Request, entry: Entry) -> Response:
        self._site.asking.admit(caller_of(request))
        _, checked = await check(self._site.asking, entry)
        words = f"{visible(entry.name, 80)}: {checked.health.value}"
        return await self._listed(request, f"{words}, {visible(checked.reason)}" if checked.reason else words)

    async def _listed(self, request: Request, said: str = "") -> Response:
        """Return the list of connections, with what was done."""
        directory = self._site.asking.directory
        entries = await self._site.asking.entries(caller_of(request))
        backends = await asyncio.to_thread(directory.registry.backends)
        return self._site.html(
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
        backend = self._site.asking.directory.registry.backend(draft.backend_type)
        shown_fields = fields(backend, draft.config)
        return self._site.html(
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
        form = await self._site.form(request)
        kind, value = str(form.get("kind", "")), str(form.get("value", "")).strip()
        return await self._forget_page(
            request, kind=kind, value=value, counted=await self._site.forgetting.count(kind, value)
        )

    async def erase(self, request: Request) -> Response:
        """Begin a deletion that was shown and confirmed."""
        self._check_forget(request)
        form = await self._site.form(request)
        if not form.get("sure"):
            raise invalid("sure", "Nothing was deleted: the box that says so was not ticked.")
        self._site.forgetting.begin(
            str(form.get("kind", "")), str(form.get("value", "")).strip(), caller_of(request)
        )
        return RedirectResponse("/forget", 303, dict(HEADERS))

    async def _forget_page(
        self, request: Request, *, kind: str = KINDS[0], value: str = "", counted: Said | None = None
    ) -> Response:
        (done,) = await gathered(partial(forgotten, self._site.reading(request)))
        return self._site.html(
            request,
            "forget.html",
            filters_of({}),
            kind=kind,
            value=value,
            counted=counted,
            forgetting=self._site.forgetting,
            done=cells.grid(done, {}, filters_of({})),
        )

    def _check_forget(self, request: Request) -> None:
        if not self._site.may_forget(request):
            message = (
                "Only the owner may delete, who is logged in by telemetry open: or run telemetry forget."
            )
            raise Refusal(Code.FORBIDDEN, message)

    async def close(self) -> None:
        """Stop what runs beside requests."""
        await self._site.forgetting.close()
