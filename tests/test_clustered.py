"""The schema on a cluster: made of the migrations, read by the engine's own parser, its views tried on one node."""

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from clickhouse.clustered import ClusteredDatabase, clustered
from clickhouse.engine import Engine
from clickhouse.migrations import _RECORD, migrations
from clickhouse.store import insert_settings
from privacy.rules import Level, load_rules
from privacy.sanitizer import Sanitizer
from receiver.scrub import Scrub
from receiver.transform import Transform
from tests.requests import surveyed
from tests.server import ROOT, captures

STATEMENTS = [
    pytest.param(sql, id=f"{migration.name} {number}")
    for migration in migrations()
    for number, sql in enumerate(clustered(migration.sql, "telemetry"))
]


class OneNode:
    """A cluster of one node without its keeper: the same statements on the engine, less what needs others."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def command(self, sql: str, params: object = None) -> None:
        assert params is None
        if "ENGINE = Distributed" in sql or re.search(
            r"ALTER TABLE (?!\w+_local )\w+ .*ADD COLUMN", sql, re.DOTALL
        ):
            return  # of a table that spreads over the shards
        sql = sql.replace(" ON CLUSTER 'telemetry'", "")
        self.engine.command(
            re.sub(r"Replicated(\w*MergeTree)\([^)]*\)", r"\1", sql).replace(
                " replicated_deduplication_window", " non_replicated_deduplication_window"
            )
        )

    def rows(self, sql: str, params: object = None) -> list[list[object]]:
        assert params is None
        return self.engine.rows(sql)


@pytest.fixture
def node(engine: Engine) -> Iterator[OneNode]:
    """Return the engine with an empty database of its own."""
    engine.use("clustered")
    yield OneNode(engine)
    engine.use("telemetry")
    engine.command("DROP DATABASE clustered")


def test_the_file_is_made_of_the_migrations() -> None:
    """clickhouse/cluster/schema.sql is what scripts/cluster_schema.py writes."""
    command = [sys.executable, "scripts/cluster_schema.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("sql", STATEMENTS)
def test_a_statement_is_one_for_the_whole_cluster(engine: Engine, sql: str) -> None:
    """The engine reads it; it runs on all nodes; tables with rows are replicated and deduplicate for as long."""
    engine.rows(f"EXPLAIN AST {sql}")
    assert len(re.findall(r"ON CLUSTER 'telemetry'", sql)) == 1
    assert "non_replicated" not in sql
    if "MergeTree" in sql:
        assert re.search(r"ENGINE = Replicated(Aggregating)?MergeTree\('/clickhouse/tables/", sql)


def test_tables_are_spread_by_what_belongs_together() -> None:
    """A session's events have one shard, as a trace's spans do; tables that views fill take no inserts."""
    by_table = {}
    for migration in migrations():
        for sql in clustered(migration.sql, "telemetry"):
            if found := re.search(r"EXISTS (\w+) ON .* AS (\w+)\nENGINE = Distributed\((.*)\)$", sql):
                by_table[found[1]] = (found[2], found[3].split(", ", 3)[3:])
    spread = {table: key for table, (_, key) in by_table.items() if key}
    assert {table: local for table, (local, _) in by_table.items()} == {
        table: f"{table}_local" for table in by_table
    }
    assert spread["otel_logs"] == ["cityHash64(LogAttributes['session.id'], TraceId)"]
    assert spread["otel_traces"] == ["cityHash64(TraceId)"]
    # The roll-up that findings read is filled once with what was stored before it was there.
    assert {table for table in by_table if table.startswith("telemetry_")} & set(spread) == {
        "telemetry_measures"
    }
    assert "model_prices" not in by_table
    (record,) = clustered(_RECORD, "telemetry")
    assert "ReplicatedMergeTree('/clickhouse/tables/{database}/{table}', '{shard}-{replica}')" in record


def test_views_feed_local_tables_under_one_token(node: OneNode) -> None:
    """An insert into a local table reaches all that is made of it on that shard, once."""
    database = ClusteredDatabase(node, "telemetry")
    for migration in migrations():
        database.command(migration.sql)
    rules = load_rules(None, Level.strict)
    transform = Transform(node.engine, rules, Scrub(Sanitizer(rules, None)), "", 3650)
    block = transform.run("otel_logs", surveyed("otel_logs", captures("logs")[:1])).data
    for _ in range(2):
        node.engine.insert("otel_logs_local", block, insert_settings("token", one_part=True))
    ((records, events, hourly, sessions),) = database.rows(
        "SELECT (SELECT count() FROM otel_logs_local), (SELECT count() FROM telemetry_events_local),"
        " (SELECT sum(events) FROM telemetry_hourly_local), (SELECT sum(events) FROM telemetry_sessions_local)"
    )
    assert int(str(records)) > 0
    assert {int(str(events)), int(str(hourly)), int(str(sessions))} == {int(str(records))}


def test_what_defines_is_run_on_the_cluster_and_the_rest_as_it_is() -> None:
    """Retention, prices and the database are everyone's; an insert is not."""
    assert clustered("ALTER TABLE otel_logs_local MODIFY TTL x", "c") == [
        "ALTER TABLE otel_logs_local ON CLUSTER 'c' MODIFY TTL x"
    ]
    assert clustered("ALTER TABLE telemetry_events MODIFY SETTING x = 1", "c") == [
        "ALTER TABLE telemetry_events_local ON CLUSTER 'c' MODIFY SETTING x = 1"
    ]
    assert clustered("TRUNCATE TABLE model_prices", "c") == ["TRUNCATE TABLE model_prices ON CLUSTER 'c'"]
    assert clustered("CREATE DATABASE IF NOT EXISTS `t`", "c") == [
        "CREATE DATABASE IF NOT EXISTS `t` ON CLUSTER 'c'"
    ]
    assert clustered("INSERT INTO schema_migrations SELECT 1", "c") == [
        "INSERT INTO schema_migrations SELECT 1"
    ]
