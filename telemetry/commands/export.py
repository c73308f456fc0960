"""`telemetry export`: write stored data to files, all of it or only rows that are new since the last export."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from access.answer import Range
from access.export.export import MANIFEST, Progress, damaged, export, read, unseen
from access.export.request import ExportRequest, Format, Level
from access.quality import RulesError, read_rules
from access.refusal import Refusal
from access.store import reader_store
from access.times import period
from config.settings import SettingsError, load
from telemetry.commands.error_text import report_errors
from telemetry.commands.url_option import url_option


class DamagedError(Exception):
    """Files of an export are not what its manifest says. The text names them."""


@click.command("export")
@click.option(
    "-f",
    "--format",
    "output_format",
    type=click.Choice([one.value for one in Format]),
    default=Format.json.value,
    show_default=True,
    help="One document, a table of benchmarks, or events one by one.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The folder of the exports. Default: TELEMETRY_EXPORT_DIR, exports in the data directory.",
)
@click.option("--name", default="telemetry", show_default=True, help="Exports of one name are numbered.")
@click.option("--since", metavar="TIME", help='From this time on, such as 2026-11-01 or "10 days ago".')
@click.option("--until", metavar="TIME", help="Up to this time. Default for both: all that is stored.")
@click.option("--incremental", is_flag=True, help="Only what was stored since the last export of this name.")
@click.option(
    "--level",
    type=click.Choice([one.value for one in Level]),
    default=Level.strict.value,
    show_default=True,
    help="strict leaves columns of free text out, such as error messages; keep has all that is stored.",
)
@click.option(
    "--defuse-formulas", is_flag=True, help="In CSV, write ' before text that a spreadsheet would run."
)
@click.option(
    "--verify", type=click.Path(path_type=Path), help="Check the files of an export, and write none."
)
@url_option()
@report_errors(SettingsError, Refusal, RulesError, DamagedError)
def export_command(
    *,
    output_format: str,
    output: Path | None,
    name: str,
    since: str | None,
    until: str | None,
    incremental: bool,
    level: str,
    defuse_formulas: bool,
    verify: Path | None,
    url: str | None,
) -> None:
    """Write what is stored to files, with a manifest of their sizes and checksums.

    An export that was interrupted goes on when it is started again. Asks as the user who only reads. The server must
    be running.
    """
    if verify is not None:
        _verify(verify)
        return
    settings = load()
    request = ExportRequest(
        format=Format(output_format),
        name=name,
        time_range=_period(since, until),
        words=f"{since or ''}..{until or ''}" if since or until else "",
        incremental=incremental,
        level=Level(level),
        defuse_formulas=defuse_formulas,
        rules=read_rules(settings.validation_rules),
    )
    request.check()
    store = reader_store(settings, url)
    try:
        with _shown() as progress:
            made = export(store, request, output or settings.exports, progress)
    finally:
        store.close()
    click.echo(
        f"{made.manifest['figures']['records']:,} events, {made.rows:,} rows in"
        f" {len(made.files)} {'file' if len(made.files) == 1 else 'files'}, {made.bytes:,} bytes:"
        f" {made.folder / MANIFEST}"
    )


def _period(since: str | None, until: str | None) -> Range | None:
    if since is None and until is None:
        return None
    return period(since or "0000000000", until, days=366 * 200, fields=("--since", "--until"))


def _verify(folder: Path) -> None:
    found = read(folder)
    if names := damaged(found):
        raise DamagedError(f"Not as {MANIFEST} says, or missing: {', '.join(names)}. Export again.")
    click.echo(f"{len(found.files)} files are as {MANIFEST} says.")


@contextmanager
def _shown() -> Iterator[Progress]:
    """Yield what shows the progress: a bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield unseen
        return
    with click.progressbar(length=1, label="Exporting", file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.length = max(1, total)
            bar.update(done - bar.pos)

        yield show
