"""The command `telemetry doctor`: check every link in order, and name the first that is broken."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from config.settings import SettingsError, load
from onboarding.doctor import client, network, rows, server
from onboarding.doctor.finding import Check, Layout, Result, State, examine, show
from onboarding.doctor.target import Target
from telemetry.commands.error_text import report_errors
from telemetry.commands.url_option import url_option

CHECKS: Final[Sequence[Check[Target]]] = (*client.CHECKS, *network.CHECKS, *rows.CHECKS, *server.CHECKS)
_LAYOUT: Final = Layout(
    "", {State.OK: "ok", State.WARNING: "warn", State.BROKEN: "BROKEN", State.SKIPPED: "-"}, 20, ""
)


@click.command("doctor")
@click.option(
    "--project",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="The project's folder, whose settings count too. Default: the working directory.",
)
@url_option("ClickHouse's address.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@report_errors(SettingsError)
def doctor_command(*, project: Path, url: str | None, as_json: bool) -> None:
    """Check every link from Claude Code's settings to the newest row.

    Names the first broken link and its remedy; a check that depends on a broken one is skipped. Sends a test record of
    each signal, of the service telemetry-check. Exits 1 when a link is broken, 0 otherwise.
    """
    target = Target(load(), project, os.environ, url)
    results = []
    for result in examine(CHECKS, target):
        results.append(result)
        if not as_json:
            show(result, _LAYOUT)
    first = next((result for result in results if result.finding.state is State.BROKEN), None)
    if as_json:
        click.echo(json.dumps(_report(results, first), indent=2))
    else:
        _conclude(results, first)
    if first:
        sys.exit(1)


def _conclude(results: list[Result], first: Result | None) -> None:
    click.echo()
    if first:
        click.echo(f"The first broken link: {first.name}. {first.finding.text}. {first.finding.fix}")
        return
    warnings = sum(result.finding.state is State.WARNING for result in results)
    skipped = sum(result.finding.state is State.SKIPPED for result in results)
    counts = [
        f"{count} {word}{'s' if count > 1 else ''}{after}"
        for count, word, after in ((warnings, "warning", ""), (skipped, "check", " skipped"))
        if count
    ]
    click.echo("No link is broken" + "".join(f", {part}" for part in counts) + ".")


def _report(results: list[Result], first: Result | None) -> dict[str, object]:
    return {
        "healthy": first is None,
        "first_broken": first.name if first else None,
        "checks": [
            {
                "name": result.name,
                "state": result.finding.state.value,
                "text": result.finding.text,
                "fix": result.finding.fix,
            }
            for result in results
        ],
    }
