"""Health on a port of its own: `/live` (the process runs), `/ready` (telemetry is accepted), `/` as ready.

`/ready` also says where everything listens, since a port may be any free one, and why blocks wait for ClickHouse:
the server is ready without it, since new records are kept in the spool. It is not when they can be kept no more.
"""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


def health(
    ready: Callable[[], bool],
    listening: Mapping[str, str],
    troubles: Callable[[], Mapping[str, str]],
    stores: Callable[[], bool],
) -> Starlette:
    """Build the health application. `troubles` says why blocks wait, by table; `stores` whether any can be kept."""

    async def live(_: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def is_ready(_: Request) -> Response:
        found = dict(troubles())
        if not stores():
            reason = "nothing can be stored: ClickHouse takes no batches, and the spool is full or cannot be written"
            return JSONResponse({"status": "not ready", "reason": reason, "troubles": found}, 503)
        if ready():
            store = {"status": "away", "troubles": found} if found else {"status": "ok"}
            return JSONResponse({"status": "ready", "listening": dict(listening), "store": store})
        return JSONResponse({"status": "not ready", "reason": "starting or stopping"}, 503)

    return Starlette(routes=[Route("/", is_ready), Route("/live", live), Route("/ready", is_ready)])


def exposition(registry: CollectorRegistry, scraped: Callable[[], None]) -> Starlette:
    """Build the application that Prometheus scrapes; `scraped` is called each time."""

    async def scrape(_: Request) -> Response:
        scraped()
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_1_0_0)

    return Starlette(routes=[Route("/metrics", scrape)])
