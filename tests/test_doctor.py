"""`telemetry doctor` finds the first broken link, whichever it is, and names its remedy."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from config.settings import Settings
from onboarding import probe
from onboarding.doctor.client import telemetry_on
from onboarding.doctor.finding import Check, State, broken, examine, ok
from onboarding.doctor.target import Target
from otlp.signals import Signal
from telemetry.cli import main
from telemetry.commands.doctor import CHECKS
from tests.server import Server, captures, running

_METRICS, _LOGS = "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"
_PROTOCOL, _ENDPOINT = "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_ENDPOINT"
_HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"


pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(
        tmp_path_factory.mktemp("doctor") / "data",
        TELEMETRY_BATCH_AGE_MS="0",
        TELEMETRY_INGEST_TOKENS="right",
    ) as server:
        yield server


def healthy(server: Server) -> dict[str, str]:
    return {
        "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
        "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRIC_EXPORT_INTERVAL": "10000",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{server.listening['otlp_grpc']}",
        "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer right",
    }


def doctor(server: Server, home: Path, changes: dict[str, str | None], **settings: str) -> Result:
    """Examine a client whose settings are good except for the changes."""
    env = {name: value for name, value in {**healthy(server), **changes}.items() if value is not None}
    (home / ".claude").mkdir(exist_ok=True)
    (home / ".claude/settings.json").write_text(json.dumps({"env": env}))
    known = {
        "TELEMETRY_DATA_DIR": str(server.data),
        "TELEMETRY_CLICKHOUSE_HTTP_PORT": server.listening["clickhouse_http"].rpartition(":")[2],
        "TELEMETRY_HEALTH_PORT": str(server.health_port),
        "TELEMETRY_METRICS_PORT": server.listening["metrics"].rpartition(":")[2],
    }
    return CliRunner().invoke(main, ["doctor", "--json"], env={**known, **settings})


def states(done: Result) -> dict[str, str]:
    return {check["name"]: check["state"] for check in json.loads(done.stdout)["checks"]}


def finding(done: Result, name: str) -> dict[str, Any]:
    return next(check for check in json.loads(done.stdout)["checks"] if check["name"] == name)


def test_a_healthy_setup_has_no_broken_link(server: Server, home: Path) -> None:
    """From the settings to the newest row; Claude Code's records are distinguished from the doctor's own."""
    before = doctor(server, home, {})
    assert before.exit_code == 0, before.output
    told = states(before)
    disk, freshness = told.pop("disk"), told.pop("freshness")
    assert [name for name, state in told.items() if state != "ok"] == [], before.output
    assert (freshness, disk in {"ok", "warning"}) == ("warning", True)
    assert finding(before, "freshness")["text"].startswith("nothing new: logs none in 30 days, ")
    for signal in Signal:  # a client's record, with the present time
        request = probe.record(signal, probe.new_id())
        body = request.SerializeToString().replace(b"telemetry-check", b"claude-code-xyz")
        server.post(signal.value, body, authorization="Bearer right").raise_for_status()
    server.post("metrics", captures("metrics")[0], authorization="Bearer right").raise_for_status()
    after = doctor(server, home, {"OTEL_METRICS_EXPORTER": "none"})
    assert finding(after, "freshness")["state"] == "ok", after.output
    assert finding(after, "exporters")["state"] == "warning"


@pytest.mark.parametrize(
    ("changes", "link", "fix"),
    [
        ({"CLAUDE_CODE_ENABLE_TELEMETRY": None}, "telemetry on", "Run telemetry setup"),
        ({"CLAUDE_CODE_ENABLE_TELEMETRY": "0"}, "telemetry on", "Run telemetry setup"),
        ({_METRICS: None, _LOGS: "console", "OTEL_TRACES_EXPORTER": None}, "exporters", "telemetry setup"),
        ({_PROTOCOL: None}, "address", "Set it to one of grpc"),
        ({_ENDPOINT: "http://localhost:4318"}, "address", "Set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"),
        ({_PROTOCOL: "http/json", _ENDPOINT: "http://localhost:4317"}, "address", "_PROTOCOL=grpc"),
        ({_PROTOCOL: "http/json", _ENDPOINT: "http://localhost:80/v1/logs"}, "address", "has no path"),
        ({_ENDPOINT: "http://no-such-host.invalid:9"}, "name", "Correct the host"),
        ({_ENDPOINT: "http://127.0.0.1:9"}, "port", "Start the server"),
        ({_HEADERS: None}, "token", "telemetry setup --token-file"),
        ({_HEADERS: "Authorization=Bearer wr0ng"}, "token", "Authorization=Bearer <token>"),
    ],
)
def test_the_first_broken_link_is_named(
    server: Server, home: Path, changes: dict[str, str | None], link: str, fix: str
) -> None:
    """With its remedy, without a secret, and the checks that depend on it are skipped."""
    done = doctor(server, home, changes)
    report = json.loads(done.stdout)
    assert (done.exit_code, report["healthy"], report["first_broken"]) == (1, False, link), done.output
    assert fix in finding(done, link)["fix"]
    assert finding(done, "test record taken")["state"] == "skipped"
    assert "wr0ng" not in done.output
    assert "Bearer right" not in done.output


def test_a_port_that_speaks_the_other_protocol_is_found_by_trying(server: Server, home: Path) -> None:
    """Also where the port's number tells nothing."""
    done = doctor(server, home, {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{server.listening['otlp_http']}"})
    assert json.loads(done.stdout)["first_broken"] == "token"
    assert "does not speak gRPC" in finding(done, "token")["text"]


def test_https_to_a_server_without_tls_is_found(server: Server, home: Path) -> None:
    """Before any record is sent."""
    done = doctor(server, home, {"OTEL_EXPORTER_OTLP_ENDPOINT": f"https://{server.listening['otlp_grpc']}"})
    assert json.loads(done.stdout)["first_broken"] == "tls"
    assert "Use http://" in finding(done, "tls")["fix"]


@pytest.mark.parametrize(
    ("changes", "link", "fix"),
    [
        ({"OTEL_TRACES_EXPORTER": None}, "traces", "Set OTEL_TRACES_EXPORTER=otlp"),
        (
            {"CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": None},
            "traces",
            "Set CLAUDE_CODE_ENHANCED_TELEMETRY_BETA=1",
        ),
        ({"OTEL_METRIC_EXPORT_INTERVAL": None}, "intervals", "Set OTEL_METRIC_EXPORT_INTERVAL=10000"),
        ({"OTEL_LOGS_EXPORT_INTERVAL": "60000"}, "intervals", "Set OTEL_LOGS_EXPORT_INTERVAL"),
        ({"OTEL_LOG_USER_PROMPTS": "1"}, "content", "Unset what you do not want sent"),
        (
            {"OTEL_LOG_TOOL_DETAILS": "1", "OTEL_LOG_RAW_API_BODIES": "1"},
            "content",
            "Unset what you do not want",
        ),
        ({"OTEL_LOGS_EXPORTER": "none"}, "exporters", "Set OTEL_LOGS_EXPORTER=otlp"),
    ],
)
def test_what_may_not_be_wanted_is_a_warning(
    server: Server, home: Path, changes: dict[str, str | None], link: str, fix: str
) -> None:
    """It breaks nothing."""
    done = doctor(server, home, changes)
    assert (done.exit_code, finding(done, link)["state"]) == (0, "warning"), done.output
    assert fix in finding(done, link)["fix"]


def test_what_setup_recommends_is_no_warning(server: Server, home: Path) -> None:
    """The doctor does not warn of what it asks for itself."""
    done = doctor(server, home, {"OTEL_LOG_TOOL_DETAILS": "1"})
    assert finding(done, "content")["state"] == "ok", done.output


def test_a_repositorys_settings_do_not_turn_telemetry_on(server: Server, home: Path) -> None:
    """They are in a file that the client ignores, and the finding says so."""
    project = home / ".claude/settings.local.json"
    project.parent.mkdir()
    project.write_text(json.dumps({"env": healthy(server)}))
    done = CliRunner().invoke(main, ["doctor", "--json"])
    assert json.loads(done.stdout)["first_broken"] == "telemetry on"
    assert "2.1.282 and newer ignore it" in finding(done, "telemetry on")["text"]
    assert "settings.local.json" in finding(done, "values that count")["text"]


def test_a_broken_settings_file_is_the_first_link(home: Path) -> None:
    """With its line."""
    (home / ".claude").mkdir()
    (home / ".claude/settings.json").write_text('{"env": {},}')
    done = CliRunner().invoke(main, ["doctor", "--json"])
    assert (done.exit_code, json.loads(done.stdout)["first_broken"]) == (1, "settings files")
    assert "at line 1" in finding(done, "settings files")["fix"]


def test_a_wrong_password_is_told_from_a_missing_server(server: Server, home: Path) -> None:
    """Both keep the rows from being read; the way to the server is whole."""
    done = doctor(server, home, {}, TELEMETRY_READER_PASSWORD="wr0ng")
    assert (json.loads(done.stdout)["first_broken"], states(done)["test record taken"]) == ("reading", "ok")
    assert "does not know telemetry_reader" in finding(done, "reading")["text"]
    done = doctor(server, home, {}, TELEMETRY_CLICKHOUSE_HTTP_PORT="9")
    assert "Nothing answers at http://127.0.0.1:9" in finding(done, "reading")["text"]


def test_another_retention_is_told(server: Server, home: Path) -> None:
    """A client's machine may not know the server's settings, so it is a warning."""
    done = doctor(server, home, {}, TELEMETRY_RETENTION_DAYS="7")
    assert finding(done, "retention")["state"] == "warning"
    assert "otel_logs 90" in finding(done, "retention")["text"]


def test_refusals_are_told_by_their_reason(server: Server, home: Path) -> None:
    """From the server's own metrics."""
    server.post("logs", b"\xff\xff", authorization="Bearer right")
    done = doctor(server, home, {})
    assert finding(done, "refusals")["text"] == "records refused since the start: 1 malformed"


def test_rows_from_the_future_are_told(server: Server, home: Path) -> None:
    """Some client's clock is ahead."""
    logs = probe.record(Signal.LOGS, probe.new_id())
    record = logs.resource_logs[0].scope_logs[0].log_records[0]  # type: ignore[attr-defined]
    record.time_unix_nano += 3600 * 10**9
    body = logs.SerializeToString().replace(b"telemetry-check", b"claude-code-xyz")
    server.post("logs", body, authorization="Bearer right").raise_for_status()
    done = doctor(server, home, {})
    assert finding(done, "times")["text"] == "1 rows are from the future: some client's clock is ahead"


def test_a_person_reads_lines(server: Server, home: Path) -> None:
    """One a check, the remedy below it, and the first broken link at the end."""
    doctor(server, home, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})
    done = CliRunner().invoke(main, ["doctor"])
    assert done.exit_code == 1
    assert "BROKEN  port                Nothing answers at 127.0.0.1:9\n" in done.stdout
    assert done.stdout.splitlines()[-1].startswith(
        "The first broken link: port. Nothing answers at 127.0.0.1:9. Start"
    )


def test_inside_claude_code_its_variables_are_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client passes no OTEL_ variables to its tools, so their absence proves nothing."""
    monkeypatch.setenv("CLAUDECODE", "1")
    target = Target(Settings(_env_file=None), tmp_path, os.environ, managed=())
    assert "run this in the shell that starts Claude Code" in telemetry_on(target).fix


def test_settings_of_the_organization_count(tmp_path: Path) -> None:
    """From any source."""
    managed = tmp_path / "managed-settings.json"
    managed.write_text('{"env": {"CLAUDE_CODE_ENABLE_TELEMETRY": 1}}')
    target = Target(Settings(_env_file=None), tmp_path, {}, managed=(managed,))
    assert telemetry_on(target) == ok(f"on, says {managed}")


def test_checks_come_after_what_they_need() -> None:
    """And have names of their own."""
    names: list[str] = []
    for check in CHECKS:
        assert set(check.needs) <= set(names), check.name
        names.append(check.name)
    assert len(set(names)) == len(names)


def test_what_depends_on_a_skipped_link_is_skipped_too() -> None:
    """For a chain of any length."""
    checks: list[Check[None]] = [
        Check("a", lambda _: broken("no", "repair")),
        Check("b", lambda _: ok("yes"), ("a",)),
        Check("c", lambda _: ok("yes"), ("b",)),
        Check("d", lambda _: ok("yes")),
    ]
    assert [result.finding.state for result in examine(checks, None)] == [
        State.BROKEN, State.SKIPPED, State.SKIPPED, State.OK,
    ]  # fmt: skip


def test_a_certificate_that_is_not_trusted_is_told(server: Server, home: Path, tmp_path: Path) -> None:
    """The finding names the reason, and a file that cannot be read is another finding."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        ["openssl", "s_server", "-accept", str(port), "-cert", certificate, "-key", key, "-quiet", "-naccept", "12"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        endpoint = {
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"https://localhost:{port}",
        }
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        done = doctor(server, home, endpoint)
        assert json.loads(done.stdout)["first_broken"] == "tls", done.output
        assert "self-signed certificate" in finding(done, "tls")["text"]
        done = doctor(server, home, {**endpoint, "OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere.pem"})
        assert "A certificate file cannot be used" in finding(done, "tls")["text"]
    finally:
        process.kill()
        process.communicate(timeout=180)
