"""How the REST interface answers: a model as JSON, and every failure as a Refusal with its status."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import structlog
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from access.refusal import Code, Refusal, invalid
from config.faults import described
from connectors.state.errors import StateError
from mcp_server.audit import CALLER_HEADER

log = structlog.get_logger()
M = TypeVar("M", bound=BaseModel)
Handler = Callable[[Request], Awaitable[Response]]

PREFIX: Final = "/api/v1"
STATUSES: Final[dict[Code, int]] = {
    Code.INVALID_ARGUMENT: 400,
    Code.UNKNOWN_NAME: 400,
    Code.RANGE_TOO_LONG: 400,
    Code.INVALID_CURSOR: 400,
    Code.EXPIRED: 400,
    Code.FORBIDDEN: 403,
    Code.CONFLICT: 409,
    Code.RESULT_TOO_LARGE: 422,
    Code.UNSUPPORTED: 422,
    Code.RATE_LIMITED: 429,
    Code.QUERY_FAILED: 500,
    Code.UPSTREAM_UNAVAILABLE: 502,
    Code.UPSTREAM_UNAUTHORIZED: 502,
    Code.UPSTREAM_FAILED: 502,
    Code.STORE_UNAVAILABLE: 503,
    Code.BUSY: 503,
    Code.TIMEOUT: 504,
}
_IN_PATH: Final = frozenset({"connection_id", "query_id"})
"""Names that the path has: one that there is not is a path that there is not."""
_NOT_FOUND: Final = 404
_UNSUPPORTED_TYPE: Final = 415


def caller(request: Request) -> str:
    """Return the name of who asks, which the guard set."""
    return request.headers.get(CALLER_HEADER, "")


def json(model: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a model as JSON."""
    return Response(model.model_dump_json(), status, headers, "application/json")


def refusal(refused: Refusal, status: int | None = None) -> Response:
    """Return a refusal as JSON."""
    is_path = refused.code is Code.UNKNOWN_NAME and refused.field in _IN_PATH
    number = status or (_NOT_FOUND if is_path else STATUSES[refused.code])
    headers = {}
    if refused.retry_after_seconds is not None:
        headers["Retry-After"] = str(max(1, round(refused.retry_after_seconds + 0.5)))
    return JSONResponse({"error": refused.as_dict()}, number, headers)


def answering(handler: Handler) -> Handler:
    """Return a handler whose failures are answers too. Nothing that an unforeseen exception says is shown."""

    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except Refusal as refused:
            return refusal(refused)
        except StateError as error:
            return refusal(Refusal(Code.STORE_UNAVAILABLE, str(error), retry_after_seconds=10.0))
        except _UnsupportedType:
            return refusal(
                invalid("Content-Type", "Send JSON: Content-Type: application/json."), _UNSUPPORTED_TYPE
            )
        except Exception as error:  # noqa: BLE001  the edge of the service
            log.error("A request failed.", path=_route(request), error=type(error).__name__)  # noqa: TRY400
            return refusal(Refusal(Code.QUERY_FAILED, "The request failed; the server's log has the reason."))

    return answered


async def body(request: Request, model: type[M]) -> M:
    """Return the request's body. Raises Refusal, which repeats no value."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise _UnsupportedType
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        message = (
            "The body is not JSON." if first["type"] == "json_invalid" else f"{field}: {described(first)}."
        )
        raise invalid(field, message) from None


def number(request: Request, name: str, default: int, most: int) -> int:
    """Return a parameter of the query that is a whole number from 1 up to `most`. Raises Refusal."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= most and len(text) < 9):  # noqa: PLR2004
        raise invalid(name, f"{name} is a whole number from 1 to {most}.")
    return int(text)


def only(request: Request, *names: str) -> None:
    """Raise Refusal for a parameter that there is not, or that is there twice: to pass over one changes the answer."""
    for name in request.query_params:
        if name not in names:
            raise invalid(name, "There is no such parameter.", names)
        if len(request.query_params.getlist(name)) > 1:
            raise invalid(name, f"{name} is given more than once.")


async def http_error(request: Request, error: Exception) -> Response:
    """Answer for a path or method that there is not: as JSON below /api."""
    assert isinstance(error, HTTPException)  # noqa: S101  it is registered for these
    headers = dict(error.headers or {})
    if not request.url.path.startswith("/api/"):
        return PlainTextResponse(error.detail, error.status_code, headers)
    code = Code.UNKNOWN_NAME if error.status_code == _NOT_FOUND else Code.INVALID_ARGUMENT
    refused = Refusal(code, f"{error.detail}: {PREFIX}/openapi.json lists what there is.")
    answer = refusal(refused, error.status_code)
    answer.headers.update(headers)
    return answer


class _UnsupportedType(Exception):  # noqa: N818  a reason
    """The body is not JSON by its header."""


def _route(request: Request) -> Any:
    """Return the path as it is declared, without what the caller wrote into it."""
    return getattr(request.scope.get("route"), "path", "")
