"""The schema on a ClickHouse cluster, made from the same migrations as everywhere else.

Of each table `t` every shard has a replicated `t_local`, and every node a `t` that spreads inserts over the shards
and reads from all of them, so that receivers and readers use the names they know. A materialized view feeds from local
table to local table: what belongs to one insert stays on its shard, under its deduplication token. The two small tables
that everyone needs as a whole, prices and the record of migrations, are one replicated table on all nodes.

`{shard}` and `{replica}` are macros that each node has, as in clickhouse/cluster/node.xml.
Source: https://clickhouse.com/docs/engines/table-engines/special/distributed and .../mergetree-family/replication
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from clickhouse.migrations import Session, migrations

LOCAL: Final = "_local"
_WHOLE: Final = frozenset({"schema_migrations", "model_prices"})
# A session's events stay together, and a trace's spans. Never by chance: an insert that is repeated must fall apart as
# it did before, or its token would be met on another shard.
_SHARD_BY: Final[Mapping[str, str]] = {
    "otel_logs": "cityHash64(LogAttributes['session.id'], TraceId)",
    "otel_traces": "cityHash64(TraceId)",
    "otel_metrics_": "cityHash64(MetricName, Attributes['session.id'])",
}
_CREATE_TABLE: Final = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+)")
_CREATE_VIEW: Final = re.compile(r"CREATE (MATERIALIZED )?VIEW IF NOT EXISTS (\w+)")
_ENGINE: Final = re.compile(r"ENGINE = (\w*MergeTree)\b(\(\))?")
_ALTER: Final = re.compile(r"(ALTER TABLE|TRUNCATE TABLE|CREATE DATABASE IF NOT EXISTS) (\S+)")


class ClusteredSession:
    """Runs the migrations' statements on all nodes of a cluster; everything else as the session below does."""

    def __init__(self, session: Session, cluster: str) -> None:
        self._session = session
        self._cluster = cluster

    def command(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
        """Run a statement that returns nothing, on the whole cluster when it defines something."""
        for statement in clustered(sql, self._cluster):
            self._session.command(statement, params)

    def rows(self, sql: str, params: Mapping[str, Any] | None = None) -> Sequence[Sequence[Any]]:
        """Run a query and return its rows."""
        return self._session.rows(sql, params)


def clustered(sql: str, cluster: str) -> list[str]:
    """Give the statements that do on a cluster what one statement of the migrations does on a server.

    `cluster` is a cluster's name, or a macro in braces that stands for one. What defines nothing comes back as it is.
    """
    on_cluster = f"ON CLUSTER '{cluster}'"
    if table := _CREATE_TABLE.search(sql):
        return _tables(sql, table[1], cluster, on_cluster)
    if view := _CREATE_VIEW.search(sql):
        created = sql.replace(view[0], f"{view[0]} {on_cluster}", 1)
        if not view[1]:  # an ordinary view reads like anyone else
            return [created]
        names = "|".join(_sharded())
        return [re.sub(rf"\b(TO|FROM) ({names})\b", rf"\1 \2{LOCAL}", created)]
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
    # What views fill takes no inserts of its own, so it needs no key to spread them by.
    spread = "" if table == "otel_traces_trace_id_ts" or not key else f", {key}"
    distributed = (
        f"CREATE TABLE IF NOT EXISTS {table} {on_cluster} AS {local}\n"
        f"ENGINE = Distributed('{cluster}', currentDatabase(), '{local}'{spread})"
    )
    return [created, distributed]


def _sharded() -> list[str]:
    names = [found[1] for migration in migrations() if (found := _CREATE_TABLE.search(migration.sql))]
    return sorted((name for name in names if name not in _WHOLE), key=len, reverse=True)
