"""The promises of a `Writer` and a `PartWriter`, kept by both: the engine in this process, and a server over HTTP."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from clickhouse.client import Client
from clickhouse.database import Database
from clickhouse.endpoint import ServerEndpoint
from clickhouse.engine import Engine
from clickhouse.pieces import Pieces
from clickhouse.remote import ServerWriter
from clickhouse.store import BlockRefused, DailyWriter, EmbeddedWriter, PartWriter, TooManyPartitions
from tests.server import Server

TODAY = datetime.now(UTC).date()  # old rows would expire


@dataclass(frozen=True, slots=True)
class Subject:
    """A writer, the database that it writes to, and an engine to make and split blocks with."""

    writer: PartWriter
    database: Database
    engine: Engine
    name: str
    """The value in every row of a test, and in no other's."""

    def block(self, columns: str, rows: int = 3) -> Pieces:
        return Pieces([self.engine.query(f"SELECT {columns} FROM numbers({rows})", {"name": self.name})])

    def gauges(self, rows: int = 3, days: int = 0) -> Pieces:
        """Make data points, each of another day if need be."""
        moment = f"toDateTime64('{TODAY} 12:00:00', 9, 'UTC') + toIntervalDay(number * {days})"
        return self.block(f"{moment} AS TimeUnix, {{name:String}} AS MetricName, number AS Value", rows)

    def stored(self) -> list[list[object]]:
        return [
            list(row)
            for row in self.database.rows(
                f"SELECT toDate(TimeUnix, 'UTC') - toDate('{TODAY}'), Value FROM otel_metrics_gauge"
                " WHERE MetricName = {name:String} ORDER BY ALL",
                {"name": self.name},
            )
        ]


@pytest.fixture(params=["embedded", "remote"])
def subject(request: pytest.FixtureRequest, engine: Engine) -> Iterator[Subject]:
    name = f"contract-{uuid.uuid4().hex}"
    if request.param == "embedded":
        yield Subject(EmbeddedWriter(engine), engine, engine, name)
        return
    server: Server = request.getfixturevalue("server")
    endpoint = server.endpoint(writes=True)
    writer = ServerWriter(
        ServerEndpoint(endpoint.url, endpoint.user, endpoint.password, endpoint.database), lambda _: None
    )
    with Client(endpoint) as client:
        yield Subject(writer, client, engine, name)
    writer.close()


THREE = [[0, 0], [0, 1], [0, 2]]


def test_a_block_is_stored_when_the_call_returns(subject: Subject) -> None:
    """The next reader finds its rows."""
    subject.writer.insert("otel_metrics_gauge", subject.gauges(), f"{subject.name}-1")
    assert subject.stored() == THREE


def test_a_token_stores_one_block_however_often_it_comes(subject: Subject) -> None:
    """The first block counts, with any content; another token is another block."""
    for rows in (3, 3, 7):
        subject.writer.insert("otel_metrics_gauge", subject.gauges(rows), f"{subject.name}-1")
    assert subject.stored() == THREE
    subject.writer.insert("otel_metrics_gauge", subject.gauges(), f"{subject.name}-2")
    assert subject.stored() == sorted(THREE * 2)


def test_what_views_feed_is_stored_once_too(subject: Subject) -> None:
    """The table of traces' times has one row for each insert, not for each try."""
    block = subject.block(
        f"toDateTime64('{TODAY} 12:00:00', 9, 'UTC') AS Timestamp, {{name:String}} AS TraceId"
    )
    for token in ("1", "1", "2"):
        subject.writer.insert("otel_traces", block, f"{subject.name}-{token}")
    counted = subject.database.rows(
        "SELECT (SELECT count() FROM otel_traces WHERE TraceId = {name:String}),"
        " (SELECT count() FROM otel_traces_trace_id_ts WHERE TraceId = {name:String})",
        {"name": subject.name},
    )
    assert [list(row) for row in counted] == [[6, 2]]


@pytest.mark.parametrize(
    ("table", "columns", "reason"),
    [
        ("no_such_table", "{name:String} AS MetricName", "UNKNOWN_TABLE"),
        ("otel_metrics_gauge", "{name:String} AS NoSuchColumn", "INCORRECT_DATA"),
        ("otel_metrics_gauge", "{name:String} AS TimeUnix", "CANNOT_PARSE_TEXT"),
    ],
)
def test_what_can_never_pass_is_refused_by_name(
    subject: Subject, table: str, columns: str, reason: str
) -> None:
    """The error names the table and ClickHouse's name for it, and nothing of the data; the writer goes on working."""
    with pytest.raises(
        BlockRefused, match=rf"^Inserting into {table} failed: {reason} \(code \d+\)$"
    ) as caught:
        subject.writer.insert(table, subject.block(columns), f"{subject.name}-1")
    assert caught.value.reason == reason
    assert caught.value.__cause__ is None
    subject.writer.insert("otel_metrics_gauge", subject.gauges(), f"{subject.name}-1")
    assert subject.stored() == THREE


def test_a_block_that_is_cut_is_stored_not_at_all(subject: Subject) -> None:
    """And the whole one under the same token is."""
    whole = bytes(subject.gauges())
    with pytest.raises(BlockRefused, match="CANNOT_READ_ALL_DATA"):
        subject.writer.insert("otel_metrics_gauge", Pieces([whole[:-3]]), f"{subject.name}-1")
    assert subject.stored() == []
    subject.writer.insert("otel_metrics_gauge", Pieces([whole[:9], whole[9:]]), f"{subject.name}-1")
    assert subject.stored() == THREE


def test_a_view_that_fails_fails_the_insert(subject: Subject) -> None:
    """It runs last, and the rows that it should have fed would be missing for good."""
    subject.database.command("CREATE TABLE contract_fed (x UInt8) ENGINE = MergeTree ORDER BY x")
    subject.database.command(
        "CREATE MATERIALIZED VIEW contract_throwing TO contract_fed AS"
        " SELECT throwIf(startsWith(MetricName, 'contract-')) AS x FROM otel_metrics_gauge"
    )
    try:
        with pytest.raises(BlockRefused, match="FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"):
            subject.writer.insert("otel_metrics_gauge", subject.gauges(), f"{subject.name}-1")
    finally:
        subject.database.command("DROP VIEW contract_throwing")
        subject.database.command("DROP TABLE contract_fed")


def test_a_block_of_several_days_is_stored_as_it_is_or_refused_whole(subject: Subject) -> None:
    """Of as many days as there are, unless one part was asked for."""
    with pytest.raises(TooManyPartitions):
        subject.writer.insert("otel_metrics_gauge", subject.gauges(2, 1), f"{subject.name}-1", one_part=True)
    assert subject.stored() == []
    subject.writer.insert("otel_metrics_gauge", subject.gauges(110, 1), f"{subject.name}-2")
    assert len(subject.stored()) == 110
    subject.writer.insert("otel_metrics_gauge", subject.gauges(1), f"{subject.name}-3", one_part=True)
    assert len(subject.stored()) == 111


def test_day_by_day_a_block_is_stored_once(subject: Subject) -> None:
    """`DailyWriter` over either: a repeat of a half stored block adds the other half alone."""
    daily = DailyWriter(subject.writer, subject.engine)
    subject.writer.insert("otel_metrics_gauge", subject.gauges(1), f"{subject.name}-1-{TODAY}")
    for _ in range(2):
        daily.insert("otel_metrics_gauge", subject.gauges(3, 1), f"{subject.name}-1")
    assert subject.stored() == [[0, 0], [1, 1], [2, 2]]
