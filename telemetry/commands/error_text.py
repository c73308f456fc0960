"""Errors that a person can correct, printed as their text without a traceback."""

import sys
from collections.abc import Callable
from functools import wraps

import click

Command = Callable[..., None]


def report_errors(*errors: type[Exception]) -> Callable[[Command], Command]:
    """Return a decorator that prints these errors of a command as their text alone, and exits 1."""

    def decorate(command: Command) -> Command:
        @wraps(command)
        def run(*args: object, **kwargs: object) -> None:
            try:
                command(*args, **kwargs)
            except errors as error:
                click.echo(f"telemetry: {error}", err=True)
                sys.exit(1)

        return run

    return decorate
