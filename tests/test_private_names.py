"""The private names of dependencies that the code uses, each fenced: one module, one bound, one test with the remedy.

docs/decisions/0015-private-names-are-fenced.md lists them. A test here fails when a new version of a dependency lacks
what the code needs: keep the version in pyproject.toml below that one until the module is changed.
"""

import ast
import asyncio
import inspect
import re
import tomllib
from pathlib import Path

import grpc
import pytest
import re2
import uvicorn
from clickhouse_connect.driver import httputil
from grpc._cython import cygrpc
from mcp.server import MCPServer
from mcp.server.connection import Connection
from mcp.server.lowlevel import Server
from mcp.server.session import ServerSession
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from clickhouse.engine import Engine
from clickhouse.pieces import Pieces
from clickhouse.store import EmbeddedWriter
from privacy.rules import Level, load_rules
from privacy.search import find_in, find_publicly
from tests.server import ROOT
from tests.test_architecture import MODULES

# The module that may use a private name, and its dependency. A new one needs a row in the decision, a bound and a test.
FENCED = {
    "gateway/session.py": {"_conn"},
    "mcp_server/updates.py": {"_connection", "_lowlevel_server"},
    "privacy/search.py": {"_re2"},
    "receiver/unary.py": {"_cy_server", "grpc._cython"},
}
# Dependencies that must not be newer than the version that was tested, as no public way replaces the private one.
BOUNDED = {"chdb-core", "grpcio", "mcp", "uvicorn"}
_OWN = {"self", "cls"}
_PUBLIC = {"_replace", "_asdict", "_fields"}
_DOCUMENTED = {("os", "_exit")}
"""Names that the standard library documents, with their modules."""


def test_private_names_stand_behind_fences_alone() -> None:
    """No other module reads an attribute or a module of a dependency whose name begins with an underscore."""
    found: dict[str, set[str]] = {}
    for path in MODULES:
        names = {name for node in ast.walk(ast.parse(path.read_text("utf-8"))) for name in _private(node)}
        if names:
            found[str(path.relative_to(ROOT))] = names
    assert found == FENCED, "add a fence: docs/decisions/0015-private-names-are-fenced.md says how"


def _private(node: ast.AST) -> set[str]:
    if isinstance(node, ast.ImportFrom | ast.Import):
        modules = (
            [node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]
        )
        return {name for name in modules if re.search(r"(^|\.)_[a-z]", name) and not name.startswith("__")}
    if isinstance(node, ast.Attribute) and re.match("_[a-z]", node.attr) and node.attr not in _PUBLIC:
        owner = node.value.func if isinstance(node.value, ast.Call) else node.value
        is_own = isinstance(owner, ast.Name) and owner.id in {*_OWN, "super"}
        is_documented = isinstance(owner, ast.Name) and (owner.id, node.attr) in _DOCUMENTED
        return set() if is_own or is_documented else {node.attr}
    return set()


def test_dependencies_with_private_names_have_an_upper_bound() -> None:
    """And no other has one: an upper bound keeps fixes out."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    # What stands behind a semicolon says where a dependency is needed.
    versions = [line.partition(";")[0] for line in declared]
    bounded = {re.split(r"[<>=\[ ]", line)[0] for line in versions if re.search(r"<|==|~=", line)}
    assert bounded == BOUNDED


def test_re2_is_called_below_its_python() -> None:
    """Without these names redaction is correct and takes three times as long."""
    compiled = re2.compile(rb"(a)b")
    found = re2.Set.SearchSet(re2.Options())
    needed = [(re2, "_re2"), (compiled, "_regexp"), (found, "_set")]
    missing = [name for owner, name in needed if not hasattr(owner, name)]
    assert missing == [], "google-re2 has other names now: find them for privacy/search.py"
    assert find_in(compiled) == compiled._regexp.Match
    assert callable(found._set.Match)


@pytest.mark.parametrize(
    "text", [b"", b"none", b"mail jane.doe@example.com, bob@example.com", b"/home/jane 10.1.2.3"]
)
def test_re2s_public_search_finds_the_same(text: bytes) -> None:
    """The public fall-back has the results of the private search, from each place."""
    anywhere = re2._re2.RE2.Anchor.UNANCHORED
    for pattern in load_rules(None, Level.strict).patterns:
        compiled = re2.compile(pattern.regex.encode())
        for start in range(len(text)):
            expected = list(compiled._regexp.Match(anywhere, text, start, len(text)))
            found = list(find_publicly(compiled)(anywhere, text, start, len(text)))
            assert found == expected or found[0] == expected[0] == (-1, -1)


def test_grpcs_core_is_as_the_export_calls_need_it() -> None:
    """receiver/unary.py drives it: docs/decisions/0009-grpc-core.md."""
    from_core = {
        "CompletionQueue": ("poll", "shutdown"),
        "CompletionType": ("queue_shutdown",),
        "ReceiveMessageOperation": ("message",),
        "SendInitialMetadataOperation": (),
        "SendMessageOperation": (),
        "SendStatusFromServerOperation": (),
        "ReceiveCloseOnServerOperation": (),
        "Server": ("register_completion_queue", "register_method", "request_registered_call"),
    }
    missing = [
        f"{name}.{member}" if member else name
        for name, members in from_core.items()
        for member in ("", *members)
        if not hasattr(cygrpc, name) or (member and not hasattr(getattr(cygrpc, name), member))
    ]
    remedy = "keep grpcio below this version, or change receiver/unary.py to its new core"
    assert missing == [], remedy
    server = grpc.server(None)
    try:
        assert isinstance(getattr(server, "_cy_server", None), cygrpc.Server), remedy
    finally:
        server.stop(0).wait(10)


def test_uvicorns_protocol_is_as_the_header_deadline_needs_it() -> None:
    """telemetry/listeners/asgi.py leaves signals alone, and drops clients that do not finish their headers."""
    remedy = "keep uvicorn below this version, or change telemetry/listeners/asgi.py"

    async def build() -> tuple[uvicorn.Server, HttpToolsProtocol]:
        config = uvicorn.Config(lambda: None, http=HttpToolsProtocol, log_config=None)
        config.load()
        return uvicorn.Server(config), HttpToolsProtocol(config, ServerState(), {})

    server, protocol = asyncio.run(build())
    needed = [
        *((server, name) for name in ("capture_signals", "serve", "started", "should_exit")),
        (server.config, "timeout_graceful_shutdown"),
        *((protocol, name) for name in ("connection_made", "data_received", "connection_lost")),
        *((protocol, f"on_{name}") for name in ("message_begin", "url", "header", "headers_complete")),
        *((protocol, f"on_{name}") for name in ("body", "message_complete")),
        *((protocol, name) for name in ("cycle", "loop", "transport", "send_400_response")),
    ]
    assert [f"{type(owner).__name__}.{name}" for owner, name in needed if not hasattr(owner, name)] == [], (
        remedy
    )


def test_the_engine_counts_the_statements_of_a_text(engine: Engine) -> None:
    """gateway/session.py asks the connection below chdb's, since only the engine's parser knows where one ends."""
    connection = engine.connect()
    try:
        counted = connection._conn.classify_query("SELECT ';'; SELECT 2")
    finally:
        connection.close()
    assert counted["statement_count"] == 2, "keep chdb below this version, or change Session.statements"


def test_the_engines_deduplication_log_is_as_repair_reads_it(engine: Engine) -> None:
    """A line a part: 1, the part's name and the token's hash, with tabs between, in numbered files."""
    engine.command(
        "CREATE OR REPLACE TABLE fenced (x UInt8) ENGINE = MergeTree ORDER BY x"
        " SETTINGS non_replicated_deduplication_window = 100"
    )
    try:
        block = engine.query("SELECT toUInt8(1) AS x")
        EmbeddedWriter(engine).insert("fenced", Pieces([block]), "token")
        ((folder,),) = engine.rows("SELECT data_paths[1] FROM system.tables WHERE name = 'fenced'")
        logs = {path.name: path.read_bytes() for path in (Path(folder) / "deduplication_logs").iterdir()}
    finally:
        engine.command("DROP TABLE fenced SYNC")
    remedy = "keep chdb-core below this version, or change clickhouse/repair.py to the new format"
    assert list(logs) == ["deduplication_log_1.txt"], remedy
    assert re.fullmatch(rb"1\tall_1_1_0\t[^\t\n]+\n", logs["deduplication_log_1.txt"]), remedy


def test_mcps_sessions_are_as_subscriptions_and_sessions_need_them() -> None:
    """mcp_server/updates.py keeps a client's connection; web/sessions.py serves calls without a session."""
    remedy = "keep mcp below this version, or change mcp_server/updates.py and web/sessions.py"
    server = MCPServer("fenced")
    assert isinstance(getattr(server, "_lowlevel_server", None), Server), remedy
    connection = Connection.from_envelope("2025-11-25", None, None)
    session = ServerSession(None, connection)  # type: ignore[arg-type]
    assert getattr(session, "_connection", None) is connection, remedy
    needed = ("exit_stack", "state", "has_standalone_channel", "send_resource_updated")
    assert [name for name in needed if not hasattr(connection, name)] == [], remedy
    assert not connection.has_standalone_channel, remedy
    sessions = StreamableHTTPSessionManager(server._lowlevel_server)
    assert getattr(sessions, "_server_instances", None) == {}, remedy
    for name, parameters in (
        ("_handle_stateful_request", ["scope", "receive", "send"]),
        ("_handle_stateless_request", ["protocol_version_hint", "scope", "receive", "send"]),
    ):
        assert list(inspect.signature(getattr(sessions, name)).parameters) == parameters, remedy


def test_the_drivers_pool_is_built_as_it_builds_its_own() -> None:
    """clickhouse/remote.py and clickhouse/client.py take the driver's proxy and pool, which it does not document."""
    assert callable(getattr(httputil, "check_env_proxy", None)), "change clickhouse/remote.py"
    assert callable(getattr(httputil, "get_pool_manager", None)), "change clickhouse/remote.py"
