"""`telemetry demo`: sends demo data to the server of these settings, or to another one, and takes it away again."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import click

from clickhouse.client import Source
from demo.generate import EVENTS_A_SESSION, Ledger, Plan, generate
from demo.remove import Database, RemoveError
from demo.send import SendError, connect, send
from telemetry.credentials import writer_password
from telemetry.plain import plainly
from telemetry.settings import Settings, SettingsError, load, reachable


class DemoError(Exception):
    """The demo data cannot be added as asked. The text has the remedy."""


@click.command("demo")
@click.option(
    "--seed", default=1, show_default=True, help="The same seed invents the same people and sessions."
)
@click.option(
    "--days", type=click.IntRange(1), default=60, show_default=True, help="How far back it reaches."
)
@click.option(
    "--users", type=click.IntRange(1, 10_000), default=24, show_default=True, help="How many people."
)
@click.option(
    "--sessions", type=click.IntRange(1), default=1000, show_default=True, help="How many sessions."
)
@click.option("--events", type=click.IntRange(1), help="Instead of --sessions: about how many events.")
@click.option("--endpoint", help="An OTLP receiver, such as http://localhost:4317. Default: this server.")
@click.option(
    "--protocol",
    type=click.Choice(["grpc", "http"]),
    default="grpc",
    show_default=True,
    help="How it speaks OTLP.",
)
@click.option("--token", help="Its bearer token. Default: the first of TELEMETRY_INGEST_TOKENS.")
@click.option("--remove", is_flag=True, help="Take the demo data away instead, and nothing else.")
@click.option(
    "--url", help="With --remove: the ClickHouse that has it. Default: this server's, or CLICKHOUSE_URL."
)
@plainly(SettingsError, DemoError, SendError, RemoveError)
def demo_command(
    *,
    seed: int,
    days: int,
    users: int,
    sessions: int,
    events: int | None,
    endpoint: str | None,
    protocol: str,
    token: str | None,
    remove: bool,
    url: str | None,
) -> None:
    """Send invented sessions, to try the server with, or take them away again.

    They come from teams called demo-something, up to now, over OTLP like any client's. The server must be running.
    """
    settings = load()
    if remove:
        _remove(settings, url)
        return
    count = max(1, events // EVENTS_A_SESSION) if events else sessions
    _add(settings, Plan(seed, count, users, days), endpoint, protocol, token)


def _add(settings: Settings, plan: Plan, endpoint: str | None, protocol: str, token: str | None) -> None:
    """Generate and send demo data, with a progress bar."""
    if plan.days >= settings.retention_days:
        raise DemoError(
            f"{plan.days} days reach past the {settings.retention_days} that rows are kept: ask for fewer --days."
        )
    if endpoint is None:
        _refuse_a_second_time(settings)
    ledger = Ledger()
    port = settings.otlp_grpc_port if protocol == "grpc" else settings.otlp_http_port
    accepted = token if token is not None else next((own for _, own in settings.tokens), "")
    with (
        connect(endpoint or f"http://{reachable(settings.host)}:{port}", protocol, accepted) as export,
        click.progressbar(length=plan.sessions, label="Sending demo data", show_pos=True) as bar,
    ):
        shown = 0
        for _ in send(generate(plan, ledger), export):
            bar.update(ledger.processes - shown)
            shown = ledger.processes
    spent = ledger.spent()
    click.echo(
        f"Sent {sum(ledger.events.values())} events, {sum(ledger.spans.values())} spans and {ledger.points} data points"
        f" of {plan.users} invented people in {plan.days} days, who spent ${spent.usd:,.2f}.\n"
        "Look at it: telemetry query --list. Take it away: telemetry demo --remove."
    )


def _remove(settings: Settings, url: str | None) -> None:
    """Take all demo data away, and say how much it was. Raises RemoveError."""
    with _database(settings, url) as database:
        removed = 0
        for part in database.remove():
            removed += part.rows
            if part.rows:
                click.echo(f"{part.table:28} {part.rows:>12,} rows")
    click.echo("The demo data is gone." if removed else "There is no demo data.")


def _refuse_a_second_time(settings: Settings) -> None:
    """Raise DemoError when there is demo data already: the same again would count everything twice."""
    try:
        with _database(settings, None) as database:
            there = database.has_demo()
    except RemoveError:
        return  # whoever may only send can still do so
    if there:
        raise DemoError("There is demo data already. Take it away first: telemetry demo --remove.")


@contextmanager
def _database(settings: Settings, url: str | None) -> Iterator[Database]:
    own = f"http://{reachable(settings.host)}:{settings.clickhouse_http_port}"
    source = Source(
        url or settings.clickhouse_url or own,
        settings.clickhouse_user,
        writer_password(settings),
        settings.database,
        settings.clickhouse_ca_file,
    )
    with closing(Database(source)) as database:
        yield database
