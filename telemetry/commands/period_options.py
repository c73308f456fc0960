"""The options of commands that are about a period: when, and whose."""

from collections.abc import Callable
from typing import Any, Final

import click

from access.report.period import LENGTHS

_OPTIONS: Final = (
    click.option(
        "--period",
        "length",
        type=click.Choice(list(LENGTHS)),
        default="weekly",
        show_default=True,
        help="The last day, seven days or thirty days.",
    ),
    click.option(
        "--since", metavar="TIME", help='Or from this time on, such as 2026-11-01 or "10 days ago".'
    ),
    click.option("--until", metavar="TIME", help="Up to this time. Default: now."),
    click.option("--team", default="", help="One team only."),
    click.option("--user", default="", help="One user only, as the question `users` or a report names them."),
    click.option("--project", default="", help="One project only."),
)


def period_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--period`, `--since`, `--until`, `--team`, `--user` and `--project` to a command, in this order."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
