"""`telemetry demo`: against a running server, beside real data, and away again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from access.query import ask
from clickhouse.client import Client
from demo.world import SECRETS
from telemetry.cli import main
from tests.server import Server, captures

SMALL = ("--sessions", "40", "--users", "10", "--days", "3")


def demo(server: Server, *arguments: str, code: int = 0, **more: str) -> str:
    """Run the command and return its output."""
    ports = {
        f"TELEMETRY_{name.upper()}_PORT": server.listening[name].rpartition(":")[2]
        for name in ("otlp_grpc", "otlp_http")
    }
    done = CliRunner().invoke(main, ["demo", *arguments], env={**own(server), **ports, **more})
    assert done.exit_code == code, done.output
    return done.output


def own(server: Server) -> dict[str, str]:
    """Return what a shell beside the server has set."""
    port = server.listening["clickhouse_http"].rpartition(":")[2]
    return {"TELEMETRY_DATA_DIR": str(server.data), "TELEMETRY_CLICKHOUSE_HTTP_PORT": port}


def rows_of(server: Server, sql: str) -> list[str]:
    with Client(server.endpoint()) as client:
        return b"".join(ask(client, sql, {}, "csv")).decode().splitlines()[1:]


def everything(server: Server) -> dict[str, Any]:
    """Return the number of rows of every table, and a sum over all that is in them."""
    tables = rows_of(
        server,
        "SELECT name, engine FROM system.tables WHERE database = currentDatabase() AND endsWith(engine, 'MergeTree')",
    )
    found = {}
    for line in tables:
        table, engine = line.replace('"', "").split(",")
        final = " FINAL" if engine != "MergeTree" else ""
        (found[table],) = rows_of(server, f"SELECT count(), sum(cityHash64(*)) FROM {table}{final}")
    return found


@pytest.mark.slow
def test_it_comes_beside_real_data_and_goes_without_it(start: Callable[..., Server]) -> None:
    """Rows before and after are the same in every table; in between are as many as were sent, none with a secret."""
    server = start(TELEMETRY_INGEST_TOKENS="first,second", TELEMETRY_BATCH_AGE_MS="0")
    for name in ("logs", "traces", "metrics"):
        for body in captures(name):
            server.export(name, body, metadata=[("authorization", "Bearer first")])
    before = everything(server)
    assert sum(int(of.partition(",")[0]) for of in before.values()) > 50
    said = demo(server, *SMALL, "--protocol", "http", TELEMETRY_INGEST_TOKENS="second")
    (sent,) = [line for line in said.splitlines() if line.startswith("Sent ")]
    needles = ", ".join(f"'{secret}'" for secret in SECRETS)
    marked = []
    for table in ("otel_logs", "otel_traces", "otel_metrics_sum"):
        where = "WHERE ResourceAttributes['telemetry.demo'] = 'true'"
        counts = f"count(), countIf(multiSearchAny(toString(tuple(*)), [{needles}]))"
        (found,) = rows_of(server, f"SELECT {counts} FROM {table} {where}")
        marked.append(found)
    assert marked == [f"{word},0" for word in sent.split() if word.isdigit()][:3]
    (redacted,) = rows_of(
        server, "SELECT count() FROM otel_logs WHERE LogAttributes['error'] LIKE '%[REDACTED:%'"
    )
    assert int(redacted) > 0
    assert "There is demo data already" in demo(server, *SMALL, code=1)
    assert "The demo data is gone." in demo(server, "--remove")
    assert everything(server) == before
    assert "There is no demo data." in demo(server, "--remove")


def test_mistakes_name_their_remedy(start: Callable[..., Server], tmp_path: Path) -> None:
    """With exit code 1."""
    server = start(TELEMETRY_INGEST_TOKENS="first")
    for arguments, more, message in (
        (["--endpoint", "http://127.0.0.1:1", "--protocol", "http"], {}, "Nothing answers at 127.0.0.1:1"),
        (["--token", "wrong", "--protocol", "http"], {}, "does not know this token"),
        (["--token", "wrong"], {}, "does not know this token"),
        (["--endpoint", "nowhere"], {}, "is no address"),
        (["--days", "90"], {}, "ask for fewer --days"),
        (["--remove"], {"TELEMETRY_DATA_DIR": str(tmp_path)}, "run this where its data directory is"),
        (["--remove"], {"TELEMETRY_CLICKHOUSE_HTTP_PORT": "1"}, "start the server"),
    ):
        said = demo(server, *SMALL, *arguments, code=1, **more)
        assert message in said, arguments
        assert said.splitlines()[-1].startswith("telemetry: ")
