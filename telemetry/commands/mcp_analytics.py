"""`telemetry mcp-analytics`: sessions, performance and usage of people's own MCP servers, step by step."""

import asyncio
import json
from pathlib import Path
from typing import Final

import click

from mcp_server_telemetry import Exporter, ProviderError, setup_otel
from mcp_server_telemetry.dashboards import grafana, rules
from mcp_server_telemetry.definitions import CATEGORIES, DEFINITIONS, Category
from mcp_server_telemetry.exported_schema import schema
from mcp_server_telemetry.names import scraped
from mcp_server_telemetry.providers import PROMETHEUS_PORT
from mcp_server_telemetry.trial import tried
from telemetry.commands.error_text import report_errors
from telemetry.commands.group import Group

_FEW: Final = 200
_MANY: Final = 10_000
_FILES: Final = {"grafana": "mcp-servers.json", "prometheus": "mcp-alerts.yml"}
_exporter = click.option(
    "--exporter", type=click.Choice([one.value for one in Exporter]), default="otlp", show_default=True
)
_output = click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write here. Default: standard output."
)


@click.group("mcp-analytics", cls=Group)
def mcp_analytics_command() -> None:
    """Instrument MCP servers of your own: code, dashboards, alerts, a trial.

    The package is mcp_server_telemetry, in sdk/ and part of this installation. docs/sdk.md describes it.
    """


@mcp_analytics_command.command()
@_exporter
@click.option(
    "--endpoint", default="http://localhost:4318", show_default=True, help="For otlp: the receiver."
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default="mcp-analytics",
    show_default=True,
    help="Where dashboards, alerts and the schema are written.",
)
@report_errors(ProviderError)
def start(exporter: str, endpoint: str, folder: Path) -> None:
    """Do all steps: code to paste, dashboard, alerts, schema, and a trial."""
    click.secho("1. The line for your server", bold=True)
    click.echo(code(exporter, endpoint, CATEGORIES))
    click.secho("2. Dashboard, alerts, schema", bold=True)
    folder.mkdir(parents=True, exist_ok=True)
    for kind, name in _FILES.items():
        _write(folder / name, document(kind))
    _write(folder / "schema.json", json.dumps(schema(), indent=2) + "\n")
    click.secho("3. A trial", bold=True)
    _try(_FEW)


@mcp_analytics_command.command("setup-otel")
@_exporter
@click.option(
    "--endpoint", default="http://localhost:4318", show_default=True, help="For otlp: the receiver."
)
@report_errors(ProviderError)
def setup_otel_command(exporter: str, endpoint: str) -> None:
    """Print the code and the environment that send a server's telemetry.

    Fails when what they need is not installed.
    """
    # Raises when the exporter is not installed.
    setup_otel(exporter, endpoint=endpoint, prometheus_port=0)()
    click.echo(code(exporter, endpoint, CATEGORIES))
    click.echo("# Or by the environment: " + " ".join(environment(exporter, endpoint)))


@mcp_analytics_command.command("implement-metrics")
@click.option(
    "--category",
    "categories",
    multiple=True,
    type=click.Choice([one.value for one in CATEGORIES]),
    help="May be given several times. Default: all.",
)
def implement_metrics(categories: tuple[str, ...]) -> None:
    """Print the line that measures a category, and its metrics."""
    chosen = tuple(Category(one) for one in categories) or CATEGORIES
    click.echo(code("otlp", "", chosen))
    for definition in DEFINITIONS:
        if definition.category in chosen:
            unit = f" ({definition.unit})"
            click.echo(f"{definition.name:32} {definition.kind.value}{unit}: {definition.description}")


@mcp_analytics_command.command()
@click.option("--format", "kind", type=click.Choice(list(_FILES)), default="grafana", show_default=True)
@_output
def dashboard(kind: str, output: Path | None) -> None:
    """Make Grafana's dashboard, or Prometheus' alert rules."""
    _write(output, document(kind))


@mcp_analytics_command.command()
@click.option("--load-test", is_flag=True, help=f"With {_MANY} calls and not {_FEW}.")
def test(*, load_test: bool) -> None:
    """Call an instrumented server in memory; count what is answered and recorded, and what it costs."""
    _try(_MANY if load_test else _FEW)


@mcp_analytics_command.command("export-schema")
@_output
def export_schema(output: Path | None) -> None:
    """Print the JSON schema of all metrics, spans and tables."""
    _write(output, json.dumps(schema(), indent=2) + "\n")


def document(kind: str) -> str:
    """Return the dashboard or the rules as text, with the names of a real scrape."""
    return rules(scraped()) if kind == "prometheus" else json.dumps(grafana(scraped()), indent=2) + "\n"


def code(exporter: str, endpoint: str, categories: tuple[Category, ...]) -> str:
    """Return the lines for a server that measure and send."""
    where = f', endpoint="{endpoint}"' if endpoint and exporter == Exporter.OTLP else ""
    is_all = set(categories) == set(CATEGORIES)
    names = ", ".join(f'Category("{one.value}")' for one in categories)
    lines = [
        f"from mcp_server_telemetry import {'' if is_all else 'Options, '}instrument, setup_otel",
        *([] if is_all else ["from mcp_server_telemetry.definitions import Category"]),
        "",
        f'setup_otel("{exporter}"{where}, service_name="my-server")',
        f"instrument(server{'' if is_all else f', Options(categories=frozenset({{{names}}}))'})",
        "",
    ]
    return "\n".join(lines)


def environment(exporter: str, endpoint: str) -> list[str]:
    """Return OpenTelemetry's variables that say the same."""
    if exporter == Exporter.OTLP:
        return ["OTEL_SERVICE_NAME=my-server", f"OTEL_EXPORTER_OTLP_ENDPOINT={endpoint}"]
    more = [f"OTEL_EXPORTER_PROMETHEUS_PORT={PROMETHEUS_PORT}"] if exporter == Exporter.PROMETHEUS else []
    return ["OTEL_SERVICE_NAME=my-server", *more]


def _write(path: Path | None, text: str) -> None:
    if path is None:
        click.echo(text, nl=False)
        return
    path.write_text(text, encoding="utf-8")
    click.echo(f"Wrote {path}.")


def _try(calls: int) -> None:
    found = asyncio.run(tried(calls))
    click.echo(
        f"{found.calls} calls, {found.answered} answered, {found.spans} spans, {found.failures} failed measurements,"
        f" {found.series} series of metrics; {found.cost_us:.0f} µs of CPU more a call."
    )
    if not found.is_good:
        raise click.ClickException("Not every call was answered and recorded.")
