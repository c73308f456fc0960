"""The fixtures for tests of the interface on 8123: one server that they only query, and clients of each kind for it."""

from collections.abc import Iterator

import pytest
from clickhouse_connect.driver.client import Client

from tests.gateway.asker import Asker
from tests.gateway.client import GatewayClient
from tests.gateway.driver import connected
from tests.server import Server, running


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server that all of these modules share: they send it no telemetry, and drop the tables that they make."""
    with running(tmp_path_factory.mktemp("gateway") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def reader(server: Server) -> GatewayClient:
    """Ask as the user who only reads."""
    return GatewayClient(server, "telemetry_reader")


@pytest.fixture(scope="module")
def writer(server: Server) -> GatewayClient:
    """Ask as the user who writes too."""
    return GatewayClient(server, "telemetry_user")


@pytest.fixture
def table(writer: GatewayClient) -> Iterator[str]:
    """Make a table of two columns for one test."""
    writer.text("CREATE TABLE scratch (a UInt32, b String) ENGINE = MergeTree ORDER BY a")
    yield "scratch"
    writer.text("DROP TABLE scratch")


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    """Connect with ClickHouse's own driver as the user who writes."""
    with connected(server) as client:
        yield client


@pytest.fixture(scope="module")
def ask(server: Server) -> Asker:
    """Ask as the reader, over plain HTTP."""
    return Asker(server)
