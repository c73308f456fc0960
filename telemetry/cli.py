"""The command `telemetry`."""

import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import uvloop

from access.prompt import run as run_prompt
from access.query import FORMATS, AskError, Reader
from access.questions import Question, QuestionError, find, questions, read
from access.report.contents import write
from access.report.figures import Scope, gather
from access.report.markdown import markdown
from access.report.page import page
from access.report.period import LENGTHS, period
from clickhouse.clustered import clustered
from clickhouse.engine import Engine, EngineStartError
from clickhouse.migrations import Migration, SchemaError, migrations
from clickhouse.prices import PricesError
from clickhouse.store import StoreError
from demo.generate import EVENTS_A_SESSION, Plan
from receiver.rules import RulesError
from telemetry import demo, log
from telemetry.client.choices import ChoiceError
from telemetry.client.files import SettingsFileError
from telemetry.doctor.command import doctor_command
from telemetry.forget.command import forget_command
from telemetry.forget.erase import EraseError
from telemetry.forget.subject import SubjectError
from telemetry.plain import plainly
from telemetry.serve import StartError, data_directory, serve
from telemetry.settings import Settings, SettingsError, load
from telemetry.setup import setup_command
from telemetry.source import reader_source
from telemetry.spool import listing, replay
from telemetry.store import open_engine, open_store
from telemetry.tls import TlsError
from telemetry.upkeep.commands import COMMANDS as UPKEEP

_plain_errors = plainly(
    *(SettingsError, RulesError, PricesError, StartError, EngineStartError, SchemaError, StoreError),
    *(AskError, QuestionError, ChoiceError, SettingsFileError, TlsError, EraseError, SubjectError),
    *demo.ERRORS,
)


@click.group()
@click.version_option(package_name="claude-code-telemetry")
def main() -> None:
    """Telemetry server for Claude Code: OTLP in, private rows in ClickHouse.

    Settings are environment variables, or lines of a file .env in the working directory;
    docs/configuration.md lists them.
    """


for _command in UPKEEP:
    main.add_command(_command)


@main.command("serve")
@_plain_errors
def serve_command() -> None:
    """Run the server until Ctrl-C or SIGTERM."""
    settings = load()
    log.configure(settings.log_format, settings.log_level)
    uvloop.run(serve(settings))


@main.command("schema")
@click.option("--apply", is_flag=True, help="Apply what is missing and set the retention, then exit.")
@click.option(
    "--cluster", metavar="NAME", help="Print what makes the tables on this cluster of ClickHouse servers."
)
@_plain_errors
def schema_command(*, apply: bool, cluster: str | None) -> None:
    """Print the schema's migrations, or apply them.

    Applying is what every start does by itself; by hand it is for a server whose receiver may not alter tables.
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


@main.command("spool")
@_plain_errors
def spool_command() -> None:
    """Show what waits on disk for ClickHouse, and what it refused.

    waiting: acknowledged, and inserted as soon as ClickHouse takes it. in work: being inserted now. dead letter:
    refused for good, with ClickHouse's reason; mend that, then `telemetry replay`. set aside: damaged on the disk,
    never inserted. The server may run or not.
    """
    lines = listing(load().data_dir)
    if not lines:
        click.echo("Nothing waits.")
        return
    click.echo(f"{'state':12}{'table':28}{'blocks':>8}{'records':>12}{'bytes':>15}{'oldest':>10}  reason")
    now = time.time()
    for line in lines:
        click.echo(
            f"{line.state:12}{line.table:28}{line.blocks:8,}{line.records:12,}{line.size:15,}"
            f"{_ago(now - line.since):>10}  {line.reason}"
        )


@main.command("replay")
@_plain_errors
def replay_command() -> None:
    """Try the dead letters again, after their cause is mended.

    With the server running they are handed to it. Without it they are inserted here and now, and so is all that
    waits in the spool. What was inserted before is not inserted twice.
    """
    settings = load()
    log.configure(settings.log_format, settings.log_level)
    outcome = replay(settings)
    if outcome.handed_over:
        click.echo(
            f"Handed {outcome.handed_over} blocks to the running server; telemetry spool shows what waits."
        )
        return
    click.echo(f"Inserted {outcome.inserted} blocks; {outcome.refused} refused again, {outcome.left} left.")
    if outcome.trouble:
        click.echo(f"telemetry: {outcome.trouble}", err=True)
    if outcome.left or outcome.refused:
        sys.exit(1)


def _ago(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


@main.command("query")
@click.argument("asked", required=False)
@click.option("--list", "listed", is_flag=True, help="List the questions, with their parameters.")
@click.option(
    "-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter; may be repeated."
)
@click.option(
    "-f", "--format", "output_format", type=click.Choice(list(FORMATS)), default="table", show_default=True
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write to this file, not to the terminal."
)
@click.option(
    "--url",
    help="The ClickHouse to ask, such as http://localhost:8123. Default: this server's, or CLICKHOUSE_URL.",
)
@_plain_errors
def query_command(
    asked: str | None,
    *,
    listed: bool,
    params: tuple[str, ...],
    output_format: str,
    output: Path | None,
    url: str | None,
) -> None:
    """Ask a question, or run a statement.

    ASKED is a question's name (--list shows them), a file of SQL, a statement, or - for standard input. Without it, a
    prompt opens. Times may be relative: -p from="3 days ago".

    Asks as the user who only reads. The server must be running.
    """
    if listed:
        _list_questions()
        return
    reader = Reader(reader_source(load(), url))
    try:
        if asked is None:
            if not sys.stdin.isatty():
                raise QuestionError(
                    "Say what to ask: a question's name, a statement, a file, or - for standard input."
                )
            _prompt(reader, output_format)
            return
        if output_format == "parquet" and output is None and sys.stdout.isatty():
            raise QuestionError("Parquet is not for a terminal: name a file with --output.")
        sql, values = _statement(asked, dict(_pair(param) for param in params))
        _write(reader.ask(sql, values, output_format), output)
    finally:
        reader.close()


@main.command("report")
@click.option(
    "--period",
    "length",
    type=click.Choice(list(LENGTHS)),
    default="weekly",
    show_default=True,
    help="The last day, seven days or thirty days.",
)
@click.option("--since", metavar="TIME", help='Or from this time on, such as 2026-11-01 or "10 days ago".')
@click.option("--until", metavar="TIME", help="Up to this time. Default: now.")
@click.option("--team", default="", help="One team only.")
@click.option("--user", default="", help="One user only, as the question `users` names them.")
@click.option(
    "-f",
    "--format",
    "output_format",
    type=click.Choice(["markdown", "html"]),
    help="Default: html for a file that ends so, else markdown.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write to this file, not to the terminal."
)
@click.option(
    "--url",
    help="The ClickHouse to ask, such as http://localhost:8123. Default: this server's, or CLICKHOUSE_URL.",
)
@_plain_errors
def report_command(
    *,
    length: str,
    since: str | None,
    until: str | None,
    team: str,
    user: str,
    output_format: str | None,
    output: Path | None,
    url: str | None,
) -> None:
    """Report what happened, what it cost, what failed, and what to fix first.

    As Markdown, or as one HTML page with charts that needs no network. Asks as the user who only reads.
    """
    asked = period(length, since, until)
    is_page = output_format == "html" or (
        output_format is None and output is not None and output.suffix == ".html"
    )
    reader = Reader(reader_source(load(), url))
    try:
        document = write(gather(reader, asked, Scope(team, user)))
    finally:
        reader.close()
    with click.open_file(str(output or "-"), "w", encoding="utf-8") as target:
        target.write(page(document) if is_page else markdown(document))


@main.command("demo")
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
@_plain_errors
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
        demo.remove(settings, url)
        return
    count = max(1, events // EVENTS_A_SESSION) if events else sessions
    demo.add(settings, Plan(seed, count, users, days), endpoint, protocol, token)


def _write(pieces: Iterator[bytes], output: Path | None) -> None:
    is_empty = True
    with click.open_file(str(output or "-"), "wb") as target:
        for piece in pieces:
            target.write(piece)
            is_empty = False
    if is_empty:
        click.echo("No rows.", err=True)


def _list_questions() -> None:
    for topic, group in itertools.groupby(questions(), lambda question: question.topic):
        click.echo(f"\n{topic}")
        for question in group:
            click.echo(f"  {question.name:20} {question.question}")
            for parameter in question.parameters:
                click.echo(f"{'':25}{parameter.name} = {parameter.default}: {parameter.meaning}")


def _statement(asked: str, given: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Give the SQL that is meant, with its parameters."""
    if asked == "-":
        return sys.stdin.read(), given
    path = Path(asked)
    if path.suffix == ".sql" and path.is_file():
        sql = path.read_text("utf-8")
        return _filled(read(path), given) if sql.startswith("/*\nquestion:") else (sql, given)
    if " " in asked or "\n" in asked:
        return asked, given
    return _filled(find(asked), given)


def _filled(question: Question, given: dict[str, str]) -> tuple[str, dict[str, str]]:
    return question.sql, question.values(given)


def _pair(param: str) -> tuple[str, str]:
    name, sign, value = param.partition("=")
    if not sign:
        raise QuestionError(f"A parameter is NAME=VALUE, not {param}.")
    return name, value


def _prompt(reader: Reader, output_format: str) -> None:
    chosen = [output_format]

    def show(asked: str) -> None:
        try:
            sql, values = _statement(asked, {})
            _write(reader.ask(sql, values, chosen[0]), None)
        except (AskError, QuestionError) as error:
            click.echo(str(error), err=True)

    def use(name: str) -> None:
        if name in FORMATS and name != "parquet":
            chosen[0] = name
        else:
            click.echo(f"Formats here: {', '.join(name for name in FORMATS if name != 'parquet')}.", err=True)

    run_prompt([question.name for question in questions()], show, _list_questions, use)


for _command in (setup_command, doctor_command, forget_command):
    main.add_command(_command)
    assert _command.callback is not None  # noqa: S101  for the type checker
    _command.callback = _plain_errors(_command.callback)
