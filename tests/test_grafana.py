"""The dashboards: made of the questions, and every panel shows something of the demo data."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml
from mcp import Client as McpClient

from access.query import records
from clickhouse.client import Client
from demo.generate import Ledger, Plan, generate
from receiver.metrics import Metrics
from tests.sdk.measured import Measured
from tests.sdk.served import served
from tests.server import ROOT, running

DASHBOARDS = {
    path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "grafana/dashboards").glob("*.json"))
}
PANELS = [
    pytest.param(panel, id=f"{name}: {panel['title']}")
    for name, dashboard in DASHBOARDS.items()
    for panel in dashboard["panels"]
    if "rawSql" in panel["targets"][0]
]
MEASURED = [
    pytest.param(panel["targets"][0]["expr"], id=panel["title"])
    for dashboard in DASHBOARDS.values()
    for panel in dashboard["panels"]
    if "expr" in panel["targets"][0]
]
VARIABLES = [
    pytest.param(variable["query"], id=f"{name}: {variable['name']}")
    for name, dashboard in DASHBOARDS.items()
    for variable in dashboard["templating"]["list"]
    if variable["type"] == "query"
]
DAYS = 7

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Fill a server with a week of demo data, and ask as Grafana does: the user who reads, over HTTP."""
    with running(tmp_path_factory.mktemp("grafana") / "data", TELEMETRY_BATCH_AGE_MS="0") as server:
        for request in generate(Plan(sessions=200, users=12, days=DAYS, request_records=5000), Ledger()):
            server.export(request.signal, request.body)
        for signal, body in anyio.run(of_an_mcp_server):
            server.export(signal, body)
        opened = Client(server.endpoint())
        yield opened
        opened.close()


async def of_an_mcp_server() -> list[tuple[str, bytes]]:
    """Return what the SDK sends of a server of one's own, after a session with calls."""
    made = served("mcp")
    measured = Measured(made)
    async with McpClient(made, mode="legacy") as client:
        await client.list_tools()
        for _ in range(3):
            await client.call_tool("add", {"a": 1, "b": 2})
        await client.call_tool("fails", {})
    with measured.of.sessions.create("one", model="claude-opus-4") as session:
        session.message(5)
    session.end()
    return measured.requests()


def ask(reader: Client, sql: str) -> list[dict[str, Any]]:
    return records(reader, sql)


def as_grafana_fills_in(sql: str) -> str:
    """Put values in the place of Grafana's variables: the last week, and of the others what a dashboard opens with."""
    now = int(time.time() * 1000)
    values = {"__from": str(now - DAYS * 86_400_000), "__to": str(now), "by:singlequote": "'team'"}
    return re.sub(r"\$\{([^}]+)\}", lambda found: values.get(found[1], "''"), sql)


def test_the_dashboards_are_made_of_the_questions() -> None:
    """The files are what scripts/grafana_dashboards.py writes."""
    done = subprocess.run(
        [sys.executable, "scripts/grafana_dashboards.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_shows_something(reader: Client, panel: dict[str, Any]) -> None:
    """On demo data its statement, as Grafana sends it, gives rows, and a single number where one is shown."""
    sql = as_grafana_fills_in(panel["targets"][0]["rawSql"])
    assert "$" not in sql
    rows = ask(reader, sql)
    assert rows
    if panel["type"] == "stat":
        ((value,),) = [list(row.values()) for row in rows]
        assert isinstance(value, int | float)
    if panel["type"] == "timeseries":
        assert next(iter(rows[0])) == "time"
        assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)


@pytest.mark.parametrize("query", VARIABLES)
def test_a_variable_offers_all_and_each(reader: Client, query: str) -> None:
    """Its first option is all, and others follow."""
    options = [list(row.values()) for row in ask(reader, query)]
    assert options[0] == ["", "all"]
    assert len(options) > 1
    assert all(value == text for value, text in options[1:])


@pytest.mark.parametrize("expression", MEASURED)
def test_an_expression_names_metrics_that_the_server_has(expression: str) -> None:
    """The metrics in Prometheus queries are exported, with the labels that the queries name."""
    known: dict[str, set[str]] = {}
    for metric in vars(Metrics()).values():
        if hasattr(metric, "_labelnames"):
            (family,) = metric.describe()
            ending = {"counter": "_total", "histogram": "_bucket"}.get(family.type, "")
            known[family.name + ending] = {
                *metric._labelnames,
                *(["le"] if family.type == "histogram" else []),
            }
    (name,) = re.findall(r"telemetry_\w+", expression)
    assert name in known
    for labels in re.findall(r"by \(([^)]*)\)", expression):
        assert set(labels.split(", ")) <= known[name]


def test_links_open_dashboards_with_a_variable_that_they_have() -> None:
    """Every link of a column leads to one of the dashboards and sets one of its variables."""
    found = 0
    by_uid = {dashboard["uid"]: dashboard for dashboard in DASHBOARDS.values()}
    for dashboard in DASHBOARDS.values():
        for url in re.findall(r'"url": "(/d/[^"]*)"', json.dumps(dashboard)):
            uid, _, query = url.removeprefix("/d/").partition("?")
            variables = {one["name"] for one in by_uid[uid]["templating"]["list"]}
            linked = re.findall(r"var-(\w+)=\$\{__value", query)
            assert set(linked) <= variables
            found += 1
    assert found >= 5


def test_what_is_provisioned_fits_the_dashboards() -> None:
    """The data sources have the names by which the panels ask, and the reader's password is in no file."""
    folder: Path = ROOT / "grafana/provisioning"
    declared = yaml.safe_load((folder / "datasources/telemetry.yaml").read_text())["datasources"]
    sources = {(one["type"], one["uid"]) for one in declared}
    asked = {
        (target["datasource"]["type"], target["datasource"]["uid"])
        for dashboard in DASHBOARDS.values()
        for panel in dashboard["panels"]
        for target in panel["targets"]
    }
    assert asked == sources
    (clickhouse,) = [one for one in declared if one["type"] == "grafana-clickhouse-datasource"]
    assert clickhouse["secureJsonData"] == {"password": "${TELEMETRY_READER_PASSWORD}"}
    assert clickhouse["jsonData"]["username"] == "${TELEMETRY_READER_USER}"
