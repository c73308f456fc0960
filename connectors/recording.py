"""What the history keeps of a question and of its answer: redacted before, made visible here, and bounded."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Final

import orjson
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from access.refusal import Code, Refusal
from access.text import cut, visible
from connectors.contract import (
    LogsRequest,
    LogsResult,
    MetricsRequest,
    SeriesResult,
    TracesRequest,
    TracesResult,
)

SAMPLE: Final = 10
SAMPLE_BYTES: Final = 4_000
TEXT: Final = 4_000
PARAMETERS_BYTES: Final = 8_000
_CELL: Final = 200
_ITEMS: Final = 20
_DEPTH: Final = 5
_REQUESTS: Final[dict[str, type]] = {
    one.__name__: one for one in (MetricsRequest, LogsRequest, TracesRequest)
}


def rows(result: Any) -> Sequence[Any]:
    """Return what counts as the results of an answer: series, lines, traces, names."""
    for kind, name in ((SeriesResult, "series"), (LogsResult, "lines"), (TracesResult, "traces")):
        if isinstance(result, kind):
            found: Sequence[Any] = getattr(result, name)
            return found
    if isinstance(result, Mapping):
        return list(result.items())
    if isinstance(result, list | tuple):
        return result
    return () if result is None else (result,)


def sample(result: Any) -> list[Any]:
    """Return the first results as plain values, as many as have room."""
    shown = [_short(item, _DEPTH) for item in rows(result)[:SAMPLE]]
    while shown and len(orjson.dumps(shown)) > SAMPLE_BYTES:
        shown.pop()
    return shown


def parameters(request: object, redacted: object) -> dict[str, Any]:
    """Return a request as it is kept. One whose text was redacted, or is too long, cannot be asked again."""
    name = type(request).__name__
    if name not in _REQUESTS:
        return {"type": name}
    try:
        plain = _adapter(_REQUESTS[name]).dump_python(redacted, mode="json")
        written = orjson.dumps(plain)
        is_small = len(written) <= PARAMETERS_BYTES
    except (PydanticSerializationError, orjson.JSONEncodeError):
        return {"type": name}
    # PostgreSQL keeps no NUL.
    if not is_small or redacted != request or b"\\u0000" in written:
        return {"type": name}
    return {"type": name, "request": plain}


def request_of(kept: Mapping[str, Any]) -> MetricsRequest | LogsRequest | TracesRequest:
    """Return the request that was kept. Raises Refusal when it cannot be asked again."""
    kind = _REQUESTS.get(str(kept.get("type")))
    if kind is None or "request" not in kept:
        raise Refusal(
            Code.UNSUPPORTED,
            "This question cannot be run again from the history: it is of a kind that is not kept whole, is too long,"
            " or held something private. Ask it again through its tool.",
            "query_id",
        )
    try:
        made: MetricsRequest | LogsRequest | TracesRequest = _adapter(kind).validate_python(kept["request"])
    except ValidationError:
        raise Refusal(
            Code.UNSUPPORTED, "This question is of another version. Ask it again.", "query_id"
        ) from None
    return made


def text(query: str) -> str:
    """Return the text of a query as it is kept; lines stay lines."""
    return cut(query.replace("\0", "").encode("utf-8", "replace").decode(), TEXT)


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    """Return what writes and reads a kind of request; making it takes milliseconds."""
    return TypeAdapter(kind)


def _short(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        # JSON has no NaN and no infinity.
        return value if not isinstance(value, float) or math.isfinite(value) else None
    if depth <= 0 or isinstance(value, str):
        return visible(value, _CELL) if isinstance(value, str) else "…"
    if is_dataclass(value) and not isinstance(value, type):
        return {
            one.name: _short(getattr(value, one.name), depth - 1)
            for one in fields(value)
            if getattr(value, one.name) not in ("", None)
        }
    if isinstance(value, Mapping):
        return {
            visible(str(key), _CELL): _short(item, depth - 1) for key, item in list(value.items())[:_ITEMS]
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_short(item, depth - 1) for item in list(value)[:_ITEMS]]
    return visible(str(to_jsonable_python(value, fallback=str)), _CELL)
