"""`telemetry query`: questions by name, files, statements, and a prompt."""

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from access.prompt import run as run_prompt
from access.query import FORMATS, AskError, Reader
from access.questions import Question, QuestionError, find, questions, read
from telemetry.plain import plainly
from telemetry.settings import SettingsError, load
from telemetry.source import reader_source


@click.command("query")
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
@plainly(SettingsError, AskError, QuestionError)
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
