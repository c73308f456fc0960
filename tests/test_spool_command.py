"""`telemetry spool` and `telemetry replay`, as people run them."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from clickhouse.engine import Engine
from clickhouse.pieces import Pieces
from receiver.block_file import Outgoing
from receiver.spool import Spool
from tests.server import AS_INSTALLED, ROOT, Server, eventually


def telemetry(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TELEMETRY_")}
    return subprocess.run(
        [sys.executable, "-m", "telemetry", *arguments],
        cwd=ROOT,
        env={**clean, **AS_INSTALLED, "TELEMETRY_DATA_DIR": str(data)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def block(engine: Engine, token: str, column: str = "ServiceName") -> Outgoing:
    data = engine.query(f"SELECT now64(9, 'UTC') AS Timestamp, 'replayed' AS {column} FROM numbers(3)")
    return Outgoing("otel_logs", token, 3, Pieces([data]))


def test_an_empty_spool_says_so(tmp_path: Path) -> None:
    """Also before the first start."""
    done = telemetry(tmp_path / "data", "spool")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Nothing waits.\n", "")


@pytest.mark.slow
def test_what_waits_is_shown_and_dead_letters_are_tried_again(
    engine: Engine, tmp_path: Path, start: Callable[..., Server]
) -> None:
    """Without the server in this process, with it through the server; a block that is refused again stays."""
    data = tmp_path / "data"
    spool = Spool(data, 1 << 30)
    spool.open()
    spool.seal(spool.write([block(engine, "a")], []), "NETWORK_ERROR", even_if_full=False)
    poor, mended, corrupt = spool.write(
        [block(engine, "b", "NoSuchColumn"), block(engine, "c"), block(engine, "d")], []
    )
    spool.bury(poor, "NO_SUCH_COLUMN_IN_TABLE")
    spool.bury(mended, "UNKNOWN_TABLE")
    spool.set_aside(corrupt)
    shown = telemetry(data, "spool").stdout.splitlines()
    assert [line.split()[-1] for line in shown] == [
        "reason",
        "NO_SUCH_COLUMN_IN_TABLE",
        "UNKNOWN_TABLE",
        "corrupt",
        "NETWORK_ERROR",
    ]
    assert shown[-1].split()[:4] == ["waiting", "otel_logs", "1", "3"]
    done = telemetry(data, "replay")
    assert (done.returncode, done.stdout) == (1, "Inserted 2 blocks; 1 refused again, 0 left.\n")
    (letter,) = (data / "dead-letter").iterdir()
    assert letter.suffixes[-2:] == [".INCORRECT_DATA", ".block"]
    server = start()
    again = block(engine, "e")
    fresh = Spool(tmp_path / "other", 1 << 30)
    fresh.open()
    (entry,) = fresh.write([again], [])
    fresh.bury(entry, "UNKNOWN_TABLE")
    (other,) = (tmp_path / "other/dead-letter").iterdir()
    other.rename(data / "dead-letter" / other.name)
    done = telemetry(data, "replay")
    handed = "Handed 2 blocks to the running server; telemetry spool shows what waits.\n"
    assert (done.returncode, done.stdout) == (0, handed)
    eventually(lambda: server.metric("telemetry_replayed_blocks_total") == 1)
    eventually(lambda: server.metric("telemetry_dead_letter_blocks_total") == 1)
    assert server.stop() == 0
    (rows,) = server.rows("SELECT count() AS n FROM otel_logs WHERE ServiceName = 'replayed'")
    assert rows == [{"n": 9}]
