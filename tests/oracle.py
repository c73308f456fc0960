"""The records that were sent, read in plain Python from the OTLP requests: this module uses no SQL and no table.

`tests/answers` works out from it what the questions should answer. A number that a question rounds is an `R`, equal
to what it may be rounded to.
"""

import hashlib
import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

Row = dict[str, Any]
PEOPLE = "user_"
LIMITS = {
    "duration_ms": 1e10,
    "total_duration_ms": 1e10,
    "total_retry_duration_ms": 1e10,
    "cost_usd": 1e5,
    "cost_usd_micros": 1e11,
    "input_tokens": 1e9,
    "output_tokens": 1e9,
    "cache_read_tokens": 1e9,
    "cache_creation_tokens": 1e9,
    "tool_result_size_bytes": 1e12,
    "attempt": 1e6,
    "total_attempts": 1e6,
    "event.sequence": 1e15,
    "prompt_length": 1e9,
}
LOOKS_UP = {"Read", "Grep", "Glob", "LS", "WebFetch", "WebSearch", "NotebookRead"}


class R:
    """A number as a question rounds it: equal to the ones nearest to it."""

    def __init__(self, value: float, digits: int) -> None:
        self.value, self.digits = value, digits

    def __eq__(self, other: object) -> bool:
        """Compare with what was answered."""
        if not isinstance(other, int | float):
            return False
        return abs(other - self.value) <= 0.5 * 10**-self.digits * (1 + 1e-6) + 1e-12 * abs(self.value)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show it rounded."""
        return f"~{round(self.value, self.digits)}"


def r(value: float | None, digits: int) -> R | None:
    return None if value is None else R(value, digits)


def share(part: float, whole: float) -> float | None:
    return 100 * part / whole if whole else None


def change(value: float, before: float) -> float | None:
    return 100 * (value - before) / before if before else None


def quantile(values: Iterable[float | None], level: float) -> float | None:
    """Return the value below which this share of all lies, without interpolation."""
    known = sorted(value for value in values if value is not None)
    return known[min(int(level * len(known)), len(known) - 1)] if known else None


def plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return None if kind is None else getattr(value, kind)


def attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: plain(pair.value) for pair in pairs}


def hashed(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def who(a: Mapping[str, Any]) -> str:
    for key in ("user.email", "enduser.id"):
        if a.get(key):
            return hashed(a[key])
    return str(a.get("user.id", "") or a.get("user.account_uuid", ""))


def first(*values: Any) -> str:
    return next((str(value) for value in values if value), "")


def at(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def milliseconds(nanos: int) -> str:
    return f"{at(nanos // 10**9)}.{nanos % 10**9 // 10**6:03d}"


@dataclass(slots=True)
class Event:
    """A log record of Claude Code."""

    time: int
    name: str
    a: dict[str, Any]
    resource: dict[str, Any]
    labels: dict[str, Any] = field(default_factory=dict)

    def text(self, key: str) -> str:
        value = self.a.get(key)
        return "" if value is None else str(value)

    def number(self, *keys: str) -> float | None:
        """Read the first of these that is a number and can be true."""
        for key in keys:
            try:
                value = float(self.a[key])
            except (KeyError, ValueError):
                continue
            if 0 <= value <= LIMITS[key]:
                return value
        return None

    def count(self, key: str) -> int:
        return int(self.number(key) or 0)

    @property
    def nanos(self) -> int:
        usd = self.number("cost_usd")
        return 0 if usd is None else int((Decimal(repr(usd)) * 10**9).to_integral_value())

    @property
    def success(self) -> bool | None:
        return {"true": True, "false": False}.get(self.text("success").lower())

    @property
    def session(self) -> str:
        return self.text("session.id")

    @property
    def user(self) -> str:
        return who(self.a)

    @property
    def team(self) -> str:
        return first(self.resource.get("team.id"), self.a.get("team.id"))

    @property
    def project(self) -> str:
        return first(self.resource.get("project"), self.resource.get("project.name"), self.a.get("project"))

    @property
    def step(self) -> str:
        return first(
            self.resource.get("workflow.step"), self.a.get("workflow.step"), self.a.get("query_source")
        )

    @property
    def model(self) -> str:
        return self.text("model")

    @property
    def tool(self) -> str:
        return self.text("tool_name")

    @property
    def program(self) -> str:
        return str(self.labels.get("bash_command", "")).partition(" ")[0]

    @property
    def server(self) -> str:
        return first(
            self.a.get("mcp_server.name"),
            self.a.get("mcp_server_name"),
            self.a.get("server_name"),
            self.labels.get("mcp_server_name"),
            self.tool.split("__")[1] if self.tool.startswith("mcp__") else "",
        )

    @property
    def server_tool(self) -> str:
        tool = ""
        if self.tool.startswith("mcp__"):
            named = "mcp__" + re.sub("[^a-zA-Z0-9_-]", "_", self.server) + "__"
            tool = "__".join(self.tool.split("__")[2:])
            if self.tool.startswith(named):
                tool = self.tool.removeprefix(named)
        return first(
            self.a.get("mcp_tool.name"), self.a.get("mcp_tool_name"), self.labels.get("mcp_tool_name"), tool
        )

    @property
    def agent(self) -> str:
        return first(self.a.get("agent.name"), self.a.get("agent_type"), self.labels.get("subagent_type"))

    @property
    def skill(self) -> str:
        return first(self.a.get("skill.name"), self.labels.get("skill_name"))

    @property
    def ms(self) -> float | None:
        return self.number("duration_ms", "total_duration_ms", "total_retry_duration_ms")

    @property
    def attempts(self) -> int | None:
        tried = self.number("attempt", "total_attempts")
        return None if tried is None else int(tried)

    @property
    def error_type(self) -> str:
        return first(
            *(self.a.get(key) for key in ("error_type", "error_name", "error_category", "error_code"))
        )

    @property
    def code(self) -> str:
        return first(
            self.a.get("status_code") if self.a.get("status_code") != "undefined" else "",
            self.error_type,
            "".join(
                re.findall(r"^(?:API Error:? |HTTP |Repeated |Error:? )*([45]\d\d)(?!\d)", self.text("error"))
            ),
            "connection",
        )

    @property
    def decision(self) -> str:
        if self.name == "hook_execution_complete":
            return "block" if self.text("num_blocking") not in {"", "0"} else ""
        return first(self.a.get("decision"), self.a.get("decision_type"))

    @property
    def decided_by(self) -> str:
        return self.text("source") if self.name == "tool_decision" else self.text("decision_source")

    @property
    def failure(self) -> str:
        match self.name:
            case "tool_result":
                is_theirs = self.tool == "mcp_tool" and self.server_tool
                named = f"mcp__{self.server}__{self.server_tool}" if is_theirs else self.tool
                return f"tool {named} {self.error_type}".rstrip() if self.success is False else ""
            case "api_error":
                return f"api {self.code}"
            case "internal_error":
                return f"internal {self.error_type}".rstrip()
            case "mcp_server_connection":
                return "mcp connection" if self.text("status") == "failed" else ""
            case "hook_execution_complete":
                return (
                    f"hook {self.text('hook_event')}"
                    if self.text("num_non_blocking_error") not in {"", "0"}
                    else ""
                )
            case _:
                return self.name if self.success is False else ""

    @property
    def security(self) -> str:  # noqa: PLR0911  a kind an event
        match self.name:
            case "tool_decision" if self.decision == "reject":
                by = (
                    "a person"
                    if self.decided_by.startswith(PEOPLE)
                    else "a hook"
                    if self.decided_by == "hook"
                    else "a rule"
                )
                return f"refused by {by}"
            case "hook_execution_complete" if self.decision == "block":
                return "blocked by a hook"
            case "permission_mode_changed":
                modes = {"bypassPermissions": "permissions bypassed", "acceptEdits": "asks less"}
                return modes.get(self.text("to_mode"), "")
            case "plugin_installed" if self.text("marketplace.is_official") != "true":
                return "unofficial plugin"
            case "plugin_loaded" if self.text("plugin.scope") not in {"", "official", "default-bundle"}:
                return "unofficial plugin"
            case "auth" if self.success is False:
                return "failed login"
            case _:
                return ""

    @property
    def hour(self) -> int:
        return self.time // (3600 * 10**9) * 3600

    @property
    def day(self) -> date:
        return datetime.fromtimestamp(self.hour, UTC).date()


@dataclass(slots=True)
class Span:
    """A span of Claude Code."""

    start: int
    end: int
    name: str
    span_id: bytes
    parent_id: bytes
    a: dict[str, Any]

    @property
    def ms(self) -> float:
        return max(0, self.end - self.start) / 1e6

    @property
    def user(self) -> str:
        return who(self.a)

    @property
    def team(self) -> str:
        return first(self.a.get("team.id"))


@dataclass(slots=True)
class Growth:
    """By how much a counter grew."""

    time: int
    metric: str
    value: float
    a: dict[str, Any]
    resource: dict[str, Any]

    @property
    def user(self) -> str:
        return who(self.a)

    @property
    def team(self) -> str:
        return first(self.resource.get("team.id"), self.a.get("team.id"))

    @property
    def project(self) -> str:
        return first(self.resource.get("project"), self.resource.get("project.name"), self.a.get("project"))


@dataclass(slots=True)
class World:
    """All that was sent, and the period that is asked about; times in nanoseconds."""

    events: list[Event]
    spans: list[Span]
    growth: list[Growth]
    begin: int
    end: int
    given: Mapping[str, str] = field(default_factory=dict)
    _sessions: dict[str, set[str]] = field(default_factory=dict)

    def during(self, *names: str, before: bool = False) -> list[Event]:
        """Return the period's events of these names, or those of the period of the same length before."""
        begin, end = (2 * self.begin - self.end, self.begin) if before else (self.begin, self.end)
        return [
            one
            for one in self.events
            if begin <= one.time < end and (not names or one.name in names) and self._is_mine(one)
        ]

    def waited(self, name: str) -> list[Span]:
        """Return the period's spans of this name."""
        return [
            span
            for span in self.spans
            if span.name == name and self._is_mine(span) and self.begin <= span.start < self.end
        ]

    def grown(self, *metrics: str) -> list[Growth]:
        """Return the growth of these counters in the period."""
        return [
            one
            for one in self.growth
            if one.metric in metrics and self._is_mine(one) and self.begin <= one.time < self.end
        ]

    def has_any(self, kind: str) -> bool:
        """Whether anything of a kind (events, spans, growth) was recorded in the period, of any model."""
        of_all = World(
            self.events, [], [], 0, 0, {key: self.given[key] for key in self.given if key != "model"}
        )
        return any(
            of_all._is_mine(one)
            and self.begin <= (one.start if isinstance(one, Span) else one.time) < self.end
            for one in getattr(self, kind)
        )

    def _is_mine(self, one: Event | Span | Growth) -> bool:
        if self.given.get("team", "") not in {"", one.team} or self.given.get("user", "") not in {
            "",
            one.user,
        }:
            return False
        project, model = self.given.get("project", ""), self.given.get("model", "")
        if isinstance(one, Span):
            is_of_project = not project or one.a.get("session.id") in self.sessions_of(project)
            return is_of_project and (not model or str(one.a.get("model", "")).replace("[1m]", "") == model)
        if project not in {"", one.project}:
            return False
        return not model or (isinstance(one, Event) and one.model == model)

    def sessions_of(self, project: str) -> set[str]:
        """Return the sessions that were on a day about this project, of several the last by name; spans name none."""
        if not self._sessions:
            days: dict[tuple[str, date], str] = defaultdict(str)
            for event in self.events:
                days[event.session, event.day] = max(days[event.session, event.day], event.project)
            for (session, _), of_day in days.items():
                self._sessions.setdefault(of_day, set()).add(session)
        return self._sessions.get(project, set())

    def has_session(self, events: Sequence[Event]) -> bool:
        """Whether a session with these events is among those that are asked about."""
        return (
            self.given.get("team", "") in {"", max(event.team for event in events)}
            and self.given.get("user", "") in {"", max(event.user for event in events)}
            and self.given.get("project", "") in {"", max(event.project for event in events)}
            and self.given.get("model", "") in {"", *(event.model for event in events)}
        )

    def limited(self, rows: list[Row], default: int) -> list[Row]:
        return rows[: int(self.given.get("limit", default))]


def read(requests: Iterable[tuple[str, bytes]], begin: int, end: int) -> World:
    """Read requests, each with its signal, in any order; times in nanoseconds."""
    world = World([], [], [], begin, end)
    points: list[tuple[Any, ...]] = []
    for signal, body in requests:
        match signal:
            case "logs":
                world.events += _events(body)
            case "traces":
                world.spans += _spans(body)
            case _:
                points += _points(body)
    # Records past the longest retention are not kept.
    world.events = [event for event in world.events if event.time > 10**18]
    world.events.sort(key=lambda event: (event.time, event.number("event.sequence") or 0))
    world.growth = list(_growth(points))
    return world


def _events(body: bytes) -> Iterator[Event]:
    for group_ in ExportLogsServiceRequest.FromString(body).resource_logs:
        resource = attributes(group_.resource.attributes)
        for scope in group_.scope_logs:
            for record in scope.log_records:
                a = attributes(record.attributes)
                labels: dict[str, Any] = {}
                for key in ("tool_input", "tool_parameters"):
                    if str(a.get(key, "")).startswith("{"):
                        labels |= json.loads(a[key])
                yield Event(
                    record.time_unix_nano,
                    record.body.string_value.removeprefix("claude_code."),
                    a,
                    resource,
                    labels,
                )


def _spans(body: bytes) -> Iterator[Span]:
    for group_ in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = attributes(group_.resource.attributes)
        for scope in group_.scope_spans:
            for one in scope.spans:
                name = one.name.removeprefix("claude_code.")
                yield Span(
                    *(
                        one.start_time_unix_nano,
                        one.end_time_unix_nano,
                        name,
                        one.span_id,
                        one.parent_span_id,
                    ),
                    resource | attributes(one.attributes),
                )


def _points(body: bytes) -> Iterator[tuple[Any, ...]]:
    for group_ in ExportMetricsServiceRequest.FromString(body).resource_metrics:
        resource = attributes(group_.resource.attributes)
        for scope in group_.scope_metrics:
            for metric in scope.metrics:
                for point in metric.sum.data_points:
                    value = point.as_double if point.WhichOneof("value") == "as_double" else point.as_int
                    a = attributes(point.attributes)
                    start, time = point.start_time_unix_nano, point.time_unix_nano
                    is_cumulative = metric.sum.aggregation_temporality == 2
                    yield (
                        metric.name.removeprefix("claude_code."),
                        a,
                        resource,
                        start,
                        time,
                        value,
                        is_cumulative,
                    )


def _growth(points: Iterable[tuple[Any, ...]]) -> Iterator[Growth]:
    """Return deltas as they are; of a cumulative series, return each point's growth since the point before."""
    latest: dict[str, float] = {}
    for metric, a, resource, start, time, value, is_cumulative in sorted(points, key=lambda point: point[4]):
        if not is_cumulative:
            yield Growth(time, metric, value, a, resource)
            continue
        series = repr((metric, sorted(a.items()), sorted(map(str, resource.items())), start))
        before = latest.get(series, 0)
        yield Growth(time, metric, value - before if value >= before else value, a, resource)
        latest[series] = value


def group(items: Iterable[Any], key: Callable[[Any], Any]) -> dict[Any, list[Any]]:
    groups: dict[Any, list[Any]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups


def ordered(rows: Iterable[Row], *keys: str) -> list[Row]:
    """Sort by columns, those that begin with `-` from the largest down; a number that is rounded as it is."""
    found = list(rows)
    for key in reversed(keys):
        name = key.removeprefix("-")

        def value(row: Row, name: str = name) -> Any:
            cell = row[name]
            return (
                round(cell.value, cell.digits) if isinstance(cell, R) else -math.inf if cell is None else cell
            )

        found.sort(key=value, reverse=key.startswith("-"))
    return found
