"""`telemetry serve`: the server itself."""

import click
import uvloop

from telemetry import log
from telemetry.commands.errors import START_ERRORS
from telemetry.plain import plainly
from telemetry.serve import serve
from telemetry.settings import load


@click.command("serve")
@plainly(*START_ERRORS)
def serve_command() -> None:
    """Run the server until Ctrl-C or SIGTERM."""
    settings = load()
    log.configure(settings.log_format, settings.log_level)
    uvloop.run(serve(settings))
