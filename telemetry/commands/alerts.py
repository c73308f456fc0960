"""`telemetry alerts`: try the webhook to which findings are sent."""

import click

from alerts.errors import AlertError
from alerts.message import trial
from alerts.watch import webhook_of
from alerts.webhook import Webhook
from config.settings import Settings, SettingsError, load
from telemetry.commands.error_text import report_errors
from telemetry.commands.group import Group


@click.group("alerts", cls=Group)
def alerts_command() -> None:
    """Try the webhook to which new findings are sent (TELEMETRY_ALERT_WEBHOOK)."""


@alerts_command.command("test")
@report_errors(SettingsError, AlertError)
def test_command() -> None:
    """Send a test message to the webhook."""
    needed_webhook(load()).post(trial())
    click.echo("Sent: the chat should show it.")


def needed_webhook(settings: Settings) -> Webhook:
    """Return the webhook of the settings. Raises AlertError without one."""
    webhook = webhook_of(settings)
    if webhook is None:
        raise AlertError(
            "There is no webhook: set TELEMETRY_ALERT_WEBHOOK to the address that the chat shows for one."
        )
    return webhook
