"""The command `telemetry setup`: agree on what to collect, send a test record, and write Claude Code's settings.

Every question is an option too, so that scripts need no terminal. No secret is printed.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import click

from access.query import value
from clickhouse.client import Client
from clickhouse.client_errors import ClientError
from clickhouse.endpoint import reader_endpoint
from clickhouse.prices import PricesError
from config.settings import Settings, SettingsError, is_loopback, load
from onboarding import probe
from onboarding import settings_files as files
from onboarding.choices import (
    CONTENT,
    METRIC_INTERVAL_MS,
    WHY_TOOL_DETAILS,
    ChoiceError,
    Choices,
    recommended,
    shell_lines,
)
from onboarding.destination import DestinationError, destination
from onboarding.earlier import exported, keep
from onboarding.interview import Options, Scope, ask_scope, choose
from onboarding.mcp_registration import (
    NAME,
    Reach,
    RegistrationError,
    add,
    can_register,
    is_known,
    own_server,
)
from onboarding.mcp_registration import remove as remove_server
from onboarding.precedence import Variables
from onboarding.settings_files import SettingsFileError
from otlp.destination import Protocol
from otlp.sender import SendError, send
from otlp.signals import Signal
from privacy.rules import Level
from telemetry.commands.error_text import report_errors
from telemetry.commands.import_history import offer_history
from telemetry.commands.url_option import url_option

_KEPT: Final = {
    Level.strict: "At the level strict this server keeps hashes of content.",
    Level.balanced: "At the level balanced this server keeps content, but for what its rules redact or drop.",
    Level.off: "At the level off this server keeps content as it comes.",
}
ENV_FILE: Final = "telemetry-enabled.env"
NO_MCP: Final = "no"
_IGNORED: Final = (
    "Claude Code 2.1.282 and newer ignore the telemetry settings of a project's files, so that a repository cannot turn"
    " it on. For these versions use --scope user."
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
        help="The server's address for the client. Default: http://localhost:4317, or :4318 over HTTP.",
    ),
    click.option(
        "--protocol",
        type=click.Choice([protocol.value for protocol in Protocol]),
        help="Default: the one of the endpoint's port, else grpc.",
    ),
    click.option(
        "--signals", metavar="LIST", help="One or more of metrics, logs (the events), traces. Default: all."
    ),
    click.option(
        "--content",
        metavar="LIST",
        help=f"Content to send: none (the default), all, or some of {', '.join(switch.name for switch in CONTENT)}.",
    ),
    click.option("--team", help="Resource attribute team.id."),
    click.option("--department", help="Resource attribute department."),
    click.option(
        "--attribute",
        "attributes",
        multiple=True,
        metavar="KEY=VALUE",
        help="Another attribute; may be repeated.",
    ),
    click.option(
        "--token-file",
        metavar="FILE",
        help="File with the bearer token, - for standard input. Default: this server's own, if it has one.",
    ),
    click.option(
        "--certificate",
        type=click.Path(path_type=Path, dir_okay=False),
        help="For https: the authority's certificate, in PEM form.",
    ),
    click.option(
        "--metric-interval",
        type=click.IntRange(1000, 3_600_000),
        help=f"Milliseconds between exports of metrics. Default: as before, else {METRIC_INTERVAL_MS}.",
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
    click.option(
        "--mcp",
        type=click.Choice([*(reach.value for reach in Reach), NO_MCP]),
        help="Register the MCP server with Claude Code, so that Claude can ask for telemetry: for you in every project"
        " (user) or in this one (local), or for everyone in this one (project: .mcp.json). Default: asked, else no.",
    ),
    click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing."),
    click.option(
        "--remove", is_flag=True, help="Remove what setup wrote, and restore the settings from before."
    ),
    click.option(
        "--yes", is_flag=True, help="Ask nothing: use the default of each option that is not given."
    ),
    click.option("--no-test", is_flag=True, help="Send no test record."),
    url_option("ClickHouse's address, to look for the test record."),
)


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command("setup")
@_with_options
@report_errors(
    SettingsError, ChoiceError, SettingsFileError, DestinationError, SendError, ClientError, RegistrationError,
    PricesError,
)  # fmt: skip
def setup_command(
    *,
    project: Path,
    output: Path,
    dry_run: bool,
    remove: bool,
    yes: bool,
    no_test: bool,
    url: str | None,
    mcp: str | None,
    **options: Any,
) -> None:
    """Point Claude Code at this server.

    Shows what it would set up and asks once. Then it sends a test record the way Claude Code will, and only if that is
    found writes the settings, with a backup of the file beside it. A later run keeps what an earlier one chose, but for
    the options given. In a script, use options and --yes. Restart Claude Code afterwards: it reads these settings when
    it starts.
    """
    given = Options(**options)
    settings = load()
    asks = sys.stdin.isatty() and sys.stdout.isatty() and not yes
    scope = Scope(given.scope) if given.scope else _usual_scope(output)
    if remove:
        path = _path(scope, project, output)
        _remove(scope, path, dry_run=dry_run)
        _unregister(project, dry_run=dry_run)
        return
    plan = _plan(given, settings, scope, project, output)
    if asks and mcp is None and not dry_run and can_register():
        mcp = Reach.USER.value
    is_confirmed = False
    if asks and not dry_run:
        match _confirm(plan, mcp, settings):
            case "n":
                click.echo("Nothing was changed.")
                return
            case "c":
                scope = Scope(given.scope) if given.scope else ask_scope()
                plan = _plan(given, settings, scope, project, output, asks=True)
                mcp = _ask_mcp() if options.get("mcp") is None and mcp else mcp
            case answer:
                is_confirmed = True
                more = _with_recommended(given, plan.choices, settings)
                plan = _plan(more, settings, scope, project, output) if answer == "t" else plan
    if plan.scope in {Scope.PROJECT, Scope.LOCAL}:
        _warn_of_projects(plan.scope, plan.path, plan.choices)
    if not (dry_run or no_test or _passes_the_test(plan, settings, url, asks=asks)):
        sys.exit(1)
    is_written = _write(
        plan.scope, plan.path, plan.variables, dry_run=dry_run, asks=asks and not is_confirmed
    )
    if is_written:
        _say_what_next()
        # Who confirmed once is not asked again: a line says how.
        offer_history(settings, asks=asks and not is_confirmed)
    if is_written or dry_run:
        _register(settings, mcp, project, dry_run=dry_run)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be written, and where."""

    scope: Scope
    path: Path
    choices: Choices
    variables: dict[str, str]


def _plan(
    given: Options, settings: Settings, scope: Scope, project: Path, output: Path, *, asks: bool = False
) -> _Plan:
    """Return the choices: as given, else as an earlier run chose, else by default or asked. Raises ChoiceError."""
    path = _path(scope, project, output)
    earlier = keep(given, _written(scope, path))
    choices = choose(given, settings, asks=asks, scope=scope, kept=earlier.options, token=earlier.token)
    current = _written(scope, path) if scope is Scope.ENV else files.read(path).env
    return _Plan(scope, path, choices, choices.variables(current))


def _written(scope: Scope, path: Path) -> dict[str, str]:
    """Return the variables that an earlier run wrote. Raises SettingsFileError."""
    if scope is not Scope.ENV:
        return files.written(path)
    try:
        return exported(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return {}


def _path(scope: Scope, project: Path, output: Path) -> Path:
    return output if scope is Scope.ENV else _settings_file(scope, project)


def _usual_scope(output: Path) -> Scope:
    """Return where an earlier run wrote: a file to source, if there is one and nothing in the person's settings."""
    is_env = output.is_file() and not files.written(_settings_file(Scope.USER, Path()))
    return Scope.ENV if is_env else Scope.USER


def _confirm(plan: _Plan, mcp: str | None, settings: Settings) -> str:
    """Show what would be set up, and ask once: y, n, t to add what is recommended, or c to be asked everything."""
    choices = plan.choices
    content = ", ".join(sorted(choices.content)) or "none: no prompts, no tool input, no files"
    click.echo(f"Claude Code will send to {choices.endpoint} ({choices.protocol}):")
    click.echo(f"  signals  {', '.join(sorted(choices.signals))} (logs are the events; traces are a beta)")
    click.echo(f"  content  {content}")
    click.echo(f"           {_KEPT[settings.sanitize_level]}")
    more = sorted(recommended(settings.sanitize_level) - choices.content)
    for name in more:
        click.echo(f"           Recommended: {name} (--content {name}); {WHY_TOOL_DETAILS}")
    click.echo(f"  written  {plan.path}{', for every project' if plan.scope is Scope.USER else ''}")
    if mcp not in {None, NO_MCP}:
        click.echo(f"  MCP      Claude can ask this server about its own work ({mcp})")
    click.echo("It is tested first, and can be taken back with telemetry setup --remove.")
    hint, answers = ("c: change something", ["y", "n", "c"])
    if more:
        hint, answers = (f"t: with {', '.join(more)}; {hint}", ["y", "t", "n", "c"])
    answer: str = click.prompt(f"Set it up like this? ({hint})", type=click.Choice(answers), default="y")
    return answer


def _with_recommended(given: Options, choices: Choices, settings: Settings) -> Options:
    """Return the options with the recommended content."""
    return replace(given, content=",".join(sorted(choices.content | recommended(settings.sanitize_level))))


def _say_what_next() -> None:
    click.echo("Restart Claude Code; telemetry query freshness then shows what arrives.")
    if not shutil.which("telemetry"):
        called = Path(sys.argv[0])
        program = str(called) if called.name == "telemetry" else f"{sys.executable} -m telemetry"
        click.echo(f"Where these lines say telemetry, type {program}.")


def _ask_mcp() -> str:
    question = "Let Claude ask this server about its own work (an MCP server, for you in every project)?"
    return Reach.USER.value if click.confirm(question, default=True) else NO_MCP


def _passes_the_test(plan: _Plan, settings: Settings, url: str | None, *, asks: bool) -> bool:
    """Send the test records before anything is written. Return whether to go on."""
    if send_test_records(settings, Variables(plan.variables, {}), sorted(plan.choices.signals), url):
        return True
    if asks and click.confirm("Write the settings all the same?", default=False):
        return True
    click.echo("Nothing was changed. To write the settings without a test: --no-test.", err=True)
    return False


def _register(settings: Settings, mcp: str | None, project: Path, *, dry_run: bool) -> None:
    """Register the MCP server where it was asked for. Raises RegistrationError."""
    if mcp in {None, NO_MCP}:
        return
    reach = Reach(mcp)
    if dry_run:
        click.echo(f"Claude Code would get the MCP server {NAME} ({reach}).")
        return
    click.echo(f"The MCP server {NAME} is registered in {add(own_server(settings, reach), reach, project)}.")


def _unregister(project: Path, *, dry_run: bool) -> None:
    """Remove the MCP server wherever it is registered. Raises RegistrationError."""
    for reach in Reach:
        if is_known(reach, project) and (dry_run or remove_server(reach, project)):
            click.echo(f"The MCP server {NAME} ({reach}) {'would be' if dry_run else 'is'} removed.")


def send_test_records(
    settings: Settings, variables: Variables, signals: list[Signal], url: str | None
) -> bool:
    """Send a test record of each signal, look for it, and print the outcome. Return whether all went well."""
    check_id = probe.new_id()
    for signal in signals:
        try:
            send(destination(variables, signal), probe.record(signal, check_id))
        except (SendError, DestinationError) as error:
            click.echo(f"The test record ({signal}) was not accepted. {error}", err=True)
            return False
    click.echo(f"Test records accepted: {', '.join(signals)}.")
    host = urlsplit(variables.get("OTEL_EXPORTER_OTLP_ENDPOINT")).hostname or ""
    if not (url or settings.clickhouse_url or is_loopback(host)):
        click.echo("Not looked up, as the server is on another machine: name its ClickHouse with --url.")
        return True
    try:
        absent = _look_up(settings, signals, check_id, url)
    except ClientError as error:
        click.echo(f"The test records could not be looked up. {error}", err=True)
        return False
    if absent:
        click.echo(
            f"They are not in the tables ({', '.join(absent)}): run telemetry doctor to see why.", err=True
        )
        return False
    click.echo("Found in the tables.")
    return True


def _look_up(settings: Settings, signals: list[Signal], check_id: str, url: str | None) -> list[Signal]:
    with Client(reader_endpoint(settings, url)) as client:
        return probe.missing(lambda sql, values: value(client, sql, values), signals, check_id)


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
            code = subprocess.run(command, check=False, capture_output=True, timeout=10).returncode  # noqa: S603
        except (OSError, subprocess.TimeoutExpired):
            return
        if code == 1:
            click.echo(
                f"Warning: git does not ignore {path}, which holds the token: add it to .gitignore.", err=True
            )


def _write(scope: Scope, path: Path, variables: Mapping[str, str], *, dry_run: bool, asks: bool) -> bool:
    """Show the change and make it. Return whether it was made."""
    if scope is Scope.ENV:
        if dry_run:
            click.echo(f"{path} would set: {', '.join(variables)}.")
            return False
        files.replace(path, shell_lines(variables), 0o600)
        click.echo(f"Written to {path}. In the shell that starts Claude Code: . {path}")
        return True
    change = files.add(path, variables)
    shown = change.diff()
    click.echo(shown or f"{path} has these settings already.")
    if dry_run or (shown and asks and not click.confirm("Write this?", default=True)):
        click.echo("Nothing was changed.")
        return False
    backup = files.write(change)
    if shown:
        click.echo(f"Written to {path}" + (f"; backup: {backup.name}." if backup else "."))
    return True


def _remove(scope: Scope, path: Path, *, dry_run: bool) -> None:
    if scope is Scope.ENV:
        if not dry_run:
            path.unlink(missing_ok=True)
        click.echo(
            f"{path} {'would be' if dry_run else 'was'} removed. A shell that sourced it keeps the variables."
        )
        return
    change = files.remove(path)
    click.echo(change.diff() or f"{path} has no settings of telemetry setup.")
    for name in change.left:
        click.echo(f"{name} was changed since and stays.")
    if dry_run:
        click.echo("Nothing was changed.")
        return
    backup = files.write(change)
    click.echo("Removed." + (f" Backup: {backup.name}." if backup else ""))
