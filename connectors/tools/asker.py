"""One caller before the connected systems: what the tools share to choose one, to ask it, and to read times.

It adds to `connectors.connected` what arguments look like: a period in any form, filters by name, cursors that hold
the absolute period so that the next page is of the same one.
"""

import math
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from access.answer import Answer, Range, moment
from access.budget import size as size_of
from access.cursor import fingerprint
from access.reading import Reading
from access.refusal import Code, invalid, unknown
from access.times import period
from connectors.connected import Asked, Connected, Connection, Question
from connectors.contract import About, Adapter, BackendError, Kind, Logs, Metrics, Signal, Traces, Window

T = TypeVar("T")

HOUR: Final = "1h"
"""The period without a time_range."""
POINTS: Final = 240
"""Points of a series that are asked for."""
_STEPS: Final = (
    1,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1_800,
    3_600,
    7_200,
    14_400,
    21_600,
    43_200,
    86_400,
)
_LATE: Final = timedelta(seconds=1)
_SLOW: Final = 2_000
_DURATION: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ns|us|µs|ms|s|m|h)\s*")
_UNITS: Final = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3_600 * 10**9,
}


@dataclass(frozen=True, slots=True)
class Period:
    """The period that is meant."""

    range: Range
    goes_on: bool

    @property
    def window(self) -> Window:
        """The period as adapters take it."""
        return Window(self.range.start.astimezone(UTC), self.range.end.astimezone(UTC))

    @property
    def step(self) -> float:
        """The seconds between points, so that there are enough of them to judge and few enough to read."""
        wanted = self.window.seconds / POINTS
        return float(next((step for step in _STEPS if step >= wanted), math.ceil(wanted / 86_400) * 86_400))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: the adapter's own cursor of its page, and how many of that page's items were shown."""

    period: Period
    connection: str | None = None
    cursor: str | None = None
    skip: int = 0


@dataclass(frozen=True, slots=True)
class Asker:
    """One caller."""

    reading: Reading
    connected: Connected
    session: str = ""

    def period(self, time_range: Any, zone: str = "UTC", default: str = HOUR) -> Period:
        """Return the period of an argument `time_range`: {start, end}, or a start alone. Raises Refusal."""
        given = named_values(time_range, ("start", "end"), "time_range")
        start, end = given.get("start"), given.get("end")
        now = self.reading.desk.clock()

        def at(moment: datetime) -> Range:
            return period(
                start,
                end,
                now=moment,
                zone=zone,
                days=self.reading.desk.days,
                default_start=default,
                fields=("time_range.start", "time_range.end"),
            )

        found = at(now)
        return Period(found, found.end > now - _LATE)

    def begin(
        self, tool: str, arguments: Sequence[Any], cursor: str | None, at: Callable[[], Period]
    ) -> Place:
        """Return where to begin: at the cursor, or with the period that `at` returns. Raises Refusal."""
        if cursor is None:
            return Place(at())
        position = self.reading.desk.signer.position(cursor, self.reading.caller, _name(tool, arguments))
        start, end, zone, connection, inner, skip = position
        found = Range(datetime.fromisoformat(start), datetime.fromisoformat(end), zone)
        return Place(Period(found, goes_on=False), connection, inner, skip)

    def cursor(
        self,
        tool: str,
        arguments: Sequence[Any],
        place: Place,
        connection: Connection,
        inner: str | None,
        skip: int,
    ) -> str:
        """Return a cursor to a place of a question."""
        held = place.period.range
        position = [held.start.isoformat(), held.end.isoformat(), held.zone, connection.id, inner, skip]
        return self.reading.desk.signer.cursor(self.reading.caller, _name(tool, arguments), position)

    async def choose(self, signal: Signal, name: str | None) -> Connection:
        """Return the connection that is meant. Raises Refusal."""
        return await self.connected.choose(self.reading.caller, signal, name)

    async def ask(
        self,
        connection: Connection,
        tool: str,
        kind: str,
        request: object,
        call: Callable[[Adapter], Awaitable[T]],
        *,
        text: str = "",
        period: Period | None = None,
    ) -> Asked[T]:
        """Return a system's answer. Raises Refusal. `period` is that of the request; None: it has none."""
        question = Question(
            kind,
            text,
            request,
            period.window.seconds if period else 0.0,
            period.goes_on if period else True,
            tool,
            self.session,
        )
        return await self.connected.ask(self.reading.caller, connection, question, call)


def metrics(adapter: Adapter) -> Metrics:
    """Return an adapter as one that has metrics. Raises BackendError."""
    if isinstance(adapter, Metrics):
        return adapter
    raise BackendError(Kind.UNSUPPORTED, "This system has no metrics.")


def logs(adapter: Adapter) -> Logs:
    """Return an adapter as one that has logs. Raises BackendError."""
    if isinstance(adapter, Logs):
        return adapter
    raise BackendError(Kind.UNSUPPORTED, "This system has no logs.")


def traces(adapter: Adapter) -> Traces:
    """Return an adapter as one that has traces. Raises BackendError."""
    if isinstance(adapter, Traces):
        return adapter
    raise BackendError(Kind.UNSUPPORTED, "This system has no traces.")


def named_values(value: Any, names: Sequence[str], field: str) -> dict[str, Any]:
    """Return an object's values by name; a text is the first of them. Raises Refusal for another name."""
    if value is None:
        return {}
    if isinstance(value, str | int | float):
        return {names[0]: value}
    if not isinstance(value, Mapping):
        raise invalid(field, f"{field} is an object.", names)
    for name in value:
        if name not in names:
            raise unknown("filter", str(name), names, f"{field}.{name}")
    return {name: one for name, one in value.items() if one is not None and one != ""}


def text_of(value: Any, field: str) -> str:
    """Return a filter's text. Raises Refusal for another type."""
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > 1_000:  # noqa: PLR2004
        raise invalid(field, f"{field} is a text of at most 1,000 characters.")
    return value


def number_of(value: Any, field: str, least: int, most: int, default: int) -> int:
    """Return a whole number within bounds. Raises Refusal."""
    if value is None:
        return default
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or value != value // 1
        or not least <= value <= most
    ):
        raise invalid(field, f"{field} is a whole number from {least} to {most:,}.", (f"{least} to {most}",))
    return int(value)


def one_of(value: Any, names: Sequence[str], field: str) -> str:
    """Return a name out of some. Raises Refusal, with the nearest."""
    if not isinstance(value, str) or value not in names:
        raise unknown(field, str(value), names, field)
    return value


def nanoseconds(value: Any, field: str) -> int | None:
    """Return a duration such as 100ms, 1.5s or 2m. Raises Refusal."""
    if value is None:
        return None
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise invalid(field, f"{field} is a duration with its unit.", ("100ms", "1.5s", "2m"))
    return round(float(found[1]) * _UNITS[found[2]])


def characters(budget: int | None) -> int:
    """Return the characters of an answer. Raises Refusal."""
    return size_of(budget)


def time_of(nanoseconds_: int) -> str:
    """Return a time in nanoseconds as ISO 8601, to the millisecond."""
    try:
        return moment(datetime.fromtimestamp(nanoseconds_ / 1e9, UTC))
    except (OverflowError, ValueError, OSError):
        return str(nanoseconds_)


def told(connection: Connection) -> dict[str, str]:
    """Return which connection was asked, and why."""
    found = {"id": connection.id, "name": connection.name, "backend_type": connection.backend_type}
    return found | ({"reason": connection.reason} if connection.reason else {})


def said(
    asked: Asked[Any], about: About, period: Period, *, hints: Sequence[str] = (), notes: Sequence[str] = ()
) -> Answer:
    """Return what an answer says beside its rows, of one system's answer."""
    more = list(notes)
    if about.is_partial:
        more.append("The system says that a part of it did not answer: what is here is not all.")
    more += [f"The system warns: {warning}" for warning in about.warnings[:5]]
    if (cost := about.cost) is not None:
        parts = [
            f"{cost.rows:,} rows" if cost.rows else "",
            f"{cost.bytes:,} bytes" if cost.bytes else "",
            f"{cost.milliseconds:,.0f} ms" if cost.milliseconds else "",
        ]
        if any(parts):
            more.append(f"Cost in the system: {', '.join(part for part in parts if part)}.")
    advice = list(hints)
    if asked.cached_age_seconds is None and asked.query_time_ms > _SLOW:
        advice.append(f"It took {asked.query_time_ms:,} ms: a shorter time_range or an aggregate is faster.")
    return Answer(
        has_more=about.has_more,
        total_count=about.total_count,
        query_executed=about.query_executed,
        time_range=period.range,
        cached_age_seconds=None if asked.cached_age_seconds is None else int(asked.cached_age_seconds),
        hints=tuple(advice),
        notes=tuple(more),
    )


UNAUTHORIZED: Final = frozenset({Code.UPSTREAM_UNAUTHORIZED, Code.FORBIDDEN})
"""Failures that are never hidden in a partial answer."""


def _name(tool: str, arguments: Sequence[Any]) -> str:
    return fingerprint(tool, *arguments)
