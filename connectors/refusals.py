"""What the store refuses, as the errors of a system."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from access.refusal import Code, Refusal
from connectors.contract import BackendError, Kind

_KINDS: Final[Mapping[Code, Kind]] = {
    Code.TIMEOUT: Kind.TIMEOUT,
    Code.RESULT_TOO_LARGE: Kind.TOO_LARGE,
    Code.RANGE_TOO_LONG: Kind.TOO_LARGE,
    Code.STORE_UNAVAILABLE: Kind.UNREACHABLE,
    Code.BUSY: Kind.RATE_LIMITED,
    Code.RATE_LIMITED: Kind.RATE_LIMITED,
    Code.FORBIDDEN: Kind.UNAUTHORIZED,
    Code.INVALID_ARGUMENT: Kind.BAD_QUERY,
    Code.INVALID_CURSOR: Kind.BAD_QUERY,
}
_EXPRESSION: Final = "CANNOT_COMPILE_REGEXP"


@contextmanager
def backend_errors() -> Iterator[None]:
    """Raise the store's refusals as a BackendError."""
    try:
        yield
    except Refusal as refusal:
        raise backend_error(refusal) from None


def backend_error(refusal: Refusal) -> BackendError:
    """Return a refusal as a BackendError."""
    if _EXPRESSION in refusal.message:
        return BackendError(Kind.BAD_QUERY, "A regular expression cannot be read.", refusal.message)
    kind = _KINDS.get(refusal.code, Kind.FAILED)
    if kind is Kind.FAILED:
        return BackendError(kind, "The store did not run the statement.", refusal.message)
    words = " ".join([refusal.message, *refusal.suggestions])
    return BackendError(kind, words, retry_after_seconds=refusal.retry_after_seconds)
