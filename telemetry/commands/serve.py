"""`telemetry serve`: the server itself."""

import os
import sys

import click
import structlog
import uvloop

from config.misspelt import misspelt
from config.settings import load
from telemetry import log
from telemetry.commands.error_text import report_errors
from telemetry.commands.start_errors import START_ERRORS
from telemetry.serve import serve


@click.command("serve")
@report_errors(*START_ERRORS)
def serve_command() -> None:
    """Run the server until Ctrl-C or SIGTERM."""
    settings = load()
    log.configure(settings.log_format, settings.log_level)
    for words in misspelt(os.environ):
        structlog.get_logger().warning(words)
    if uvloop.run(serve(settings)):
        # The interpreter would wait for the threads of readers' statements that do not stop.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
