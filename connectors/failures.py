"""Why a connected system gave no answer, as a Refusal that names the connection and says what to do."""

from typing import Final

from access.refusal import Code, Refusal
from access.text import visible
from connectors.contract import BackendError, Kind
from connectors.entry import Entry
from connectors.redaction import Redaction

CODES: Final[dict[Kind, Code]] = {
    Kind.UNREACHABLE: Code.UPSTREAM_UNAVAILABLE,
    Kind.FORBIDDEN_ADDRESS: Code.FORBIDDEN,
    Kind.UNAUTHORIZED: Code.UPSTREAM_UNAUTHORIZED,
    Kind.BAD_QUERY: Code.INVALID_ARGUMENT,
    Kind.NOT_FOUND: Code.UNKNOWN_NAME,
    Kind.RATE_LIMITED: Code.RATE_LIMITED,
    Kind.TIMEOUT: Code.TIMEOUT,
    Kind.TOO_LARGE: Code.RESULT_TOO_LARGE,
    Kind.MALFORMED: Code.UPSTREAM_FAILED,
    Kind.UNSUPPORTED: Code.UNSUPPORTED,
    Kind.FAILED: Code.UPSTREAM_FAILED,
}
PAUSE_SECONDS: Final = 10.0
"""How long to wait where the system does not say: after a status 429, and while it cannot be reached."""
_MESSAGE: Final = 500
_DETAIL: Final = 300
_RETRIED: Final = frozenset({Kind.UNREACHABLE, Kind.RATE_LIMITED})


def refused(entry: Entry, error: BackendError, redaction: Redaction) -> Refusal:
    """Return the refusal for an adapter's error. The system's own words are redacted, made visible and cut."""
    said = visible(redaction.text(error.detail), _DETAIL) if error.detail else ""
    message = f"{named(entry)}: {visible(redaction.text(error.message), _MESSAGE)}"
    if said:
        message += f" The system said: {said}"
    retry = error.retry_after_seconds
    if retry is None and error.kind in _RETRIED:
        retry = PAUSE_SECONDS
    return Refusal(
        CODES[error.kind],
        message,
        "query" if error.kind is Kind.BAD_QUERY else "connection",
        retry_after_seconds=retry,
        suggestions=_SUGGESTIONS.get(error.kind, ()),
    )


def named(entry: Entry) -> str:
    """Return a connection as it is called in sentences."""
    return f"Connection {visible(entry.name, 80)} ({entry.backend_type})"


_SUGGESTIONS: Final[dict[Kind, tuple[str, ...]]] = {
    Kind.UNREACHABLE: ("telemetry connections test NAME says whether it can be reached from here.",),
    Kind.UNAUTHORIZED: ("telemetry connections edit NAME sets other credentials.",),
    Kind.TIMEOUT: ("Ask for a shorter period or for fewer series, or set a longer timeout_seconds.",),
    Kind.TOO_LARGE: ("Ask for a shorter period, a limit, or an aggregate such as topk(5, …).",),
}
