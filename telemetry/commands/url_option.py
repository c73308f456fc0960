"""The option `--url`: the ClickHouse that a command asks, in place of the one in the settings."""

from collections.abc import Callable
from typing import Any, Final

import click

from config.http_address import is_http_address

_DEFAULT: Final = "Default: this server's, or CLICKHOUSE_URL."


class _Address(click.ParamType[str]):
    """An address with its scheme: a part that is not understood would lead to another server than the one meant."""

    name = "URL"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not is_http_address(value):
            self.fail(
                "write the HTTP address without user and path, such as http://localhost:8123.", param, ctx
            )
        return str(value)


def url_option(
    meaning: str = "The ClickHouse to ask, such as http://localhost:8123.",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds `--url` to a command; its help begins with `meaning`."""
    return click.option("--url", type=_Address(), metavar="URL", help=f"{meaning} {_DEFAULT}")
