"""The schema on a ClickHouse cluster, made from the same migrations as everywhere else.

For each table `t`, every shard has a replicated `t_local`, and every node has a `t` that spreads inserts over the
shards and reads from all of them, so receivers and readers use the usual names. A materialized view reads a local table
and writes a local table: all rows of one insert stay on its shard, under its deduplication token. Two small tables,
the prices and the record of migrations, are one replicated table on all nodes, since every node needs all of their
rows.

`{shard}` and `{replica}` are macros that each node has, as in clickhouse/cluster/node.xml.
Source: https://clickhouse.com/docs/engines/table-engines/special/distributed and .../mergetree-family/replication
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from clickhouse.database import Database
from clickhouse.migrations import migrations
from clickhouse.quoting import Value

LOCAL: Final = "_local"
_WHOLE: Final = frozenset({"schema_migrations", "model_prices"})
# The events of a session stay together, and the spans of a trace. The key is never random: a repeated insert must be
# divided as it was before, or its rows would reach a shard that does not know its token.
_SHARD_BY: Final[Mapping[str, str]] = {
    "otel_logs": "cityHash64(LogAttributes['session.id'], TraceId)",
    "otel_traces": "cityHash64(TraceId)",
    "otel_metrics_": "cityHash64(MetricName, Attributes['session.id'])",
    # Filled over the network once, with what was stored before it was there; sums may be on any shard.
    "telemetry_measures": "cityHash64(user_id)",
}
_CREATE_TABLE: Final = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+)")
_CREATE_VIEW: Final = re.compile(r"CREATE (?:OR REPLACE )?(MATERIALIZED )?VIEW (?:IF NOT EXISTS )?(\w+)")
_ENGINE: Final = re.compile(r"ENGINE = (\w*MergeTree)\b(\(\))?")
_SETTING: Final = re.compile(r"ALTER TABLE (\w+) MODIFY SETTING")
_COLUMN: Final = re.compile(r"ALTER TABLE (\w+)\b(?=.*\bADD COLUMN\b)", re.DOTALL)
_QUERY: Final = re.compile(r"ALTER TABLE \w+ MODIFY QUERY")
_ALTER: Final = re.compile(r"(ALTER TABLE|TRUNCATE TABLE|CREATE DATABASE IF NOT EXISTS) (\S+)")


class ClusteredDatabase:
    """Runs statements that create or alter on all nodes of a cluster, and any other on the given database alone."""

    def __init__(self, database: Database, cluster: str) -> None:
        self._database = database
        self._cluster = cluster

    def command(self, sql: str, params: Mapping[str, Value] | None = None) -> None:
        """Run a statement that returns nothing, on the whole cluster when it creates or alters something."""
        for statement in clustered(sql, self._cluster):
            self._database.command(statement, params)

    def rows(self, sql: str, params: Mapping[str, Value] | None = None) -> Sequence[Sequence[Any]]:
        """Run a query and return its rows."""
        return self._database.rows(sql, params)


def clustered(sql: str, cluster: str) -> list[str]:
    """Return the statements that have the same effect on a cluster as one statement of the migrations on a server.

    `cluster` is a cluster's name, or a macro in braces that is replaced by one. A statement that creates and
    alters nothing is returned unchanged.
    """
    on_cluster = f"ON CLUSTER '{cluster}'"
    if table := _CREATE_TABLE.search(sql):
        return _tables(sql, table[1], cluster, on_cluster)
    if view := _CREATE_VIEW.search(sql):
        created = sql.replace(view[0], f"{view[0]} {on_cluster}", 1)
        if not view[1]:  # an ordinary view reads the distributed tables, as every reader does
            return [created]
        return [_local(created)]
    if _QUERY.search(sql):  # of a materialized view
        return [_ALTER.sub(rf"\1 \2 {on_cluster}", _local(sql), count=1)]
    if (column := _COLUMN.search(sql)) and column[1] in _sharded():
        # The local tables first: a distributed one may not ask them for a column that they lack.
        altered = _ALTER.sub(rf"\1 \2 {on_cluster}", sql, count=1)
        return [altered.replace(f"ALTER TABLE {column[1]} ", f"ALTER TABLE {column[1]}{LOCAL} ", 1), altered]
    if (setting := _SETTING.search(sql)) and setting[1] in _sharded():
        # A setting of how rows are stored is one of the tables that store them.
        sql = sql.replace(setting[0], f"ALTER TABLE {setting[1]}{LOCAL} MODIFY SETTING", 1)
    return [_ALTER.sub(rf"\1 \2 {on_cluster}", sql, count=1)]


def _tables(sql: str, table: str, cluster: str, on_cluster: str) -> list[str]:
    is_whole = table in _WHOLE
    local = table if is_whole else f"{table}{LOCAL}"
    place = "/clickhouse/tables/{database}/{table}" + ("" if is_whole else "/{shard}")
    replica = "{shard}-{replica}" if is_whole else "{replica}"
    created = sql.replace(f"EXISTS {table}", f"EXISTS {local} {on_cluster}", 1)
    created = _ENGINE.sub(rf"ENGINE = Replicated\1('{place}', '{replica}')", created)
    created = created.replace("non_replicated_deduplication_window", "replicated_deduplication_window")
    if is_whole:
        return [created]
    key = next((key for name, key in _SHARD_BY.items() if table.rstrip().startswith(name)), "")
    # A table that only views fill takes no inserts over the network, so it needs no sharding key.
    spread = "" if table == "otel_traces_trace_id_ts" or not key else f", {key}"
    distributed = (
        f"CREATE TABLE IF NOT EXISTS {table} {on_cluster} AS {local}\n"
        f"ENGINE = Distributed('{cluster}', currentDatabase(), '{local}'{spread})"
    )
    return [created, distributed]


def _local(sql: str) -> str:
    """Return the statement of a materialized view with the tables that it reads and fills as they are on each shard."""
    return re.sub(rf"\b(TO|FROM) ({'|'.join(_sharded())})\b", rf"\1 \2{LOCAL}", sql)


def _sharded() -> list[str]:
    names = [found[1] for migration in migrations() if (found := _CREATE_TABLE.search(migration.sql))]
    return sorted((name for name in names if name not in _WHOLE), key=len, reverse=True)
