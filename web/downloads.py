"""Files of exports at /exports/NAME/NUMBER/FILE, streamed: manifests, and the files that they list, and no others.

The guard stands before it: a token is needed, as for /mcp.
"""

from typing import Final

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from access.export.shelf import Shelf
from access.refusal import Refusal

EXPORTS: Final = "/exports"


def route(shelf: Shelf) -> Route:
    """Return the route over a folder of exports."""

    async def download(request: Request) -> Response:
        parts = request.path_params
        try:
            path = await run_sync(shelf.file, parts["name"], parts["number"], parts["file"])
        except Refusal as refusal:
            return JSONResponse({"error": refusal.as_dict()}, 404)
        # Always a file to save: a page of another program must not run what is in it.
        return FileResponse(
            path,
            media_type="application/octet-stream",
            filename=parts["file"],
            headers={"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"},
        )

    return Route(f"{EXPORTS}/{{name}}/{{number}}/{{file}}", download)
