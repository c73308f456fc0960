"""Fills the target of a new view with what its source held before, since a view sees only what is inserted later.

A day of the source is one insert of one block with a token of its own. An interrupted start goes on where it was, a
second receiver repeats nothing, and no more is in memory than a day's sums. Rows that another receiver stores in the
moment between the last day's insert and the making of the view are missing from the target.
"""

import re
from typing import Final

from clickhouse.database import Database

MARK: Final = "-- Filled with what is stored."
"""How the migration of such a view begins."""
_VIEW: Final = re.compile(r"CREATE MATERIALIZED VIEW IF NOT EXISTS (\w+) TO (\w+) AS\n(.*)", re.DOTALL)
_SOURCE: Final = "telemetry_events"
_DAY: Final = "toDate(least(timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC')"
"""The source's partitions."""
_ONE_BLOCK: Final = "min_insert_block_size_rows = 100000000, min_insert_block_size_bytes = 0"


def fill(database: Database, view: str) -> None:
    """Fill the target of a view, unless that is made already; `view` is the statement that makes it."""
    found = _VIEW.search(view)
    if found is None or f"FROM {_SOURCE} " not in found[3]:
        raise ValueError(f"only a materialized view of {_SOURCE} can be filled")
    name, target, select = found.groups()
    if database.rows(
        "SELECT 1 FROM system.tables WHERE database = currentDatabase() AND name = {view:String}",
        {"view": name},
    ):
        return
    # The names of tables are the schema's own.
    of_day = select.replace(
        f"FROM {_SOURCE} ",
        f"FROM (SELECT * FROM {_SOURCE} WHERE {_DAY} = {{day:Date}}) ",  # noqa: S608
        1,
    )
    columns = [
        str(name)
        for (name,) in database.rows(
            "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {table:String}"
            " ORDER BY position",
            {"table": target},
        )
    ]
    names = ", ".join(columns)
    for (day,) in database.rows(f"SELECT DISTINCT {_DAY} AS day FROM {_SOURCE} ORDER BY day"):  # noqa: S608
        database.command(
            f"INSERT INTO {target} ({names}) SETTINGS insert_deduplication_token = '{target}-{day}', {_ONE_BLOCK}"  # noqa: S608
            f" SELECT {names} FROM ({of_day})",
            {"day": str(day)},
        )
