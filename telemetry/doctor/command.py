"""The command `telemetry doctor`: examines every link in order, and names the first that is broken."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from telemetry.doctor import client, network, rows, server
from telemetry.doctor.finding import Check, Result, State, examine
from telemetry.doctor.patient import Patient
from telemetry.plain import plainly
from telemetry.settings import SettingsError, load

CHECKS: Final[Sequence[Check[Patient]]] = (*client.CHECKS, *network.CHECKS, *rows.CHECKS, *server.CHECKS)
_MARKS: Final = {State.OK: "ok", State.WARNING: "warn", State.BROKEN: "BROKEN", State.SKIPPED: "-"}


@click.command("doctor")
@click.option(
    "--project",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="The project's folder, whose settings count too. Default: the working directory.",
)
@click.option("--url", help="The ClickHouse to look into. Default: this server's, or CLICKHOUSE_URL.")
@click.option("--json", "as_json", is_flag=True, help="Write findings as JSON.")
@plainly(SettingsError)
def doctor_command(*, project: Path, url: str | None, as_json: bool) -> None:
    """Look at the whole way from Claude Code's settings to the newest row.

    Names the first broken link and how to mend it; a check that depends on a broken one is skipped. Sends a test record
    of each signal, of the service telemetry-check. Exit code 1 when a link is broken, 0 otherwise.
    """
    patient = Patient(load(), project, os.environ, url)
    results = []
    for result in examine(CHECKS, patient):
        results.append(result)
        if not as_json:
            _show(result)
    first = next((result for result in results if result.finding.state is State.BROKEN), None)
    if as_json:
        click.echo(json.dumps(_report(results, first), indent=2))
    else:
        _conclude(results, first)
    if first:
        sys.exit(1)


def _show(result: Result) -> None:
    finding = result.finding
    click.echo(f"{_MARKS[finding.state]:6}  {result.name:18}  {finding.text}")
    if finding.fix and finding.state is not State.OK:
        click.echo(f"{'':28}{finding.fix}")


def _conclude(results: list[Result], first: Result | None) -> None:
    click.echo()
    if first:
        click.echo(f"The first broken link: {first.name}. {first.finding.text}. {first.finding.fix}")
        return
    warnings = sum(result.finding.state is State.WARNING for result in results)
    skipped = sum(result.finding.state is State.SKIPPED for result in results)
    told = [f"{warnings} to look at" if warnings else "", f"{skipped} not looked at" if skipped else ""]
    click.echo("No link is broken" + "".join(f", {part}" for part in told if part) + ".")


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
