"""The command `telemetry import`: send the history in Claude Code's own transcripts, or remove it again."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click

from access.refusal import Refusal
from access.times import instant
from clickhouse.client import Client
from clickhouse.client_errors import ClientError
from clickhouse.endpoint import reader_endpoint, writer_endpoint
from clickhouse.prices import PricesError, read_prices
from clickhouse.pricing import Prices
from config.address import local
from config.settings import Settings, SettingsError, load
from onboarding.choices import CONTENT, RESOURCE, ChoiceError, attribute, content_names, resource_attributes
from onboarding.history.files import FilesError, Transcript, folders, transcripts
from onboarding.history.identity import identity
from onboarding.history.importing import TOKENS, Import, Summary, period
from onboarding.history.known import Known
from onboarding.history.remove import SECONDS, RemoveError, remove
from onboarding.history.requests import Sender, requests
from onboarding.history.session import Taken
from onboarding.precedence import Variables, in_force, read_layers
from onboarding.settings_files import SettingsFileError
from otlp.destination import Destination, Protocol
from otlp.sender import Cause, Export, SendError, opened
from otlp.sending import send_all
from otlp.signals import Signal
from telemetry.commands.error_text import report_errors
from telemetry.commands.url_option import url_option

_TIMEOUT_SECONDS: Final = 60
_IN_FLIGHT: Final = 8


@click.command("import")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--since", metavar="TIME", help='From this time on, such as 2026-11-01 or "10 days ago".')
@click.option(
    "--until", metavar="TIME", help="Up to this time. Default for both: all days that rows are kept."
)
@click.option("--dry-run", is_flag=True, help="Say what would be added, and add nothing.")
@click.option(
    "--remove", "removes", is_flag=True, help="Remove all imported history instead, and nothing else."
)
@click.option(
    "--content",
    metavar="LIST",
    help="none, prompts, tool-details, or both, as in telemetry setup. Default: what Claude Code's settings say;"
    " tool-details where they say nothing and this server hashes content.",
)
@click.option(
    "--attribute",
    "attributes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Resource attribute; may be repeated.",
)
@click.option("--endpoint", help="An OTLP receiver, such as http://localhost:4317. Default: this server.")
@click.option(
    "--protocol",
    type=click.Choice(["grpc", "http"]),
    default="grpc",
    show_default=True,
    help="The receiver's protocol.",
)
@click.option("--token", help="Its bearer token. Default: the first of TELEMETRY_INGEST_TOKENS.")
@url_option("Its ClickHouse, to see what is there.")
@report_errors(
    SettingsError,
    SettingsFileError,
    ChoiceError,
    FilesError,
    PricesError,
    SendError,
    RemoveError,
    ClientError,
    Refusal,
)
def import_command(
    *,
    paths: tuple[Path, ...],
    since: str | None,
    until: str | None,
    dry_run: bool,
    removes: bool,
    content: str | None,
    attributes: tuple[str, ...],
    endpoint: str | None,
    protocol: str,
    token: str | None,
    url: str | None,
) -> None:
    """Import the history of Claude Code from its own transcripts.

    PATHS are folders or files of transcripts; by default those in ~/.claude/projects. Requests, tool calls, prompts,
    subagents and compactions become the events that Claude Code sends, are sent over OTLP and made private as these
    are, and are marked as imported. What is stored already, however it came, is not added again. The files are only
    read. The server must be running.
    """
    settings = load()
    if removes:
        _remove(settings, url)
        return
    now = datetime.now(UTC)
    begin = instant(since, now, field="since") if since else None
    end = instant(until, now, field="until", is_end=True) if until else None
    run_import(
        settings,
        list(paths) or folders(os.environ),
        times=(begin, end),
        content=content,
        attributes=dict(attribute(text) for text in attributes),
        destination=_destination(settings, endpoint, protocol, token),
        is_own=endpoint is None,
        url=url,
        dry_run=dry_run,
    )


def run_import(
    settings: Settings,
    paths: list[Path],
    *,
    times: tuple[datetime | None, datetime | None] = (None, None),
    content: str | None = None,
    attributes: Mapping[str, str] | None = None,
    destination: Destination | None = None,
    is_own: bool = True,
    url: str | None = None,
    dry_run: bool = False,
) -> None:
    """Import transcripts and print what was added. Raises the errors that the command prints."""
    if not paths:
        raise FilesError(
            "There are no transcripts in ~/.claude/projects. Name their folder: telemetry import FOLDER."
        )
    summary = Summary()
    found = transcripts(paths, summary.unread)
    variables = in_force(read_layers(Path(), os.environ))
    taken = _taken(content, variables, settings, is_own=is_own)
    sender = Sender(
        identity(os.environ), resource_attributes(variables.get(RESOURCE)) | dict(attributes or {})
    )
    whole = period(*times, settings.retention_days, datetime.now(UTC))
    prices = Prices(read_prices(settings.prices))
    with Client(reader_endpoint(settings, url), SECONDS) as client, _bar(found, dry_run=dry_run) as bar:
        run = Import(whole, taken, prices, Known(client).new, time.time(), summary)
        if dry_run:
            for _ in run.batches(found, bar):
                pass
        else:
            with _opened(destination or _destination(settings, None, "grpc", None)) as export:
                for events in run.batches(found, bar):
                    # Each batch is stored before the next one asks what is there.
                    for _ in send_all(requests(events, sender), export, _IN_FLIGHT):
                        pass
    for line in told(summary, taken, dry_run=dry_run):
        click.echo(line)


def offer_history(settings: Settings, *, asks: bool) -> None:
    """Offer to import the transcripts that are there; without a person to ask, say how."""
    paths = folders(os.environ)
    count = len(transcripts(paths, Counter()))
    if not count:
        return
    if asks and click.confirm(
        f"Add your history, from the {_number(count, 'transcript')} of Claude Code here?", default=True
    ):
        run_import(settings, paths)
    else:
        click.echo(
            f"Your history, from {_number(count, 'transcript')}: telemetry import --dry-run shows what it would add."
        )


def told(summary: Summary, taken: Taken, *, dry_run: bool) -> Iterator[str]:
    """Yield the lines that say what an import did."""
    verb = "Would add" if dry_run else "Added"
    if summary.added:
        events = ", ".join(f"{count:,} {name}" for name, count in summary.added.most_common())
        tokens = ", ".join(f"{summary.tokens[name]:,} {name.removesuffix('_tokens')}" for name in TOKENS)
        yield (
            f"{verb} {_number(sum(summary.added.values()), 'event')} of {_number(len(summary.sessions), 'session')} on"
            f" {_number(len(summary.days), 'day')}, from {_number(summary.files, 'file')}: {events}."
        )
        yield f"Tokens: {tokens}."
        unknown = (
            f"; the price of {_number(summary.unpriced, 'request')} is not known" if summary.unpriced else ""
        )
        yield f"Cost by list prices: ${summary.usd:,.2f}{unknown}."
        kinds = [
            name for name, on in (("prompts", taken.prompts), ("tool-details", taken.tool_details)) if on
        ]
        yield f"Content: {', '.join(kinds) or 'none'}."
    else:
        yield f"{'There is' if dry_run else 'There was'} nothing to add, in {_number(summary.files, 'file')}."
    if summary.stored or summary.repeated or summary.outside:
        yield (
            f"Left out: {summary.stored:,} events that are stored already, {summary.repeated:,} copies in other files,"
            f" {summary.outside:,} outside of the period."
        )
    if summary.unread:
        yield f"Not read: {', '.join(f'{what} ({count:,})' for what, count in sorted(summary.unread.items()))}."
    if summary.added:
        yield (
            "Run it again without --dry-run to add them."
            if dry_run
            else "Remove it again: telemetry import --remove."
        )


def _number(count: int, thing: str) -> str:
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def _taken(content: str | None, variables: Variables, settings: Settings, *, is_own: bool) -> Taken:
    """Return the content to send. Raises ChoiceError."""
    if content is not None:
        names = content_names(content.split(","))
    elif variables.is_on("CLAUDE_CODE_ENABLE_TELEMETRY"):
        names = frozenset(switch.name for switch in CONTENT if variables.is_on(switch.variable))
    else:
        is_hashed = is_own and settings.sanitize_level.value == "strict"
        names = frozenset({"tool-details"} if is_hashed else ())
    return Taken(prompts="prompts" in names, tool_details="tool-details" in names)


def _destination(settings: Settings, endpoint: str | None, protocol: str, token: str | None) -> Destination:
    """Return where to send. Raises SendError."""
    port = settings.otlp_grpc_port if protocol == "grpc" else settings.otlp_http_port
    named = endpoint or local(settings, port)
    address = urlsplit(named if "//" in named else f"//{named}")
    if not address.hostname or not address.port:
        raise SendError(Cause.UNREACHABLE, f"{named} is no address.", "Name it like http://localhost:4317.")
    accepted = token if token is not None else next((own for _, own in settings.tokens), "")
    return Destination(
        Signal.LOGS,
        Protocol.GRPC if protocol == "grpc" else Protocol.PROTOBUF,
        f"{address.scheme or 'http'}://{address.netloc}/v1/logs",
        address.hostname,
        address.port,
        is_tls=address.scheme == "https",
        headers=(("authorization", f"Bearer {accepted}"),) if accepted else (),
    )


@contextmanager
def _opened(to: Destination) -> Iterator[Export]:
    """Connect; errors name the options of this command."""
    try:
        with opened(to, _TIMEOUT_SECONDS) as export:
            yield export
    except SendError as error:
        match error.cause:
            case Cause.TOKEN:
                fix = "Name one of its TELEMETRY_INGEST_TOKENS with --token."
            case Cause.UNREACHABLE:
                fix = "Start the server, or name its address with --endpoint."
            case Cause.PROTOCOL:
                fix = "Name the address of an OTLP receiver with --endpoint, and its --protocol."
            case _:
                raise
        raise SendError(error.cause, error.problem, fix) from None


@contextmanager
def _bar(found: list[Transcript], *, dry_run: bool) -> Iterator[Callable[[int], None]]:
    with click.progressbar(
        length=sum(one.size for one in found),
        label="Reading transcripts" if dry_run else "Importing transcripts",
    ) as bar:
        yield bar.update


def _remove(settings: Settings, url: str | None) -> None:
    with Client(writer_endpoint(settings, url), SECONDS) as client:
        gone = list(remove(client))
    for one in gone:
        if one.rows:
            click.echo(f"{one.table:28} {one.rows:>12,} rows")
    click.echo(
        "The imported history is gone." if any(one.rows for one in gone) else "There is no imported history."
    )
