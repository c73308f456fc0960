"""The generated dashboard and alerts: names that a scrape shows, promtool's opinion, and one alert fired for real."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from click.testing import CliRunner

from mcp_server_telemetry.dashboards import SERIES, alerts, grafana, rules
from mcp_server_telemetry.definitions import DEFINITIONS, Kind
from mcp_server_telemetry.exported_schema import TABLES, schema
from mcp_server_telemetry.names import page, scraped
from mcp_server_telemetry.sqlite_store import TABLES as STORED
from telemetry.commands.mcp_analytics import mcp_analytics_command
from tests.server import free_port
from tests.test_prometheus import needs_prometheus

HERE = Path(__file__).parent
MANY = {
    "rule_files": ["lower.yml"],
    "evaluation_interval": "1m",
    "tests": [
        {
            "name": "too many series",
            "interval": "1m",
            "input_series": [
                {"series": f'mcp_sessions_active{{job="a", instance="i", x="{number}"}}', "values": "0x20"}
                for number in range(81)
            ],
            "promql_expr_test": [
                {
                    "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                    "eval_time": "20m",
                    "exp_samples": [{"labels": '{alertname="McpSeriesNearBound"}', "value": 1}],
                }
            ],
        }
    ],
}
"""A case that would be 81 lines by hand."""


def ran(*arguments: str) -> str:
    """Run the command, which must succeed, and return its output."""
    done = CliRunner().invoke(mcp_analytics_command, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def expressions() -> list[str]:
    """Return every query of the dashboard and the alerts."""
    names = scraped()
    panels = grafana(names)["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]] + [
        one.expr for one in alerts(names)
    ]


def test_every_name_is_one_that_a_scrape_shows() -> None:
    """And every instrument's name is on the page."""
    shown = {line.split("{")[0].split(" ")[0] for line in page().splitlines() if not line.startswith("#")}
    used = {name for expression in expressions() for name in re.findall(r"\bmcp_[a-z_]+", expression)}
    labels = {"mcp_feature_kind", "mcp_feature_name"}
    assert used - labels - shown == set()
    for definition in DEFINITIONS:
        name = scraped()[definition.name]
        assert (f"{name}_bucket" if definition.kind is Kind.HISTOGRAM else name) in shown


def test_quantiles_are_of_summed_rates() -> None:
    """A quantile of buckets that are no rates, or not added up by `le`, is wrong."""
    found = [one for one in expressions() if "histogram_quantile" in one]
    assert found
    for expression in found:
        assert re.search(r"histogram_quantile\([\d.]+, sum by \(le, \w+\) \(rate\(\w+_bucket", expression)


@needs_prometheus
def test_promtool_takes_the_rules_and_every_alert_does_what_it_says(tmp_path: Path) -> None:
    """Each fires in its case, and none in a healthy one."""
    (tmp_path / "mcp-alerts.yml").write_text(ran("dashboard", "--format", "prometheus"))
    (tmp_path / "tests.yml").write_text((HERE / "rules_test.yml").read_text())
    # promtool reads 10,000 samples at most: the same rule with a lower bound.
    assert f' > {SERIES}"' in (tmp_path / "mcp-alerts.yml").read_text()
    lower = (tmp_path / "mcp-alerts.yml").read_text().replace(f" > {SERIES}", " > 80")
    (tmp_path / "lower.yml").write_text(lower)
    (tmp_path / "many.yml").write_text(yaml.safe_dump(MANY))
    for command in (["check", "rules", "mcp-alerts.yml"], ["test", "rules", "tests.yml", "many.yml"]):
        done = subprocess.run(
            ["promtool", *command], cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    tested = (tmp_path / "tests.yml").read_text() + (tmp_path / "many.yml").read_text()
    assert [one.name for one in alerts(scraped()) if one.name not in tested] == []


@needs_prometheus
@pytest.mark.slow
@pytest.mark.skipif(
    not shutil.which("prometheus"), reason="Prometheus is not installed (Debian: apt install prometheus)"
)
def test_an_alert_fires_in_a_real_prometheus(tmp_path: Path) -> None:
    """That no data arrives: with its wait taken away, it fires within seconds."""
    loaded: dict[str, Any] = yaml.safe_load(rules(scraped()))
    for rule in loaded["groups"][0]["rules"]:
        rule["for"] = "0s"
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(loaded))
    (tmp_path / "prometheus.yml").write_text(
        yaml.safe_dump({"global": {"evaluation_interval": "1s"}, "rule_files": ["rules.yml"]})
    )
    port = free_port()
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            [
                "prometheus",
                f"--config.file={tmp_path}/prometheus.yml",
                f"--storage.tsdb.path={tmp_path}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            until = time.monotonic() + 180
            firing: set[str] = set()
            while "McpNoData" not in firing:
                assert time.monotonic() < until, (tmp_path / "log").read_text()[-2000:]
                time.sleep(0.2)
                try:
                    found = httpx.get(f"http://127.0.0.1:{port}/api/v1/alerts", timeout=60).json()
                except httpx.TransportError:
                    continue
                firing = {
                    one["labels"]["alertname"] for one in found["data"]["alerts"] if one["state"] == "firing"
                }
            assert firing == {"McpNoData"}
        finally:
            process.terminate()


def test_the_command_does_all_steps(tmp_path: Path) -> None:
    """And writes what Grafana and Prometheus take."""
    out = ran("start", "--folder", str(tmp_path / "made"))
    assert "instrument(server)" in out
    assert "200 calls, 200 answered, 200 spans, 0 failed" in out
    assert json.loads((tmp_path / "made/mcp-servers.json").read_text())["panels"]
    assert yaml.safe_load((tmp_path / "made/mcp-alerts.yml").read_text())["groups"]
    assert json.loads((tmp_path / "made/schema.json").read_text()) == schema()


def test_the_printed_code_is_right() -> None:
    """Each category's is valid Python, and lists its metrics alone."""
    for category in ("session", "performance", "usage", "resources", "errors"):
        out = ran("implement-metrics", "--category", category)
        compile(out.partition("\nmcp.")[0], "printed", "exec")
        listed = {line.split()[0] for line in out.splitlines() if line.startswith("mcp.")}
        assert listed == {one.name for one in DEFINITIONS if one.category == category}
    # In a process of its own: it makes the process's providers, which others in this one would find.
    command = [sys.executable, "-m", "telemetry", "mcp-analytics", "setup-otel", "--exporter", "console"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    compile(done.stdout, "printed", "exec")


def test_the_schema_has_every_metric_and_table() -> None:
    """Of both stores."""
    found = json.loads(ran("export-schema"))
    assert set(found["properties"]["metrics"]["properties"]) == {one.name for one in DEFINITIONS}
    assert set(found["$defs"]) == {one.name for one in DEFINITIONS}
    assert set(found["properties"]["tables"]["properties"]) == set(TABLES) == set(STORED)
