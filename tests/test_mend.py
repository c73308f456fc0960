"""What a kill can leave in the engine's tables: a token whose rows never came."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clickhouse.mend import forget_unused_tokens
from tests.server import ROOT

# A process has one engine: each look is a process.
_INSERT = """
import json, sys
from pathlib import Path
from clickhouse.engine import Engine
from clickhouse.pieces import Pieces
from clickhouse.store import EmbeddedWriter
engine = Engine(Path(sys.argv[1]))
engine.use("telemetry")
settings = "ENGINE = MergeTree PARTITION BY x ORDER BY x SETTINGS non_replicated_deduplication_window = 100"
for table in ("source", "fed"):
    engine.command(f"CREATE TABLE IF NOT EXISTS {table} (x UInt8) {settings}")
engine.command("CREATE MATERIALIZED VIEW IF NOT EXISTS feeding TO fed AS SELECT x FROM source")
for token in sys.argv[2:]:
    block = engine.query(f"SELECT toUInt8({token}) AS x FROM numbers(3)")
    EmbeddedWriter(engine).insert("source", Pieces([block]), token)
count = "SELECT x, count() FROM {} GROUP BY x ORDER BY x"
print(json.dumps({table: dict(engine.rows(count.format(table))) for table in ("source", "fed")}))
engine.close()
"""


def insert(data: Path, *tokens: str) -> dict[str, dict[str, int]]:
    done = subprocess.run(
        [sys.executable, "-c", _INSERT, str(data), *tokens],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    return dict(json.loads(done.stdout))


@pytest.mark.slow
def test_a_token_whose_part_never_came_is_forgotten_and_no_other(tmp_path: Path) -> None:
    """As after a kill between the two: the insert is made again, in the table and in what is fed from it."""
    data = tmp_path / "clickhouse"
    assert insert(data, "1", "2") == {"source": {"1": 3, "2": 3}, "fed": {"1": 3, "2": 3}}
    assert forget_unused_tokens(data) == 0
    for part in list(data.glob("store/*/*/2_*_*_*")):
        shutil.rmtree(part)
    assert insert(data, "1", "2") == {"source": {"1": 3}, "fed": {"1": 3}}, (
        "the engine takes it for a duplicate"
    )
    assert forget_unused_tokens(data) == 2
    whole = {"source": {"1": 3, "2": 3}, "fed": {"1": 3, "2": 3}}
    assert insert(data, "1", "2") == whole
    assert forget_unused_tokens(data) == 0
    assert insert(data, "1", "2") == whole


def test_tokens_of_merged_parts_are_kept(tmp_path: Path) -> None:
    """A part that was merged lives on in the one that covers its numbers."""
    logs = tmp_path / "store/abc/abc-def/deduplication_logs"
    logs.mkdir(parents=True)
    (logs.parent / "20260101_1_5_2").mkdir()
    (logs.parent / "tmp_insert_20260101_7_7_0").mkdir()
    log = logs / "deduplication_log_3.txt"
    log.write_text(
        "1\t20260101_1_1_0\ta\n1\t20260101_5_5_0\tb\n1\t20260101_6_6_0\tc\n2\t20260101_6_6_0\tc\n"
        "1\t20260102_2_2_0\td\n1\t20260101_7_7_0\te\n"
    )
    assert forget_unused_tokens(tmp_path) == 2
    assert log.read_text().splitlines()[-2:] == ["2\t20260102_2_2_0\td", "2\t20260101_7_7_0\te"]
    assert forget_unused_tokens(tmp_path) == 0


def test_there_is_nothing_to_mend_before_the_first_start(tmp_path: Path) -> None:
    """No directory, no table, an empty log."""
    assert forget_unused_tokens(tmp_path / "none") == 0
    logs = tmp_path / "store/abc/abc-def/deduplication_logs"
    logs.mkdir(parents=True)
    assert forget_unused_tokens(tmp_path) == 0
    (logs / "deduplication_log_1.txt").touch()
    assert forget_unused_tokens(tmp_path) == 0
