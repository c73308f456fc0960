"""The parameters that tools over connected systems share, and the shape of their documents."""

from collections.abc import Callable
from typing import Annotated, Any, Final

from pydantic import Field

from access.budget import DEFAULT, LEAST, MOST
from connectors.tools import names

TIME: Final = "ISO 8601, seconds since 1970, now, now-30m, 1h, 7 days ago, today, 10:20"


def _object(**properties: Any) -> dict[str, Any]:
    return {"properties": properties, "additionalProperties": False}


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


TimeRange = Annotated[
    dict[str, Any] | None,
    Field(
        description="The period. Default: the last hour. The answer has the absolute one.",
        json_schema_extra=_object(
            start=_text(f"Beginning: {TIME}."),
            end=_text("End, in the same forms, not included. Default: now."),
        ),
    ),
]
Where = Annotated[
    str | None,
    Field(
        description="A connection's name or id. Default: the one that fits; the answer says which and why."
    ),
]
Zone = Annotated[str, Field(description="IANA time zone in which times without one are read.")]
Cursor = Annotated[
    str | None,
    Field(description="next_cursor of an answer, with the same other arguments: what comes after it."),
]
Characters = Annotated[
    int | None,
    Field(description=f"Length of the answer, {LEAST} to {MOST}. Default {DEFAULT}: about 6,000 tokens."),
]
MetricFilters = Annotated[
    dict[str, Any] | None,
    Field(
        description="Labels that are put into each selector of the query, under the names that the system uses.",
        json_schema_extra=_object(
            service=_text("Name of a service or job."),
            pod=_text("Name of a pod."),
            namespace=_text("A namespace."),
        ),
    ),
]
LogFilters = Annotated[
    dict[str, Any] | None,
    Field(
        description="All that are given must hold.",
        json_schema_extra=_object(
            service=_text("Name of a service."),
            severity={"type": "string", "enum": list(names.SEVERITIES)},
            namespace=_text("A namespace."),
            pod=_text("Name of a pod."),
            trace_id=_text("Lines of one trace."),
            labels={"type": "object", "description": "Other labels or fields by name."},
        ),
    ),
]
TraceFilters = Annotated[
    dict[str, Any] | None,
    Field(
        description="Traces with a span for which all that are given hold.",
        json_schema_extra=_object(
            service=_text("Name of a service."),
            operation=_text("Name of a span."),
            min_duration=_text("As 100ms, 1.5s."),
            max_duration=_text("As 100ms, 1.5s."),
            tags={"type": "object", "description": 'Attributes, as {"http.status_code": "500"}.'},
            has_error={"type": "boolean"},
        ),
    ),
]
Service = Annotated[str, Field(description="Name of a service; list_services has them.")]
ITEMS: Final[dict[str, Any]] = {"type": "array", "items": {"type": "object"}}


def output(**fields: Any) -> dict[str, Any]:
    """Return the shape of a document (`access.document`) with these fields of its own."""
    return {
        "type": "object",
        "required": ["has_more", "truncated"],
        "properties": {
            **fields,
            "returned_count": {"type": "integer"},
            "query_executed": {"type": "string"},
            "query_time_ms": {"type": "integer"},
            "connection": {"type": "object"},
            "has_more": {"type": "boolean"},
            "truncated": {"type": "boolean"},
            "next_cursor": {"type": "string"},
            "time_range": {"type": "object"},
            "hints": {"type": "array", "items": {"type": "string"}},
            "notes": {"type": "array", "items": {"type": "string"}},
        },
    }


UNKNOWN_COUNT: Final[dict[str, Any]] = {"type": ["integer", "null"]}

Ask = Callable[..., Any]
"""Calls a function of `connectors.tools` by its name, with its arguments."""
