"""The command `telemetry demo`: send demo data to this server or another one, and remove it again."""

import click

from clickhouse.client import Client
from clickhouse.client_errors import ClientError
from clickhouse.endpoint import writer_endpoint
from config.settings import Settings, SettingsError, load, reachable
from demo.content import CONTENT, TOOL_DETAILS
from demo.generate import EVENTS_A_SESSION, Ledger, Plan, generate
from demo.remove import SECONDS, DemoData, RemoveError
from demo.send import connect, send
from otlp.sender import SendError
from telemetry.commands.error_text import report_errors
from telemetry.commands.url_option import url_option


class DemoError(Exception):
    """The demo data cannot be added as asked. The text has the remedy."""


@click.command("demo")
@click.option(
    "--seed", default=1, show_default=True, help="The same seed invents the same people and sessions."
)
@click.option(
    "--days",
    type=click.IntRange(1),
    default=60,
    show_default=True,
    help="How many days it covers, up to now.",
)
@click.option(
    "--users", type=click.IntRange(1, 10_000), default=24, show_default=True, help="How many people."
)
@click.option(
    "--sessions", type=click.IntRange(1), default=1000, show_default=True, help="How many sessions."
)
@click.option("--events", type=click.IntRange(1), help="Number of events, about; instead of --sessions.")
@click.option(
    "--content",
    default="none",
    show_default=True,
    metavar="LIST",
    help="Content that the invented clients send, as in telemetry setup: none, all, or some of"
    f" {', '.join(sorted(CONTENT))}.",
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
@click.option("--remove", is_flag=True, help="Remove the demo data instead, and nothing else.")
@url_option("With --remove: the address of its ClickHouse.")
@report_errors(SettingsError, DemoError, SendError, RemoveError, ClientError)
def demo_command(
    *,
    seed: int,
    days: int,
    users: int,
    sessions: int,
    events: int | None,
    content: str,
    endpoint: str | None,
    protocol: str,
    token: str | None,
    remove: bool,
    url: str | None,
) -> None:
    """Send invented sessions to try the server with, or remove them again.

    By default they hold what a client sends by default: no texts, no programs, no names of MCP servers. Their teams'
    names begin with demo-. They are sent over OTLP as a client does. The server must be running.
    """
    settings = load()
    if remove:
        _remove(settings, url)
        return
    count = max(1, events // EVENTS_A_SESSION) if events else sessions
    _add(settings, Plan(seed, count, users, days, content=_content(content)), endpoint, protocol, token)


def _content(names: str) -> frozenset[str]:
    """Return the names of a list, which may be `none` or `all`. Raises DemoError."""
    chosen = {name.strip() for name in names.split(",") if name.strip()} - {"none"}
    if unknown := chosen - CONTENT - {"all"}:
        raise DemoError(
            f"There is no content called {', '.join(sorted(unknown))}; there are {', '.join(sorted(CONTENT))}."
        )
    return CONTENT if "all" in chosen else frozenset(chosen)


def _add(settings: Settings, plan: Plan, endpoint: str | None, protocol: str, token: str | None) -> None:
    """Generate and send demo data, with a progress bar."""
    if plan.days >= settings.retention_days:
        raise DemoError(
            f"Rows are kept for {settings.retention_days} days, not for {plan.days}: ask for fewer --days."
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
        f"{_left_out(plan)}"
        "Look at it: telemetry query --list. Remove it: telemetry demo --remove."
    )


def _left_out(plan: Plan) -> str:
    if TOOL_DETAILS in plan.content:
        return ""
    return "Without texts of errors and programs, as by default: telemetry demo --content tool-details has them.\n"


def _remove(settings: Settings, url: str | None) -> None:
    """Remove all demo data, and print how much it was. Raises RemoveError, ClientError."""
    with Client(writer_endpoint(settings, url), SECONDS) as client:
        removed = 0
        for part in DemoData(client).remove():
            removed += part.rows
            if part.rows:
                click.echo(f"{part.table:28} {part.rows:>12,} rows")
    click.echo("The demo data is gone." if removed else "There is no demo data.")


def _refuse_a_second_time(settings: Settings) -> None:
    """Raise DemoError when there is demo data already: the same data again would count everything twice."""
    try:
        with Client(writer_endpoint(settings), SECONDS) as client:
            there = DemoData(client).is_there()
    except ClientError:
        return  # a user who may only send can still send
    if there:
        raise DemoError("There is demo data already. Remove it first: telemetry demo --remove.")
