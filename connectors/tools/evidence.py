"""What may explain an incident, found in one system each: anomalies, changed log templates, odd traces, changes."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from access.answer import Range
from access.reading import statement
from access.refusal import Code, Refusal
from access.times import clickhouse, clickhouse_seconds
from connectors.analysis.anomalies import detect_many
from connectors.analysis.log_templates import Trend, compare
from connectors.connected import Connection
from connectors.contract import LogsRequest, LogsResult, Severity, Trace, TracesRequest
from connectors.tools.asker import Asker, Period, logs, traces
from connectors.tools.get_service_metrics import measured
from connectors.tools.get_traces import milliseconds

TOOL: Final = "investigate"
LINES: Final = 1_000
TRACES: Final = 50
_SHOWN: Final = 8
_SEVERE: Final[Mapping[str, float]] = {"high": 1.0, "medium": 0.7, "low": 0.4}
_VERSIONS: Final = ("service.version", "version", "deployment.version", "app.version")


@dataclass(frozen=True, slots=True)
class Evidence:
    """One piece. `weight` is how odd it is, from 0 to 1; `following` is the call that looks closer."""

    time_ns: int
    kind: str
    """anomaly, log, trace, deploy, commit or session."""
    what: str
    weight: float
    service: str = ""
    severity: str = ""
    trace_id: str = ""
    connection: str = ""
    following: str = ""


async def anomalies(
    asker: Asker, connection: Connection, service: str, now: Period, before: Period
) -> list[Evidence]:
    """Return the anomalies within a period of a service's four signals; the period before says what is usual."""
    whole = Period(Range(before.range.start, now.range.end, now.range.zone), now.goes_on)
    try:
        found, _ = await measured(asker, connection, service, whole)
    except Refusal as refusal:
        # A system that does not know the service says nothing of it: that is an answer, not a failure.
        if refusal.code in {Code.UNKNOWN_NAME, Code.UNSUPPORTED}:
            return []
        raise
    begin = now.range.start
    return [
        Evidence(
            int(anomaly.timestamp.timestamp() * 10**9),
            "anomaly",
            f"{one.what.signal} ({one.what.metric}): {anomaly.description}",
            _SEVERE.get(anomaly.severity, 0.5),
            service,
            anomaly.severity,
            connection=connection.name,
            following=f"query_metrics(query={one.what.query}, connection={connection.name})",
        )
        for one, judged in zip(found, detect_many([one.series for one in found]), strict=True)
        for anomaly in judged.anomalies
        if anomaly.until >= begin
    ]


async def log_changes(
    asker: Asker, connection: Connection, service: str, now: Period, before: Period
) -> list[Evidence]:
    """Return the templates of a service's warnings and errors that are new, or come more often than before."""
    reads = [
        _lines(asker, connection, service, period, severity)
        for period in (now, before)
        for severity in (Severity.ERROR, Severity.WARN)
    ]
    errors, warnings, errors_before, warnings_before = await asyncio.gather(*reads)
    found = []
    for severity, later, earlier in (
        ("error", errors, errors_before),
        ("warn", warnings, warnings_before),
    ):
        changed = compare(earlier.lines, later.lines, before.window.seconds, now.window.seconds)
        # Lines beyond the bound make rates of either period too low: what is new is new among those that were read.
        bounded = " (of the newest lines)" if later.about.has_more or earlier.about.has_more else ""
        for one in changed:
            if one.now is None or one.trend not in {Trend.NEW, Trend.MORE}:
                continue
            trace_id = next(
                (
                    line.trace_id
                    for line in later.lines
                    if line.trace_id and line.message.startswith(one.now.example[:40])
                ),
                "",
            )
            how = (
                "new"
                if one.trend is Trend.NEW
                else f"{one.ratio:.1f} times as often"
                if one.ratio
                else "more"
            )
            weight = (0.9 if severity == "error" else 0.5) * (1.0 if one.trend is Trend.NEW else 0.7)
            found.append(
                Evidence(
                    one.now.first_ns,
                    "log",
                    f"{how}{bounded}, {one.count} times: {one.now.example[:300]}",
                    weight,
                    one.now.services[0] if one.now.services else service,
                    severity,
                    trace_id,
                    connection.name,
                    f"search_logs(filters={{service: {service}, severity: {severity}}}, connection={connection.name})",
                )
            )
    return sorted(found, key=lambda one: -one.weight)[:_SHOWN]


async def odd_traces(
    asker: Asker, connection: Connection, service: str, now: Period, before: Period
) -> list[Evidence]:
    """Return a service's failed traces, those far slower than before, and versions that were not there before."""
    failed, all_now, all_before = await asyncio.gather(
        _traces(
            asker, connection, TracesRequest(now.window, service=service, has_error=True, limit=TRACES), now
        ),
        _traces(asker, connection, TracesRequest(now.window, service=service, limit=TRACES), now),
        _traces(asker, connection, TracesRequest(before.window, service=service, limit=TRACES), before),
    )
    found = [_of_trace(trace, connection, service, "failed", 0.8, "error") for trace in failed[:_SHOWN]]
    usual = sorted(trace.duration_ns for trace in all_before or all_now)
    if usual:
        slow = 2 * usual[min(len(usual) - 1, 95 * len(usual) // 100)] if all_before else usual[-1]
        known = {trace.trace_id for trace in failed}
        slowest = sorted(
            (trace for trace in all_now if trace.duration_ns >= slow and trace.trace_id not in known),
            key=lambda trace: -trace.duration_ns,
        )
        # Without a period to compare with, slow is only the slowest.
        weight = 0.6 if all_before else 0.2
        found += [_of_trace(trace, connection, service, "slow", weight, "warn") for trace in slowest[:3]]
    return found + _deploys(all_now + failed, all_before, connection)


async def agent_changes(asker: Asker, now: Period, before: Period) -> list[Evidence]:
    """Return the commits that Claude Code counted, and its sessions that changed files, in both periods."""
    bounds = (before.range.start, now.range.end)
    precise = {name: clickhouse(time) for name, time in zip(("from", "to"), bounds, strict=True)}
    seconds = {name: clickhouse_seconds(time) for name, time in zip(("from", "to"), bounds, strict=True)}
    store = asker.reading.store
    sessions, commits = await asyncio.gather(
        asyncio.to_thread(store.rows, statement("agent_sessions"), precise),
        asyncio.to_thread(store.rows, statement("agent_commits"), seconds),
    )
    found = [
        Evidence(
            _nanoseconds(row["time"]),
            "commit",
            f"{row['count']:g} {'commits' if row['metric'] == 'commit.count' else 'pull requests'}"
            f" by Claude Code{' in ' + row['project'] if row['project'] else ''}",
            0.6,
            row["project"],
            following=f"ask_question(name=session, parameters={{session: {row['session_id']}}})",
            connection="telemetry",
        )
        for row in commits.dicts()
    ]
    for row in sessions.dicts():
        if not row["edits"] and not row["git_runs"]:
            continue
        where = f" in {row['project_name']}" if row["project_name"] else ""
        found.append(
            Evidence(
                _nanoseconds(row["last"]),
                "session",
                f"A session of Claude Code{where}: {row['edits']} edits, {row['git_runs']} git commands,"
                f" {row['failures']} failures",
                0.45 if row["git_runs"] else 0.3,
                row["project_name"] or "",
                connection="telemetry",
                following=f"ask_question(name=session, parameters={{session: {row['session_id']}}})",
            )
        )
    return sorted(found, key=lambda one: -one.weight)[: 2 * _SHOWN]


async def _lines(
    asker: Asker, connection: Connection, service: str, period: Period, severity: Severity
) -> LogsResult:
    request = LogsRequest(period.window, service=service, severity=severity, limit=LINES)
    asked = await asker.ask(
        connection, TOOL, "logs", request, lambda adapter: logs(adapter).search(request), period=period
    )
    return asked.result


async def _traces(
    asker: Asker, connection: Connection, request: TracesRequest, period: Period
) -> list[Trace]:
    asked = await asker.ask(
        connection, TOOL, "traces", request, lambda adapter: traces(adapter).find(request), period=period
    )
    return list(asked.result.traces)


def _of_trace(
    trace: Trace, connection: Connection, service: str, how: str, weight: float, severity: str
) -> Evidence:
    broken = next((span for span in trace.spans if span.is_error), None)
    where = (
        f" in {broken.service}: {broken.name} {broken.status}".rstrip() if broken and how == "failed" else ""
    )
    return Evidence(
        trace.start_ns,
        "trace",
        f"{how}: {trace.root_service} {trace.root_name} took {milliseconds(trace.duration_ns):g} ms{where}",
        weight,
        service,
        severity,
        trace.trace_id,
        connection.name,
        f"get_traces(trace_id={trace.trace_id}, connection={connection.name})",
    )


def _deploys(now: Sequence[Trace], before: Sequence[Trace], connection: Connection) -> list[Evidence]:
    """Return versions of services that their spans name, and that no span before named."""
    earlier = {key for key, _ in _versions(before)}
    services = {service for service, _ in earlier}
    first: dict[tuple[str, str], int] = {}
    for key, time in _versions(now):
        first[key] = min(time, first.get(key, time))
    return [
        Evidence(
            time,
            "deploy",
            f"{service} began to run version {version}",
            0.85,
            service,
            connection=connection.name,
            following=f"get_traces(filters={{service: {service}, tags: {{service.version: {version}}}}})",
        )
        for (service, version), time in first.items()
        # Of a service that was not seen before, the version is not known to be new.
        if (service, version) not in earlier and service in services
    ]


def _versions(found: Sequence[Trace]) -> list[tuple[tuple[str, str], int]]:
    return [
        ((span.service, span.attributes[name]), span.start_ns)
        for trace in found
        for span in trace.spans
        for name in _VERSIONS
        if span.attributes.get(name)
    ]


def _nanoseconds(time: Any) -> int:
    moment: datetime = time if time.tzinfo else time.replace(tzinfo=UTC)
    return int(moment.timestamp() * 10**6) * 1_000
