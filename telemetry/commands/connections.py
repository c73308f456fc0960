"""`telemetry connections`: the connections to other systems, at the command line.

It works on the same state as the web process, which may run meanwhile. Credentials come from the environment, from
standard input or from a prompt; as an argument they would be in the list of processes and in the shell's history, so
no option takes one.
"""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
import yaml

from access.refusal import Refusal
from access.text import visible
from config.settings import SettingsError, load
from connectors import connections_file
from connectors.asking import Asking
from connectors.connections_file import ConnectionsFileError
from connectors.directory import Directory
from connectors.entry import OWNER, Draft, Entry, Source
from connectors.health import check
from connectors.installation import LateState, asking, directory, own_store
from connectors.state.errors import StateError
from mcp_server.store import LazyStore
from privacy.rules import RulesError
from telemetry import log
from telemetry.commands.error_text import report_errors
from telemetry.commands.group import Group

_ERRORS: Final = (SettingsError, StateError, ConnectionsFileError, RulesError, Refusal)
_UNHEALTHY: Final = 3
"""The exit code of a test that did not find the system healthy."""


@click.group("connections", cls=Group)
def connections_command() -> None:
    """Connect other observability systems: Prometheus, Loki, Jaeger and others.

    The commands work on the state that the server has, as the user `owner`, whether the server runs or not.
    """


@connections_command.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@report_errors(*_ERRORS)
def list_command(as_json: bool) -> None:  # noqa: FBT001  an option
    """List the connections, with their health."""
    with _directory() as here:
        entries = here.entries(OWNER)
    if as_json:
        click.echo(json.dumps([_shown(entry) for entry in entries], indent=2))
        return
    for entry in entries:
        marks = ", ".join(
            word
            for word, holds in (
                ("default", entry.is_default),
                ("disabled", not entry.is_enabled),
                (entry.source.value, entry.source is not Source.STATE),
            )
            if holds
        )
        line = f"{visible(entry.name):24} {entry.backend_type:16} {entry.checked.health.value:10} {marks}"
        click.echo(line.rstrip())
        if entry.checked.reason:
            click.echo(f"    {visible(entry.checked.reason)}")
    if all(entry.source is Source.OWN for entry in entries):
        click.echo("Add others: telemetry connections add --help")


@connections_command.command("show")
@click.argument("name")
@report_errors(*_ERRORS)
def show_command(name: str) -> None:
    """Show a connection as JSON. Of a credential it says `set`."""
    with _directory() as here:
        click.echo(json.dumps(_shown(here.found(OWNER, name)), indent=2))


_FIELDS: Final = (
    click.option("--url", help="The system's address, such as http://prometheus:9090."),
    click.option("--auth", type=click.Choice(["none", "basic", "bearer"]), help="How it is told who asks."),
    click.option("--username", help="For --auth basic; the password is asked for."),
    click.option(
        "--config",
        "config_file",
        metavar="FILE",
        help="The configuration in YAML or JSON, - for standard input; ${NAME} is an environment variable.",
    ),
    click.option(
        "--secret-env",
        "secret_variables",
        multiple=True,
        metavar="FIELD=NAME",
        help="Take a credential, such as auth.token, from the environment variable NAME.",
    ),
    click.option(
        "--secret-stdin",
        metavar="FIELD",
        help="Take a credential, such as auth.token, from standard input.",
    ),
    click.option("--description", help="What it is for."),
    click.option("--tag", "tags", multiple=True, help="May be repeated."),
    click.option("--default/--no-default", "is_default", default=None, help="Ask it when none is named."),
    click.option("--enabled/--disabled", "is_enabled", default=None, help="Whether it is asked."),
)


def _with_fields(command: Any) -> Any:
    for option in reversed(_FIELDS):
        command = option(command)
    return command


@connections_command.command("add")
@click.argument("name")
@click.argument("backend_type")
@_with_fields
@report_errors(*_ERRORS)
def add_command(name: str, backend_type: str, **given: Any) -> None:
    """Add a connection NAME to a system of the kind BACKEND_TYPE (prometheus, loki, jaeger, …)."""
    with _directory(make=True) as here:
        here.registry.backend(backend_type)
        config = _config({}, given)
        draft = Draft(
            name,
            backend_type,
            config,
            given["description"] or "",
            given["is_enabled"] is not False,
            bool(given["is_default"]),
            tuple(given["tags"]),
        )
        entry = here.added(OWNER, draft)
    click.echo(f"Added {visible(entry.name)} ({entry.id}). Try it: telemetry connections test {entry.id}")


@connections_command.command("edit")
@click.argument("name")
@click.option("--name", "new_name", help="Another name.")
@_with_fields
@report_errors(*_ERRORS)
def edit_command(name: str, new_name: str | None, **given: Any) -> None:
    """Change a connection. What no option names stays, the credentials too, while the address stays the same."""
    with _directory() as here:
        entry = here.found(OWNER, name)
        draft = Draft(
            new_name or entry.name,
            entry.backend_type,
            _config(entry.config, given),
            entry.description if given["description"] is None else given["description"],
            entry.is_enabled if given["is_enabled"] is None else given["is_enabled"],
            entry.is_default if given["is_default"] is None else given["is_default"],
            tuple(given["tags"]) or entry.tags,
        )
        here.replaced(OWNER, entry.id, draft)
    click.echo(f"Changed {visible(draft.name)}.")


@connections_command.command("remove")
@click.argument("name")
@report_errors(*_ERRORS)
def remove_command(name: str) -> None:
    """Remove a connection with its credentials."""
    with _directory() as here:
        entry = here.found(OWNER, name, "connection_id")
        here.removed(OWNER, entry.id)
    click.echo(f"Removed {visible(entry.name)}.")


@connections_command.command("test")
@click.argument("name")
@report_errors(*_ERRORS)
def test_command(name: str) -> None:
    """Check the health of a connection now. The exit code is 0 when it is healthy, and otherwise 3."""
    settings = load()
    log.configure(settings.log_format, settings.log_level)
    late = LateState(settings)
    try:
        is_healthy = asyncio.run(_test(asking(settings, late, own_store(LazyStore(settings, None))), name))
    finally:
        late.close()
    if not is_healthy:
        sys.exit(_UNHEALTHY)


async def _test(here: Asking, name: str) -> bool:
    try:
        report, checked = await check(here, here.directory.found(OWNER, name))
    finally:
        await here.close()
    words = [checked.health.value, report.version, report.reason]
    click.echo("  ".join(visible(word) for word in words if word))
    return checked.health.value == "healthy"


@connections_command.command("export")
@report_errors(*_ERRORS)
def export_command() -> None:
    """Print the connections of the state as YAML, each credential as a variable ${NAME} to be set."""
    with _directory() as here:
        own = [entry for entry in here.entries(OWNER) if entry.source is Source.STATE]
    click.echo(connections_file.exported(own), nl=False)


@connections_command.command("apply")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--prune", is_flag=True, help="Remove connections that the file does not have.")
@report_errors(*_ERRORS)
def apply_command(file: Path, prune: bool) -> None:  # noqa: FBT001  an option
    """Add or change the connections of a YAML file, as `export` prints it. They are matched by name."""
    with _directory(make=True) as here:
        written = connections_file.written(file)
        # All are checked before the first is changed.
        connections_file.read(file, here.registry)
        if any(one.users for one in written):
            raise ConnectionsFileError(
                f"{file}: `users` is for TELEMETRY_CONNECTIONS_FILE; what is applied is the user owner's."
            )
        present = {entry.name: entry for entry in here.entries(OWNER) if entry.source is Source.STATE}
        for one in written:
            entry = present.pop(one.draft.name, None)
            if entry is None:
                here.added(OWNER, one.draft)
                click.echo(f"Added {visible(one.draft.name)}.")
            else:
                here.replaced(OWNER, entry.id, one.draft)
                click.echo(f"Changed {visible(one.draft.name)}.")
        for entry in present.values() if prune else ():
            here.removed(OWNER, entry.id)
            click.echo(f"Removed {visible(entry.name)}.")


@connections_command.command("rotate-key")
@report_errors(*_ERRORS)
def rotate_key_command() -> None:
    """Encrypt all users' credentials with a new key.

    A generated key is replaced. With TELEMETRY_SECRET_KEY put the new key before the old one, restart the server, run
    this, then take the old key out and restart again.
    """
    settings = load()
    log.configure(settings.log_format, settings.log_level)
    late = LateState(settings)
    try:
        count = late.state().rotate()
    finally:
        late.close()
    click.echo(f"Encrypted the credentials of {count} connections with the new key.")


@contextmanager
def _directory(*, make: bool = False) -> Iterator[Directory]:
    """Yield the connections; with `make`, the data directory is made when there is none."""
    settings = load()
    log.configure(settings.log_format, settings.log_level)
    if make and not settings.state_url.get_secret_value():
        try:
            settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StateError(
                f"The data directory {settings.data_dir} cannot be made ({error.strerror}): set TELEMETRY_DATA_DIR to"
                " another one."
            ) from None
    late = LateState(settings)
    try:
        yield directory(settings, late, own_store(LazyStore(settings, None)))
    finally:
        late.close()


def _config(before: Any, given: Any) -> dict[str, Any]:
    """Return the configuration that the options say, over the one before."""
    config: dict[str, Any] = json.loads(json.dumps(dict(before)))
    if given["config_file"]:
        config = _loaded(given["config_file"])
    if given["url"]:
        config["url"] = given["url"]
    if given["auth"]:
        config["auth"] = {"type": given["auth"]}
        if given["username"]:
            config["auth"]["username"] = given["username"]
    for pair in given["secret_variables"]:
        field, _, name = pair.partition("=")
        value = os.environ.get(name, "")
        if not value:
            raise click.UsageError(f"--secret-env {field}: the environment variable is not set.")
        _put(config, field, value)
    if given["secret_stdin"]:
        _put(config, given["secret_stdin"], sys.stdin.readline().rstrip("\r\n"))
    _ask(config, given["auth"])
    return config


def _ask(config: dict[str, Any], auth: str | None) -> None:
    """Ask for the credential of the chosen way, where it is missing and a person can answer."""
    field = {"basic": "password", "bearer": "token"}.get(auth or "")
    if field and not config["auth"].get(field) and sys.stdin.isatty():
        config["auth"][field] = click.prompt(field.capitalize(), hide_input=True)


def _loaded(name: str) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"--config: the file cannot be read ({type(error).__name__}).") from None
    faults: list[str] = []
    try:
        # JSON is YAML as well.
        found = connections_file.replaced(yaml.safe_load(text), os.environ, faults)
    except yaml.YAMLError:
        raise click.UsageError("--config: the text is neither YAML nor JSON.") from None
    if faults:
        raise click.UsageError("--config: " + " ".join(faults))
    if not isinstance(found, dict):
        raise click.UsageError("--config: the text is no mapping of fields.")
    return found


def _put(config: dict[str, Any], field: str, value: str) -> None:
    """Set a field by its path, such as auth.token."""
    *parents, last = field.split(".")
    here = config
    for name in parents:
        inner = here.setdefault(name, {})
        if not isinstance(inner, dict):
            raise click.UsageError(f"{field}: there is no such field.")
        here = inner
    here[last] = value


def _shown(entry: Entry) -> dict[str, Any]:
    at = entry.checked.at
    return {
        "id": entry.id,
        "name": entry.name,
        "backend_type": entry.backend_type,
        "description": entry.description,
        "config": dict(entry.config),
        "is_enabled": entry.is_enabled,
        "is_default": entry.is_default,
        "tags": list(entry.tags),
        "source": entry.source.value,
        "health_status": entry.checked.health.value,
        "health_error": entry.checked.reason,
        "last_health_check_at": at.isoformat() if at else None,
    }
