"""`list_services`: the services that the connected systems know, all systems asked at once."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from access import budget
from access.answer import Answer, Table
from access.refusal import Refusal
from connectors.connected import Connection
from connectors.contract import Signal
from connectors.tools.asker import Asker, Period, characters, number_of
from connectors.tools.names import NAMES

TOOL: Final = "list_services"
LIMIT: Final = 200
COLUMNS: Final = ("service", "connection", "backend_type", "signals")


async def list_services(
    asker: Asker,
    *,
    connection: str | None = None,
    match: str = "",
    limit: int | None = None,
    time_range: Any = None,
    zone: str = "UTC",
    cursor: str | None = None,
    max_characters: int | None = None,
) -> Answer:
    """Return services by name, with the connections that know them. Raises Refusal when none answers."""
    size = characters(max_characters)
    count = number_of(limit, "limit", 1, NAMES, LIMIT)
    arguments = [connection, match, count]
    place = asker.begin(TOOL, arguments, cursor, lambda: asker.period(time_range, zone))
    asked = await of_all(asker, connection)
    read = await asyncio.gather(*(_read(asker, one, place.period) for one in asked))
    failures = [
        (one.name, found.code.value, found.message)
        for one, found in zip(asked, read, strict=True)
        if isinstance(found, Refusal)
    ]
    if failures and len(failures) == len(asked):
        raise next(found for found in read if isinstance(found, Refusal))
    rows = sorted(
        (service, one.name, one.backend_type, ", ".join(sorted(one.signals)))
        for one, found in zip(asked, read, strict=True)
        if not isinstance(found, Refusal)
        for service in found
        if match.casefold() in service.casefold()
    )
    rest = rows[place.skip :]
    shown = rest[:count]
    first = asked[0] if asked else None

    def continue_at(kept: int) -> str | None:
        if not kept or first is None or kept >= len(rest):
            return None
        return asker.cursor(TOOL, arguments, place, first, None, place.skip + kept)

    answer = Answer(
        COLUMNS,
        shown,
        tables={"failed": Table(("connection", "code", "message"), failures)} if failures else {},
        has_more=len(rest) > len(shown),
        total_count=len(rows)
        if not failures and all(len(one) < NAMES for one in read if not isinstance(one, Refusal))
        else None,
        next_cursor=continue_at(len(shown)),
        time_range=place.period.range,
        hints=_hints(rows, failures),
    )
    return budget.fit(answer, size, continue_at)


async def of_all(asker: Asker, connection: str | None, signal: Signal | None = None) -> Sequence[Connection]:
    """Return the connection that is named, or all that a caller has. Raises Refusal for a name that there is not."""
    if connection is None:
        return await asker.connected.connections(asker.reading.caller, signal)
    for one in [signal] if signal else list(Signal):
        try:
            return [await asker.choose(one, connection)]
        except Refusal as refusal:
            error = refusal
    raise error


async def _read(asker: Asker, connection: Connection, period: Period) -> Sequence[str] | Refusal:
    try:
        asked = await asker.ask(
            connection,
            TOOL,
            "discovery",
            ("services", period.window),
            lambda adapter: adapter.services(period.window, NAMES),
            period=period,
        )
    except Refusal as refusal:
        return refusal
    return asked.result


def _hints(rows: Sequence[Any], failures: Sequence[tuple[str, str, str]]) -> tuple[str, ...]:
    hints = []
    if failures:
        names = ", ".join(f"{name} ({code})" for name, code, _ in failures)
        hints.append(f"Not all connections answered: {names}. See the table failed.")
    if rows:
        hints.append(
            f"get_service_metrics(service={rows[0][0]}) has its rate, errors, durations and saturation."
        )
    else:
        hints.append("No system names a service in this period: a longer time_range may have some.")
    return tuple(hints)
