"""The next start removes a killed engine's folder for temporary files; the folder of a live one stays."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clickhouse.leftovers import remove_leftovers
from tests.server import ROOT, running

# Opens an engine over memory alone, says so, and waits.
_ENGINE = """
import sys
from clickhouse.engine import Engine
engine = Engine()
engine.use("telemetry")
print("open", flush=True)
sys.stdin.read()
engine.close()
"""


def launch(temporary: Path) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [sys.executable, "-c", _ENGINE],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"open\n"
    return process


def folders(temporary: Path) -> set[str]:
    return {path.name for path in temporary.glob("clickhouse-embedded-*")}


def test_the_folder_of_a_killed_engine_is_removed_and_that_of_a_live_one_is_not(tmp_path: Path) -> None:
    """By the next engine that opens; an engine that closes leaves nothing."""
    with launch(tmp_path) as live, launch(tmp_path) as killed:
        before = folders(tmp_path)
        killed.send_signal(signal.SIGKILL)
        killed.wait(180)
        assert len(before) == 2
        assert folders(tmp_path) == before
        with launch(tmp_path) as third:
            after = folders(tmp_path)
            assert len(after & before) == 1
            assert len(after) == 2
            for process in (live, third):
                _, _ = process.communicate(timeout=180)
                assert process.returncode == 0
    assert folders(tmp_path) == set()


@pytest.mark.slow
@pytest.mark.parametrize("mode", [{}, {"CLICKHOUSE_URL": "http://127.0.0.1:9"}], ids=["embedded", "server"])
def test_kills_of_a_server_leave_nothing_that_grows(tmp_path: Path, mode: dict[str, str]) -> None:
    """Twice killed, once stopped: the directory for temporary files is as it was."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    for _ in range(2):
        with running(tmp_path / "data", TMPDIR=str(temporary), **mode) as server:
            server.stop(signal.SIGKILL)
        assert len(folders(temporary)) <= 1
    with running(tmp_path / "data", TMPDIR=str(temporary), **mode) as server:
        assert server.stop() == 0
    assert list(temporary.iterdir()) == []


def test_only_what_is_certainly_dead_is_removed(tmp_path: Path) -> None:
    """Not a locked folder, one that is about to be locked, a link, or a folder of another name."""
    made = {}
    for name in ("dead", "live", "young", "old", "bare", "ancient"):
        made[name] = tmp_path / f"clickhouse-embedded-{name}"
        made[name].mkdir()
        if name not in {"bare", "ancient"}:
            (made[name] / "status").write_text("" if name in {"young", "old"} else "PID: 1\n")
    for name in ("old", "ancient"):
        os.utime(made[name], (time.time() - 7200,) * 2)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "status").write_text("PID: 1\n")
    (tmp_path / "clickhouse-embedded-link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "clickhouse-embedded-file").touch()
    with (made["live"] / "status").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert remove_leftovers(tmp_path) == 3
        assert remove_leftovers(tmp_path) == 0
    assert {path.name.removeprefix("clickhouse-embedded-") for path in tmp_path.iterdir()} == {
        *("live", "young", "bare", "elsewhere", "link", "file")
    }
    assert remove_leftovers(tmp_path) == 1, "the lock is gone with its holder"
