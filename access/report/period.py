"""The period of a report, in UTC: of whole hours, as all questions count it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from access.questions import QuestionError, when
from access.times import whole_hours

LENGTHS: Final = {"daily": timedelta(days=1), "weekly": timedelta(days=7), "monthly": timedelta(days=30)}
_HOUR: Final = timedelta(hours=1)
_SHORT: Final = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Period:
    """The times from `since` up to but not including `until`."""

    since: datetime
    until: datetime

    @property
    def is_short(self) -> bool:
        """Whether it is short enough to be shown by the hour."""
        return self.until - self.since <= _SHORT

    @property
    def parameters(self) -> dict[str, str]:
        """Return the period as parameters of the questions."""
        return {"from": _written(self.since), "to": _written(self.until)}

    def __str__(self) -> str:
        return f"{self.since:%Y-%m-%d %H:%M} to {self.until:%Y-%m-%d %H:%M} UTC"


def period(length: str, since: str | None, until: str | None, now: datetime | None = None) -> Period:
    """Return the requested period. `length` is a key of LENGTHS, and is used only without `since`.

    Times are dates, times, `now`, or `3 days ago`; the default end is now. The first and the last hour
    are whole. Raises QuestionError.
    """
    present = now or datetime.now(UTC)
    end = when(until, present) if until else _next_hour(present)
    begin = when(since, present) if since else end - LENGTHS[length]
    if begin >= end:
        raise QuestionError(
            f"The period ends before it begins: {_written(begin)} is not before {_written(end)}."
        )
    return Period(*whole_hours(begin, end))


def _next_hour(present: datetime) -> datetime:
    whole = present.replace(minute=0, second=0, microsecond=0)
    return whole + _HOUR


def _written(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}"
