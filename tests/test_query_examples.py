"""docs/query-examples.md: every statement runs as the user who only reads."""

import re

import pytest

from access.query import ask
from clickhouse.client import Client
from tests.server import ROOT, Server

STATEMENTS = re.findall(
    r"^```sql\n(.*?)^```$", (ROOT / "docs/query-examples.md").read_text(), re.MULTILINE | re.DOTALL
)


@pytest.mark.parametrize("sql", STATEMENTS)
def test_an_example_runs(server: Server, sql: str) -> None:
    """Its columns and functions exist, and the reader may ask it."""
    with Client(server.endpoint()) as client:
        names = b"".join(ask(client, sql, {}, "csv")).splitlines()[0]
    assert names


def test_there_are_examples() -> None:
    """The page is read as it is written."""
    assert len(STATEMENTS) >= 9
