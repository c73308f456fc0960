"""The output of the commands at a terminal: the commands' own lines, and nothing of the engine."""

import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from otlp.signals import Signal
from tests.server import AS_INSTALLED, NO_TLS, ROOT, Server, captures, eventually

_LOG_LINE = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z \[(?:info|warning) *\] (\S.*?)(?:  .*|$)")
_COLOURS = re.compile(rb"\x1b\[[\d;]*m")
_IN_MEMORY = """
from clickhouse.engine import Engine
engine = Engine()
print(engine.rows("SELECT 1"))
engine.close()
"""
_LONG = """
from clickhouse.engine import Engine
engine = Engine()
engine.query("SELECT sleepEachRow(1) FROM numbers(6) SETTINGS max_block_size = 1")
engine.close()
"""


class Terminal:
    """A terminal that keeps its output."""

    def __init__(self) -> None:
        self._ours, self.theirs = pty.openpty()
        self._shown = bytearray()
        self.copy: Path | None = None
        """The file that has the same, for a server that is waited for by what it logs."""
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def lines(self) -> list[str]:
        """Return what was shown, without colours, once every program is gone that showed something; once only."""
        os.close(self.theirs)
        self._reading.join(30)
        os.close(self._ours)
        return _COLOURS.sub(b"", self._shown).decode().splitlines()

    def _read(self) -> None:
        try:
            while shown := os.read(self._ours, 1 << 16):
                self._shown += shown
                if self.copy:
                    self.copy.write_bytes(_COLOURS.sub(b"", self._shown).replace(b"\r\n", b"\n"))
        except OSError:  # how Linux reports that the last program is gone
            return


@contextmanager
def at_a_terminal(data: Path, terminal: Terminal) -> Iterator[Server]:
    server = Server(data, {"TELEMETRY_LOG_FORMAT": "console", "TELEMETRY_BATCH_AGE_MS": "0"}, terminal.theirs)
    terminal.copy = server.log
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.kill()


def command(data: Path, *words: str) -> list[str]:
    """Run Python with these words at a terminal, and return the lines shown."""
    terminal = Terminal()
    done = subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, **AS_INSTALLED, "TELEMETRY_DATA_DIR": str(data)},
        stdin=terminal.theirs,
        stdout=terminal.theirs,
        stderr=terminal.theirs,
        timeout=180,
        check=False,
    )
    lines = terminal.lines()
    assert done.returncode == 0, lines
    return lines


def ask(server: Server, sql: str) -> httpx.Response:
    """Run a statement as the user who only reads."""
    lines = (server.data / "credentials.env").read_text().splitlines()
    password = dict(line.split("=", 1) for line in lines)["TELEMETRY_READER_PASSWORD"]
    return httpx.post(
        f"http://{server.listening['clickhouse_http']}",
        content=sql,
        auth=("telemetry_reader", password),
        timeout=180,
        verify=NO_TLS,
    )


def test_a_server_shows_its_banner_and_its_log_alone(tmp_path: Path) -> None:
    """Neither the engine's trace nor any text of readers' questions or of clients' records."""
    terminal = Terminal()
    with at_a_terminal(tmp_path / "data", terminal) as server:
        for name in Signal:
            for body in captures(name):
                server.export(name, body)
        eventually(lambda: server.metric("telemetry_inserted_rows_total") > 0)
        assert ask(server, "SELECT 'asked-by-a-reader', 6 * 7").text == "asked-by-a-reader\t42\n"
        assert ask(server, "SELECT 'refused-to-a-reader' FROM no_such_table").status_code == 404
        assert server.stop() == 0
    lines = terminal.lines()
    events = [found[1] for line in lines if (found := _LOG_LINE.match(line))]
    assert [event for event in events if event != "Schema migrated."] == [
        "Ready.",
        "Stopping: no new requests; those under way are being stored.",
        "Stopped; everything acknowledged is stored.",
    ]
    banner = [line for line in lines if not _LOG_LINE.match(line)]
    assert [line for line in banner if line and not line.startswith("  ")] == []
    assert len(banner) < 20


@pytest.mark.slow
def test_every_command_that_opens_an_engine_shows_its_own_lines_alone(tmp_path: Path) -> None:
    """The engine is silent over tables, over a backup's scratch folder, and in memory."""
    data, backups = tmp_path / "data", tmp_path / "backups"
    (applied,) = command(data, "-m", "telemetry", "schema", "--apply")
    assert re.fullmatch(r"Applied \d+ migrations; rows are kept \d+ days\.", applied)
    assert command(data, "-m", "telemetry", "replay") == ["Inserted 0 blocks; 0 refused again, 0 left."]
    terminal = Terminal()
    with at_a_terminal(data, terminal) as server:
        server.export("logs", captures("logs")[0])
        gateway = f"http://{server.listening['clickhouse_http']}"
        backup = ("backup", "--to", str(backups), "--url", gateway)
        backed_up, unencrypted = command(data, "-m", "telemetry", *backup)
        assert backed_up.startswith("Backed up ")
        assert unencrypted.startswith("Who gets a copy of it can read it: ")
    assert "Ready." in " ".join(terminal.lines())
    (verified,) = command(data, "-m", "telemetry", "restore", "--verify", "--from", str(backups))
    assert verified.startswith("Verified ")
    assert command(data, "-c", _IN_MEMORY) == ["[[1]]"]


@pytest.mark.slow
def test_a_long_statement_rings_no_bell(tmp_path: Path) -> None:
    """The engine's client does so after five seconds."""
    assert command(tmp_path, "-c", _LONG) == []
