"""What tests share: the one engine of the test process, and servers as real processes."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from clickhouse.engine import Engine
from clickhouse.migrations import migrate
from tests.server import Server, running

# Machines are shared: how long an example takes says nothing of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with slow tests first, so that no process is left with one of them when the others are done."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Open the engine of this process, with the schema; a process has one at most."""
    engine = Engine(tmp_path_factory.mktemp("engine") / "clickhouse")
    engine.use("telemetry")
    migrate(engine, retention_days=90)
    yield engine
    engine.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start servers on any free ports, with the environment given; all are stopped at the test's end."""
    servers: list[Server] = []

    def begin(**environment: str) -> Server:
        server = Server(tmp_path / "data", environment)
        servers.append(server)
        server.wait_until_ready()
        return server

    yield begin
    for server in servers:
        server.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server that a module's tests share; it does not wait for more requests before it stores one."""
    with running(tmp_path_factory.mktemp("server") / "data", TELEMETRY_BATCH_AGE_MS="0") as server:
        yield server


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty home directory, without any setting of this machine's."""
    for name in list(os.environ):
        if name.startswith(("TELEMETRY_", "CLICKHOUSE_", "OTEL_", "CLAUDE")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path
