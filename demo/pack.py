"""Pack records into OTLP requests of several hundred, as a collector in front of many clients does."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from demo import encoding as otlp
from demo.counters import METRICS
from demo.records import Event, Point, Record, Span
from demo.schedule import Visit
from demo.world import custom, identity

SCOPES: Final = {
    "logs": "com.anthropic.claude_code.events",
    "traces": "com.anthropic.claude_code.tracing",
    "metrics": "com.anthropic.claude_code",
}
_TRACING_VERSION: Final = "1.0.0"
_HEADS: Final = {
    name: otlp.metric_head(f"claude_code.{name}", about.description, about.unit)
    for name, about in METRICS.items()
}


class Request(NamedTuple):
    """One OTLP export request."""

    signal: str
    """`logs`, `traces` or `metrics`."""
    body: bytes
    """The serialized Export…ServiceRequest."""
    records: int
    """How many log records, spans or data points it holds."""


class Packer:
    """Groups the records of processes into requests of about `size` records."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._groups: dict[str, list[bytes]] = {signal: [] for signal in SCOPES}
        self._records = dict.fromkeys(SCOPES, 0)

    def add(self, visit: Visit, project: str, step: str, records: list[Record]) -> Iterator[Request]:
        """Add a process's records, and yield the requests that are full."""
        person = visit.person
        common = identity(person, visit.session_id, step, project)
        system, arch, release = person.machine
        resource = otlp.resource(
            custom(person, step, project)
            | {"host.arch": arch, "os.type": system, "os.version": release}
            | {"service.name": person.service, "service.version": person.version}
        )
        for signal, written in (
            ("logs", _logs(records, otlp.attributes(otlp.LOG_ATTRIBUTE, common))),
            ("traces", _spans(records, otlp.attributes(otlp.SPAN_ATTRIBUTE, common))),
            ("metrics", _metrics(records, otlp.attributes(otlp.POINT_ATTRIBUTE, common))),
        ):
            version = _TRACING_VERSION if signal == "traces" else person.version
            scope = otlp.scope(SCOPES[signal], version)
            yield from self._fill(signal, resource, scope, written)

    def _fill(
        self, signal: str, resource: bytes, scope: bytes, written: list[tuple[bytes, int]]
    ) -> Iterator[Request]:
        part: list[bytes] = []
        for body, count in written:
            part.append(body)
            self._records[signal] += count
            if self._records[signal] >= self._size:
                self._groups[signal].append(otlp.group(resource, scope, part))
                part = []
                yield self._request(signal)
        if part:
            self._groups[signal].append(otlp.group(resource, scope, part))

    def rest(self) -> Iterator[Request]:
        """Yield the requests that are not full."""
        for signal, count in self._records.items():
            if count:
                yield self._request(signal)

    def _request(self, signal: str) -> Request:
        request = Request(signal, b"".join(self._groups[signal]), self._records[signal])
        self._groups[signal] = []
        self._records[signal] = 0
        return request


def _logs(records: list[Record], common: bytes) -> list[tuple[bytes, int]]:
    return [(otlp.log_record(record, common), 1) for record in records if isinstance(record, Event)]


def _spans(records: list[Record], common: bytes) -> list[tuple[bytes, int]]:
    return [(otlp.span(record, common), 1) for record in records if isinstance(record, Span)]


def _metrics(records: list[Record], common: bytes) -> list[tuple[bytes, int]]:
    points: dict[tuple[str, int], list[Point]] = {}
    for record in records:
        if isinstance(record, Point):
            points.setdefault((record.metric, record.time), []).append(record)
    return [
        (otlp.metric(_HEADS[name], group, common, is_cumulative=group[0].is_cumulative), len(group))
        for (name, _), group in points.items()
    ]
