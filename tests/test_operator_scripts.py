"""The operators' scripts as a person runs them: from any directory, embedded, with a ClickHouse server, with Docker."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.server import ROOT, Server, captures, free_port, running

SCRIPTS = sorted((ROOT / "scripts").glob("*.sh"))
RUN = [path for path in SCRIPTS if os.access(path, os.X_OK) and path.name not in {"start.sh", "test.sh"}]
PARTS = (
    *(
        "scripts",
        "telemetry",
        "receiver",
        "access",
        "clickhouse",
        "demo",
        "queries",
        "requirements.lock",
        "pyproject.toml",
    ),
    *(".env.template", "Dockerfile", ".dockerignore", "docker-compose.yml"),
)
each_script = pytest.mark.parametrize("script", RUN, ids=lambda path: path.name)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a checkout whose .venv is this test's own Python, and which has no .env."""
    root = tmp_path_factory.mktemp("checkout")
    for part in PARTS:
        (root / part).symlink_to(ROOT / part)
    # A script finds its folder by the name it is called by.
    (root / "scripts").unlink()
    (root / "scripts").mkdir()
    for script in SCRIPTS:
        (root / "scripts" / script.name).write_bytes(script.read_bytes())
        (root / "scripts" / script.name).chmod(script.stat().st_mode)
    python = root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return root


def run(
    script: Path, *arguments: str | Path, given: Mapping[str, str] | None = None, cwd: Path = Path("/")
) -> subprocess.CompletedProcess[str]:
    clean = {
        key: value for key, value in os.environ.items() if not key.startswith(("TELEMETRY_", "CLICKHOUSE_"))
    }
    return subprocess.run(
        [script, *arguments],
        cwd=cwd,
        env={**clean, **(given or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def settings_of(server: Server) -> dict[str, str]:
    """Return the settings by which a script on the server's machine finds it."""
    ports = {name: address.rpartition(":")[2] for name, address in server.listening.items()}
    given = {f"TELEMETRY_{name.upper()}_PORT": port for name, port in ports.items()}
    return {**given, "TELEMETRY_DATA_DIR": str(server.data)}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start an embedded server that holds the captures' logs, and takes what other servers write."""
    data = tmp_path_factory.mktemp("store") / "data"
    with running(data, TELEMETRY_BATCH_AGE_MS="0", TELEMETRY_RETENTION_DAYS="3650") as server:
        for body in captures("logs"):
            assert server.post("logs", body).status_code == 200
        yield server


def test_scripts_are_as_shellcheck_wants_them() -> None:
    """No warning, in any of them."""
    tool = Path(sys.executable).parent / "shellcheck"
    done = subprocess.run(
        [tool, "--external-sources", *SCRIPTS, ROOT / ".ci" / "run"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


@each_script
def test_help_says_what_a_script_does_and_how_it_ends(script: Path, checkout: Path) -> None:
    """From any directory, without a server, and to standard output."""
    done = run(checkout / "scripts" / script.name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) > 3
    assert f"scripts/{script.name}" in done.stdout
    assert not done.stdout.startswith(("#", "\n"))


@each_script
def test_an_unknown_option_is_told_and_ends_with_2(script: Path, checkout: Path) -> None:
    """Nothing is done then."""
    done = run(checkout / "scripts" / script.name, "--no-such-option")
    assert done.returncode == 2, done.stderr
    assert "option" in done.stderr


@pytest.mark.slow
def test_a_backup_goes_from_one_server_to_another(checkout: Path, store: Server, tmp_path: Path) -> None:
    """Backed up from an embedded server, reset, refused without a server, and restored; paths are the caller's."""
    given = settings_of(store)
    scripts = checkout / "scripts"
    saved = run(scripts / "backup-data.sh", "--to", "saved", given=given, cwd=tmp_path)
    assert (saved.returncode, saved.stderr) == (0, "")
    assert re.search(r"Backed up \d+ rows of \d+ tables into .*/saved/\d+T\d+Z", saved.stdout)
    (made,) = (path for path in (tmp_path / "saved").iterdir() if path.is_dir())
    sums = subprocess.run(
        ["sha256sum", "--check", "--quiet", "SHA256SUMS"],
        cwd=made,
        capture_output=True,
        timeout=180,
        check=False,
    )
    assert sums.returncode == 0, "the checksums are those of the usual tool"
    refused = run(scripts / "restore-data.sh", "--from=saved", given=given, cwd=tmp_path)
    assert refused.returncode == 1
    assert "Use --force to replace" in refused.stderr
    gone = run(scripts / "reset-data.sh", "--yes", given=given)
    assert gone.returncode == 0, gone.stderr
    put = run(scripts / "restore-data.sh", "--from", "saved", given=given, cwd=tmp_path)
    assert (put.returncode, put.stderr) == (0, "")
    assert "Restored " in put.stdout
    away = run(
        scripts / "backup-data.sh", "--to", tmp_path / "x", given={"TELEMETRY_CLICKHOUSE_HTTP_PORT": "1"}
    )
    assert away.returncode == 1
    assert "Nothing answers at" in away.stderr
    assert "start the server" in away.stderr


@pytest.mark.slow
def test_a_connection_is_tested_from_end_to_end_in_server_mode_with_tls_and_tokens(
    checkout: Path, store: Server, start: Callable[..., Server], tmp_path: Path
) -> None:
    """Every port, both users, the tables, and two records sent and found; and each problem with its remedy."""
    passwords = dict(line.split("=", 1) for line in (store.data / "credentials.env").read_text().splitlines())
    pair = Authority(tmp_path, "ours").issue("server")
    shared = {
        "CLICKHOUSE_URL": f"http://{store.listening['clickhouse_http']}",
        **passwords,
        "TELEMETRY_INGEST_TOKENS": "alice:first-token",
        "TELEMETRY_RETENTION_DAYS": "3650",
        "TELEMETRY_TLS_CERTIFICATE": str(pair.certificate),
        "TELEMETRY_TLS_KEY": str(pair.key),
    }
    receiver = start(**shared)
    given = {**settings_of(receiver), **shared}
    tested = run(checkout / "scripts" / "test-connection.sh", given=given)
    assert (tested.returncode, tested.stderr) == (0, ""), tested.stdout
    assert len(re.findall(r"^ {2}ok", tested.stdout, re.MULTILINE)) == 13
    for line in (
        "OTLP/HTTP            refuses who has no token",
        "OTLP/gRPC            took a test record and says that it is stored",
        "user who reads       telemetry_reader cannot write",
        "test record          sent over OTLP/HTTP, found in otel_logs",
        "test record          sent over OTLP/gRPC, found in otel_logs",
    ):
        assert f"  ok    {line}" in tested.stdout
    wrong = {"TELEMETRY_INGEST_TOKENS": "alice:another", "TELEMETRY_METRICS_PORT": "1"}
    tested = run(checkout / "scripts" / "test-connection.sh", given={**given, **wrong})
    assert (tested.returncode, tested.stderr) == (1, "3 of these failed.\n")
    assert "FAIL  metrics" in tested.stdout
    assert "Set TELEMETRY_INGEST_TOKENS to what the running server has" in tested.stdout
    tested = run(
        checkout / "scripts" / "test-connection.sh", given={**given, "TELEMETRY_READER_PASSWORD": "another"}
    )
    assert tested.returncode == 1
    assert "telemetry_reader gets no answer" in tested.stdout
    for secret in ("another", "first-token", *passwords.values()):
        assert secret not in tested.stdout + tested.stderr


class Docker:
    """A program in place of docker, that writes down how it was called."""

    def __init__(self, folder: Path, *, daemon: bool = True) -> None:
        folder.mkdir()
        self._calls = folder / "calls"
        program = folder / "docker"
        program.write_text(
            f'#!/bin/bash\nprintf "%s\\n" "$*" >>{self._calls}\n'
            f'case "$*" in info) exit {0 if daemon else 1} ;; "version "* | *" version --short") echo 28.2.2 ;;\n'
            f"*run*) cat >{folder}/input ;; esac\n"
        )
        program.chmod(0o755)
        self.input = folder / "input"
        self.path = f"{folder}:{os.environ['PATH']}"

    def calls(self) -> list[str]:
        return self._calls.read_text().splitlines()


@pytest.fixture
def released(checkout: Path, tmp_path: Path) -> Path:
    """Make a checkout without a .venv, as one has who uses Docker only."""
    root = tmp_path / "released"
    root.mkdir()
    for entry in checkout.iterdir():
        if entry.name not in {".venv", "scripts"}:
            (root / entry.name).symlink_to(entry.resolve())
    (root / "scripts").mkdir()
    for script in (checkout / "scripts").iterdir():
        (root / "scripts" / script.name).symlink_to(script)
    return root


def without_telemetry(path: str) -> str:
    """Take the folders with a command telemetry out of a PATH."""
    return ":".join(folder for folder in path.split(":") if not (Path(folder) / "telemetry").exists())


def test_with_docker_the_scripts_run_beside_the_receiver(released: Path, tmp_path: Path) -> None:
    """In a container of their own, with the receiver as another machine and the key on standard input."""
    docker = Docker(tmp_path / "bin")
    given = {"PATH": without_telemetry(docker.path)}
    scripts = released / "scripts"
    (tmp_path / "backup.key").write_text("AGE-SECRET-KEY-1\n")
    assert run(scripts / "backup-data.sh", "--keep", "3", given=given).returncode == 0
    restored = run(
        scripts / "restore-data.sh", "--identity", "backup.key", "--force", given=given, cwd=tmp_path
    )
    assert restored.returncode == 0, restored.stderr
    assert docker.input.read_text() == "AGE-SECRET-KEY-1\n"
    assert run(scripts / "test-connection.sh", given=given).returncode == 0
    assert [call for call in docker.calls() if " run " in call] == [
        "compose run --rm --no-deps -T receiver backup --keep 3",
        "compose run --rm --no-deps -T receiver restore --identity - --force",
        "compose run --rm --no-deps -T receiver test-connection --host receiver",
    ]
    outside = run(scripts / "backup-data.sh", "--to", "/here", given=given)
    assert (outside.returncode, "set TELEMETRY_BACKUPS" in outside.stderr) == (1, True)


def test_without_python_and_docker_the_scripts_say_what_is_needed(released: Path, tmp_path: Path) -> None:
    """And exit 1."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("bash", "dirname", "basename", "sed", "env"):
        found = subprocess.check_output(["/bin/sh", "-c", f"command -v {tool}"], text=True).strip()
        (tools / tool).symlink_to(found)
    done = run(released / "scripts" / "backup-data.sh", given={"PATH": str(tools)})
    assert done.returncode == 1
    assert "run scripts/start.sh once, which makes .venv, or install Docker" in done.stderr


def free_ports() -> dict[str, str]:
    names = ("OTLP_GRPC", "OTLP_HTTP", "METRICS", "HEALTH", "CLICKHOUSE_HTTP")
    return {f"TELEMETRY_{name}_PORT": str(free_port()) for name in names}


def test_a_machine_that_is_in_order_passes(checkout: Path, tmp_path: Path) -> None:
    """Every line is ok or a warning, and the last says how to start."""
    given = {**free_ports(), "TELEMETRY_DATA_DIR": str(tmp_path / "data")}
    done = run(checkout / "scripts" / "verify-setup.sh", "--python", given=given)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    looked_at = re.findall(r"^ {2}(?:ok|warn) +(\S+)", done.stdout, re.MULTILINE)
    assert looked_at == ["python", "machine", "files", ".env", "settings", "ports", "disk", "memory", "clock"]
    assert done.stdout.endswith("All is well. Start it with: scripts/start.sh\n")


def test_a_running_server_is_known_by_its_ports(checkout: Path, store: Server) -> None:
    """They are taken, by it."""
    done = run(checkout / "scripts" / "verify-setup.sh", "--python", given=settings_of(store))
    assert done.returncode == 0, done.stdout
    assert "ok    ports        the server is running and has " in done.stdout
    assert "scripts/test-connection.sh tests it" in done.stdout


def test_each_fault_of_a_machine_is_named_with_its_remedy(
    checkout: Path, released: Path, tmp_path: Path
) -> None:
    """Wrong settings, a port in use, a folder that is no place for data, no Docker, no .env, missing files."""
    given = free_ports()
    verify = checkout / "scripts" / "verify-setup.sh"
    with socket.create_server(("127.0.0.1", int(given["TELEMETRY_OTLP_HTTP_PORT"]))):
        bad = {
            "TELEMETRY_RETENTION_DAYS": "0",
            "CLICKHOUSE_PASSWORD": "change-me",
            "TELEMETRY_DATA_DIR": "/proc/none",
        }
        done = run(verify, "--python", given={**given, **bad})
    assert done.returncode == 1
    assert "FAIL  settings     TELEMETRY_RETENTION_DAYS: " in done.stdout
    assert "FAIL  settings     CLICKHOUSE_PASSWORD: holds a placeholder that everybody knows" in done.stdout
    assert (
        f"taken by another program: {given['TELEMETRY_OTLP_HTTP_PORT']} (TELEMETRY_OTLP_HTTP_PORT)"
        in done.stdout
    )
    assert "change-me" not in done.stdout + done.stderr
    assert done.stderr == "verify-setup: 3 of these must be corrected first.\n" or os.geteuid() != 0
    docker = Docker(tmp_path / "bin", daemon=False)
    (released / "Dockerfile").unlink()
    done = run(released / "scripts" / "verify-setup.sh", "--docker", given={**given, "PATH": docker.path})
    assert done.returncode == 1
    assert "FAIL  docker       its daemon does not answer" in done.stdout
    assert "FAIL  .env         is not there" in done.stdout
    assert "Run scripts/make-env.sh" in done.stdout
    assert "FAIL  files        missing or not readable: Dockerfile" in done.stdout


def test_docker_with_an_env_file_passes_and_one_that_others_read_is_told(
    released: Path, tmp_path: Path
) -> None:
    """The .env from make-env.sh is enough."""
    docker = Docker(tmp_path / "bin")
    given = {**free_ports(), "PATH": docker.path}
    # The files of this checkout are links, and make-env.sh writes beside its own folder.
    assert run(released / "scripts" / "make-env.sh").returncode == 0
    done = run(released / "scripts" / "verify-setup.sh", given=given)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.startswith("For docker, in ")
    assert "Start it with: docker compose up -d" in done.stdout
    (released / ".env").chmod(0o644)
    done = run(released / "scripts" / "verify-setup.sh", given=given)
    assert (done.returncode, "warn  .env         can be read by others" in done.stdout) == (0, True)
