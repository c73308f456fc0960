"""Claude Code's telemetry made by hand: log records as OTLP requests, and tables of their own to store them in."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from clickhouse.engine import Engine
from clickhouse.migrations import migrate
from clickhouse.prices import load_prices, read_prices
from clickhouse.quoting import identifier
from clickhouse.store import EmbeddedWriter
from clickhouse.typed_rows import TypedRows
from privacy.rules import Level, load_rules
from privacy.sanitizer import Sanitizer
from receiver.scrub import Scrub
from receiver.transform import Transform
from tests.requests import surveyed

SCOPE = "com.anthropic.claude_code.events"
SERVICE = {"service.name": "claude-code", "service.version": "2.1.197"}
Attributes = Mapping[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class Record:
    """A log record; `time` in seconds."""

    time: float
    attributes: Attributes
    body: str = ""
    event_name: str = ""


def event(time: float, name: str, /, **attributes: Any) -> Record:
    """Make one of Claude Code's events; `__` in a keyword is a dot."""
    given = {key.replace("__", "."): value for key, value in attributes.items()}
    return Record(time, {"event.name": name, "session.id": "s1", **given}, f"claude_code.{name}")


def logs(records: Sequence[Record], resource: Attributes = SERVICE, scope: str = SCOPE) -> bytes:
    """Serialize records as one request of one resource and scope."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    fill(group.resource.attributes, resource)
    found = group.scope_logs.add()
    found.scope.name = scope
    for record in records:
        made = found.log_records.add(
            time_unix_nano=round(record.time * 1000) * 10**6, event_name=record.event_name
        )
        if record.body:
            made.body.string_value = record.body
        fill(made.attributes, record.attributes)
    return request.SerializeToString()


def fill(target: RepeatedCompositeFieldContainer[KeyValue], attributes: Attributes) -> None:
    """Append attributes, each as the AnyValue of its Python type."""
    for key, value in attributes.items():
        made = target.add(key=key).value
        match value:
            case bool():
                made.bool_value = value
            case int():
                made.int_value = value
            case float():
                made.double_value = value
            case str():
                made.string_value = value


@dataclass(slots=True)
class Tables:
    """A database of the test process's engine, and the way of telemetry into it."""

    engine: Engine
    transform: Transform
    writer: TypedRows = field(init=False)

    def __post_init__(self) -> None:
        self.writer = TypedRows(EmbeddedWriter(self.engine), self.engine)

    def store(self, table: str, *requests: bytes) -> None:
        """Store requests, all as one block."""
        block = self.transform.run(table, surveyed(table, requests)).data
        self.writer.insert(table, block, uuid.uuid4().hex)

    def rows(self, sql: str, **params: str) -> list[list[Any]]:
        """Run a query and return its rows."""
        return self.engine.rows(sql, params)

    def dicts(self, sql: str, **params: str) -> list[dict[str, Any]]:
        """Run a query and return its rows with their names."""
        names, *rows = self.engine.rows(f"{sql} FORMAT JSONCompactEachRowWithNames", params)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def clear(self) -> None:
        """Empty every table."""
        for (name,) in self.engine.rows(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
            " AND name NOT IN ('schema_migrations', 'model_prices')"
        ):
            self.engine.command(f"TRUNCATE TABLE {name}")


_spare: WeakKeyDictionary[Engine, list[str]] = WeakKeyDictionary()
"""Databases that are free again, which need no second migration."""
_KEPT = "SELECT name, uuid FROM system.tables WHERE database = currentDatabase() ORDER BY name"


@contextmanager
def tables(engine: Engine, level: Level = Level.strict) -> Iterator[Tables]:
    """Return the engine with an empty database as its default, which is emptied at the end for another caller."""
    spare = _spare.setdefault(engine, [])
    name = spare.pop() if spare else f"events_{uuid.uuid4().hex}"
    engine.use(name)
    migrate(engine, 3650)
    load_prices(engine, read_prices())
    rules = load_rules(None, level)
    made = Tables(engine, Transform(engine, rules, Scrub(Sanitizer(rules, None)), "", 3650))
    before = engine.rows(_KEPT)
    try:
        yield made
    finally:
        made.writer.close()
        engine.use(name)
        if engine.rows(_KEPT) == before:
            made.clear()
            spare.append(name)
        else:  # a test has replaced tables
            engine.command(f"DROP DATABASE {identifier(name)}")
        engine.use("telemetry")
