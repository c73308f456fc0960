"""Files of commands are for their user alone, under any umask and for any mode of the data directory."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from config.closing import close_to_others
from operations import archive
from telemetry.cli import main
from tests.server import AS_INSTALLED, ROOT, Server
from tests.test_demo import own

_OPEN = "Other users can enter the data directory"


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    """Begin as most shells do."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def open_to_others(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if not path.is_symlink() and mode(path) & 0o077
    )


def readable_by_another_user(folder: Path) -> list[str]:
    """Return what a user without any right can list or read, who is let into the folder above."""
    folder.parent.chmod(0o711)
    script = """
import os, sys
from pathlib import Path
os.chdir(sys.argv[1])  # as root: the folders above it are closed
os.setgroups([])
os.setgid(10_002)
os.setuid(10_002)
for path in sys.argv[2:]:
    try:
        os.listdir(path) if path.endswith("/") else open(path, "rb").read(1)
    except PermissionError:
        continue
    print(path)
"""
    paths = [f"{path.relative_to(folder.parent)}{'/' if path.is_dir() else ''}" for path in folder.rglob("*")]
    assert len(paths) > 5
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder.parent), f"{folder.name}/", *paths],
        capture_output=True, text=True, timeout=180, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


def test_another_user_reads_what_is_open(tmp_path: Path) -> None:
    """The check above can fail."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    folder = tmp_path / "open"
    (folder / "a").mkdir(parents=True)
    for number in range(6):
        (folder / "a" / str(number)).write_text("x")
    for path in (folder, folder / "a", *(folder / "a").iterdir()):
        path.chmod(0o755)
    assert len(readable_by_another_user(folder)) == 8


def test_a_shared_folder_of_backups_keeps_its_mode(tmp_path: Path) -> None:
    """One that holds other files may have other readers; each backup in it is closed all the same."""
    (tmp_path / "notes").write_text("x")
    tmp_path.chmod(0o755)
    with archive.held(tmp_path):
        assert mode(tmp_path) == 0o755
    (tmp_path / "notes").unlink()
    with archive.held(tmp_path):
        assert mode(tmp_path) == 0o700


@pytest.mark.slow
def test_all_that_commands_write_is_for_their_user_alone(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    """The whole data directory of a server, a report, an export, a backup."""
    server = start()
    record = {"timeUnixNano": "1767225600000000000", "body": {"stringValue": "x"}}
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    assert server.post("logs", json.dumps(body).encode(), "application/json").status_code == 200
    made = tmp_path / "made"
    (made / "deep" / "backups").mkdir(parents=True)
    for folder in (made, made / "deep"):
        folder.chmod(0o700)  # a person's own; the folder of backups is ours, and closed by the command
    for name in ("report.html", "export.csv"):  # an older one, made by another program
        (made / name).write_text("x" * 10_000)
    for command in (
        ["report", "-o", str(made / "report.html")],
        ["query", "SELECT 1", "-o", str(made / "export.csv")],
        ["backup", "--to", str(made / "deep" / "backups")],
    ):
        os.umask(0o022)
        done = CliRunner().invoke(main, command, env=own(server))
        assert done.exit_code == 0, done.output
    assert "not encrypted" in done.output
    assert "TELEMETRY_BACKUP_RECIPIENT" in done.output
    assert not (made / "export.csv").read_text().count("x")
    assert len(list(made.rglob("*"))) > 5
    assert open_to_others(made) == []
    if os.geteuid() == 0:
        assert readable_by_another_user(made) == []
        assert readable_by_another_user(server.data) == []
    assert server.stop() == 0
    assert open_to_others(server.data) == []
    assert len(list(server.data.rglob("*"))) > 50


@pytest.mark.parametrize("before", [0o755, 0o777, 0o770, 0o2775, 0o711, 0o700])
def test_a_data_directory_that_was_open_is_closed(tmp_path: Path, before: int) -> None:
    """To the group too, since the directory is the server's own."""
    tmp_path.chmod(before)
    assert close_to_others(tmp_path)
    assert mode(tmp_path) & 0o777 == 0o700


def test_the_start_closes_the_data_directory_and_says_so(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    """With one warning; its files stay as they were, since they cannot be reached."""
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o755)
    (data / "kept").write_text("x")
    server = start()
    assert mode(data) == 0o700
    assert mode(data / "kept") == 0o644
    said = [json.loads(line) for line in server.log.read_text().splitlines() if "open to others" in line]
    assert [(one["level"], one["mode"]) for one in said] == [("warning", "0755")]


def test_a_directory_that_many_share_is_refused_and_not_changed(tmp_path: Path) -> None:
    """As /tmp is: closing it would stop every other program; the text has the remedy."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    done = _apply_schema(shared)
    assert done.returncode == 1
    assert _OPEN in done.stderr
    assert "TELEMETRY_DATA_DIR to a directory below it" in done.stderr
    assert mode(shared) == 0o1777
    assert _apply_schema(shared / "below").returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
@pytest.mark.parametrize(
    ("given", "is_closed"), [(0o2770, True), (0o770, True), (0o2775, False), (0o777, False), (0o771, False)]
)
def test_a_mounted_directory_of_another_owner(tmp_path: Path, given: int, is_closed: bool) -> None:  # noqa: FBT001  a case's column
    """The group that a platform gives is let in; everyone is not, and nothing is changed."""
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    os.chown(mounted, 0, 10_001)
    mounted.chmod(given)
    # The parents belong to root alone: entered before the process becomes another user's.
    script = """
import os, sys
from pathlib import Path
from config.closing import close_to_others
os.chdir(sys.argv[1])
os.setgroups([])
os.setgid(10_001)
os.setuid(10_001)
print(close_to_others(Path()))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(mounted)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    assert done.stdout == f"{is_closed}\n"
    assert mode(mounted) == given


def _apply_schema(data: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "telemetry", "schema", "--apply"],
        cwd=ROOT,
        env={**os.environ, **AS_INSTALLED, "TELEMETRY_DATA_DIR": str(data), "CLICKHOUSE_URL": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
