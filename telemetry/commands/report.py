"""`telemetry report`: what happened in a period, as Markdown or as a page."""

import sys
from pathlib import Path

import click

from access.ids import Ambiguous
from access.questions import QuestionError
from access.report.contents import write
from access.report.figures import Scope, gather
from access.report.markdown import markdown
from access.report.page import page
from access.report.period import period
from access.report.terminal import for_terminal
from clickhouse.client import Client
from clickhouse.client_errors import ClientError
from clickhouse.endpoint import reader_endpoint
from config import private_file
from config.settings import SettingsError, load
from telemetry.commands.error_text import report_errors
from telemetry.commands.period_options import period_options
from telemetry.commands.url_option import url_option


@click.command("report")
@period_options
@click.option(
    "-f",
    "--format",
    "output_format",
    type=click.Choice(["markdown", "html"]),
    help="Default: html for a file that ends so, else markdown.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write to this file, not to the terminal."
)
@url_option()
@report_errors(SettingsError, ClientError, QuestionError, Ambiguous)
def report_command(
    *,
    length: str,
    since: str | None,
    until: str | None,
    team: str,
    user: str,
    project: str,
    output_format: str | None,
    output: Path | None,
    url: str | None,
) -> None:
    """Report what happened, what it cost, what failed, and what to fix first.

    As Markdown, or as one HTML page with charts that needs no network. At a terminal the Markdown is shown without its
    escapes, and tables align. Asks as the user who only reads.
    """
    asked = period(length, since, until)
    is_page = output_format == "html" or (
        output_format is None and output is not None and output.suffix == ".html"
    )
    settings = load()
    with Client(reader_endpoint(settings, url)) as client:
        document = write(gather(client, asked, Scope(team, user, project), settings.budget_usd_month))
    text = page(document) if is_page else markdown(document)
    if not is_page and output is None and sys.stdout.isatty():
        text = for_terminal(text)
    with private_file.output(output) as target:
        target.write(text.encode())
    if output is not None:
        click.echo(f"Written to {output}.", err=True)
