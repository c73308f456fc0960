"""The command `telemetry setup`: asks what to collect, tells Claude Code in its settings, and sends a test record.

Every question is an option too, so that scripts need no terminal. Nothing that it prints holds a secret.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import click

from access.query import AskError, Reader
from receiver.signals import Signal
from telemetry.client import files, trial
from telemetry.client.choices import (
    CONTENT,
    METRIC_INTERVAL_MS,
    ChoiceError,
    Choices,
    Protocol,
    shell_lines,
)
from telemetry.client.destination import DestinationError, destination
from telemetry.client.effective import Effective
from telemetry.client.files import SettingsFileError
from telemetry.client.sender import SendError, send
from telemetry.interview import Said, Scope, ask_scope, choose
from telemetry.plain import plainly
from telemetry.settings import Settings, SettingsError, is_loopback, load
from telemetry.source import ask_value, reader_source

ENV_FILE: Final = "telemetry-enabled.env"
_IGNORED: Final = (
    "Claude Code 2.1.282 and newer ignore what a project's files say of telemetry, so that a repository cannot turn it"
    " on. For those use --scope user."
)
_OPTIONS: Final = (
    click.option(
        "--scope",
        type=click.Choice([scope.value for scope in Scope]),
        help="Where to write: your settings for every project (user, the default), this project's (project: committed,"
        " local: yours), or a file to source (env).",
    ),
    click.option(
        "--endpoint",
        metavar="URL",
        help="The server as the client reaches it. Default: http://localhost:4317, or :4318 over HTTP.",
    ),
    click.option(
        "--protocol",
        type=click.Choice([protocol.value for protocol in Protocol]),
        help="Default: what the port says, else grpc.",
    ),
    click.option("--signals", metavar="LIST", help="Of metrics, logs (the events), traces. Default: all."),
    click.option(
        "--content",
        metavar="LIST",
        help=f"Content to send: none (the default), all, or of {', '.join(switch.name for switch in CONTENT)}.",
    ),
    click.option("--team", help="Resource attribute team.id."),
    click.option("--department", help="Resource attribute department."),
    click.option(
        "--attribute", "attributes", multiple=True, metavar="KEY=VALUE", help="Another one; may be repeated."
    ),
    click.option(
        "--token-file",
        metavar="FILE",
        help="File with the bearer token, - for standard input. Default: this server's own, if it wants one.",
    ),
    click.option(
        "--certificate",
        type=click.Path(path_type=Path, dir_okay=False),
        help="For https: the authority's certificate, in PEM form.",
    ),
    click.option(
        "--metric-interval",
        type=click.IntRange(1000, 3_600_000),
        default=METRIC_INTERVAL_MS,
        show_default=True,
        help="Milliseconds between exports of metrics.",
    ),
    click.option(
        "--project",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path(),
        help="The project's folder. Default: the working directory.",
    ),
    click.option(
        "--output",
        type=click.Path(path_type=Path, dir_okay=False),
        default=Path(ENV_FILE),
        show_default=True,
        help="The file of --scope env.",
    ),
    click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing."),
    click.option(
        "--remove", is_flag=True, help="Take away what setup wrote; bring back what was there before."
    ),
    click.option("--yes", is_flag=True, help="Ask nothing: take the default of what is not said."),
    click.option("--no-test", is_flag=True, help="Send no test record."),
    click.option(
        "--url", help="The ClickHouse to look for it in. Default: this server's, or CLICKHOUSE_URL."
    ),
)


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command("setup")
@_with_options
@plainly(SettingsError, ChoiceError, SettingsFileError, DestinationError, SendError, AskError)
def setup_command(
    *,
    project: Path,
    output: Path,
    dry_run: bool,
    remove: bool,
    yes: bool,
    no_test: bool,
    url: str | None,
    **options: Any,
) -> None:
    """Point Claude Code at this server.

    Asks where to write and what to collect, shows the change, makes it with a copy of the file beside it, and sends a
    test record the way Claude Code will. In a script, give options and --yes. Start Claude Code anew afterwards: it
    reads these settings when it starts.
    """
    said = Said(**options)
    settings = load()
    asks = sys.stdin.isatty() and sys.stdout.isatty() and not yes
    scope = Scope(said.scope) if said.scope else (ask_scope() if asks and not remove else Scope.USER)
    path = output if scope is Scope.ENV else _settings_file(scope, project)
    if remove:
        _remove(scope, path, dry_run=dry_run)
        return
    choices = choose(said, settings, asks=asks, scope=scope)
    if scope in {Scope.PROJECT, Scope.LOCAL}:
        _warn_of_projects(scope, path, choices)
    variables = choices.variables({} if scope is Scope.ENV else files.read(path).env)
    if not _write(scope, path, variables, dry_run=dry_run, asks=asks) or no_test:
        return
    if not try_out(settings, Effective(variables, {}), sorted(choices.signals), url):
        sys.exit(1)


def try_out(settings: Settings, variables: Effective, signals: list[Signal], url: str | None) -> bool:
    """Send a test record of each signal, look for it, and say how that went."""
    check_id = trial.new_id()
    for signal in signals:
        try:
            send(destination(variables, signal), trial.record(signal, check_id))
        except (SendError, DestinationError) as error:
            click.echo(f"The test record ({signal}) did not get through. {error}", err=True)
            return False
    click.echo(f"Test records accepted: {', '.join(signals)}.")
    host = urlsplit(variables.get("OTEL_EXPORTER_OTLP_ENDPOINT")).hostname or ""
    if not (url or settings.clickhouse_url or is_loopback(host)):
        click.echo("Not looked up, as the server is on another machine: --url names its ClickHouse.")
        return True
    try:
        absent = _look_up(settings, signals, check_id, url)
    except AskError as error:
        click.echo(f"The test records could not be looked up. {error}", err=True)
        return False
    if absent:
        click.echo(f"They are not in the tables ({', '.join(absent)}): telemetry doctor says more.", err=True)
        return False
    click.echo(
        "Found in the tables. Start Claude Code anew; telemetry query freshness then shows what arrives."
    )
    return True


def _look_up(settings: Settings, signals: list[Signal], check_id: str, url: str | None) -> list[Signal]:
    reader = Reader(reader_source(settings, url))
    try:
        return trial.missing(lambda sql, values: ask_value(reader, sql, values), signals, check_id)
    finally:
        reader.close()


def _settings_file(scope: Scope, project: Path) -> Path:
    match scope:
        case Scope.PROJECT:
            return project / ".claude" / "settings.json"
        case Scope.LOCAL:
            return project / ".claude" / "settings.local.json"
        case _:
            return files.user_folder(os.environ) / "settings.json"


def _warn_of_projects(scope: Scope, path: Path, choices: Choices) -> None:
    click.echo(f"Note: {_IGNORED}", err=True)
    if scope is Scope.LOCAL and choices.token:
        command = ["git", "-C", str(path.parent.parent), "check-ignore", "--quiet", f".claude/{path.name}"]
        try:
            answer = subprocess.run(command, check=False, capture_output=True, timeout=10).returncode  # noqa: S603
        except (OSError, subprocess.TimeoutExpired):
            return
        if answer == 1:
            click.echo(
                f"Warning: git does not ignore {path}, which holds the token: add it to .gitignore.", err=True
            )


def _write(scope: Scope, path: Path, variables: Mapping[str, str], *, dry_run: bool, asks: bool) -> bool:
    """Show the change and make it; tell whether it was made."""
    if scope is Scope.ENV:
        if dry_run:
            click.echo(f"{path} would set: {', '.join(variables)}.")
            return False
        files.replace(path, shell_lines(variables), 0o600)
        click.echo(f"Written to {path}. In the shell that starts Claude Code: . {path}")
        return True
    change = files.add(path, variables)
    shown = change.diff()
    click.echo(shown or f"{path} says so already.")
    if dry_run or (shown and asks and not click.confirm("Write this?", default=True)):
        click.echo("Nothing was changed.")
        return False
    backup = files.write(change)
    if shown:
        click.echo(f"Written to {path}" + (f"; as it was: {backup.name}." if backup else "."))
    return True


def _remove(scope: Scope, path: Path, *, dry_run: bool) -> None:
    if scope is Scope.ENV:
        if not dry_run:
            path.unlink(missing_ok=True)
        click.echo(
            f"{path} {'would go' if dry_run else 'is gone'}. A shell that sourced it keeps the variables."
        )
        return
    change = files.remove(path)
    click.echo(change.diff() or f"{path} has nothing of setup any more.")
    for name in change.left:
        click.echo(f"{name} was changed since and stays.")
    if dry_run:
        click.echo("Nothing was changed.")
        return
    backup = files.write(change)
    click.echo("Removed." + (f" As it was: {backup.name}." if backup else ""))
