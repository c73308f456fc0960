"""Errors that a person can mend, shown as their text alone."""

import sys
from collections.abc import Callable
from functools import wraps

import click

Command = Callable[..., None]


def plainly(*errors: type[Exception]) -> Callable[[Command], Command]:
    """Make a decorator that shows these errors of a command by their text, with exit code 1."""

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
