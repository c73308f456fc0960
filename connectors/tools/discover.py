"""`discover`: what there is to ask for: connections, metrics, their labels and values, fields of lines, operations."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from access import budget
from access.answer import Answer
from access.refusal import invalid
from connectors.contract import LogsRequest, Signal
from connectors.tools import discovery
from connectors.tools.asker import (
    Asker,
    Period,
    characters,
    logs,
    number_of,
    one_of,
    text_of,
    traces,
)
from connectors.tools.names import NAMES, WHAT

TOOL: Final = "discover"
LIMIT: Final = 100
_LINES: Final = 200


async def discover(
    asker: Asker,
    what: str = "connections",
    *,
    match: str = "",
    metric: str = "",
    label: str = "",
    service: str = "",
    connection: str | None = None,
    limit: int | None = None,
    time_range: Any = None,
    zone: str = "UTC",
    cursor: str | None = None,
    max_characters: int | None = None,
) -> Answer:
    """Return names, with what they are. Raises Refusal."""
    size = characters(max_characters)
    one_of(what, WHAT, "what")
    count = number_of(limit, "limit", 1, NAMES, LIMIT)
    for name, value in (("match", match), ("metric", metric), ("label", label), ("service", service)):
        text_of(value, name)
    arguments = [what, match, metric, label, service, connection, count]
    place = asker.begin(TOOL, arguments, cursor, lambda: asker.period(time_range, zone))
    if what == "connections":
        return budget.fit(await _connections(asker, match), size)
    signal = {"fields": Signal.LOGS, "operations": Signal.TRACES}.get(what, Signal.METRICS)
    chosen = await asker.choose(signal, place.connection or connection)
    wanted = place.skip + count + 1
    columns, rows = await _READ[what](asker, chosen, place.period, wanted, (match, metric, label, service))
    rest = rows[place.skip :]

    def continue_at(kept: int) -> str | None:
        more = kept < len(rest)
        return (
            asker.cursor(TOOL, arguments, place, chosen, None, place.skip + kept) if kept and more else None
        )

    shown = rest[:count]
    answer = Answer(
        columns,
        shown,
        has_more=len(rest) > len(shown),
        total_count=len(rows) if len(rows) < wanted else None,
        next_cursor=continue_at(len(shown)),
        time_range=place.period.range,
        parameters={"connection": chosen.name, **({"chosen": chosen.reason} if chosen.reason else {})},
        hints=_hints(what, rows, match),
    )
    return budget.fit(answer, size, continue_at)


async def _connections(asker: Asker, match: str) -> Answer:
    found = await asker.connected.connections(asker.reading.caller)
    rows = [
        (
            one.name, one.backend_type, ", ".join(sorted(one.signals)), one.is_default, one.health.value,
            ", ".join(one.tags), one.id,
        )
        for one in found
        if match.casefold() in f"{one.name} {one.backend_type}".casefold()
    ]  # fmt: skip
    return Answer(
        ("name", "backend_type", "signals", "is_default", "health", "tags", "id"),
        rows,
        total_count=len(rows),
        hints=(
            "discover(what=metrics, match=…) lists metrics with types and units; list_services lists services.",
        ),
    )


Texts = tuple[str, str, str, str]
Found = tuple[tuple[str, ...], Sequence[tuple[Any, ...]]]


async def _metrics(asker: Asker, connection: Any, period: Period, count: int, texts: Texts) -> Found:
    del period
    match = texts[0]
    found = await discovery.metric_names(asker, connection, TOOL, match, count)
    return ("metric", "type", "unit", "help"), [(one.name, one.type, one.unit, one.help) for one in found]


async def _labels(asker: Asker, connection: Any, period: Period, count: int, texts: Texts) -> Found:
    metric = texts[1]
    found = await discovery.label_names(asker, connection, TOOL, metric, period.window, count)
    return ("label",), [(one,) for one in found if texts[0].casefold() in one.casefold()]


async def _values(asker: Asker, connection: Any, period: Period, count: int, texts: Texts) -> Found:
    match, metric, label, _ = texts
    if not label:
        raise invalid("label", "Name the label whose values are wanted: discover(what=labels) lists them.")
    most = NAMES if match else count
    found = await discovery.label_values(asker, connection, TOOL, label, metric, period.window, most)
    return ("value",), [(one,) for one in found if match.casefold() in one.casefold()]


async def _fields(asker: Asker, connection: Any, period: Period, count: int, texts: Texts) -> Found:
    """Return the fields of the newest lines: how many have each, of which kind its values are, and one of them."""
    match, _, _, service = texts
    request = LogsRequest(period.window, service=service, limit=_LINES)
    asked = await asker.ask(
        connection, TOOL, "logs", request, lambda adapter: logs(adapter).search(request), period=period
    )
    lines = asked.result.lines
    counts: Counter[str] = Counter()
    values: dict[str, str] = {}
    for line in lines:
        own = {
            "service": line.service,
            "pod": line.pod,
            "namespace": line.namespace,
            "trace_id": line.trace_id,
        }
        for name, value in {**own, **line.labels}.items():
            if value and match.casefold() in name.casefold():
                counts[name] += 1
                values.setdefault(name, value)
    rows = [(name, number, _kind(values[name]), values[name]) for name, number in counts.most_common(count)]
    return ("field", f"of_{len(lines)}_lines", "type", "example"), rows


async def _operations(asker: Asker, connection: Any, period: Period, count: int, texts: Texts) -> Found:
    match, _, _, service = texts
    if not service:
        raise invalid("service", "Name the service whose operations are wanted: list_services lists them.")
    most = NAMES if match else count
    asked = await asker.ask(
        connection,
        TOOL,
        "discovery",
        ("operations", service, most, period.window),
        lambda adapter: traces(adapter).operations(service, period.window, most),
        period=period,
    )
    return ("operation",), [(one,) for one in asked.result if match.casefold() in one.casefold()]


def _kind(value: str) -> str:
    try:
        float(value)
    except ValueError:
        return "text"
    return "number"


def _hints(what: str, rows: Sequence[Any], match: str) -> tuple[str, ...]:
    if not rows:
        return (
            f"Nothing is found{' that contains ' + match[:60] if match else ''}: a longer time_range may have some.",
        )
    return {
        "metrics": (
            f"query_metrics(query={rows[0][0]}) has its series.",
            "A counter wants rate(…[5m]), a histogram histogram_quantile(0.95, …).",
        ),
        "labels": ("discover(what=values, label=…) has a label's values.",),
        "fields": ("search_logs(filters={labels: {field: value}}) searches by a field.",),
        "operations": ("get_traces(filters={service, operation}) finds traces.",),
    }.get(what, ())


_READ: Final = {
    "metrics": _metrics,
    "labels": _labels,
    "values": _values,
    "fields": _fields,
    "operations": _operations,
}
