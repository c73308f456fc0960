"""The rules of prometheus/: as promtool reads and tests them, and fired for real over a server's metrics."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
import yaml
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from prometheus_client import CollectorRegistry, generate_latest

from access.usage import UsageMetrics
from receiver.metrics import Metrics
from tests.server import NO_TLS, ROOT, Server, eventually
from web.metrics import Metrics as WebMetrics

RULES = ROOT / "prometheus"
# CI must have it: an untried rule may never fire.
needs_prometheus = pytest.mark.skipif(
    not shutil.which("promtool") and os.environ.get("CI") != "true",
    reason="Prometheus is not installed (Debian: apt install prometheus)",
)


@needs_prometheus
def test_promtool_takes_the_configuration_and_every_rule_does_what_it_says() -> None:
    """Each alert fires in its case, and none in a healthy one: see prometheus/*_test.yml."""
    tests = [str(path) for path in sorted(RULES.glob("*_test.yml"))]
    for command in (["check", "config", str(RULES / "prometheus.yml")], ["test", "rules", *tests]):
        done = subprocess.run(
            ["promtool", *command], cwd=ROOT, capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_test() -> None:
    """An alert that no test made fire may never fire."""
    tested = "".join(path.read_text() for path in RULES.glob("*_test.yml"))
    assert [rule["alert"] for rule in rules("alerts.yml") if rule["alert"] not in tested] == []


def test_every_alert_says_what_to_do() -> None:
    """To the person whom it wakes."""
    for rule in rules("alerts.yml"):
        assert set(rule["annotations"]) == {"summary", "action"}, rule["alert"]
        assert rule["labels"]["severity"] in {"warning", "critical"}


def test_the_rules_name_metrics_that_there_are() -> None:
    """A metric that was renamed would leave an alert silent."""
    recorded = {rule["record"] for rule in rules("recording.yml")}
    metrics = Metrics()
    UsageMetrics(metrics.registry)
    exported = set(re.findall(r"^# TYPE (\w+)", generate_latest(metrics.registry).decode(), re.MULTILINE))
    exported |= {
        f"{family.name}_total" if family.type == "counter" else family.name
        for instrument in vars(WebMetrics()).values()
        if hasattr(instrument, "_labelnames")
        for family in instrument.describe()
    }
    for rule in [*rules("recording.yml"), *rules("alerts.yml")]:
        named = set(re.findall(r"\btelemetry[_:][\w:]+", rule["expr"]))
        assert named - recorded - exported == set(), rule


def rules(name: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load((RULES / name).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_usage_metrics_have_few_labels() -> None:
    """And those of the last answer only."""
    registry = CollectorRegistry()
    metrics = UsageMetrics(registry)
    metrics.show([("event", ["api_error", "failed"], 3.0), ("cost", ["day"], 1.5)])
    metrics.show([("event", ["api_request", "ok"], 2.0)])
    text = generate_latest(registry).decode()
    assert 'telemetry_events_last_hour{event="api_request",outcome="ok"} 2.0' in text
    assert "api_error" not in text
    assert 'telemetry_cost_usd{period="day"} 1.5' in text


def events(*kinds: tuple[str, dict[str, str]]) -> bytes:
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    scope.scope.name = "com.anthropic.claude_code.events"
    for kind, values in kinds:
        pairs = {"event.name": kind, "session.id": "s", **values}
        scope.log_records.add(
            time_unix_nano=time.time_ns(),
            attributes=[
                KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in pairs.items()
            ],
        )
    return request.SerializeToString()


@needs_prometheus
@pytest.mark.slow
def test_prometheus_fires_the_alerts_of_a_real_server(start: Callable[..., Server], tmp_path: Path) -> None:
    """Spend over the budget, permissions bypassed, retries exhausted, a refused request, and a server that is gone."""
    first = start()
    first.post(
        "logs",
        events(
            ("api_request", {"model": "opus", "cost_usd": "7.5"}),
            ("api_retries_exhausted", {"error": "overloaded", "total_attempts": "11"}),
            ("permission_mode_changed", {"from_mode": "default", "to_mode": "bypassPermissions"}),
            (
                "permission_mode_changed",
                {"from_mode": "default", "to_mode": "a mode of jane.doe@corp.example.com"},
            ),
            ("an event of jane.doe@corp.example.com", {}),
        ),
    ).raise_for_status()
    assert first.stop() == 0
    server = start(TELEMETRY_BUDGET_USD_MONTH="5")
    eventually(lambda: server.metric("telemetry_usage_refreshed_timestamp_seconds") > 0)
    assert server.metric("telemetry_cost_usd", period="month") == 7.5
    assert server.metric("telemetry_cost_usd", period="hour") == 7.5
    assert server.metric("telemetry_events_last_hour", event="other") == 1
    assert server.metric("telemetry_permission_modes_last_hour", mode="other") == 1
    assert server.metric("telemetry_newest_record_timestamp_seconds", signal="logs") > time.time() - 300
    assert 0 < server.metric("telemetry_disk_free_bytes") < server.metric("telemetry_disk_size_bytes")
    server.post("logs", b"\xff\xff")
    expected = {
        "ClaudeCodeBudgetSpent", "ClaudeCodePermissionsBypassed", "ClaudeCodeRetriesExhausted", "TelemetryRefused",
        "TelemetryDown",
    }  # fmt: skip
    with Prometheus(tmp_path, [server.listening["metrics"], "127.0.0.1:9"]) as prometheus:
        eventually(lambda: expected <= prometheus.firing(), 180)
        assert prometheus.firing() - expected <= {"TelemetryDiskLow", "TelemetryDiskFull"}  # this machine's


class Prometheus:
    """Debian's Prometheus, with the rules without their `for`, evaluated every second."""

    def __init__(self, folder: Path, targets: list[str]) -> None:
        for name in ("recording.yml", "alerts.yml"):
            content = yaml.safe_load((RULES / name).read_text())
            for group in content["groups"]:
                for rule in group["rules"]:
                    rule.pop("for", None)
            (folder / name).write_text(yaml.safe_dump(content))
        config = yaml.safe_load((RULES / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        (folder / "targets.yml").write_text(yaml.safe_dump([{"targets": targets}]))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self._folder = folder

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [
                "prometheus", f"--config.file={self._folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={self._folder / 'tsdb'}", f"--web.listen-address={self.address}",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)

    def firing(self) -> set[str]:
        try:
            answer = httpx.get(f"http://{self.address}/api/v1/alerts", timeout=60, verify=NO_TLS).json()
        except (httpx.TransportError, ValueError):
            return set()
        return {
            alert["labels"]["alertname"] for alert in answer["data"]["alerts"] if alert["state"] == "firing"
        }
