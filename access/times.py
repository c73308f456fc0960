"""Times as people and programs write them, made into one absolute period in UTC.

Taken are ISO 8601, seconds, milliseconds, microseconds and nanoseconds since 1970, `now`, `now-30m`, `1h`,
`7 days ago`, `today`, `yesterday`, and `10:20`. What has no zone of its own is read in the zone that is given, UTC by
default. A date, `today` or `yesterday` as the end of a period includes the day. A bare `10:20` is the last one that
was, and as an end the first one after the beginning. A period is refused that ends before it begins, or is too long.
"""

import itertools
import math
import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from access.answer import Range, moment
from access.refusal import Code, Refusal, invalid, unknown

ACCEPTED: Final = (
    "2026-11-22T10:20:00Z",
    "2026-11-22",
    "1795342800 (seconds, ms, us or ns since 1970)",
    "now",
    "now-30m",
    "1h",
    "7 days ago",
    "today, yesterday, yesterday 10:20, 10:20",
)
DAYS: Final = 30
"""The longest period, unless the settings say otherwise."""
DEFAULT_START: Final = "7 days ago"
_PIECES: Final = 8
_LONGEST_TEXT: Final = 64
_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2106, 1, 1, tzinfo=UTC)
"""ClickHouse's DateTime ends soon after."""
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_UNIT: Final = r"(?:s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)"
_SPAN: Final = rf"(?:\d+(?:\.\d+)?\s*{_UNIT}\s*)+"
_AGO: Final = re.compile(rf"(?:(?:last|past)\s+)?(?P<span>{_SPAN})(?:\s*ago)?", re.IGNORECASE)
_NOW: Final = re.compile(rf"now(?:\s*(?P<sign>[+-])\s*(?P<span>{_SPAN}))?", re.IGNORECASE)
_PART: Final = re.compile(rf"(\d+(?:\.\d+)?)\s*({_UNIT})", re.IGNORECASE)
_DAY: Final = re.compile(
    r"(?:(?P<day>today|yesterday)\b\s*(?:at\s+)?)?"
    r"(?:(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?\s*(?P<zone>Z|[+-]\d{2}:?\d{2}|[A-Za-z][\w/+-]*)?)?",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(r"\d{9,20}(?:\.\d+)?")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}|\d{8}")


def whole_hours(begin: datetime, end: datetime) -> tuple[datetime, datetime]:
    """Return a period with its first and last hour whole, as all questions count it."""
    hour = timedelta(hours=1)
    first = begin.replace(minute=0, second=0, microsecond=0)
    last = end.replace(minute=0, second=0, microsecond=0)
    return first, last if last == end else last + hour


def hours_within(begin: datetime, end: datetime) -> tuple[datetime, datetime]:
    """Return the beginning and the end of the whole hours within a period; without any, the end is not after it."""
    first, last = (time_.replace(minute=0, second=0, microsecond=0) for time_ in (begin, end))
    return first if first == begin else first + timedelta(hours=1), last


def period(
    start: str | float | None,
    end: str | float | None,
    *,
    now: datetime | None = None,
    zone: str = "UTC",
    days: float = DAYS,
    default_start: str = DEFAULT_START,
    fields: tuple[str, str] = ("start_date", "end_date"),
) -> Range:
    """Return the absolute period. Raises Refusal for a time that cannot be read, or a period that is not allowed."""
    present = (now or datetime.now(UTC)).astimezone(UTC)
    place = zone_of(zone)
    begin = instant(default_start if start is None else start, present, place, field=fields[0])
    finish = instant("now" if end is None else end, present, place, field=fields[1], is_end=True, after=begin)
    if finish <= begin:
        raise invalid(
            fields[1],
            f"The period ends at {moment(finish)}, which is not after its beginning at {moment(begin)}.",
            ACCEPTED,
            suggestions=(f"{fields[0]}={moment(finish)}, {fields[1]}={moment(begin)}",)
            if finish < begin
            else (),
        )
    longest = timedelta(days=days)
    if finish - begin > longest:
        raise _too_long(begin, finish, longest, fields)
    return Range(begin, finish, zone)


def instant(
    text: str | float,
    now: datetime,
    zone: tzinfo = UTC,
    *,
    field: str = "time",
    is_end: bool = False,
    after: datetime | None = None,
) -> datetime:
    """Return one time in UTC. Raises Refusal for what is none, and outside of the years 1970 to 2105."""
    try:
        found = _read(str(text).strip(), now, zone, is_end=is_end, after=after)
        if found is not None:
            found = found.astimezone(UTC)
    except (ValueError, OverflowError):
        found = None
    if found is None or not _FIRST <= found <= _LAST:
        raise invalid(
            field,
            f"{str(text)[:_LONGEST_TEXT]!r} is no time between 1970 and 2105 that can be read.",
            ACCEPTED,
        )
    return found


def zone_of(name: str, field: str = "zone") -> tzinfo:
    """Return a time zone by its IANA name. Raises Refusal."""
    if name.upper() in {"UTC", "Z"}:
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        raise unknown("time zone", name, available_timezones(), field) from None
    except KeyError:
        raise unknown("time zone", name, available_timezones(), field) from None


def clickhouse(time_: datetime) -> str:
    """Return a time in UTC as ClickHouse reads it for a DateTime64."""
    return time_.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def clickhouse_seconds(time_: datetime) -> str:
    """Return a time in UTC as ClickHouse reads it for a DateTime, without the part of its second."""
    return time_.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _read(  # noqa: PLR0911  one for each form
    text: str, now: datetime, zone: tzinfo, *, is_end: bool, after: datetime | None
) -> datetime | None:
    """Return the time, None for an unknown form. Raises ValueError and OverflowError for what no calendar has."""
    if not text or len(text) > _LONGEST_TEXT:
        return None
    if _NUMBER.fullmatch(text):
        return _since_1970(text)
    if found := _NOW.fullmatch(text):
        span = _span(found["span"] or "")
        return now + span if found["sign"] == "+" else now - span
    if found := _AGO.fullmatch(text):
        return now - _span(found["span"])
    if found := _DAY.fullmatch(text):
        return _of_day(found, now, zone, is_end=is_end, after=after)
    if _DATE.fullmatch(text):
        day = date.fromisoformat(text)
        return datetime.combine(day + timedelta(days=1) if is_end else day, time(), zone)
    absolute = datetime.fromisoformat(text)
    return absolute if absolute.tzinfo else absolute.replace(tzinfo=zone)


def _since_1970(text: str) -> datetime:
    whole, _, fraction = text.partition(".")
    number = int(whole)
    # By its digits: seconds have ten until the year 2286.
    digits = len(whole)
    microseconds = (
        number * 10**6 + int(fraction[:6].ljust(6, "0"))
        if digits <= 11  # noqa: PLR2004
        else number * 10**3
        if digits <= 14  # noqa: PLR2004
        else number
        if digits <= 17  # noqa: PLR2004
        else number // 10**3
    )
    return _FIRST + timedelta(microseconds=microseconds)


def _span(text: str) -> timedelta:
    seconds = sum(float(number) * _SECONDS[unit[0].lower()] for number, unit in _PART.findall(text))
    return timedelta(seconds=seconds)


def _of_day(
    found: re.Match[str], now: datetime, zone: tzinfo, *, is_end: bool, after: datetime | None
) -> datetime:
    place = _zone_written(found["zone"], zone)
    today = now.astimezone(place).date()
    day = today - timedelta(days=1) if (found["day"] or "").lower() == "yesterday" else today
    if found["hour"] is None:
        return datetime.combine(day + timedelta(days=1) if is_end else day, time(), place)
    clock = time(int(found["hour"]), int(found["minute"]), int(found["second"] or 0))
    if found["day"]:
        return datetime.combine(day, clock, place)
    if is_end and after is not None:
        first = after.astimezone(place).date()
        at = datetime.combine(first, clock, place)
        return at if at > after else datetime.combine(first + timedelta(days=1), clock, place)
    at = datetime.combine(today, clock, place)
    return at if at <= now else datetime.combine(today - timedelta(days=1), clock, place)


def _zone_written(written: str | None, zone: tzinfo) -> tzinfo:
    if not written:
        return zone
    if written[0] in "+-":
        offset = datetime.fromisoformat(f"2000-01-01T00:00:00{written}").tzinfo
        return offset or zone
    return zone_of(written)


def _too_long(begin: datetime, finish: datetime, longest: timedelta, fields: tuple[str, str]) -> Refusal:
    """Return a refusal with the halves of the period, or with more parts where halves were too long as well."""
    number = -(-(finish - begin) // longest)
    # Whole seconds, which no part makes longer than is allowed.
    step = min(longest, timedelta(seconds=math.ceil((finish - begin).total_seconds() / number)))
    edges = [*(begin + step * part for part in range(number)), finish]
    parts = tuple(
        f"{fields[0]}={moment(first)}, {fields[1]}={moment(last)}"
        for first, last in itertools.pairwise(edges)
    )
    words = "its two halves" if number == 2 else f"{number} parts"  # noqa: PLR2004
    days = longest / timedelta(days=1)
    return Refusal(
        Code.RANGE_TOO_LONG,
        f"The period from {moment(begin)} to {moment(finish)} is longer than {days:g} days"
        f" (TELEMETRY_QUERY_DAYS): ask for {words}.",
        fields[0],
        suggestions=parts[:_PIECES],
    )
