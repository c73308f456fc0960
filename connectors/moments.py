"""Times as other systems take them, without the rounding of floating-point seconds."""

from datetime import UTC, datetime


def nanoseconds(moment: datetime) -> int:
    """Return the nanoseconds since 1970."""
    return int(moment.replace(microsecond=0).timestamp()) * 1_000_000_000 + moment.microsecond * 1_000


def rfc3339(time_ns: int) -> str:
    """Return a time in UTC with all nine digits of its nanoseconds."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
