"""docs/query-examples.md: every statement runs as the user who only reads."""

import re

import pytest

from access.query import Reader
from clickhouse.client import Source
from tests.server import ROOT, Server

STATEMENTS = re.findall(
    r"^```sql\n(.*?)^```$", (ROOT / "docs/query-examples.md").read_text(), re.MULTILINE | re.DOTALL
)


@pytest.mark.parametrize("sql", STATEMENTS)
def test_an_example_runs(server: Server, sql: str) -> None:
    """Its columns and functions exist, and the reader may ask it."""
    credentials = (server.data / "credentials.env").read_text()
    password = credentials.partition("TELEMETRY_READER_PASSWORD=")[2].split()[0]
    reader = Reader(
        Source(f"http://{server.listening['clickhouse_http']}", "telemetry_reader", password, "telemetry")
    )
    try:
        names = b"".join(reader.ask(sql, {}, "csv")).splitlines()[0]
    finally:
        reader.close()
    assert names


def test_there_are_examples() -> None:
    """The page is read as it is written."""
    assert len(STATEMENTS) >= 9
