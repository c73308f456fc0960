"""`telemetry findings`: what changed for the worse, for people, for scripts and for cron."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

import click

from access.ids import Ambiguous
from access.insight.find import find
from access.insight.finding import Finding
from access.insight.series import Part
from access.questions import QuestionError
from access.report.findings import cost_of
from access.report.period import period
from access.text import visible
from alerts.errors import AlertError
from alerts.incidents import opened
from alerts.notices import notify as send_new
from alerts.webhook import Webhook
from clickhouse.client import Client
from clickhouse.client_errors import ClientError
from clickhouse.endpoint import reader_endpoint
from config.settings import Settings, SettingsError, load
from telemetry.commands.alerts import needed_webhook
from telemetry.commands.error_text import report_errors
from telemetry.commands.period_options import period_options
from telemetry.commands.url_option import url_option

_FOUND: Final = 3
"""The exit code when there are findings, which is none of click's own."""


@click.command("findings")
@period_options
@click.option(
    "-f",
    "--format",
    "output_format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to write them.",
)
@click.option(
    "--notify", is_flag=True, help="Send those that are new to TELEMETRY_ALERT_WEBHOOK, each incident once."
)
@url_option()
@click.pass_context
@report_errors(SettingsError, ClientError, QuestionError, Ambiguous, AlertError)
def findings_command(
    context: click.Context,
    *,
    length: str,
    since: str | None,
    until: str | None,
    team: str,
    user: str,
    project: str,
    output_format: str,
    notify: bool,
    url: str | None,
) -> None:
    """List what changed for the worse: for whom, since when, and what it cost.

    Exits with 3 when there is something, with 0 when there is not. The report says the same.
    """
    asked = period(length, since, until)
    settings = load()
    webhook = needed_webhook(settings) if notify else None
    with Client(reader_endpoint(settings, url)) as client:
        insight = find(client, asked.since, asked.until, Part(team, user, project))
    if output_format == "json":
        found = {
            "since": asked.since.isoformat(),
            "until": asked.until.isoformat(),
            "findings": [as_json(one) for one in insight.findings],
            "always": [asdict(one) for one in insight.always],
            "notes": list(insight.notes),
        }
        click.echo(json.dumps(found, indent=2))
    else:
        for number, one in enumerate(insight.findings, 1):
            click.echo(f"{number}. {one.title} ({one.who})")
            for words in (one.reason, cost_of(one), one.advice):
                if words:
                    click.echo(f"   {words}")
        if insight.always:
            click.echo("Always there:")
        for usual in insight.always:
            click.echo(f"   {usual.title}: {usual.times:,.0f} times. {usual.reason}")
        for note in (*([] if insight.findings else ["Nothing changed for the worse."]), *insight.notes):
            click.echo(note)
    if webhook is not None:
        _send(insight.findings, webhook, settings, min(asked.until, datetime.now(UTC)))
    if insight.findings:
        context.exit(_FOUND)


def _send(findings: Sequence[Finding], webhook: Webhook, settings: Settings, now: datetime) -> None:
    """Send what is new, and write what became of it to standard error. Raises AlertError."""
    with opened(settings.data_dir) as (incidents, path):
        sent = send_new(findings, incidents, path, webhook, now)
    if sent.failure:
        raise AlertError(f"{sent.failure} It is tried again with the next look.")
    click.echo(f"Sent {sent.sent:,}; {sent.known:,} were known.", err=True)


def as_json(one: Finding) -> dict[str, Any]:
    """Return a finding as JSON has it; texts of telemetry are visible ones."""
    values = asdict(one)
    scope = values.pop("scope")
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in {
            "cause": one.title,
            "dimension": scope["dimension"],
            "value": visible(scope["value"]),
            **values,
            "users": [visible(user) for user in one.users],
            "teams": [visible(team) for team in one.teams],
            "thing": visible(one.thing),
        }.items()
    }
