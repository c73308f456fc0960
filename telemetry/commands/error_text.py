"""Errors that a person can correct, printed as their text without a traceback."""

import errno
import sys
from collections.abc import Callable
from functools import wraps
from typing import Final

import click

from access.refusal import Code, Refusal

Command = Callable[..., None]
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def report_errors(*errors: type[Exception]) -> Callable[[Command], Command]:
    """Return a decorator that prints these errors of a command as their text alone, and exits 1.

    A file that cannot be read or written is such an error in every command.
    """

    def decorate(command: Command) -> Command:
        @wraps(command)
        def run(*args: object, **kwargs: object) -> None:
            try:
                command(*args, **kwargs)
            except errors as error:
                words = _words(error)
            except OSError as error:
                if error.filename is None and error.errno not in _NO_ROOM:
                    raise
                place = error.filename or "The output"
                words = (
                    f"{place} cannot be used ({error.strerror}): name another file or folder, or make room."
                )
            else:
                return
            click.echo(f"telemetry: {words}", err=True)
            sys.exit(1)

        return run

    return decorate


def _words(error: Exception) -> str:
    """Return the text of an error, with what a program is told beside it: the forms or names that are accepted."""
    if isinstance(error, Refusal) and error.accepted and not error.suggestions:
        word = "Known" if error.code is Code.UNKNOWN_NAME else "Accepted"
        return f"{error} {word}: {'; '.join(error.accepted)}."
    return str(error)
