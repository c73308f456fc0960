"""`telemetry spool` and `telemetry replay`: the blocks that wait on disk, and those that ClickHouse refused."""

import sys
import time

import click

from config.settings import load
from operations.spool import listing, replay
from telemetry import log
from telemetry.commands.error_text import report_errors
from telemetry.commands.start_errors import START_ERRORS


@click.command("spool")
@report_errors(*START_ERRORS)
def spool_command() -> None:
    """Show the blocks that wait on disk for ClickHouse, and those that it refused.

    waiting: acknowledged, and inserted as soon as ClickHouse takes it. in work: being inserted now. dead letter:
    refused for good, with ClickHouse's reason; correct the cause, then run `telemetry replay`. set aside: damaged on
    the disk, never inserted. The server may run or not.
    """
    lines = listing(load().data_dir)
    if not lines:
        click.echo("Nothing waits.")
        return
    click.echo(f"{'state':12}{'table':28}{'blocks':>8}{'records':>12}{'bytes':>15}{'oldest':>10}  reason")
    now = time.time()
    for line in lines:
        click.echo(
            f"{line.state:12}{line.table:28}{line.blocks:8,}{line.records:12,}{line.size:15,}"
            f"{_ago(now - line.since):>10}  {line.reason}"
        )


@click.command("replay")
@report_errors(*START_ERRORS)
def replay_command() -> None:
    """Try the dead letters again, after their cause is corrected.

    A running server takes them over. Without one, this command inserts them itself, with all blocks that wait in
    the spool. A block that was inserted before is not inserted twice.
    """
    settings = load()
    log.configure(settings.log_format, settings.log_level)
    outcome = replay(settings)
    if outcome.handed_over:
        click.echo(
            f"Handed {outcome.handed_over} blocks to the running server; telemetry spool shows what waits."
        )
        return
    click.echo(f"Inserted {outcome.inserted} blocks; {outcome.refused} refused again, {outcome.left} left.")
    if outcome.trouble:
        click.echo(f"telemetry: {outcome.trouble}", err=True)
    if outcome.left or outcome.refused:
        sys.exit(1)


def _ago(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
