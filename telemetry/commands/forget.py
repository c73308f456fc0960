"""The command `telemetry forget`: deletes one person's or one session's data everywhere, and records that."""

import sys
from typing import Final

import click

from clickhouse.client import Client
from clickhouse.client_errors import ClientError
from clickhouse.endpoint import writer_endpoint
from config.credentials import hash_key
from config.settings import Settings, SettingsError, load
from operations.forget.erase import SECONDS, EraseError, Erasure
from operations.forget.subject import Subject, SubjectError, person, session
from operations.forget.waiting import look_for_waiting
from privacy.rules import RulesError, load_rules
from privacy.sanitizer import Sanitizer
from telemetry.commands.error_text import report_errors
from telemetry.commands.url_option import url_option

_DISK_SECONDS: Final = 600.0


@click.command("forget")
@click.option(
    "--user",
    metavar="VALUE",
    help="A person: email address, user.id, account id, or the hash of one as the tables have it. - reads a line.",
)
@click.option("--session", "session_id", metavar="ID", help="One session alone.")
@click.option("--dry-run", is_flag=True, help="Count the rows that would go, by table, and delete none.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--resume", is_flag=True, help="Take up a deletion that was interrupted.")
@url_option("The ClickHouse to delete in.")
@report_errors(SettingsError, RulesError, ClientError, EraseError, SubjectError)
def forget_command(
    *, user: str | None, session_id: str | None, dry_run: bool, yes: bool, resume: bool, url: str | None
) -> None:
    """Delete what is stored of one person, or of one session.

    Everything of a session that names the person goes: log records, spans, metrics, typed events, traces; sums are made
    again without it. The server must be running, and nothing may wait in its spool. Ends when the disk has let go, and
    leaves a record in telemetry_forgotten, with a hash of what was named and the numbers of rows.
    """
    if (user is None) == (session_id is None):
        raise click.UsageError("Say whom or what to forget: --user VALUE, or --session ID.")
    settings = load()
    subject = _subject(settings, user, session_id)
    with Client(writer_endpoint(settings, url), SECONDS) as client:
        erasure = Erasure(client, subject)
        if not dry_run:
            look_for_waiting(settings)
        with erasure.begun(resume=resume):
            found = erasure.count()
            _show(found)
            if not found or dry_run:
                return
            if not yes and not click.confirm(f"Delete {sum(found.values())} rows for good?"):
                click.echo("Nothing was deleted.")
                return
            is_gone = _erase(erasure, found)
    if not is_gone:
        sys.exit(1)


def _erase(erasure: Erasure, found: dict[str, int]) -> bool:
    """Delete, check and record; return whether the disk has let go."""
    erasure.erase(found)
    erasure.record(found)
    if left := erasure.remaining():
        raise EraseError(
            f"{sum(left.values())} rows came meanwhile or stayed ({', '.join(left)}): run this again with --resume."
        )
    click.echo(f"Deleted, and found no more: {sum(found.values())} rows. Recorded in telemetry_forgotten.")
    if erasure.wait_for_disk(found, _DISK_SECONDS):
        click.echo(
            "The old files are gone from the disk. Backups made before still have the rows until they go."
        )
        return True
    click.echo("ClickHouse still holds old files; it removes them by itself within minutes.", err=True)
    return False


def _subject(settings: Settings, user: str | None, session_id: str | None) -> Subject:
    rules = load_rules(settings.sanitize_config, settings.sanitize_level)
    sanitizer = Sanitizer(rules, hash_key(settings) or None)
    if session_id is not None:
        return session(session_id, sanitizer)
    return person(sys.stdin.readline() if user == "-" else str(user), sanitizer)


def _show(found: dict[str, int]) -> None:
    if not found:
        click.echo(
            "Nothing is stored of that. At the level balanced email addresses are redacted: name the person by user.id."
        )
        return
    width = max(len(table) for table in found)
    for table, rows in found.items():
        click.echo(f"{table:{width}}  {rows:>10}")
    click.echo(f"{'together':{width}}  {sum(found.values()):>10}")
