"""Log records of this store as lines: which are asked for, in SQL, and what a record says in one line.

A record of Claude Code's is an event with attributes and without a text of its own: its line is the event's name and
its attributes. All values of a request are bound.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from connectors.contract import BackendError, Kind, LogLine, LogsRequest, Severity
from connectors.moments import nanoseconds
from connectors.severities import NAMES

_POD: Final = ("k8s.pod.name", "pod")
_NAMESPACE: Final = ("k8s.namespace.name", "service.namespace", "namespace")
_SESSION: Final = "session.id"
_EVENT_PREFIX: Final = "claude_code."
_LINE: Final = 4_000
PERIOD: Final = (
    "Timestamp >= fromUnixTimestamp64Nano({from:Int64}, 'UTC')"
    " AND Timestamp < fromUnixTimestamp64Nano({to:Int64}, 'UTC')"
)
"""The condition of a period, with its values `from` and `to` in nanoseconds."""
_TEXTS: Final = "arrayConcat([Body, EventName], mapValues(LogAttributes))"


def statement(name: str) -> str:
    """Return one of the statements of `adapters/sql/`."""
    return (Path(__file__).parent / "adapters" / "sql" / f"{name}.sql").read_text(encoding="utf-8").strip()


@dataclass(slots=True)
class Which:
    """A condition in SQL, with its values."""

    parts: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)

    def add(self, condition: str, value: str) -> None:
        """Add a condition on one value, which it has as `{}`."""
        name = f"value{len(self.values)}"
        self.values[name] = value
        self.parts.append(condition.replace("{}", f"{{{name}:String}}"))

    def add_pair(self, attributes: str, key: str, value: str) -> None:
        """Add the condition that a record's or its resource's attribute has a value."""
        name = f"key{len(self.values)}"
        self.values[name] = key
        named = f"[{{{name}:String}}] = {{}}"
        self.add(f"(ResourceAttributes{named} OR {attributes}{named})", value)

    @property
    def sql(self) -> str:
        """The whole condition."""
        return " AND ".join(self.parts)


def filled(name: str, which: Which, order: str = "DESC") -> str:
    """Return a statement about lines that a condition selects."""
    severity = statement("log_severity")
    return (
        statement(name)
        .replace("/* severity */", severity)
        .replace("/* which */", which.sql)
        .replace("/* order */", order)
    )


def asked(request: LogsRequest) -> Which:
    """Return the condition for the lines of a request. Raises BackendError for one in a language of its own."""
    if request.query:
        raise BackendError(
            Kind.UNSUPPORTED,
            "Logs of this store are found by text, regex and fields; run_sql asks for all else.",
        )
    which = Which([PERIOD], {**period(request), **SEVERITIES})
    if request.text:
        _add_text(which, request.text)
    if request.regex:
        which.add(f"arrayExists(t -> match(t, {{}}), {_TEXTS})", request.regex)
    if request.severity is not None:
        which.add(f"{statement('log_severity')} = {{}}", request.severity.value)
    for column, value in (("ServiceName", request.service), ("TraceId", request.trace_id)):
        if value:
            which.add(f"{column} = {{}}", value)
    for keys, value in ((_POD, request.pod), (_NAMESPACE, request.namespace)):
        if value:
            known = " OR ".join(f"ResourceAttributes['{key}'] = {{}}" for key in keys)
            which.add(f"({known})", value)
    for key, value in request.labels.items():
        which.add_pair("LogAttributes", key, value)
    return which


def _add_text(which: Which, text: str) -> None:
    """Add the condition that a record has one of the texts between OR."""
    texts = [part.strip() for part in text.split(" OR ")]
    if not all(texts):
        raise BackendError(Kind.BAD_QUERY, "OR stands between two texts.")
    which.values["texts"] = array(texts)
    words = "JSONExtract({texts:String}, 'Array(String)')"
    which.parts.append(f"arrayExists(t -> multiSearchAnyCaseInsensitiveUTF8(t, {words}), {_TEXTS})")


def period(request: LogsRequest) -> dict[str, str]:
    """Return the values of a request's period."""
    return {"from": str(nanoseconds(request.window.start)), "to": str(nanoseconds(request.window.end))}


def neighbours(line: LogLine, *, is_after: bool) -> Which:
    """Return the condition for the lines of the same session, or of the same service's pod, on one side of a line."""
    service, session, pod = orjson.loads(line.stream)
    which = Which([], dict(SEVERITIES))
    which.values["at"] = str(line.time_ns)
    # A day is more than the context of a line, and bounds what is read.
    day = "toIntervalDay(1)"
    at = "fromUnixTimestamp64Nano({at:Int64}, 'UTC')"
    which.parts.append(
        f"Timestamp > {at} AND Timestamp < {at} + {day}"
        if is_after
        else f"Timestamp < {at} AND Timestamp > {at} - {day}"
    )
    which.add("ServiceName = {}", service)
    if session:
        which.add(f"LogAttributes['{_SESSION}'] = {{}}", session)
    if pod:
        which.add("(" + " OR ".join(f"ResourceAttributes['{key}'] = {{}}" for key in _POD) + ")", pod)
    return which


def line_of(row: Mapping[str, Any]) -> LogLine:
    """Return a row of log_lines.sql as a line."""
    attributes, resource = dict(row["attributes"]), dict(row["resource"])
    pod = next((resource[key] for key in _POD if resource.get(key)), "")
    severity = row["severity"]
    return LogLine(
        time_ns=int(row["time_ns"]),
        message=_message(row["body"], row["event"], attributes),
        severity=Severity(severity) if severity else None,
        service=row["service"],
        pod=pod,
        namespace=next((resource[key] for key in _NAMESPACE if resource.get(key)), ""),
        trace_id=row["trace_id"],
        span_id=row["span_id"],
        labels=attributes,
        stream=orjson.dumps([row["service"], attributes.get(_SESSION, ""), pod]).decode(),
    )


def array(texts: Iterable[str]) -> str:
    """Return texts as one value of a statement, which reads it by JSONExtract."""
    return orjson.dumps(list(texts)).decode()


SEVERITIES: Final[Mapping[str, str]] = {
    f"{severity.value}_names": array(names) for severity, names in NAMES.items()
}
"""The values of log_severity.sql."""


def _message(body: str, event: str, attributes: Mapping[str, str]) -> str:
    if body and body not in {event, _EVENT_PREFIX + event}:
        return body
    pairs = " ".join(f"{key}={value}" for key, value in sorted(attributes.items()) if value)
    return f"{body or event} {pairs}".strip()[:_LINE]
