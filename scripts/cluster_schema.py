#!/usr/bin/env python3
"""Writes clickhouse/cluster/schema.sql, the schema for a cluster, from the migrations.

Run it after a change of the schema. With `--check` it writes nothing and fails when the file is stale.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from clickhouse.clustered import clustered  # noqa: E402  the path is set above
from clickhouse.migrations import migrations  # noqa: E402

FILE = ROOT / "clickhouse/cluster/schema.sql"
HEAD = """\
-- The schema for a cluster of ClickHouse servers, for `clickhouse-client --database telemetry --multiquery`. A receiver
-- with CLICKHOUSE_CLUSTER runs the same statements by itself. {cluster}, {shard} and {replica} are macros of the nodes.
-- Made by scripts/cluster_schema.py from clickhouse/schema.

CREATE DATABASE IF NOT EXISTS telemetry ON CLUSTER '{cluster}';
"""


def main() -> int:
    """Write the file, or compare it with the present one."""
    parser = argparse.ArgumentParser(description="Write the schema for a cluster.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the file is stale")
    statements = [sql.strip() for migration in migrations() for sql in clustered(migration.sql, "{cluster}")]
    fresh = "\n".join([HEAD, *(f"{sql};\n" for sql in statements)])
    if FILE.exists() and FILE.read_text(encoding="utf-8") == fresh:
        return 0
    if parser.parse_args().check:
        sys.stderr.write(f"{FILE} is stale; run scripts/cluster_schema.py.\n")
        return 1
    FILE.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
