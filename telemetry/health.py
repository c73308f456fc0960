"""Health on a port of its own: `/live` (the process turns), `/ready` (telemetry is taken), `/` as ready.

`/ready` also says where everything listens, for those who asked for any free port, and what ClickHouse does not take:
the server is ready without it, since what comes is kept in the spool.
"""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


def health(
    ready: Callable[[], bool], listening: Mapping[str, str], troubles: Callable[[], Mapping[str, str]]
) -> Starlette:
    """Build the health application. `troubles` says why blocks wait, by table."""

    async def live(_: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def is_ready(_: Request) -> Response:
        if ready():
            found = dict(troubles())
            store = {"status": "away", "troubles": found} if found else {"status": "ok"}
            return JSONResponse({"status": "ready", "listening": dict(listening), "store": store})
        return JSONResponse({"status": "not ready", "reason": "starting or stopping"}, 503)

    return Starlette(routes=[Route("/", is_ready), Route("/live", live), Route("/ready", is_ready)])


def metrics(registry: CollectorRegistry) -> Starlette:
    """Build the application that Prometheus scrapes."""

    async def scrape(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_1_0_0)

    return Starlette(routes=[Route("/metrics", scrape)])
