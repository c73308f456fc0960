"""The units of statistics: sessions, tool calls, model requests and hours, with the measures of each.

The statements are those of `sql/`; an unknown value is NULL in them, and records that were not sent make no row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from access.reading import statement
from access.telemetry_sources import AGGREGATED, CALLS, Source

ADDED: Final = frozenset(
    {
        "cost_usd", "tokens_in", "tokens_out", "cache_read_tokens", "cache_creation_tokens", "calls", "requests",
        "error_count",
    }
)  # fmt: skip
"""Of these a series has the sum of a bucket, of others the mean."""
_TOKENS: Final = ("tokens_in", "tokens_out", "cache_read_tokens", "cache_creation_tokens")
_OF_EVENTS: Final = {
    name: condition for name, condition in AGGREGATED.filters.items() if name not in {"min_duration", "max_duration"}
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unit:
    """A kind of row and its measures."""

    source: Source
    measures: tuple[str, ...]
    note: str


def _unit(name: str, measures: Sequence[str], filters: Mapping[str, str], note: str, **more: Any) -> Unit:
    source = Source(statement(name), (), (), {}, filters, "", note, **more)
    return Unit(source, tuple(measures), note)


UNITS: Final[Mapping[str, Unit]] = {
    "session": _unit(
        "per_session",
        ("duration_ms", "cost_usd", *_TOKENS, "calls", "requests", "error_count", "response_size"),
        _OF_EVENTS,
        "A row is a session, by what of it lies in the period: duration_ms is that of its tool calls and requests"
        " together.",
        outer={name: CALLS.filters[name] for name in ("min_duration", "max_duration")},
    ),
    "tool_call": _unit(
        "per_tool_call",
        ("duration_ms", "response_size", "error_count"),
        CALLS.filters,
        "A row is a tool call that ended; error_count is 0 or 1; response_size is in bytes.",
    ),
    "request": _unit(
        "per_request",
        ("duration_ms", "ttft_ms", "cost_usd", *_TOKENS),
        AGGREGATED.filters,
        "A row is a model request that was answered; ttft_ms is the time to its first token.",
    ),
    "hour": _unit(
        "per_hour",
        (
            "duration_ms", "cost_usd", *_TOKENS, "calls", "requests", "error_count", "sessions", "response_size",
        ),
        _OF_EVENTS,
        "A row is an hour, in UTC, in which there was a tool call or a request; other hours are not counted as 0.",
    ),
}  # fmt: skip
