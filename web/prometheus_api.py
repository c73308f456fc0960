"""Prometheus' HTTP API over this store's metrics, below /prometheus: Grafana's Prometheus data source reads it.

Shapes, times and errors are Prometheus' own. Each question counts for the caller's rate as a question of a tool does.
An answer with more than SERIES series has a warning that says so.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/
"""

import asyncio
import math
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from access.reading import Desk
from access.refusal import Refusal
from connectors.contract import BackendError, Kind
from connectors.promql.evaluation import Evaluated, Evaluation, Found
from connectors.promql.translation import Shape
from mcp_server.audit import CALLER_HEADER

log = structlog.get_logger()
T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Response]]

PREFIX: Final = "/prometheus"
SERIES: Final = 1_000
"""The most series of an answer."""
_NAMES: Final = 10_000
_DAY_MS: Final = 86_400_000
"""How far back names are looked for when no period is given."""
_LATEST_MS: Final = 4_000_000_000_000
_MILLISECONDS: Final[Mapping[str, int]] = {
    "ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000,
}  # fmt: skip
_DURATION: Final = re.compile(r"(?:\d{1,9}(?:ms|[smhdwy]))+")
_PART: Final = re.compile(r"(\d+)(ms|[smhdwy])")
_NUMBER: Final = re.compile(r"-?\d{1,13}(?:\.\d{0,9})?(?:[eE][+-]?\d{1,2})?")
_ERRORS: Final[Mapping[Kind, tuple[int, str]]] = {
    Kind.BAD_QUERY: (400, "bad_data"),
    Kind.UNSUPPORTED: (422, "execution"),
    Kind.TOO_LARGE: (422, "execution"),
    Kind.RATE_LIMITED: (429, "too_many_requests"),
    Kind.TIMEOUT: (503, "timeout"),
    Kind.UNREACHABLE: (503, "unavailable"),
}
_SMALL, _LARGE = 1e-6, 1e21
_METHODS: Final = ["GET", "POST"]


class PrometheusApi:
    """The handlers. `clock` returns seconds since 1970."""

    def __init__(self, desk: Desk, version: str, clock: Callable[[], float] = time.time) -> None:
        self._desk = desk
        self._evaluation = Evaluation(desk.store)
        self._version = version
        self._clock = clock

    def routes(self) -> list[Route]:
        """Return the routes."""
        table: tuple[tuple[str, Handler, list[str]], ...] = (
            ("query", self.query, _METHODS),
            ("query_range", self.query_range, _METHODS),
            ("series", self.series, _METHODS),
            ("labels", self.labels, _METHODS),
            ("label/{name}/values", self.label_values, ["GET"]),
            ("metadata", self.metadata, ["GET"]),
            ("status/buildinfo", self.buildinfo, ["GET"]),
        )
        return [
            Route(f"{PREFIX}/api/v1/{path}", _answering(handler), methods=methods)
            for path, handler, methods in table
        ]

    async def query(self, request: Request) -> Response:
        """Answer an instant query."""
        given = await _parameters(request)
        at = self._moment(given, "time", self._now())
        text = _needed(given, "query")
        return _evaluated(await self._asked(request, lambda: self._evaluation.instant(text, at, SERIES)), at)

    async def query_range(self, request: Request) -> Response:
        """Answer a query over a period."""
        given = await _parameters(request)
        for name in ("start", "end", "step"):
            _needed(given, name)
        start, end = self._moment(given, "start", 0), self._moment(given, "end", 0)
        step, text = _duration(given["step"][0], "step"), _needed(given, "query")
        found = await self._asked(request, lambda: self._evaluation.over(text, start, end, step, SERIES))
        return _evaluated(found, None)

    async def series(self, request: Request) -> Response:
        """Answer with the labels of series."""
        given = await _parameters(request)
        selectors = given.get("match[]", [])
        if not selectors:
            raise _BadData("no match[] parameter provided")
        start, end = self._period(given)
        limit = _limit(given)
        found, has_more = await self._asked(
            request, lambda: self._evaluation.series(selectors, start, end, limit)
        )
        return _success([dict(labels) for labels in found], has_more=has_more)

    async def labels(self, request: Request) -> Response:
        """Answer with the names of labels."""
        given = await _parameters(request)
        start, end = self._period(given)
        selectors = given.get("match[]", [])
        names = await self._asked(request, lambda: self._evaluation.label_names(selectors, start, end))
        return _success(names[: _limit(given)])

    async def label_values(self, request: Request) -> Response:
        """Answer with the values of a label."""
        given = await _parameters(request)
        start, end = self._period(given)
        name, selectors = request.path_params["name"], given.get("match[]", [])
        values = await self._asked(
            request, lambda: self._evaluation.label_values(name, selectors, start, end)
        )
        return _success(values[: _limit(given)])

    async def metadata(self, request: Request) -> Response:
        """Answer with the metrics' types, units and descriptions."""
        given = await _parameters(request)
        end = self._now()
        known = await self._asked(request, lambda: self._evaluation.metrics(end - 30 * _DAY_MS, end))
        wanted = given.get("metric", [""])[0]
        found: dict[str, list[dict[str, str]]] = {}
        for one in known:
            if one.name == wanted or not wanted:
                found.setdefault(one.name, []).append({"type": one.type, "help": one.help, "unit": one.unit})
        return _success(dict(list(found.items())[: _limit(given)]))

    async def buildinfo(self, request: Request) -> Response:
        """Answer which version of Prometheus' API this is, by which Grafana knows what it can ask for."""
        del request
        return _success({"version": "2.42.0", "revision": self._version, "branch": "claude-code-telemetry",
                         "buildUser": "", "buildDate": "", "goVersion": ""})  # fmt: skip

    async def _asked(self, request: Request, ask: Callable[[], T]) -> T:
        self._desk.reading(request.headers.get(CALLER_HEADER, "")).admit()
        return await asyncio.to_thread(ask)

    def _period(self, given: Mapping[str, list[str]]) -> tuple[int, int]:
        end = self._moment(given, "end", self._now())
        start = self._moment(given, "start", end - _DAY_MS)
        if end < start:
            raise _BadData("end timestamp must not be before start time")
        return start, end

    def _moment(self, given: Mapping[str, list[str]], name: str, default: int) -> int:
        text = given.get(name, [""])[0]
        return _milliseconds(text, name) if text else default

    def _now(self) -> int:
        return int(self._clock() * 1000)


class _BadData(Exception):  # noqa: N818  a reason
    """What is wrong with a parameter, in Prometheus' words."""


def _answering(handler: Handler) -> Handler:
    """Return a handler whose failures are Prometheus' errors. Nothing that an unforeseen exception says is shown."""

    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except _BadData as error:
            return _error(400, "bad_data", str(error))
        except BackendError as error:
            status, kind = _ERRORS.get(error.kind, (500, "internal"))
            # A statement's own error is for the log of the store, and not for a panel.
            said = error.detail if error.kind is Kind.BAD_QUERY and error.detail else error.message
            return _error(status, kind, said, error.retry_after_seconds)
        except Refusal as error:
            return _error(429, "too_many_requests", error.message, error.retry_after_seconds)
        except Exception as error:  # noqa: BLE001  the edge of the service
            log.error("A request failed.", path=PREFIX, error=type(error).__name__)  # noqa: TRY400
            return _error(500, "internal", "The request failed; the server's log has the reason.")

    return answered


def _error(status: int, kind: str, words: str, retry_after_seconds: float | None = None) -> Response:
    headers = {"Retry-After": str(max(1, math.ceil(retry_after_seconds)))} if retry_after_seconds else {}
    return JSONResponse({"status": "error", "errorType": kind, "error": words}, status, headers)


def _success(data: Any, *, has_more: bool = False) -> Response:
    found: dict[str, Any] = {"status": "success", "data": data}
    if has_more:
        found["warnings"] = ["There are more series than are answered: aggregate them, or select fewer."]
    return JSONResponse(found)


def _evaluated(found: Evaluated, at: int | None) -> Response:
    """Return the answer to a query; `at` is the moment of an instant one."""
    match found.shape:
        case Shape.SCALAR if at is not None:
            return _success({"resultType": "scalar", "result": _point(found.series[0].points[0])})
        case Shape.VECTOR if at is not None:
            result = [{"metric": dict(one.labels), "value": _point(one.points[0])} for one in found.series]
            return _success({"resultType": "vector", "result": result}, has_more=found.has_more)
        case _:
            return _success(
                {"resultType": "matrix", "result": _matrix(found.series)}, has_more=found.has_more
            )


def _matrix(series: Sequence[Found]) -> list[dict[str, Any]]:
    return [{"metric": dict(one.labels), "values": [_point(point) for point in one.points]} for one in series]


def _point(point: tuple[int, float]) -> list[Any]:
    ms, value = point
    return [ms // 1000 if ms % 1000 == 0 else ms / 1000, number(value)]


def number(value: float) -> str:
    """Return a value as Prometheus writes it: with an exponent only when it is very large or small."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value and not _SMALL <= abs(value) < _LARGE:
        return repr(value)
    return format(Decimal(repr(value)), "f").removesuffix(".0")


async def _parameters(request: Request) -> dict[str, list[str]]:
    """Return the parameters of the path and of a form. Raises _BadData."""
    pairs = list(request.query_params.multi_items())
    body = await request.body()
    if body:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            raise _BadData("the body must be a form: application/x-www-form-urlencoded")
        try:
            pairs += parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=1_000)
        except ValueError:
            raise _BadData("the body is not a form") from None
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _needed(given: Mapping[str, list[str]], name: str) -> str:
    text = given.get(name, [""])[0]
    if not text:
        raise _BadData(f'invalid parameter "{name}": it is missing')
    return text


def _milliseconds(text: str, name: str) -> int:
    """Return a time in seconds or of RFC 3339. Raises _BadData."""
    if _NUMBER.fullmatch(text):
        found = round(float(text) * 1000)
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = None
        if moment is None or "T" not in text:
            raise _BadData(f'invalid parameter "{name}": cannot parse it to a valid timestamp')
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        found = round(zoned.timestamp() * 1000)
    if not 0 <= found <= _LATEST_MS:
        raise _BadData(f'invalid parameter "{name}": it is out of range')
    return found


def _duration(text: str, name: str) -> int:
    """Return seconds, or a duration such as 1m30s, in milliseconds. Raises _BadData."""
    if _NUMBER.fullmatch(text):
        found = round(float(text) * 1000)
    elif _DURATION.fullmatch(text):
        found = sum(int(count) * _MILLISECONDS[unit] for count, unit in _PART.findall(text))
    else:
        raise _BadData(f'invalid parameter "{name}": cannot parse it to a valid duration')
    if not 0 < found <= _LATEST_MS:
        raise _BadData(
            f'invalid parameter "{name}": zero or negative query resolution step widths are not accepted.'
            " Try a positive integer"
        )
    return found


def _limit(given: Mapping[str, list[str]]) -> int:
    text = given.get("limit", ["0"])[0]
    if not (text.isascii() and text.isdecimal() and len(text) < 10):  # noqa: PLR2004
        raise _BadData('invalid parameter "limit": it must be a whole number')
    return min(int(text) or _NAMES, _NAMES)
