"""The checks of `telemetry test-connection`: a running server from end to end, as its own settings describe it.

They cover its ports, its tokens, both users of ClickHouse, the tables, and records sent and found again. The two test
records hold nothing but a random trace id and stay until the retention removes them; nothing else is changed.
"""

import http
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from clickhouse.client import Client
from clickhouse.client_errors import ClientError
from clickhouse.endpoint import reader_endpoint, writer_endpoint
from clickhouse.migrations import migrations as expected_migrations
from config.settings import Settings
from onboarding import probe
from onboarding.doctor.finding import Check, Finding, broken, ok, skipped
from onboarding.doctor.http_get import get
from operations.errors import OperationError
from operations.tables import migrations, tables
from otlp.destination import Destination, Protocol
from otlp.sender import Cause, SendError, opened
from otlp.signals import Signal

_SECONDS: Final = 10
_FIND_SECONDS: Final = 15.0
_CERTIFICATE: Final = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"
_KEY: Final = "OTEL_EXPORTER_OTLP_CLIENT_KEY"
_WRITE: Final = "INSERT INTO otel_logs (Body) SELECT 'x' WHERE 0"
_TITLES: Final = {Protocol.PROTOBUF: "OTLP/HTTP", Protocol.GRPC: "OTLP/gRPC"}


@dataclass(frozen=True, slots=True)
class RunningServer:
    """The server to test: its settings, its host, and the address of its ClickHouse if that is known."""

    settings: Settings
    host: str
    clickhouse: str | None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    """Where the client's certificate for TLS is named."""
    records: Mapping[Protocol, str] = field(
        default_factory=lambda: {protocol: probe.new_id() for protocol in _TITLES}
    )
    """The id of the test record that is sent over each protocol."""

    def destination(self, protocol: Protocol, token: str | None) -> Destination:
        """Return where a client sends logs; with TLS it trusts the server's own certificate."""
        settings = self.settings
        port = settings.otlp_grpc_port if protocol is Protocol.GRPC else settings.otlp_http_port
        certificate, key = (self.environment.get(name) for name in (_CERTIFICATE, _KEY))
        return Destination(
            Signal.LOGS,
            protocol,
            f"//{self.host}/v1/{Signal.LOGS}",
            self.host,
            port,
            is_tls=settings.tls_certificate is not None,
            headers=(("authorization", f"Bearer {token}"),) if token else (),
            certificate=settings.tls_certificate,
            client_certificate=Path(certificate) if certificate else None,
            client_key=Path(key) if key else None,
            trusts_any_name=settings.tls_certificate is not None,
        )

    def writer(self) -> Client:
        """Return a client of ClickHouse as the user who writes."""
        return Client(writer_endpoint(self.settings, self.clickhouse), _SECONDS)

    def reader(self) -> Client:
        """Return a client of ClickHouse as the user who reads."""
        return Client(reader_endpoint(self.settings, self.clickhouse), _SECONDS)

    def stranger(self) -> Client:
        """Return a client of ClickHouse as the user who reads, with a wrong password."""
        endpoint = reader_endpoint(self.settings, self.clickhouse)
        return Client(replace(endpoint, password=secrets.token_hex(16)), _SECONDS)


def health(server: RunningServer) -> Finding:
    """Check that the health port answers and the server is ready."""
    return _port(server.host, server.settings.health_port, "/ready", "TELEMETRY_HEALTH_PORT")


def metrics(server: RunningServer) -> Finding:
    """Check that the metrics port answers."""
    return _port(server.host, server.settings.metrics_port, "/metrics", "TELEMETRY_METRICS_PORT")


def _port(host: str, port: int, path: str, setting: str) -> Finding:
    try:
        status = get(host, port, path, _SECONDS).status
    except OSError:
        return broken(
            f"nothing answers at {host}:{port}",
            f"Start the server, or set {setting} to the port that its log names.",
        )
    if status == http.HTTPStatus.OK:
        return ok(f"answers at {host}:{port}")
    return broken(
        f"answers {status} at {host}:{port}", "It is starting or stopping: wait a moment. Its log says more."
    )


def record_taken(protocol: Protocol, server: RunningServer) -> Finding:
    """Check that the server stores a record that comes with a token, if it wants one."""
    tokens = server.settings.tokens
    body = probe.record(Signal.LOGS, server.records[protocol]).SerializeToString()
    try:
        _send(server.destination(protocol, tokens[0][1] if tokens else None), body)
    except SendError as error:
        return broken(error.problem.rstrip("."), _fix(protocol, error))
    return ok("took a test record and says that it is stored")


def token_required(protocol: Protocol, server: RunningServer) -> Finding:
    """Check that the server refuses a request without a token, if it has tokens."""
    if not server.settings.tokens:
        return skipped("wants no token, as TELEMETRY_INGEST_TOKENS is not set")
    try:
        _send(server.destination(protocol, None), b"")
    except SendError as error:
        if error.cause is Cause.TOKEN:
            return ok("refuses who has no token")
        return broken(error.problem.rstrip("."), _fix(protocol, error))
    return broken(
        "takes a request without a token", "Restart the server, so that TELEMETRY_INGEST_TOKENS is in force."
    )


def _send(to: Destination, body: bytes) -> None:
    with opened(to, _SECONDS) as export:
        export(body)


def _fix(protocol: Protocol, error: SendError) -> str:
    match error.cause:
        case Cause.UNREACHABLE | Cause.PROTOCOL:
            port = "TELEMETRY_OTLP_GRPC_PORT" if protocol is Protocol.GRPC else "TELEMETRY_OTLP_HTTP_PORT"
            return f"Start the server, or set {port} to its port."
        case Cause.TLS:
            return (
                f"If the server asks for a client's certificate, set {_CERTIFICATE} and {_KEY} to one;"
                " else look at TELEMETRY_TLS_CERTIFICATE."
            )
        case Cause.TOKEN:
            return "Set TELEMETRY_INGEST_TOKENS to what the running server has, or restart the server."
        case _:
            return "The server's log and its metric telemetry_refused_records_total say why."


def writing_user(server: RunningServer) -> Finding:
    """Check that ClickHouse knows the user who writes."""
    if server.clickhouse is None:
        return broken(
            "ClickHouse listens on any free port",
            "Name its address with --url; the server's log says which it is.",
        )
    return _known(server.writer())


def reading_user(server: RunningServer) -> Finding:
    """Check that ClickHouse knows the user who reads."""
    return _known(server.reader())


def _known(unopened: Client) -> Finding:
    endpoint = unopened.endpoint
    try:
        with unopened as client:
            client.rows("SELECT 1")
    except ClientError as error:
        return broken(f"{endpoint.user} gets no answer", f"{error} ({endpoint.password_setting})")
    return ok(f"{endpoint.user} is known at {endpoint.url}")


def wrong_password(server: RunningServer) -> Finding:
    """Check that ClickHouse refuses a wrong password."""
    return _refused(server.stranger(), "SELECT 1", "is refused")


def reader_writes(server: RunningServer) -> Finding:
    """Check that ClickHouse does not let the user who reads write."""
    reader = server.reader()
    return _refused(reader, _WRITE, f"{reader.endpoint.user} cannot write")


def _refused(unopened: Client, sql: str, text: str) -> Finding:
    try:
        with unopened as client:
            client.command(sql)
    except ClientError:
        return ok(text)
    return broken(
        "is not refused, though it should be",
        "Anyone could read or write: look at the users of that ClickHouse server.",
    )


def tables_complete(server: RunningServer) -> Finding:
    """Check that every migration of this version was applied."""
    database = server.settings.database
    try:
        with server.reader() as reader, server.writer() as writer:
            found, applied = tables(reader), migrations(writer)
    except (OperationError, ClientError) as error:
        return broken(f"{database} cannot be looked at", str(error))
    names = [f"{migration.number:04d} {migration.name}" for migration in expected_migrations()]
    missing = [name for name in names if name not in applied]
    if missing:
        return broken(
            f"{database} lacks migration {missing[0]}",
            "Restart the server, which applies what is missing, or run `telemetry schema --apply`.",
        )
    return ok(f"{database} has {len(found)} of them, as this version makes them")


def record_found(protocol: Protocol, server: RunningServer) -> Finding:
    """Look for a test record until it is there."""
    title = _TITLES[protocol]
    try:
        with server.reader() as reader:
            missing = probe.missing(
                lambda sql, values: str(reader.rows(sql, values)[0][0]),
                [Signal.LOGS],
                server.records[protocol],
                _FIND_SECONDS,
            )
    except ClientError as error:
        return broken("cannot be looked for", str(error))
    if missing:
        return broken(
            f"sent over {title}, not in otel_logs after {_FIND_SECONDS:g} s",
            "It may wait in the spool for ClickHouse: look at /metrics and at the server's log.",
        )
    return ok(f"sent over {title}, found in otel_logs")


_HTTP, _GRPC = Protocol.PROTOBUF, Protocol.GRPC
_WRITER: Final = "user who writes"
_READER: Final = "user who reads"
CHECKS: Final = (
    Check("health", health),
    Check("metrics", metrics),
    Check("OTLP/HTTP", partial(record_taken, _HTTP)),
    Check("OTLP/HTTP token", partial(token_required, _HTTP), ("OTLP/HTTP",), "OTLP/HTTP"),
    Check("OTLP/gRPC", partial(record_taken, _GRPC)),
    Check("OTLP/gRPC token", partial(token_required, _GRPC), ("OTLP/gRPC",), "OTLP/gRPC"),
    Check(_WRITER, writing_user),
    Check(_READER, reading_user, (_WRITER,)),
    Check("wrong password", wrong_password, (_READER,)),
    Check("rights", reader_writes, (_READER,), _READER),
    Check("tables", tables_complete, (_READER,)),
    Check("OTLP/HTTP record", partial(record_found, _HTTP), ("OTLP/HTTP", "tables"), "test record"),
    Check("OTLP/gRPC record", partial(record_found, _GRPC), ("OTLP/gRPC", "tables"), "test record"),
)
