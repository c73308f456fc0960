"""`telemetry schema`: the statements that make the tables."""

import re

import click

from clickhouse.clustered import clustered
from clickhouse.engine import Engine
from clickhouse.migrations import Migration, migrations
from clickhouse.startup import open_engine, open_store
from config.data_directory import data_directory
from config.settings import CLUSTER_NAME, Settings, load
from telemetry.commands.error_text import report_errors
from telemetry.commands.start_errors import START_ERRORS


def _cluster_name(_: click.Context, __: click.Parameter, name: str | None) -> str | None:
    if name is not None and not re.fullmatch(CLUSTER_NAME, name):
        raise click.BadParameter("it may have letters, digits, `_`, `-`, `.` and a macro's braces.")
    return name


@click.command("schema")
@click.option("--apply", is_flag=True, help="Apply the missing migrations and set the retention, then exit.")
@click.option(
    "--cluster",
    metavar="NAME",
    callback=_cluster_name,
    help="Print the statements for this cluster of ClickHouse servers.",
)
@report_errors(*START_ERRORS)
def schema_command(*, apply: bool, cluster: str | None) -> None:
    """Print the schema's migrations, or apply them.

    Every start applies them by itself. Apply them by hand for a server whose receiver may not alter tables.
    In embedded mode the server must not be running: only one process can open the data directory.
    """
    if not apply:
        for migration in migrations():
            for sql in clustered(migration.sql, cluster) if cluster else [migration.sql]:
                click.echo(f"-- {migration.number:04d} {migration.name}\n{sql.rstrip()};\n")
        return
    settings = load()
    applied = _migrate(settings)
    click.echo(f"Applied {applied} migrations; rows are kept {settings.retention_days} days.")


def _migrate(settings: Settings) -> int:
    applied: list[Migration] = []
    if settings.clickhouse_url:  # whose receiver may be running
        engine = Engine()
        try:
            _open_and_close(settings, engine, applied)
        finally:
            engine.close()
        return len(applied)
    with data_directory(settings) as directory:
        engine = open_engine(settings, directory)
        try:
            _open_and_close(settings, engine, applied)
        finally:
            engine.close()
    return len(applied)


def _open_and_close(settings: Settings, engine: Engine, applied: list[Migration]) -> None:
    store = open_store(settings, engine, applied.extend)
    store.open()
    store.writer.close()
