"""The web process's application, behind the guard: the page, MCP, REST at /api/v1, Prometheus' API, files."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

from mcp.server.streamable_http_manager import StreamableHTTPASGIApp
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from access.export.shelf import Shelf
from access.limits import Limiter
from access.reading import Desk
from alerts.watch import Watch
from connectors.asking import Asking
from connectors.health import keep_checking
from mcp_server.measured import measured
from mcp_server.server import server
from mcp_server.updates import lowlevel
from web.api.answering import http_error
from web.api.routes import Api
from web.downloads import route
from web.guard import MCP, REQUEST_BYTES, Admission, Guard
from web.metrics import Metrics
from web.page.routes import AT_ONCE, PER_MINUTE, Page
from web.prometheus_api import PrometheusApi
from web.sessions import IDLE_SECONDS, SESSIONS, Sessions


@asynccontextmanager
async def application(
    desk: Desk,
    shelf: Shelf,
    asking: Asking,
    admission: Admission,
    body_seconds: float,
    version: str,
    health_seconds: float = 0.0,
    telemetry: str = "",
    forget: Sequence[str] = (),
    watch: Watch | None = None,
) -> AsyncIterator[Guard]:
    """Yield the ASGI application while what it needs beside requests runs.

    `health_seconds` is how often connections are checked, 0: on demand alone. `telemetry` is where telemetry of the
    MCP server itself is sent, empty: nowhere. `forget` is the command that deletes what is stored of a person.
    `watch` looks for findings.
    """
    metrics = Metrics()
    asking.report_to(metrics.observe_question)
    # A view asks a dozen questions, and is renewed as data arrives.
    people = replace(desk, limiter=Limiter(PER_MINUTE, AT_ONCE)) if desk.limiter else desk
    made = server(desk, shelf, metrics.observe, version, asking)
    sessions = Sessions(
        lowlevel(made),
        # The guard checks Host and Origin, for every path.
        security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        session_idle_timeout=IDLE_SECONDS,
        max_request_body_size=REQUEST_BYTES,
        max_sessions=SESSIONS,
    )
    page = Page(people, asking, version, admission, forget)
    app = Starlette(
        routes=[
            Route(MCP, StreamableHTTPASGIApp(sessions)),
            *Api(asking, desk.signer, version).routes(),
            *PrometheusApi(desk, version).routes(),
            route(shelf),
            Route("/health", _health),
            Route("/metrics", metrics.scrape),
            *page.routes(),
        ],
        exception_handlers={HTTPException: http_error},
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(asking.close)
        stack.push_async_callback(page.close)
        if health_seconds:
            await stack.enter_async_context(_running(keep_checking(asking, health_seconds)))
        if watch:
            watch.report_to(metrics.observe_findings)
            stack.enter_context(watch.running())
        stack.enter_context(measured(made, telemetry))
        await stack.enter_async_context(sessions.run())
        yield Guard(app, admission, body_seconds)


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do a work meanwhile, and cancel it at the end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _health(_: Request) -> Response:
    """Answer that the process turns; whether the store does, each answer says for itself."""
    return JSONResponse({"status": "ok"})
