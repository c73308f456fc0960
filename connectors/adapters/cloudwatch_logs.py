"""CloudWatch Logs: searched by Logs Insights, or by a filter pattern; read line by line around one of them.

A search is a query of Logs Insights, whose newest lines come first; it is stopped when the caller leaves or its time is
up. A query in the system's own language is one of Insights when it begins with one of its commands, otherwise a filter
pattern: FilterLogEvents returns the earliest matches first, in pages that may be empty, and costs nothing.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
"""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from connectors.adapters.aws import Service
from connectors.contract import (
    About,
    BackendError,
    Cost,
    Kind,
    LogLine,
    LogsRequest,
    LogsResult,
    Severity,
)

GROUPS: Final = 50
"""Of one query of Insights."""
_MOST: Final = 10_000
_PAGES: Final = 50
_MILLISECOND: Final = 1_000_000
_MOMENT: Final = 0.2
_PAUSE: Final = 1.0
_STOPPED: Final = ("Failed", "Cancelled", "Timeout", "Unknown")
_COMMANDS: Final = re.compile(
    r"\s*(?:fields|filter|filterIndex|stats|sort|limit|parse|display|dedup|pattern|diff|unmask|unnest|source)\b",
    re.IGNORECASE,
)
_WORDS: Final[Mapping[Severity, str]] = {
    Severity.ERROR: "error|err|fatal|critical|crit|severe|emerg|alert|panic",
    Severity.WARN: "warn|warning",
    Severity.INFO: "info|notice|information",
    Severity.DEBUG: "debug|trace|verbose",
}
_LEVEL: Final = re.compile(
    r"\b(?:" + "|".join(f"(?P<{severity.value}>{words})" for severity, words in _WORDS.items()) + r")\b",
    re.IGNORECASE,
)
_SHOWN: Final = frozenset({"@timestamp", "@message", "@logStream", "@log", "@ptr"})


class CloudWatchLogs:
    """The log groups of one connection."""

    def __init__(self, service: Service, groups: Sequence[str], timeout_seconds: float) -> None:
        self._service = service
        self._groups = groups
        self._timeout = timeout_seconds

    async def search(self, request: LogsRequest) -> LogsResult:
        """Return the lines that a request selects. Raises BackendError."""
        groups, has_more = await self._chosen(request.service)
        if not groups:
            return LogsResult((), About(query_executed="DescribeLogGroups", total_count=0))
        warnings = (f"Only the first {GROUPS} log groups are searched.",) if has_more else ()
        if request.query and not _COMMANDS.match(request.query):
            return await self._filtered(request, groups, warnings)
        query = request.query or _insights(request, is_named=_is_named(groups, request.service))
        rows, statistics = await self._asked(query, request, groups)
        lines = [line for row in rows if (line := _line(row)) is not None]
        if request.severity is not None:
            lines = [line for line in lines if line.severity is request.severity]
        lines.sort(key=lambda line: -line.time_ns)
        cost = Cost(int(statistics.get("recordsScanned", 0)), int(statistics.get("bytesScanned", 0)), None)
        about = About(query, has_more=len(rows) >= request.limit, warnings=warnings, cost=cost)
        return LogsResult(lines[: request.limit], about)

    async def context(
        self, line: LogLine, before: int, after: int
    ) -> tuple[Sequence[LogLine], Sequence[LogLine]]:
        """Return the lines of the same log stream around one, by time: those of its millisecond are left out."""
        group, _, stream = line.stream.partition("\n")
        if not stream:
            raise BackendError(Kind.UNSUPPORTED, "This line does not say of which log stream it is.")
        moment = line.time_ns // _MILLISECOND

        async def read(count: int, *, from_head: bool) -> list[LogLine]:
            if not count:
                return []
            bound = {"startTime": moment + 1} if from_head else {"endTime": moment}
            page = await self._service.call(
                "get_log_events",
                logGroupName=group,
                logStreamName=stream,
                limit=min(_MOST, count + 1),
                startFromHead=from_head,
                **bound,
            )
            found = [
                _event({**event, "logStreamName": stream}, group)
                for event in page.get("events", ())
                if (event["timestamp"] > moment if from_head else event["timestamp"] < moment)
            ]
            return found[:count] if from_head else found[-count:]

        return await read(before, from_head=False), await read(after, from_head=True)

    async def count_by_severity(self, request: LogsRequest) -> Mapping[str, int]:
        """Return the numbers of lines, by the first word in each that names a severity."""
        if request.query:
            raise BackendError(Kind.UNSUPPORTED, "Lines of a query in CloudWatch's language are not counted.")
        groups, _ = await self._chosen(request.service)
        if not groups:
            return {}
        words = "|".join(_WORDS.values())
        query = (
            f"{_filters(request, is_named=_is_named(groups, request.service))}"
            f"| parse @message /(?i)\\b(?<level>{words})\\b/ | stats count(*) as lines by level"
        ).removeprefix("| ")
        rows, _ = await self._asked(query, request, groups)
        counts: dict[str, int] = {}
        for row in rows:
            severity = severity_of(row.get("level", ""))
            if request.severity is None or severity is request.severity:
                name = severity.value if severity else "unknown"
                counts[name] = counts.get(name, 0) + int(float(row.get("lines", "0")))
        return counts

    async def _chosen(self, service: str) -> tuple[list[str], bool]:
        """Return the log groups to search, and whether there are more: those that name the service, if any do."""
        found: list[str] = []
        has_more = False
        for wanted in self._groups or ("*",):
            if not wanted.endswith("*"):
                found.append(wanted)
                continue
            prefix = {"logGroupNamePrefix": wanted[:-1]} if wanted != "*" else {}
            async for page in self._pages("describe_log_groups", "nextToken", prefix):
                found += [group["logGroupName"] for group in page.get("logGroups", ())]
        if service and (named := [group for group in found if service in group]):
            found = named
        has_more = len(found) > GROUPS
        return found[:GROUPS], has_more

    async def _asked(
        self, query: str, request: LogsRequest, groups: Sequence[str]
    ) -> tuple[list[dict[str, str]], Mapping[str, float]]:
        """Return the rows of a query of Insights, and what it read; stop it when there is no time for it."""
        started = await self._service.call(
            "start_query",
            logGroupNames=list(groups),
            startTime=int(request.window.start.timestamp()),
            # Both ends are included.
            endTime=max(int(request.window.start.timestamp()), int(request.window.end.timestamp()) - 1),
            queryString=query,
            limit=min(request.limit, _MOST),
        )
        query_id = str(started.get("queryId", ""))
        is_done = False
        ends = time.monotonic() + self._timeout
        pause = _MOMENT
        try:
            while True:
                found = await self._service.call("get_query_results", queryId=query_id)
                status = found.get("status", "Unknown")
                if status == "Complete":
                    is_done = True
                    rows = [
                        {cell["field"]: cell.get("value", "") for cell in row}
                        for row in found.get("results", ())
                    ]
                    return rows, found.get("statistics", {})
                if status in _STOPPED:
                    is_done = True
                    kind = Kind.TIMEOUT if status == "Timeout" else Kind.FAILED
                    raise BackendError(
                        kind, f"CloudWatch says of the query: {status}. Ask for a shorter period."
                    )
                if time.monotonic() + pause > ends:
                    raise BackendError(
                        Kind.TIMEOUT,
                        f"No answer within {self._timeout:g} seconds (the connection's timeout_seconds).",
                    )
                await asyncio.sleep(pause)
                pause = min(_PAUSE, pause * 1.5)
        finally:
            if not is_done:
                await self._stop(query_id)

    async def _stop(self, query_id: str) -> None:
        """Stop a query, even while this call is cancelled. One that has ended meanwhile needs no stopping."""
        stopping = asyncio.ensure_future(self._service.call("stop_query", queryId=query_id))
        with contextlib.suppress(BackendError):
            await asyncio.shield(stopping)

    async def _filtered(
        self, request: LogsRequest, groups: Sequence[str], warnings: tuple[str, ...]
    ) -> LogsResult:
        """Return the lines of a filter pattern."""
        lines: list[LogLine] = []
        has_more = False
        for group in groups:
            arguments = {
                "logGroupName": group,
                "filterPattern": request.query,
                "startTime": int(request.window.start.timestamp() * 1_000),
                # It is included.
                "endTime": int(request.window.end.timestamp() * 1_000) - 1,
                "limit": min(request.limit, _MOST),
            }
            own: list[LogLine] = []
            async for page in self._pages("filter_log_events", "nextToken", arguments):
                own += [_event(event, group) for event in page.get("events", ())]
                if len(own) > request.limit or (len(own) == request.limit and page.get("nextToken")):
                    has_more = True
                    break
            lines += own
        if request.severity is not None:
            lines = [line for line in lines if line.severity is request.severity]
        lines.sort(key=lambda line: -line.time_ns)
        if has_more or len(lines) > request.limit:
            has_more = True
            warnings = (*warnings, "Of a filter pattern the earliest matches are read: shorten the period.")
        return LogsResult(lines[: request.limit], About(request.query, has_more=has_more, warnings=warnings))

    async def _pages(
        self, operation: str, token: str, arguments: Mapping[str, Any]
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Yield pages, empty ones with a token too, up to a bound. A token that comes again is the end."""
        more: dict[str, str] = {}
        seen: set[str] = set()
        for _ in range(_PAGES):
            page = await self._service.call(operation, **arguments, **more)
            yield page
            following = page.get(token)
            if not following or following in seen:
                return
            seen.add(following)
            more = {token: following}


def severity_of(text: str) -> Severity | None:
    """Return the severity that the first word of a text that names one says."""
    found = _LEVEL.search(text[:1_000])
    return Severity(found.lastgroup) if found and found.lastgroup else None


def _is_named(groups: Sequence[str], service: str) -> bool:
    """Whether the log groups were chosen by the service's name, so that lines need not be."""
    return bool(service) and all(service in group for group in groups)


def _insights(request: LogsRequest, *, is_named: bool) -> str:
    filters = _filters(request, is_named=is_named)
    return f"fields @timestamp, @message, @logStream, @log {filters}| sort @timestamp desc | limit {request.limit}"


def _filters(request: LogsRequest, *, is_named: bool) -> str:
    """Return the conditions of a request in Insights' language."""
    found = []
    if request.text:
        alternatives = [
            " and ".join(f"@message like /(?i){_escaped(word)}/" for word in part.split())
            for part in re.split(r"\s+OR\s+", request.text.strip())
        ]
        found.append(" or ".join(f"({one})" for one in alternatives if one))
    if request.regex:
        found.append("@message like /" + request.regex.replace("/", r"\/") + "/")
    if request.severity is not None:
        found.append(rf"@message like /(?i)\b({_WORDS[request.severity]})\b/")
    if request.trace_id:
        found.append(f"@message like {_quoted(request.trace_id)}")
    if request.service and not is_named:
        found.append(f"(service = {_quoted(request.service)} or @message like {_quoted(request.service)})")
    if request.namespace:
        found.append(f"`kubernetes.namespace_name` = {_quoted(request.namespace)}")
    if request.pod:
        found.append(f"`kubernetes.pod_name` = {_quoted(request.pod)}")
    for name, value in request.labels.items():
        if "`" in name:
            raise BackendError(Kind.BAD_QUERY, "A field's name holds no backtick.")
        found.append(f"`{name}` = {_quoted(value)}")
    return "".join(f"| filter {one} " for one in found if one)


def _escaped(text: str) -> str:
    return re.sub(r"([^\w\s])", r"\\\1", text)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _line(row: Mapping[str, str]) -> LogLine | None:
    """Return a row of Insights as a line, None for one without a time, as of statistics."""
    written = row.get("@timestamp", "")
    try:
        moment = datetime.strptime(written, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
    except ValueError:
        return None
    group = row.get("@log", "").partition(":")[2] or row.get("@log", "")
    labels = {name: value for name, value in row.items() if name not in _SHOWN}
    message = row.get("@message", "")
    return LogLine(
        round(moment.timestamp() * 1_000) * _MILLISECOND,
        message,
        severity_of(message),
        service=group.rpartition("/")[2],
        labels={**labels, "log_group": group, "log_stream": row.get("@logStream", "")},
        stream=f"{group}\n{row.get('@logStream', '')}",
        id=row.get("@ptr", ""),
    )


def _event(event: Mapping[str, Any], group: str) -> LogLine:
    stream = str(event.get("logStreamName", ""))
    message = str(event["message"])
    return LogLine(
        int(event["timestamp"]) * _MILLISECOND,
        message,
        severity_of(message),
        service=group.rpartition("/")[2],
        labels={"log_group": group, "log_stream": stream},
        stream=f"{group}\n{stream}",
        id=str(event.get("eventId", "")),
    )
