"""The commands of upkeep: backup, backup-key, restore, reset, test-connection, settings."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click
from pydantic import SecretStr

from clickhouse.engine import EngineError, EngineStartError
from clickhouse.http.errors import QueryError
from telemetry import address
from telemetry.credentials import writer_password
from telemetry.plain import plainly
from telemetry.settings import Settings, SettingsError, load
from telemetry.upkeep import archive
from telemetry.upkeep.backup import back_up
from telemetry.upkeep.connection import examine
from telemetry.upkeep.door import Door
from telemetry.upkeep.errors import UpkeepError
from telemetry.upkeep.finding import Verdict
from telemetry.upkeep.reset import choose, remove
from telemetry.upkeep.restore import Overlap, Restored, known, restore, verify
from telemetry.upkeep.sealed import make_key

_plain = plainly(UpkeepError, SettingsError, EngineStartError, EngineError, QueryError)
_FOLDER: Final = click.Path(file_okay=False, path_type=Path)
_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_KEY_FILE: Final = click.Path(dir_okay=False, allow_dash=True, path_type=Path)
_URL_HELP: Final = (
    "ClickHouse's address, such as http://localhost:8123. Default: this server's, or CLICKHOUSE_URL."
)
_MIB: Final = 1 << 20


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
@click.option("--url", help=_URL_HELP)
@_plain
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
    """Back up the tables of the running server.

    Each table is cut in one instant while the server goes on. Days unchanged since the last backup are linked to it, so
    a backup costs what is new; each is complete on its own all the same. It holds no settings and no passwords: keep
    .env in a safe place of its own, above all TELEMETRY_HASH_KEY.
    """
    settings = load()
    recipient = recipient or settings.backup_recipient
    if verified and recipient and not identity:
        raise UpkeepError("To verify an encrypted backup name the file with its key: --identity FILE.")
    made = back_up(
        _door(settings, url),
        directory or settings.backup_dir,
        keep=keep or settings.backup_keep,
        recipient=recipient,
        full=full,
    )
    manifest = made.backup.manifest
    partitions = len(manifest.files())
    linked = f", {partitions - made.written} unchanged since {made.base}" if made.base else ""
    click.echo(
        f"Backed up {manifest.rows} rows of {len(manifest.tables)} tables into {made.backup.path}:"
        f" {made.written} partitions written ({made.size / _MIB:.1f} MiB){linked};"
        f" {'encrypted' if recipient else 'not encrypted'}."
    )
    if made.removed:
        click.echo(f"Removed the oldest: {', '.join(made.removed)}.")
    if verified:
        _say_verified(verify(made.backup, identity))


@click.command("backup-key")
@click.argument("file", type=_FILE)
@_plain
def backup_key_command(file: Path) -> None:
    """Make a key for encrypted backups: the secret into FILE, and print the public key.

    Set TELEMETRY_BACKUP_RECIPIENT to the public key where backups are made, and keep FILE elsewhere: whoever has it can
    read the backups, and without it nobody can.
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
    "--force", is_flag=True, help="Replace the rows that are there, also those that came after the backup."
)
@click.option("--add", is_flag=True, help="Keep the rows that are there; rows in both are there twice then.")
@click.option("--identity", type=_KEY_FILE, help="The key file of an encrypted backup.")
@click.option("--url", help=_URL_HELP)
@_plain
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
    database that has rows already is left alone without --force or --add.
    """
    settings = load()
    directory = directory or settings.backup_dir
    if force and add:
        raise UpkeepError("--force replaces rows and --add keeps them: choose one.")
    if listed:
        click.echo("\n".join(known(directory)) or f"There is no backup in {directory.resolve()}.")
        return
    backup = archive.find(directory, name)
    if verified:
        _say_verified(verify(backup, identity))
        return
    door = _door(settings, url)
    overlap = Overlap.REPLACE if force else Overlap.ADD if add else Overlap.REFUSE
    click.echo(
        f"Restoring {backup.manifest.id} ({backup.manifest.rows} rows) into {door.database} at {door.url} ..."
    )
    restored = restore(door, backup, identity, overlap)
    what = {Overlap.REPLACE: "in place of what was there", Overlap.ADD: "beside what was there"}
    click.echo(f"Restored {_total(restored)} {what.get(overlap, 'into empty tables')}.")


@click.command("reset")
@click.option(
    "--older-than",
    "days",
    type=click.IntRange(min=1),
    metavar="DAYS",
    help="Remove only whole days (UTC) that are over for that many days. Default: everything.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--url", help=_URL_HELP)
@_plain
def reset_command(days: int | None, *, yes: bool, url: str | None) -> None:
    """Remove telemetry from the tables of the running server: all of it, or the old.

    Settings, passwords, tables and backups stay. Asks first, and says what would go.
    """
    door = _door(load(), url)
    before = (datetime.now(UTC) - timedelta(days=days)).date() if days else None
    doomed = choose(door, before)
    rows = sum(one.rows for one in doomed)
    which = f"from days before {before}" if before else "all of them"
    if not doomed:
        click.echo(
            f"Nothing to remove: {door.database} at {door.url} has no rows {which if before else 'at all'}."
        )
        return
    for one in doomed:
        click.echo(f"  {one.table:32} {one.rows:12} rows in {len(one.partitions)} days")
    if not yes:
        try:
            click.confirm(f"Remove these {rows} rows of {door.database} at {door.url} ({which})?", abort=True)
        except click.Abort:
            raise UpkeepError(
                "Nothing was removed. Answer y, or use --yes where nobody can answer."
            ) from None
    remove(door, doomed)
    click.echo(f"Removed {rows} rows.")


@click.command("test-connection")
@click.option("--host", help="Where the server runs. Default: this machine, or TELEMETRY_HOST.")
@click.option("--url", help=_URL_HELP)
@_plain
def test_connection_command(host: str | None, *, url: str | None) -> None:
    """Test a running server: its ports, tokens, both users, the tables, and records sent and found again.

    Prints a line for each; exits 1 when one fails. The two test records (service telemetry-check) stay in otel_logs.
    Where the server asks for clients' certificates, OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and
    OTEL_EXPORTER_OTLP_CLIENT_KEY name one.
    """
    settings = load()
    where = host or urlsplit(address.local(settings, 0)).hostname or "localhost"
    failed = 0
    for finding in examine(settings, where, url or address.clickhouse(settings)):
        finding.show()
        failed += finding.verdict is Verdict.FAIL
    if failed:
        click.echo(f"{failed} of these failed.", err=True)
        sys.exit(1)
    click.echo("All is well.")


@click.command("settings")
@_plain
def settings_command() -> None:
    """Check the settings, and print those in force; secrets as `set`. Exits 1 with every fault when one is wrong."""
    settings = load()
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, SecretStr) or (
            isinstance(value, tuple) and any(isinstance(v, SecretStr) for v in value)
        ):
            shown = "set" if value and (isinstance(value, tuple) or value.get_secret_value()) else ""
        else:
            shown = ",".join(value) if isinstance(value, tuple) else "" if value is None else str(value)
        click.echo(f"{field.alias}={shown}")


def _door(settings: Settings, url: str | None) -> Door:
    where = url or address.clickhouse(settings)
    if where is None:
        raise UpkeepError(
            "The server listens on any free port: name its address with --url; its log says which it is."
        )
    user, password = settings.clickhouse_user, writer_password(settings)
    return Door(where, user, password, settings.database, settings.clickhouse_ca_file)


def _say_verified(restored: Restored) -> None:
    click.echo(
        f"Verified {restored.backup.manifest.id}: {_total(restored)} came out of it, as many as went in."
    )


def _total(restored: Restored) -> str:
    return f"{sum(restored.rows.values())} rows of {len(restored.rows)} tables"
