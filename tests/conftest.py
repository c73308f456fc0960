"""The fixtures that tests share: the one engine of the test process, and servers as real processes."""

import gc
import os
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from clickhouse.engine import Engine
from tests import prepared
from tests.events import Tables, tables
from tests.server import Server, running

# Machines are shared: how long an example takes says nothing of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


# Files whose tests share servers that are started once a process.
TOGETHER = ("tests/gateway/", "tests/connectors/test_contract")

# By the time that they take on a busy machine, from five minutes down to one; files with other slow tests come next.
LONGEST = (
    "test_faults.py",
    "test_backup.py",
    "test_unary.py",
    "test_export.py",
    "test_otlp_http.py",
    "test_otlp_grpc.py",
    "test_hostile.py",
    "test_outage.py",
    "test_bounds.py",
    "test_serve.py",
    "test_server_mode.py",
    "test_tls.py",
    "test_leftovers.py",
    "test_report.py",
    "test_answers.py",
    "test_page_browser.py",
    "test_page.py",
    "test_deploy.py",
    "test_promql.py",
    "test_operator_scripts.py",
    "test_import.py",
    "test_mcp_stdio.py",
    "test_terminal.py",
    "test_library.py",
    "test_connections_command.py",
    "test_doctor.py",
    "test_events.py",
    "test_patterns.py",
    "test_forget.py",
    "test_query_command.py",
    "test_transform.py",
    "test_migrations.py",
    "test_quickstart.py",
    "test_demo.py",
    "test_pipeline.py",
    "test_delivery.py",
    "test_prometheus.py",
    "test_grafana.py",
)


def pytest_configure() -> None:
    """Keep compiled modules, whatever the machine says: a run starts hundreds of processes that import the same."""
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run three processes a core: tests wait longer than they work, for clocks, disks and other processes."""
    return len(os.sched_getaffinity(0)) * 3


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """Return a scheduler that hands out whole units of tests."""
    return _LoadUnits(config, log) if config.getoption("dist") == "loadfile" else None


class _LoadUnits(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)


def unit(nodeid: str) -> str:
    """Return what one process runs alone: a file of tests, or several files that share the servers they start."""
    return next((start for start in TOGETHER if nodeid.startswith(start)), nodeid.partition("::")[0])


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from what is collected: half a million objects that stay until the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the units that take longest first, so that no process is left with one of them when the others are done.

    Each stays whole, where pytest brings tests of several files together that share a fixture's value.
    """
    places = {name: place for place, name in enumerate(LONGEST)}
    slow: set[str] = set()
    first: dict[str, int] = {}
    met: dict[str, int] = {}
    for item in items:
        name = unit(item.nodeid)
        met.setdefault(name, len(met))
        first[name] = min(first.get(name, len(places)), places.get(item.path.name, len(places)))
        if item.get_closest_marker("slow"):
            slow.add(name)

    def place(item: pytest.Item) -> tuple[int, bool, int]:
        name = unit(item.nodeid)
        return first[name], name not in slow, met[name]

    items.sort(key=place)


@pytest.fixture(scope="session", autouse=True)
def _prepared(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Share one prepared store among the processes of this run; each has a folder below that of the run."""
    own = tmp_path_factory.getbasetemp()
    prepared.keep_in((own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "prepared")


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Open the engine of this process, with the schema; a process has one at most."""
    store = tmp_path_factory.mktemp("engine") / "clickhouse"
    prepared.copy(store)
    engine = Engine(store)
    engine.use("telemetry")
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def database(engine: Engine) -> Iterator[Tables]:
    """Use a migrated database for a module's tests."""
    with tables(engine) as made:
        yield made


@pytest.fixture
def store(database: Tables) -> Tables:
    """Return the module's database, emptied."""
    database.clear()
    return database


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start servers on any free ports, with the environment given; all are stopped at the test's end."""
    servers: list[Server] = []

    def begin(**environment: str) -> Server:
        prepared.fill(tmp_path / "data", environment)
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
