"""The commands of operations: backup, backup-key, restore, reset, test-connection, settings."""

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click
from pydantic import SecretStr

from clickhouse.client import Client
from clickhouse.client_errors import ClientError
from clickhouse.endpoint import writer_endpoint
from clickhouse.engine import EngineError, EngineStartError
from config import address
from config.misspelt import misspelt
from config.settings import Settings, SettingsError, load
from onboarding.doctor.connection import CHECKS, RunningServer
from onboarding.doctor.finding import Layout, State, examine, show
from operations import archive
from operations.backup import back_up
from operations.errors import OperationError
from operations.partition_file import make_key
from operations.reset import choose, remove
from operations.restore import Overlap, Restored, known, restore, verify
from operations.state_file import Outcome, StateFile
from telemetry.commands.error_text import report_errors
from telemetry.commands.url_option import url_option

_report_errors = report_errors(OperationError, ClientError, SettingsError, EngineStartError, EngineError)
_FOLDER: Final = click.Path(file_okay=False, path_type=Path)
_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_KEY_FILE: Final = click.Path(dir_okay=False, allow_dash=True, path_type=Path)
_URL_MEANING: Final = "ClickHouse's address, such as http://localhost:8123."
_MIB: Final = 1 << 20
_LAYOUT: Final = Layout(
    "  ", {State.OK: "ok", State.WARNING: "warn", State.BROKEN: "FAIL", State.SKIPPED: "-"}, 21, "-> "
)
_SECONDS: Final = 600
_LONGEST_DAYS: Final = 36_500


@click.command("backup")
@click.option("--to", "directory", type=_FOLDER, help="The folder of backups. Default: TELEMETRY_BACKUP_DIR.")
@click.option("--keep", type=click.IntRange(min=1), help="Backups to keep. Default: TELEMETRY_BACKUP_KEEP.")
@click.option(
    "--recipient",
    metavar="age1…",
    help="Public key to encrypt to, see backup-key. Default: TELEMETRY_BACKUP_RECIPIENT; none: not encrypted.",
)
@click.option(
    "--full", is_flag=True, help="Read out every partition, also those unchanged since the last backup."
)
@click.option(
    "--verify", "verified", is_flag=True, help="Then restore it into a scratch engine and count the rows."
)
@click.option(
    "--identity", type=_KEY_FILE, help="The key file, which --verify needs to read an encrypted backup."
)
@url_option(_URL_MEANING)
@_report_errors
def backup_command(
    directory: Path | None,
    *,
    keep: int | None,
    recipient: str | None,
    full: bool,
    verified: bool,
    identity: Path | None,
    url: str | None,
) -> None:
    """Back up the tables of the running server, and its connections to other systems.

    Each table is cut in one instant while the server goes on. Days unchanged since the last backup are linked to it, so
    a backup stores only the new days; each is complete on its own all the same. It holds no settings and no passwords,
    and credentials of connections are encrypted: keep .env and secret.key in a safe place of their own, above all
    TELEMETRY_HASH_KEY.
    """
    settings = load()
    recipient = recipient or settings.backup_recipient
    if verified and recipient and not identity:
        raise OperationError("To verify an encrypted backup name the file with its key: --identity FILE.")
    with _client(settings, url) as client:
        made = back_up(
            client,
            directory or settings.backup_dir,
            keep=keep or settings.backup_keep,
            recipient=recipient,
            full=full,
            state=_state(settings),
        )
    manifest = made.backup.manifest
    partitions = len(manifest.files())
    linked = f", {partitions - made.written} unchanged since {made.base}" if made.base else ""
    click.echo(
        f"Backed up {manifest.rows} rows of {len(manifest.tables)} tables into {made.backup.path}:"
        f" {made.written} partitions written ({made.size / _MIB:.1f} MiB){linked};"
        f" {'encrypted' if recipient else 'not encrypted'}."
    )
    if manifest.has_state:
        click.echo("Connections and questions are in it; the key to the credentials, secret.key, is not.")
    elif settings.state_url.get_secret_value():
        click.echo("Connections and questions are in PostgreSQL, which is not backed up here: use pg_dump.")
    if not recipient:
        click.echo(
            "Who gets a copy of it can read it: telemetry backup-key FILE makes a key, and TELEMETRY_BACKUP_RECIPIENT"
            " encrypts to it."
        )
    if made.removed:
        click.echo(f"Removed the oldest: {', '.join(made.removed)}.")
    if verified:
        _say_verified(verify(made.backup, identity, _state(settings)))


@click.command("backup-key")
@click.argument("file", type=_FILE)
@_report_errors
def backup_key_command(file: Path) -> None:
    """Make a key for encrypted backups: the secret into FILE, and print the public key.

    Set TELEMETRY_BACKUP_RECIPIENT to the public key where backups are made, and keep FILE elsewhere: anyone who has
    it can read the backups, and without it they cannot be read.
    """
    public = make_key(file)
    click.echo(f"TELEMETRY_BACKUP_RECIPIENT={public}")
    click.echo(
        f"The secret is in {file}. Keep it off this machine: without it no backup can be read.", err=True
    )


@click.command("restore")
@click.argument("name", metavar="[BACKUP]", default="latest")
@click.option(
    "--from", "directory", type=_FOLDER, help="The folder of backups. Default: TELEMETRY_BACKUP_DIR."
)
@click.option("--list", "listed", is_flag=True, help="List the backups, and do nothing.")
@click.option(
    "--verify", "verified", is_flag=True, help="Restore into a scratch engine only, and count the rows."
)
@click.option(
    "--force", is_flag=True, help="Replace the rows that are there, also those newer than the backup."
)
@click.option("--add", is_flag=True, help="Keep the rows that are there; rows in both are then stored twice.")
@click.option("--identity", type=_KEY_FILE, help="The key file of an encrypted backup.")
@url_option(_URL_MEANING)
@_report_errors
def restore_command(
    name: str,
    *,
    directory: Path | None,
    listed: bool,
    verified: bool,
    force: bool,
    add: bool,
    identity: Path | None,
    url: str | None,
) -> None:
    """Put BACKUP (the newest unless named) into the tables of the running server.

    Checksums are compared first, then everything is loaded beside the tables and counted, and only then put in place. A
    database that has rows already is left alone without --force or --add. Connections to other systems are put back
    where there are none, and with --force.
    """
    settings = load()
    directory = directory or settings.backup_dir
    if force and add:
        raise OperationError("--force replaces rows and --add keeps them: choose one.")
    if listed:
        click.echo("\n".join(known(directory)) or f"There is no backup in {directory.resolve()}.")
        return
    backup = archive.find(directory, name)
    if verified:
        _say_verified(verify(backup, identity, _state(settings)))
        return
    overlap = Overlap.REPLACE if force else Overlap.ADD if add else Overlap.REFUSE
    with _client(settings, url) as client:
        click.echo(f"Restoring {backup.manifest.id} ({backup.manifest.rows} rows) into {_place(client)} ...")
        restored = restore(client, backup, identity, overlap, _state(settings))
    what = {Overlap.REPLACE: "in place of what was there", Overlap.ADD: "beside what was there"}
    click.echo(f"Restored {_total(restored)} {what.get(overlap, 'into empty tables')}.")
    if restored.state is Outcome.RESTORED:
        click.echo(
            "Restored connections and questions. Credentials need the key that encrypted them: secret.key or"
            " TELEMETRY_SECRET_KEY of that installation."
        )
    elif restored.state is Outcome.KEPT:
        click.echo("Kept the connections that are here: --force replaces them with the backup's.")


@click.command("reset")
@click.option(
    "--older-than",
    "days",
    type=click.IntRange(1, _LONGEST_DAYS),
    metavar="DAYS",
    help="Remove only whole days (UTC) that are over for that many days. Default: everything.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@url_option(_URL_MEANING)
@_report_errors
def reset_command(days: int | None, *, yes: bool, url: str | None) -> None:
    """Remove telemetry from the tables of the running server: all of it, or the old.

    Settings, passwords, tables and backups stay. Shows what would be removed, and asks first.
    """
    before = (datetime.now(UTC) - timedelta(days=days)).date() if days else None
    which = f"from days before {before}" if before else "all of them"
    with _client(load(), url) as client:
        removals = choose(client, before)
        rows = sum(one.rows for one in removals)
        if not removals:
            click.echo(f"Nothing to remove: {_place(client)} has no rows {which if before else 'at all'}.")
            return
        for one in removals:
            click.echo(f"  {one.table:32} {one.rows:12} rows in {len(one.partitions)} days")
        if not yes:
            try:
                click.confirm(f"Remove these {rows} rows of {_place(client)} ({which})?", abort=True)
            except click.Abort:
                raise OperationError("Nothing was removed. Answer y, or use --yes in a script.") from None
        remove(client, removals)
    click.echo(f"Removed {rows} rows.")


@click.command("test-connection")
@click.option("--host", help="Where the server runs. Default: this machine, or TELEMETRY_HOST.")
@url_option(_URL_MEANING)
@_report_errors
def test_connection_command(host: str | None, *, url: str | None) -> None:
    """Test a running server: ports, tokens, users, tables, and records sent and found again.

    Prints a line for each check; exits 1 when one fails, and skips those that depend on it. The two test records
    (service telemetry-check) stay in otel_logs. If the server asks for clients' certificates, name one with
    OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY.
    """
    settings = load()
    where = host or urlsplit(address.local(settings, 0)).hostname or "localhost"
    failed = 0
    for result in examine(CHECKS, RunningServer(settings, where, url or address.clickhouse(settings))):
        show(result, _LAYOUT)
        failed += result.finding.state is State.BROKEN
    if failed:
        click.echo(f"{failed} of these failed.", err=True)
        sys.exit(1)
    click.echo("All is well.")


@click.command("settings")
@_report_errors
def settings_command() -> None:
    """Check the settings, and print those in force; secrets as `set`. Exits 1 with every problem when one is wrong."""
    settings = load()
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, SecretStr) or (
            isinstance(value, tuple) and any(isinstance(v, SecretStr) for v in value)
        ):
            shown = "set" if value and (isinstance(value, tuple) or value.get_secret_value()) else ""
        else:
            shown = (
                ",".join(map(str, value)) if isinstance(value, tuple) else "" if value is None else str(value)
            )
        click.echo(f"{field.alias}={shown}")
    for words in misspelt(os.environ):
        click.echo(words, err=True)


def _client(settings: Settings, url: str | None) -> Client:
    return Client(writer_endpoint(settings, url), _SECONDS)


def _state(settings: Settings) -> StateFile | None:
    """Return where connections and questions are; None when they are in PostgreSQL."""
    if settings.state_url.get_secret_value():
        return None

    def upgrade(path: Path) -> None:
        # SQLAlchemy and Alembic: most commands do without.
        from connectors.state.database import opened  # noqa: PLC0415
        from connectors.state.errors import StateError  # noqa: PLC0415

        try:
            opened("", path.parent).close()
        except StateError as error:
            raise OperationError(f"The connections of this backup cannot be restored. {error}") from None

    return StateFile(settings.data_dir / "state.db", upgrade)


def _place(client: Client) -> str:
    return f"{client.endpoint.database} at {client.endpoint.url}"


def _say_verified(restored: Restored) -> None:
    click.echo(
        f"Verified {restored.backup.manifest.id}: {_total(restored)} came out of it, as many as went in."
    )


def _total(restored: Restored) -> str:
    return f"{sum(restored.rows.values())} rows of {len(restored.rows)} tables"
