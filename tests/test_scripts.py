"""The shell scripts: their syntax, their help, and the server under scripts/start.sh."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.server import NO_TLS, ROOT, eventually, free_port

SCRIPTS = sorted((ROOT / "scripts").glob("*.sh"))
# The files that a checkout needs to run the server, and those that setup.sh compares to see whether .venv is current.
LOCKS = sorted(path.name for path in ROOT.glob("requirements*.lock"))
PARTS = ("scripts", "telemetry", "receiver", "clickhouse", "pyproject.toml", *LOCKS)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Make a checkout whose .venv is set up, with this test's own Python, so that nothing is installed."""
    root = tmp_path / "checkout"
    (root / ".venv" / "bin").mkdir(parents=True)
    for part in PARTS:
        (root / part).symlink_to(ROOT / part)
    # The script changes into the folder above its own, as it is called.
    python = root / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    current = "".join((ROOT / name).read_text() for name in (*LOCKS, "pyproject.toml"))
    (root / ".venv" / "installed-run").write_text(current)
    return root


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_valid_bash(script: Path) -> None:
    """Read to its end, each is without a syntax error."""
    done = subprocess.run(["bash", "-n", script], capture_output=True, text=True, timeout=180, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_start_help_says_what_it_does_and_does_nothing(checkout: Path) -> None:
    """Help comes before any set-up."""
    (checkout / ".venv" / "installed-run").unlink()
    done = subprocess.run(
        [checkout / "scripts" / "start.sh", "--help"],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Runs the server in embedded mode" in done.stdout
    assert "SIGTERM" in done.stdout


@pytest.mark.slow
def test_start_runs_the_server_and_hands_it_the_signal(checkout: Path, tmp_path: Path) -> None:
    """SIGTERM to the script stores the requests under way and exits 0."""
    health = free_port()
    clean = {
        key: value for key, value in os.environ.items() if not key.startswith(("TELEMETRY_", "CLICKHOUSE_"))
    }
    ports = {
        f"TELEMETRY_{name}_PORT": "0" for name in ("OTLP_GRPC", "OTLP_HTTP", "METRICS", "CLICKHOUSE_HTTP")
    }
    environment = {
        **clean,
        **ports,
        "TELEMETRY_HEALTH_PORT": str(health),
        "TELEMETRY_WEB_PORT": "off",
        "TELEMETRY_DATA_DIR": str(tmp_path / "data"),
    }
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [checkout / "scripts" / "start.sh"], env=environment, stdout=output, stderr=output
        )

    def ready() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return httpx.get(f"http://127.0.0.1:{health}/ready", timeout=60, verify=NO_TLS).status_code == 200
        except httpx.TransportError:
            return False

    try:
        eventually(ready, 180)
        process.send_signal(signal.SIGTERM)
        assert process.wait(180) == 0, log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(180)
    assert "Installing" not in log.read_text()
    assert "Point Claude Code here" in log.read_text()


def test_start_without_a_python_says_what_is_needed(checkout: Path, tmp_path: Path) -> None:
    """A machine with no Python 3.11 gets the remedy and no half of a .venv."""
    (checkout / ".venv" / "installed-run").unlink()
    (checkout / ".venv" / "bin" / "python").unlink()
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("bash", "dirname", "cat", "cmp", "sed"):
        (tools / tool).symlink_to(
            subprocess.check_output(["/bin/sh", "-c", f"command -v {tool}"], text=True).strip()
        )
    done = subprocess.run(
        ["bash", checkout / "scripts" / "start.sh"],
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "Python 3.11 or newer with venv is needed (Debian: apt install python3 python3-venv),"
        " or set PYTHON to one.\n"
    )
