"""`telemetry open`: open the page in this machine's browser, logged in."""

import webbrowser

import click

from config.data_directory import StartError
from config.page_address import page_address
from config.settings import SettingsError, load
from telemetry.commands.error_text import report_errors


@click.command("open")
@click.option("--print", "only_print", is_flag=True, help="Print the address, with its token, instead.")
@report_errors(SettingsError, StartError)
def open_command(*, only_print: bool) -> None:
    """Open the page in this machine's browser, logged in.

    The address holds the token of credentials.env in the data directory; the browser keeps a cookie instead.
    """
    address = page_address(load())
    if only_print or not webbrowser.open(address):
        click.echo(address)
