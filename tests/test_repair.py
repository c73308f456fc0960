"""The damage that a kill or a loss of power can leave in the engine's tables: a token without rows, a torn line."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from clickhouse.repair import Repaired, repair
from tests.server import ROOT, Server

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
    """As after a kill between the two: the insert is made again, in the table and in those that are fed from it."""
    data = tmp_path / "clickhouse"
    assert insert(data, "1", "2") == {"source": {"1": 3, "2": 3}, "fed": {"1": 3, "2": 3}}
    assert repair(data) == Repaired()
    for part in list(data.glob("store/*/*/2_*_*_*")):
        shutil.rmtree(part)
    assert insert(data, "1", "2") == {"source": {"1": 3}, "fed": {"1": 3}}, (
        "the engine takes it for a duplicate"
    )
    assert repair(data) == Repaired(2)
    whole = {"source": {"1": 3, "2": 3}, "fed": {"1": 3, "2": 3}}
    assert insert(data, "1", "2") == whole
    assert repair(data) == Repaired()
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
    assert repair(tmp_path) == Repaired(2)
    assert log.read_text().splitlines()[-2:] == ["2\t20260102_2_2_0\td", "2\t20260101_7_7_0\te"]
    assert repair(tmp_path) == Repaired()


RECORDS = "1\t20260101_1_1_0\ta\n1\t20260101_2_2_0\tb\n"


def table(data: Path, *logs: bytes) -> list[Path]:
    """Lay out a table that has the parts of RECORDS and these logs; return the logs."""
    folder = data / "store/abc/abc-def/deduplication_logs"
    folder.mkdir(parents=True)
    for number in (1, 2):
        (folder.parent / f"20260101_{number}_{number}_0").mkdir()
    files = [folder / f"deduplication_log_{number}.txt" for number in range(1, len(logs) + 1)]
    for file, content in zip(files, logs, strict=True):
        file.write_bytes(content)
    return files


@pytest.mark.parametrize(
    "damage",
    [
        b"1\t20260101_3_3_0\t17782681_434305",
        b"1\t20260101_3_3",
        b"1\t",
        b"1",
        b"\n",
        b"\0\0\0\0\0\0",
        b"1\t20260101_3_3_0\t17\xff\xfe\n",
        b"1\t20260101_3_3_0\ttoken\textra\n",
        b"1\t20260101_3_3_01\t20260101_2_2_0\tb\n",
        b"7\t20260101_3_3_0\ttoken\n",
        b"add\t20260101_3_3_0\ttoken\n",
        b"1\t20260101_3_3_0\n",
    ],
)
def test_a_line_that_cannot_be_read_is_taken_out(tmp_path: Path, damage: bytes) -> None:
    """In any place, in the newest log or the one before; the other lines stay, and nothing else is left."""
    whole = RECORDS.encode()
    torn = damage if damage.endswith(b"\n") else b""
    old, new = table(tmp_path, torn + whole, whole + damage)
    assert repair(tmp_path) == Repaired(lines=1 + bool(torn))
    assert (old.read_bytes(), new.read_bytes()) == (whole, whole)
    assert repair(tmp_path) == Repaired()
    assert {path.name for path in tmp_path.iterdir()} == {"store"}


def test_a_torn_line_does_not_hide_a_token_without_rows(tmp_path: Path) -> None:
    """A forgotten token is on a line of its own."""
    (log,) = table(tmp_path, f"{RECORDS}1\t20260101_9_9_0\tz\n1\t2026".encode())
    assert repair(tmp_path) == Repaired(tokens=1, lines=1)
    assert log.read_text() == f"{RECORDS}1\t20260101_9_9_0\tz\n2\t20260101_9_9_0\tz\n"


def test_a_log_that_is_one_torn_line_is_emptied(tmp_path: Path) -> None:
    """The first insert of a table may be what the power cut."""
    (log,) = table(tmp_path, b"1\t20260101_3_")
    assert repair(tmp_path) == Repaired(lines=1)
    assert log.read_bytes() == b""


@pytest.mark.parametrize(
    "content", [b"format 2\n{}\n", b"\x00\x01\n\xff\xfe\n", b"ADD 20260101_3_3_0 token\n1\t2026"]
)
def test_a_log_of_an_unknown_format_is_left_alone(tmp_path: Path, content: bytes) -> None:
    """None of its whole lines can be read, so nothing is known of it; a file of another name does not count."""
    old, new = table(tmp_path, RECORDS.encode() + b"\n", content)
    (new.parent / "deduplication_log_2.txt.old.txt").write_bytes(b"1")
    (new.parent / "deduplication_log_copy.txt").write_bytes(b"1")
    assert repair(tmp_path) == Repaired(unknown=1)
    assert (old.read_bytes(), new.read_bytes()) == (RECORDS.encode() + b"\n", content)


@pytest.mark.slow
def test_tokens_are_known_after_a_line_was_torn(tmp_path: Path) -> None:
    """The engine itself would stop reading there, and store what came later a second time."""
    data = tmp_path / "clickhouse"
    insert(data, "1")
    for log in data.glob("store/*/*/deduplication_logs/*.txt"):
        with log.open("ab") as file:
            file.write(b"1\t2_5_5_0\t2_1658")
    assert repair(data) == Repaired(lines=2)
    whole = {"source": {"1": 3, "2": 3}, "fed": {"1": 3, "2": 3}}
    assert insert(data, "2") == whole
    assert insert(data, "1", "2") == whole


def test_the_server_starts_over_a_torn_log_and_says_so(start: Callable[..., Server]) -> None:
    """One warning with the number of lines, without the log's contents."""
    server = start()
    record = {"timeUnixNano": "1767225600000000000", "body": {"stringValue": "x"}}
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()
    assert server.post("logs", body, "application/json").status_code == 200
    server.stop()
    logs = list(server.data.glob("clickhouse/store/*/*/deduplication_logs/*.txt"))
    for log in logs:
        with log.open("ab") as file:
            file.write(b"1\thunter2")
    again = start()
    said = [json.loads(line) for line in again.log.read_text().splitlines() if "Damaged lines" in line]
    assert [(one["level"], one["lines"]) for one in said] == [("warning", len(logs))]
    assert "hunter2" not in again.log.read_text()


def test_there_is_nothing_to_mend_before_the_first_start(tmp_path: Path) -> None:
    """No directory, no table, an empty log."""
    assert repair(tmp_path / "none") == Repaired()
    logs = tmp_path / "store/abc/abc-def/deduplication_logs"
    logs.mkdir(parents=True)
    assert repair(tmp_path) == Repaired()
    (logs / "deduplication_log_1.txt").touch()
    assert repair(tmp_path) == Repaired()
