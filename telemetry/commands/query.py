"""`telemetry query`: questions by name, files, statements, and a prompt."""

import itertools
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from access.ids import Ambiguous
from access.needs import NEEDS
from access.prompt import Prompt
from access.prompt import run as run_prompt
from access.query import FORMATS
from access.questions import Question, QuestionError, find, questions, read
from access.show import HEAD, READABLE, Asked, Page, completed, exact, has_no_rows, none, page, unmet
from access.table import WIDTH
from access.terminal import made_visible, without_formulas
from clickhouse.client import Client
from clickhouse.client_errors import ClientError
from clickhouse.endpoint import reader_endpoint
from config import private_file
from config.settings import SettingsError, load
from telemetry.commands.error_text import report_errors
from telemetry.commands.url_option import url_option

_LEAST: Final = 60
_NAMES: Final = 22


@click.command("query")
@click.argument("asked", required=False)
@click.option(
    "--list", "listed", is_flag=True, help="List the questions; with a name, its parameters and columns."
)
@click.option(
    "-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter; may be repeated."
)
@click.option(
    "-f", "--format", "output_format", type=click.Choice(list(FORMATS)), default="table", show_default=True
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write to this file, not to the terminal."
)
@click.option("--full", is_flag=True, help="Whole ids and columns in a table, however wide it gets.")
@click.option(
    "--defuse-formulas", is_flag=True, help="In CSV, write ' before text that a spreadsheet would run."
)
@url_option()
@report_errors(SettingsError, ClientError, QuestionError, Ambiguous)
def query_command(
    asked: str | None,
    *,
    listed: bool,
    params: tuple[str, ...],
    output_format: str,
    output: Path | None,
    defuse_formulas: bool,
    full: bool,
    url: str | None,
) -> None:
    """Ask a question, or run a statement.

    ASKED is a question's name (--list shows them), a file of SQL, a statement, or - for standard input. Without it, a
    prompt opens. Times may be relative: -p from="3 days ago". Ids may be as short as a table shows them.

    Asks as the user who only reads. The server must be running.
    """
    if listed:
        _list(asked or "")
        return
    with Client(reader_endpoint(load(), url)) as client:
        client.open()
        if asked is None:
            if not sys.stdin.isatty():
                raise QuestionError(
                    "Say what to ask: a question's name, a statement, a file, or - for standard input."
                )
            _prompt(client, output_format, is_full=full)
            return
        if output_format == "parquet" and output is None and sys.stdout.isatty():
            raise QuestionError("Parquet is not for a terminal: name a file with --output.")
        if defuse_formulas and output_format != "csv":
            raise QuestionError("Formulas are of spreadsheets: only CSV can be defused. Add --format csv.")
        answer = completed(client, _statement(asked, dict(_pair(param) for param in params)))
        _answer(client, answer, output_format, output, is_full=full, is_defused=defuse_formulas)


def _answer(
    client: Client,
    asked: Asked,
    output_format: str,
    output: Path | None,
    *,
    is_full: bool = False,
    is_defused: bool = False,
) -> None:
    """Write an answer to a file or the terminal; what is to be said beside it goes to standard error."""
    if output_format in READABLE:
        width = (
            max(_LEAST, shutil.get_terminal_size().columns) if sys.stdout.isatty() and not output else WIDTH
        )
        found = page(client, asked, output_format, width, is_full=is_full)
        if found is not None:
            _show(found, output)
            return
    start = b""
    pieces = exact(client, asked, output_format)
    if output_format in READABLE and output is None and sys.stdout.isatty():
        # In a format that the statement itself asks for; a program behind a pipe gets it exactly.
        pieces = made_visible(pieces)
    with private_file.output(output) as target:
        for piece in without_formulas(pieces) if is_defused else pieces:
            target.write(piece)
            if len(start) <= HEAD:
                start += piece
    for note in none(client, asked) if has_no_rows(asked, output_format, start) else unmet(client, asked):
        click.echo(note, err=True)


def _show(found: Page, output: Path | None) -> None:
    with private_file.output(output) as target:
        target.write(found.text.encode())
    for note in found.notes:
        click.echo(note, err=True)


def _list(name: str) -> None:
    """List the questions, one on a line, or describe one."""
    if name:
        _describe(find(name))
        return
    for topic, group in itertools.groupby(questions(), lambda question: question.topic):
        click.echo(f"\n{topic}")
        for question in group:
            click.echo(f"  {question.name:{_NAMES - 2}} {question.question}")
    click.echo("\nA question's parameters and columns: telemetry query --list NAME.")


def _describe(question: Question) -> None:
    click.echo(question.question)
    if question.note:
        click.echo(f"\n{question.note}")
    if question.needs:
        click.echo("\nneeds")
    for need in question.needs:
        click.echo(f"  {need:{_NAMES - 2}} {NEEDS[need].switch}")
    click.echo("\nparameters" if question.parameters else "\nno parameters")
    for parameter in question.parameters:
        click.echo(f"  {f'{parameter.name}={parameter.default}':{_NAMES - 2}} {parameter.meaning}")
    click.echo("\ncolumns")
    for column, meaning in question.columns.items():
        click.echo(f"  {column:{_NAMES - 2}} {meaning}")


def _statement(asked: str, given: dict[str, str]) -> Asked:
    """Return a question by its name, a file, a statement or standard input, with its parameters."""
    if asked == "-":
        return Asked(sys.stdin.read(), given)
    path = Path(asked)
    if path.suffix == ".sql" and path.is_file():
        try:
            sql = path.read_text("utf-8")
        except UnicodeDecodeError:
            raise QuestionError(f"{asked} is no text in UTF-8.") from None
        return _filled(read(path), given) if sql.startswith("/*\nquestion:") else Asked(sql, given)
    if " " in asked or "\n" in asked:
        return Asked(asked, given)
    if path.suffix == ".sql":
        raise QuestionError(f"There is no file {asked}.")
    return _filled(find(asked), given)


def _filled(question: Question, given: dict[str, str]) -> Asked:
    return Asked(question.sql, question.values(given), question)


def _pair(param: str) -> tuple[str, str]:
    name, sign, value = param.partition("=")
    if not sign:
        raise QuestionError(f"A parameter is NAME=VALUE, not {param}.")
    return name, value


def _prompt(client: Client, output_format: str, *, is_full: bool) -> None:
    chosen = [output_format]
    names = [question.name for question in questions()]

    def show(asked: str) -> None:
        try:
            _answer(client, completed(client, _typed(asked, names)), chosen[0], None, is_full=is_full)
        except (ClientError, QuestionError, Ambiguous) as error:
            click.echo(str(error), err=True)

    def listed(name: str) -> None:
        try:
            _list(name)
        except QuestionError as error:
            click.echo(str(error), err=True)

    def use(name: str) -> None:
        if name in FORMATS and name != "parquet":
            chosen[0] = name
        else:
            click.echo(f"Formats here: {', '.join(name for name in FORMATS if name != 'parquet')}.", err=True)

    run_prompt(Prompt(names, show, listed, use, click.echo), names)


def _typed(line: str, names: Sequence[str]) -> Asked:
    """Return a question with the parameters after its name, as at the command line, or a statement."""
    if line.partition(" ")[0] not in names:
        return Asked(line, {})
    try:
        name, *words = shlex.split(line)
    except ValueError:
        raise QuestionError("A quotation mark is not closed.") from None
    return _filled(find(name), dict(_pair(word) for word in words if word not in {"-p", "--param"}))
