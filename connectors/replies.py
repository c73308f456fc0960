"""Errors of systems that are asked over HTTP: the kind that a status means, and answers of another shape."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from connectors.contract import BackendError, Health, HealthReport, Kind
from connectors.upstream import Reply

_SHORT: Final = 1_000
_KINDS: Final = {
    400: (Kind.BAD_QUERY, "The system does not accept the query: its own words say why."),
    404: (
        Kind.NOT_FOUND,
        "The system has nothing there: check the name, the period and the connection's url.",
    ),
    405: (Kind.NOT_FOUND, "The system does not know this question: check the connection's url."),
    408: (Kind.TIMEOUT, "The system gave up: ask for a shorter period or less."),
    410: (Kind.NOT_FOUND, "The system no longer has this."),
    413: (Kind.TOO_LARGE, "The answer would be too large: ask for a shorter period or less."),
    422: (Kind.BAD_QUERY, "The system cannot execute the query: its own words say why."),
    504: (Kind.TIMEOUT, "The system gave up: ask for a shorter period or less."),
}


def error_of(reply: Reply, detail: str | None = None) -> BackendError:
    """Return the error of an answer that is no success. `detail` is its reason, by default its text."""
    kind, message = _KINDS.get(
        reply.status,
        (Kind.FAILED, f"The system failed (status {reply.status}). Ask again, or see its own log."),
    )
    is_page = reply.headers.get("content-type", "").startswith("text/html")
    said = detail if detail is not None else "" if is_page else reply.text().strip()
    return BackendError(kind, message, detail=said[:_SHORT], status=reply.status)


@contextmanager
def reading() -> Iterator[None]:
    """Raise BackendError where an answer has another shape than the system's interface documents."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BackendError(
            Kind.MALFORMED,
            "The answer has another shape than this kind of system documents"
            f" ({type(error).__name__}): check that the connection's url leads to it.",
        ) from None


def object_of(value: Any) -> dict[str, Any]:
    """Return a JSON object. Raises TypeError for anything else."""
    if not isinstance(value, dict):
        raise TypeError(type(value).__name__)
    return value


def list_of(value: Any) -> list[Any]:
    """Return a JSON list; an empty one for null, as Go writes it. Raises TypeError for anything else."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise TypeError(type(value).__name__)
    return value


def text_of(value: Any) -> str:
    """Return a JSON string. Raises TypeError for anything else."""
    if not isinstance(value, str):
        raise TypeError(type(value).__name__)
    return value


def number_of(value: Any) -> int | None:
    """Return a whole number that is written as one or as text, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return int(float(value)) if isinstance(value, float) else int(value)
    except (ValueError, OverflowError):
        return None


def report_of(error: BackendError) -> HealthReport:
    """Return the report of a system that gave no answer to a health check."""
    is_busy = error.kind == Kind.RATE_LIMITED
    return HealthReport(Health.DEGRADED if is_busy else Health.UNHEALTHY, error.message)
