"""The command `telemetry`."""

import sys
from collections.abc import Callable
from functools import wraps

import click
import uvloop

from clickhouse.engine import Engine, EngineStartError
from clickhouse.migrations import SchemaError, migrate, migrations
from clickhouse.store import ServerSession, StoreError
from receiver.rules import RulesError
from telemetry import log
from telemetry.serve import StartError, data_directory, serve
from telemetry.settings import Settings, SettingsError, load


def _plain_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Show an error that a person can mend as its text alone, with exit code 1."""

    @wraps(command)
    def run(*args: object, **kwargs: object) -> None:
        try:
            command(*args, **kwargs)
        except (SettingsError, RulesError, StartError, EngineStartError, SchemaError, StoreError) as error:
            click.echo(f"telemetry: {error}", err=True)
            sys.exit(1)

    return run


@click.group()
@click.version_option(package_name="claude-code-telemetry")
def main() -> None:
    """Telemetry server for Claude Code: OTLP in, private rows in ClickHouse.

    Settings are environment variables, or lines of a file .env in the working directory;
    docs/configuration.md lists them.
    """


@main.command("serve")
@_plain_errors
def serve_command() -> None:
    """Run the server until Ctrl-C or SIGTERM."""
    settings = load()
    log.configure(settings.log_format, settings.log_level)
    uvloop.run(serve(settings))


@main.command("schema")
@click.option("--apply", is_flag=True, help="Apply what is missing and set the retention, then exit.")
@_plain_errors
def schema_command(*, apply: bool) -> None:
    """Print the schema's migrations, or apply them.

    Applying is what every start does by itself; by hand it is for a server whose receiver may not alter tables.
    In embedded mode the server must not be running: only one process can open the data directory.
    """
    if not apply:
        for migration in migrations():
            click.echo(f"-- {migration.number:04d} {migration.name}\n{migration.sql.rstrip()};\n")
        return
    settings = load()
    applied = _migrate(settings)
    click.echo(f"Applied {len(applied)} migrations; rows are kept {settings.retention_days} days.")


def _migrate(settings: Settings) -> list[object]:
    if settings.clickhouse_url:
        password = settings.clickhouse_password.get_secret_value()
        server = ServerSession(settings.clickhouse_url, settings.clickhouse_user, password, settings.database)
        return [*migrate(server, settings.retention_days)]
    with data_directory(settings) as directory:
        engine = Engine(directory / "clickhouse")
        try:
            engine.use(settings.database)
            return [*migrate(engine, settings.retention_days)]
        finally:
            engine.close()
