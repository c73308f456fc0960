"""`investigate`: what was odd around a moment, from every connected system at once.

Anomalies of the service's metrics, new and more frequent log templates, failed and slow traces, versions that are new,
and the commits and sessions of Claude Code, each found by itself (`connectors.tools.evidence`), then joined by trace id
and time, and ranked. A part that fails is said with its connection, and hides nothing: the others are there.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from access import budget
from access.answer import Answer, Range, Table
from access.refusal import Refusal, invalid
from access.times import instant, zone_of
from connectors.contract import Signal
from connectors.tools import evidence
from connectors.tools.asker import UNAUTHORIZED, Asker, Period, characters, nanoseconds, text_of, time_of
from connectors.tools.evidence import Evidence

TOOL: Final = "investigate"
COLUMNS: Final = (
    "rank",
    "time",
    "kind",
    "what",
    "service",
    "severity",
    "trace_id",
    "joined",
    "connection",
    "next",
)
CONNECTIONS: Final = 4
"""So many of each signal are asked."""
_WINDOW: Final = "30m"
_MOST: Final = timedelta(hours=12)
_NEAR: Final = 120.0
"""Seconds within which two pieces of evidence belong together."""


@dataclass(frozen=True, slots=True)
class Around:
    """The time that is looked at, and as long before it."""

    at: datetime
    now: Period
    before: Period


async def investigate(
    asker: Asker,
    service: str,
    at: str | float | None = None,
    *,
    window: str = _WINDOW,
    connection: str | None = None,
    zone: str = "UTC",
    max_characters: int | None = None,
) -> Answer:
    """Return the evidence around a time, the likeliest first. Raises Refusal when no part has an answer."""
    size = characters(max_characters)
    if not text_of(service, "service").strip():
        raise invalid("service", "Name a service: list_services has their names.")
    around = _around(asker, at, window, zone)
    parts = await _parts(asker, service, around, connection)
    read = await asyncio.gather(*(part for _, _, part in parts), return_exceptions=True)
    found: list[Evidence] = []
    failures: list[tuple[str, str, str, str]] = []
    refusals: list[Refusal] = []
    for (name, system, _), one in zip(parts, read, strict=True):
        if isinstance(one, Refusal):
            refusals.append(one)
            failures.append((name, system, one.code.value, one.message))
        elif isinstance(one, BaseException):
            raise one
        else:
            found += one
    if refusals and len(refusals) == len(parts):
        raise refusals[0]
    ranked = joined(found, around.at)
    rows = [
        (
            number, time_of(one.time_ns), one.kind, one.what, one.service, one.severity, one.trace_id, links,
            one.connection, one.following,
        )
        for number, (one, links) in enumerate(ranked, 1)
    ]  # fmt: skip
    answer = Answer(
        COLUMNS,
        rows,
        finding=_finding(service, ranked, failures),
        tables={
            "asked": Table(("part", "connection"), [(name, system) for name, system, _ in parts]),
            **({"failed": Table(("part", "connection", "code", "message"), failures)} if failures else {}),
        },
        time_range=around.now.range,
        parameters={"service": service, "at": time_of(int(around.at.timestamp() * 10**9))},
        hints=_hints(ranked, failures, refusals),
        notes=(
            "rank is by how odd, how near to the time, and how many other pieces agree with it.",
            "joined names the kinds with the same trace, or within two minutes: near in time is not yet the cause.",
        ),
    )
    return budget.fit(answer, size)


def joined(found: Sequence[Evidence], at: datetime) -> list[tuple[Evidence, str]]:
    """Return the evidence by its weight, each with the kinds that it agrees with."""
    weighed = []
    for one in found:
        by_trace = {
            other.kind
            for other in found
            if other is not one and other.trace_id and other.trace_id == one.trace_id
        }
        by_time = {
            other.kind
            for other in found
            if other.kind != one.kind and abs(other.time_ns - one.time_ns) <= _NEAR * 10**9
        }
        away = abs(one.time_ns / 10**9 - at.timestamp())
        nearness = 1 / (1 + away / 600)
        weight = one.weight * (0.5 + 0.5 * nearness) + 0.25 * len(by_trace) + 0.15 * len(by_time - by_trace)
        links = ", ".join(
            [
                *(f"{kind} (trace)" for kind in sorted(by_trace)),
                *(f"{kind} (time)" for kind in sorted(by_time - by_trace)),
            ]
        )
        weighed.append((weight, one, links))
    weighed.sort(key=lambda entry: (-entry[0], entry[1].time_ns, entry[1].what))
    return [(one, links) for _, one, links in weighed]


def _around(asker: Asker, at: str | float | None, window: str, zone: str) -> Around:
    """Return the periods. Raises Refusal."""
    now = asker.reading.desk.clock().astimezone(UTC)
    moment = now if at is None else instant(at, now, zone_of(zone), field="at")
    half = nanoseconds(window, "window")
    length = timedelta(microseconds=(half or 0) // 1_000)
    if not timedelta(minutes=1) <= length <= _MOST:
        raise invalid("window", "window is how long before and after the time, 1m to 12h.", ("30m", "2h"))
    start = moment - length
    end = min(now, moment + length)
    if end <= start:
        raise invalid("at", "The time is in the future.")
    later = Period(Range(start, end, zone), goes_on=end >= now)
    return Around(moment, later, Period(Range(start - (end - start), start, zone), goes_on=False))


async def _parts(
    asker: Asker, service: str, around: Around, connection: str | None
) -> list[tuple[str, str, Any]]:
    """Return what is looked for where: the part, the connection's name, and the work."""
    parts: list[tuple[str, str, Any]] = []
    finders = {
        Signal.METRICS: evidence.anomalies,
        Signal.LOGS: evidence.log_changes,
        Signal.TRACES: evidence.odd_traces,
    }
    if connection is None:
        for signal, finder in finders.items():
            systems = await asker.connected.connections(asker.reading.caller, signal)
            parts += [
                (signal.value, one.name, finder(asker, one, service, around.now, around.before))
                for one in systems[:CONNECTIONS]
            ]
    else:
        refusal: Refusal | None = None
        for signal, finder in finders.items():
            try:
                one = await asker.choose(signal, connection)
            except Refusal as error:
                refusal = error
                continue
            parts.append((signal.value, one.name, finder(asker, one, service, around.now, around.before)))
        if not parts and refusal is not None:
            raise refusal
    parts.append(("changes", "telemetry", evidence.agent_changes(asker, around.now, around.before)))
    return parts


def _finding(
    service: str, ranked: Sequence[tuple[Evidence, str]], failures: Sequence[tuple[str, str, str, str]]
) -> str:
    partial = (
        f" Not all answered: {', '.join(sorted({name for _, name, _, _ in failures}))}." if failures else ""
    )
    if not ranked:
        return f"Nothing odd was found around that time for {service}.{partial}"
    first = ranked[0][0]
    kinds: dict[str, int] = {}
    for one, _ in ranked:
        kinds[one.kind] = kinds.get(one.kind, 0) + 1
    counted = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    return f"{counted}. First: {first.what[:300]} at {time_of(first.time_ns)}.{partial}"


def _hints(
    ranked: Sequence[tuple[Evidence, str]],
    failures: Sequence[tuple[str, str, str, str]],
    refusals: Sequence[Refusal],
) -> tuple[str, ...]:
    hints = []
    for (part, system, code, _), refusal in zip(failures, refusals, strict=True):
        if refusal.code in UNAUTHORIZED:
            hints.append(
                f"{system} was not allowed to be asked for {part} ({code}): its part is missing here."
            )
    others = [one for one in refusals if one.code not in UNAUTHORIZED]
    if others:
        hints.append(f"{len(others)} parts failed and are missing here: see the table failed, and ask again.")
    if ranked:
        hints.append("next has the call that looks closer.")
    else:
        hints.append("A longer window, another time, or list_services for the service's name may find more.")
    return tuple(hints)
