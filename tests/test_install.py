"""The first start in a fresh checkout, as a person sees it at a terminal: from the first second, and on one screen.

The checkout is small, and so are its packages, whose index is a folder; the scripts, pip and .venv are real.
"""

import hashlib
import os
import pty
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from tests.server import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# So many that pip is seen at them: the line that shows how far it is changes five times a second.
_PACKAGES = 60

# A build backend in the checkout itself, so that nothing need be downloaded to install it.
_BACKEND = """
import zipfile
NAME = "small-1.0-py3-none-any.whl"
def build_editable(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(f"{folder}/{NAME}", "w") as wheel:
        wheel.writestr("small-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: small\\nVersion: 1.0\\n")
        wheel.writestr("small-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        wheel.writestr("small-1.0.dist-info/RECORD", "")
    return NAME
"""


def wheel(folder: Path, name: str) -> str:
    """Make a wheel; return its entry of a lock."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{name}.py", "")
        file.writestr(
            f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        )
        file.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        file.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return f"{name}==1.0 \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    shutil.copytree(ROOT / "scripts", root / "scripts")
    (tmp_path / "index").mkdir()
    entries = [wheel(tmp_path / "index", f"package{number}") for number in range(_PACKAGES)]
    (root / "requirements.lock").write_text("".join(entries))
    (root / "requirements-build.lock").write_text(wheel(tmp_path / "index", "builder"))
    (root / "backend.py").write_text(_BACKEND)
    (root / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "small"\nversion = "1.0"\n'
    )
    (root / "telemetry").mkdir()
    (root / "telemetry" / "__main__.py").write_text(
        f"import package0, package{_PACKAGES - 1}\nprint('served')\n"
    )
    return root


def started(checkout: Path) -> tuple[int, str, float]:
    """Start it at a terminal; return the code, all that was written, and when the first of it was."""
    me, terminal = pty.openpty()
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHON": sys.executable,
        "HOME": str(checkout.parent / "home"),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(checkout.parent / "index"),
    }
    began = time.monotonic()
    process = subprocess.Popen(
        [checkout / "scripts" / "start.sh"], env=environment, stdin=terminal, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    shown, first = b"", 0.0
    while True:
        try:
            piece = os.read(me, 4096)
        except OSError:  # the other end is closed
            break
        first = first or time.monotonic() - began
        shown += piece
    os.close(me)
    return process.wait(180), shown.decode(), first


def screen(shown: str) -> list[str]:
    """Return the lines that stay: what is written after the start of a line replaces it."""
    lines = shown.replace("\r\n", "\n").removesuffix("\n").split("\n")
    return [line.rpartition("\r\x1b[2K")[2] for line in lines]


def test_a_first_start_shows_what_is_installed_and_then_the_server(checkout: Path) -> None:
    """Its progress is one line, which changes all the time; nothing of pip's is shown; a second start is silent."""
    code, shown, first = started(checkout)
    assert code == 0, shown
    assert first < 5
    lines = screen(shown)
    assert re.fullmatch(r"  Installed in \d+ s", lines[1])
    assert [*lines[:1], *lines[2:]] == [
        "Setting up .venv: 250 MB to fetch, 0.7 GB on disk, a minute or two the first time.",
        "Starting the server ...",
        "served",
    ]
    states = shown.split("\r\x1b[2K")[1:-1]
    assert len(states) > 5
    assert all(len(state) <= 100 and "\n" not in state for state in states)
    assert any("an empty .venv" in state for state in states)
    assert any(re.search(rf"packages: \d+ of {_PACKAGES} (fetched|unpacked)", state) for state in states)
    assert not re.search(r"Collecting|Looking in|Successfully|WARNING|notice", shown)
    code, again, _ = started(checkout)
    assert (code, screen(again)) == (0, ["Starting the server ...", "served"])


def test_a_package_with_another_hash_is_not_installed(checkout: Path) -> None:
    """The start ends with what pip says of it; the next start tries again."""
    lock = checkout / "requirements.lock"
    text = lock.read_text()
    lock.write_text(re.sub(r"[0-9a-f]{64}", "0" * 64, text, count=1))
    code, shown, _ = started(checkout)
    assert code == 1
    lines = screen(shown)
    assert lines[1].startswith("Installing failed: ")
    assert "package0" in shown
    assert "0" * 64 in shown
    assert "served" not in shown
    assert len(lines) < 15
    lock.write_text(text)
    code, shown, _ = started(checkout)
    assert (code, screen(shown)[-1]) == (0, "served")
