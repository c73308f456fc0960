"""`telemetry setup`, as a person and as a script run it, against a server."""

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from telemetry.cli import main
from tests.server import ROOT, Server, running

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    with running(
        tmp_path_factory.mktemp("setup") / "data",
        TELEMETRY_BATCH_AGE_MS="0",
        TELEMETRY_INGEST_TOKENS="right,other",
    ) as server:
        yield server


def setup(server: Server, *arguments: str, stdin: str | None = None) -> Result:
    """Run it where the server's settings are known, as on the server's machine."""
    settings = {
        "TELEMETRY_DATA_DIR": str(server.data),
        "TELEMETRY_OTLP_GRPC_PORT": server.listening["otlp_grpc"].rpartition(":")[2],
        "TELEMETRY_OTLP_HTTP_PORT": server.listening["otlp_http"].rpartition(":")[2],
        "TELEMETRY_CLICKHOUSE_HTTP_PORT": server.listening["clickhouse_http"].rpartition(":")[2],
        "TELEMETRY_INGEST_TOKENS": "right",
        # Where telemetry is, so that nothing has to be said of it.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    return CliRunner().invoke(main, ["setup", *arguments], env=settings, input=stdin)


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf", "http/json"])
def test_a_test_record_lands_over_every_protocol(server: Server, home: Path, protocol: str) -> None:
    """With the token that the server wants, and without asking."""
    done = setup(server, "--yes", "--protocol", protocol)
    assert (done.exit_code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[:2] == ["Test records accepted: logs, metrics, traces.", "Found in the tables."]
    assert lines[-2:] == [
        f"Written to {home / '.claude/settings.json'}.",
        "Restart Claude Code; telemetry query freshness then shows what arrives.",
    ]
    env = json.loads((home / ".claude/settings.json").read_text())["env"]
    assert (env["OTEL_EXPORTER_OTLP_PROTOCOL"], env["OTEL_EXPORTER_OTLP_HEADERS"]) == (
        protocol, "Authorization=Bearer right",
    )  # fmt: skip
    assert "Bearer" not in done.stdout


def test_a_dry_run_changes_nothing(server: Server, home: Path) -> None:
    """It shows the lines that would."""
    done = setup(server, "--yes", "--dry-run", "--content", "prompts")
    assert done.exit_code == 0
    assert '+    "OTEL_LOG_USER_PROMPTS": "1",' in done.stdout
    assert not (home / ".claude").exists()


def test_removing_leaves_what_was_there(server: Server, home: Path) -> None:
    """Byte for byte."""
    file = home / ".claude/settings.json"
    file.parent.mkdir()
    file.write_text('{\n  "model": "opus"\n}\n')
    assert setup(server, "--yes", "--no-test").exit_code == 0
    assert "env" in json.loads(file.read_text())
    assert setup(server, "--remove").exit_code == 0
    assert file.read_text() == '{\n  "model": "opus"\n}\n'


def test_a_wrong_token_is_told(server: Server) -> None:
    """With the variable to set, and without the token."""
    done = setup(server, "--yes", "--token-file", "-", stdin="wr0ng\n")
    assert done.exit_code == 1
    assert "does not accept the token. Set OTEL_EXPORTER_OTLP_HEADERS" in done.stderr
    assert "wr0ng" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("protocol", "port", "said"),
    [
        ("grpc", "otlp_http", "does not speak gRPC. Set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"),
        ("http/json", "otlp_grpc", "does not speak HTTP. Set OTEL_EXPORTER_OTLP_PROTOCOL=grpc"),
        ("grpc", "health", "does not speak gRPC"),
        ("http/json", "health", "takes no OTLP at /v1/logs"),
    ],
)
def test_a_protocol_for_another_port_is_told(server: Server, protocol: str, port: str, said: str) -> None:
    """The classic mistake is gRPC to 4318."""
    done = setup(server, "--yes", "--protocol", protocol, "--endpoint", f"http://{server.listening[port]}")
    assert (done.exit_code, said in done.stderr) == (1, True), done.stderr


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_tls_where_there_is_none_is_told(server: Server, protocol: str) -> None:
    """With the change to make."""
    port = "otlp_grpc" if protocol == "grpc" else "otlp_http"
    done = setup(server, "--yes", "--protocol", protocol, "--endpoint", f"https://{server.listening[port]}")
    assert (done.exit_code, "does not speak TLS" in done.stderr) == (1, True), done.stderr


def test_a_server_that_is_not_there_is_told(server: Server, home: Path) -> None:
    """And nothing is written, unless that is asked for."""
    done = setup(server, "--yes", "--endpoint", "http://127.0.0.1:9")
    assert done.exit_code == 1
    assert "Nothing answers at 127.0.0.1:9. Start the server" in done.stderr
    assert done.stderr.splitlines()[-1] == (
        "Nothing was changed. To write the settings without a test: --no-test."
    )
    assert not (home / ".claude").exists()
    assert setup(server, "--yes", "--no-test", "--endpoint", "http://127.0.0.1:9").exit_code == 0
    assert (home / ".claude/settings.json").exists()


def test_a_later_run_keeps_what_an_earlier_one_chose(server: Server, home: Path) -> None:
    """But for the options given; the one copy is of the file before the first run."""
    file = home / ".claude/settings.json"
    file.parent.mkdir()
    file.write_text('{"model": "opus"}')
    chosen = [
        "--signals",
        "metrics,logs",
        "--content",
        "prompts",
        "--metric-interval",
        "5000",
        "--team",
        "blue",
    ]
    endpoint = f"http://{server.listening['otlp_http']}"
    protocol = ["--protocol", "http/protobuf", "--endpoint", endpoint]
    assert setup(server, "--yes", *protocol, *chosen).exit_code == 0
    first = json.loads(file.read_text())["env"]
    assert setup(server, "--yes").exit_code == 0
    assert json.loads(file.read_text())["env"] == first
    assert setup(server, "--yes", "--content", "none", "--department", "research").exit_code == 0
    changed = json.loads(file.read_text())["env"]
    assert changed == {
        **{name: value for name, value in first.items() if name != "OTEL_LOG_USER_PROMPTS"},
        "OTEL_RESOURCE_ATTRIBUTES": "team.id=blue,department=research",
    }
    assert setup(server, "--yes", "--protocol", "grpc").exit_code == 0
    moved = json.loads(file.read_text())["env"]
    port = server.listening["otlp_grpc"].rpartition(":")[2]
    assert moved["OTEL_EXPORTER_OTLP_ENDPOINT"] == f"http://localhost:{port}"
    copies = [path for path in file.parent.iterdir() if "backup" in path.name]
    assert [(path.name, path.read_text()) for path in copies] == [
        ("settings.json.backup-telemetry", '{"model": "opus"}')
    ]


def test_the_port_of_an_endpoint_decides_the_protocol(home: Path) -> None:
    """Whatever stands after it: a path that is wrong is not taken for a wrong protocol."""
    for endpoint, protocol in (
        ("http://localhost:4318", "http/protobuf"),
        ("http://localhost:4318/v1/logs", "http/protobuf"),
        ("http://localhost:43180", "grpc"),
        ("http://localhost:4317/x:4318", "grpc"),
    ):
        given = ["setup", "--yes", "--no-test", "--endpoint", endpoint]
        assert CliRunner().invoke(main, given).exit_code == 0
        written = json.loads((home / ".claude/settings.json").read_text())["env"]
        assert written["OTEL_EXPORTER_OTLP_PROTOCOL"] == protocol


def test_a_later_run_keeps_the_token_of_a_server_elsewhere(home: Path) -> None:
    """As long as it is the same server: a token is for one."""
    there, token = "https://telemetry.example:4317", home / "token"
    token.write_text("theirs")
    run = CliRunner().invoke
    first = run(main, ["setup", "--yes", "--no-test", "--endpoint", there, "--token-file", str(token)])
    assert first.exit_code == 0, first.output
    file = home / ".claude/settings.json"
    written = file.read_text()
    assert "Bearer theirs" in written
    assert run(main, ["setup", "--yes", "--no-test"]).exit_code == 0
    assert file.read_text() == written
    assert (
        run(main, ["setup", "--yes", "--no-test", "--endpoint", "https://other.example:4317"]).exit_code == 0
    )
    assert "theirs" not in file.read_text()


def test_a_later_run_keeps_a_file_to_source(server: Server, home: Path) -> None:
    """Where nothing was written into the person's settings; values are quoted for the shell."""
    address = f"http://{server.listening['otlp_grpc']}"
    given = ["--scope", "env", "--endpoint", address, "--attribute", "note=it's", "--signals", "logs"]
    assert setup(server, "--yes", *given).exit_code == 0
    first = (home / "telemetry-enabled.env").read_text()
    assert "it%27s" in first
    assert setup(server, "--yes").exit_code == 0
    assert (home / "telemetry-enabled.env").read_text() == first
    assert not (home / ".claude").exists()


def test_a_token_is_kept_out_of_committed_files(server: Server, home: Path) -> None:
    """The project's shared file gets none; the local one warns when git would take it."""
    done = setup(server, "--yes", "--scope", "project")
    assert (done.exit_code, "--scope local" in done.stderr) == (1, True)
    subprocess.run(["git", "init", "--quiet", "."], cwd=home, check=True)
    done = setup(server, "--yes", "--scope", "local", "--no-test")
    assert (done.exit_code, "git does not ignore .claude/settings.local.json" in done.stderr) == (0, True)
    (home / ".gitignore").write_text(".claude/settings.local.json\n")
    done = setup(server, "--yes", "--scope", "local", "--no-test")
    assert "git does not ignore" not in done.stderr
    assert "2.1.282 and newer ignore" in done.stderr


def test_a_file_to_source_holds_the_same(server: Server, home: Path) -> None:
    """For those who want no change to any settings."""
    done = setup(server, "--yes", "--scope", "env", "--team", "blue")
    assert (done.exit_code, (home / "telemetry-enabled.env").stat().st_mode & 0o777) == (0, 0o600)
    script = ". ./telemetry-enabled.env && env"
    shown = subprocess.run(
        ["bash", "-c", script], cwd=home, capture_output=True, text=True, check=True
    ).stdout
    assert "OTEL_RESOURCE_ATTRIBUTES=team.id=blue" in shown.splitlines()
    assert setup(server, "--remove", "--scope", "env").exit_code == 0
    assert not (home / "telemetry-enabled.env").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--content", "everything"], "There is no content called everything"),
        (["--signals", "events"], "events are logs"),
        (["--attribute", "cost center=1"], "A resource attribute is KEY=VALUE"),
        (["--endpoint", "localhost:4317"], "The endpoint is an address such as"),
        (["--certificate", "ca.pem"], "There is no file ca.pem"),
        (["--token-file", "nowhere"], "The token file cannot be read"),
    ],
)
def test_a_wrong_choice_says_what_is_right(
    server: Server, home: Path, arguments: list[str], said: str
) -> None:
    """And writes nothing."""
    done = setup(server, "--yes", *arguments)
    assert (done.exit_code, said in done.stderr) == (1, True), done.stderr
    assert not (home / ".claude").exists()


def test_the_mcp_server_is_registered_and_removed_again(server: Server, home: Path) -> None:
    """For everyone in a project, by a file that names the token's variable; a dry run only shows it."""
    shown = setup(server, "--yes", "--no-test", "--dry-run", "--mcp", "project")
    assert "Claude Code would get the MCP server telemetry (project)." in shown.stdout
    assert not (home / ".mcp.json").exists()
    done = setup(server, "--yes", "--no-test", "--mcp", "project")
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (
        0, "The MCP server telemetry is registered in .mcp.json.",
    )  # fmt: skip
    entry = json.loads((home / ".mcp.json").read_text())["mcpServers"]["telemetry"]
    assert entry == {
        "type": "http",
        "url": "http://localhost:8080/mcp",
        "headers": {"Authorization": "Bearer ${TELEMETRY_WEB_TOKEN}"},
    }
    removed = setup(server, "--remove")
    assert removed.stdout.splitlines()[-1] == "The MCP server telemetry (project) is removed."
    assert not (home / ".mcp.json").exists()


def test_a_person_confirms_the_defaults_once(server: Server, home: Path) -> None:
    """At a terminal, with content off; the test is made before the file is written."""
    shown = asked(server, home, {b"Set it up like this?": b"\n"})
    env = json.loads((home / ".claude/settings.json").read_text())["env"]
    assert (env.get("OTEL_LOG_USER_PROMPTS"), env["OTEL_TRACES_EXPORTER"]) == (None, "otlp")
    assert shown.index("Found in the tables.") < shown.index("Written to")
    before = shown[: shown.index("Set it up")].splitlines()
    assert len(before) < 12
    assert all(len(line.replace(str(home), "~")) <= 120 for line in before)


def test_a_person_takes_what_is_recommended_with_one_letter(server: Server, home: Path) -> None:
    """What it is called where it is not on the PATH is said, since all that follows names it."""
    shown = asked(server, home, {b"Set it up like this?": b"t\n"})
    env = json.loads((home / ".claude/settings.json").read_text())["env"]
    assert (env.get("OTEL_LOG_USER_PROMPTS"), env.get("OTEL_LOG_TOOL_DETAILS")) == (None, "1")
    assert "Where these lines say telemetry, type " in shown


def test_a_person_may_say_no(server: Server, home: Path) -> None:
    """Then nothing is sent or written."""
    shown = asked(server, home, {b"Set it up like this?": b"n\n"})
    assert "Test records" not in shown
    assert not (home / ".claude").exists()


def test_a_person_may_change_everything(server: Server, home: Path) -> None:
    """Each question has a default; the change is shown before it is made."""
    shown = asked(
        server,
        home,
        {
            b"Set it up like this?": b"c\n",
            b"Scope": b"\n", b"Protocol": b"\n", b"address": b"\n", b"traces": b"n\n",
            b"OTEL_LOG_USER_PROMPTS": b"y\n", b"OTEL_LOG_TOOL_DETAILS": b"\n", b"OTEL_LOG_RAW_API_BODIES": b"\n",
            b"Team": b"blue\n", b"Department": b"\n", b"Write this?": b"\n",
        },
    )  # fmt: skip
    env = json.loads((home / ".claude/settings.json").read_text())["env"]
    # The details of tools are recommended at the level strict.
    assert (env.get("OTEL_LOG_USER_PROMPTS"), env.get("OTEL_LOG_TOOL_DETAILS")) == ("1", "1")
    assert (env.get("OTEL_TRACES_EXPORTER"), env["OTEL_RESOURCE_ATTRIBUTES"]) == (None, "team.id=blue")
    assert "Found in the tables." in shown


def asked(server: Server, home: Path, answers: dict[bytes, bytes]) -> str:
    """Run it at a terminal and answer each question once; return what was shown."""
    me, terminal = pty.openpty()
    environment = {
        **os.environ,
        "TELEMETRY_DATA_DIR": str(server.data),
        "TELEMETRY_INGEST_TOKENS": "right",
        "TELEMETRY_OTLP_GRPC_PORT": server.listening["otlp_grpc"].rpartition(":")[2],
        "TELEMETRY_CLICKHOUSE_HTTP_PORT": server.listening["clickhouse_http"].rpartition(":")[2],
        "PYTHONPATH": str(ROOT),
        # Without Claude Code's own command, by which it would be asked to register the MCP server.
        "PATH": str(home),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "telemetry", "setup"],
        cwd=home, env=environment, stdin=terminal, stdout=terminal, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    shown = b""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and select.select([me], [], [], 30)[0]:
        try:
            shown += os.read(me, 4096)
        except OSError:  # the other end is closed
            break
        for question, answer in list(answers.items()):
            if question in shown.rpartition(b"\n")[2] and shown.endswith((b": ", b"?", b"] ")):
                os.write(me, answers.pop(question) and answer)
    os.close(me)
    assert process.wait(180) == 0, shown.decode()
    assert answers == {}
    return shown.decode()
