"""Tests a running server from end to end: its ports, both users, the tables, and records sent and found.

What it sends are two log records of the service `telemetry-check`, which hold nothing but a random trace id; they stay
until the retention takes them. It changes and removes nothing else.
"""

import http.client
import os
import secrets
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc

from clickhouse.migrations import migrations as known
from receiver.signals import KINDS, Signal
from telemetry.client import trial
from telemetry.credentials import reader_password, writer_password
from telemetry.settings import Settings
from telemetry.upkeep.door import Door
from telemetry.upkeep.errors import UpkeepError
from telemetry.upkeep.finding import Finding, Verdict
from telemetry.upkeep.tables import migrations, tables

_SECONDS: Final = 10
_FIND_SECONDS: Final = 15.0
_BODY_TYPE: Final = {"Content-Type": "application/x-protobuf"}
_CERTIFICATE: Final = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"
_KEY: Final = "OTEL_EXPORTER_OTLP_CLIENT_KEY"
_FIND: Final = "SELECT count() FROM otel_logs WHERE TraceId = {id:String}"
_WRITE: Final = "INSERT INTO otel_logs (Body) SELECT 'x' WHERE 0"


def examine(settings: Settings, host: str, clickhouse: str | None) -> Iterator[Finding]:
    """Test the server at `host`, whose ClickHouse is at that address; yield what is found, as it is found."""
    for about, port, path in (
        ("health", settings.health_port, "/ready"),
        ("metrics", settings.metrics_port, "/metrics"),
    ):
        yield _examine_port(about, host, port, path)
    sent: dict[str, str] = {}
    transport = _Transport(settings, host)
    for about, send, port in (
        ("OTLP/HTTP", transport.send_http, settings.otlp_http_port),
        ("OTLP/gRPC", transport.send_grpc, settings.otlp_grpc_port),
    ):
        record = trial.new_id()
        for finding in _examine_otlp(settings, about, f"{host}:{port}", record, send):
            yield finding
            if finding.verdict is Verdict.OK and finding.text == _STORED:
                sent[about] = record
    if clickhouse is None:
        remedy = "Name its address with --url; the server's log says which it is."
        yield Finding(Verdict.FAIL, "ClickHouse", "listens on any free port", remedy)
    else:
        yield from _examine_clickhouse(settings, clickhouse, sent)


_STORED: Final = "took a test record and says that it is stored"


def _examine_port(about: str, host: str, port: int, path: str) -> Finding:
    connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException):
        setting = f"TELEMETRY_{about.upper()}_PORT"
        remedy = f"Start the server, or set {setting} to the port that its log names."
        return Finding(Verdict.FAIL, about, f"nothing answers at {host}:{port}", remedy)
    finally:
        connection.close()
    if status == http.HTTPStatus.OK:
        return Finding(Verdict.OK, about, f"answers at {host}:{port}")
    remedy = "It is starting or stopping: wait a moment. Its log says more."
    return Finding(Verdict.FAIL, about, f"answers {status} at {host}:{port}", remedy)


def _examine_otlp(settings: Settings, about: str, place: str, record: str, send: Any) -> Iterator[Finding]:
    """Send without a token, if one is needed, and then with one. `send` gives a word of OTLP's for how it ended."""
    token = settings.tokens[0][1] if settings.tokens else None
    try:
        if token:
            outcome = send(b"", None)
            if outcome == "unauthenticated":
                yield Finding(Verdict.OK, about, "refuses who has no token")
            elif outcome != "unreachable":
                remedy = "Restart the server, so that TELEMETRY_INGEST_TOKENS is in force."
                yield Finding(Verdict.FAIL, about, f"answers `{outcome}` to who has no token", remedy)
        outcome = send(trial.record(Signal.LOGS, record).SerializeToString(), token)
    except ssl.SSLError as error:
        remedy = (
            f"If it asks for a client's certificate, set {_CERTIFICATE} and {_KEY} to one;"
            " else look at TELEMETRY_TLS_CERTIFICATE."
        )
        yield Finding(
            Verdict.FAIL, about, f"no TLS connection at {place} ({error.reason or 'SSL error'})", remedy
        )
        return
    remedies = {
        "unreachable": f"Start the server, or set TELEMETRY_{about.replace('/', '_').upper()}_PORT to its port.",
        "unauthenticated": "Set TELEMETRY_INGEST_TOKENS to what the running server has, or restart the server.",
    }
    if outcome == "ok":
        yield Finding(Verdict.OK, about, _STORED)
    else:
        remedy = remedies.get(
            outcome, "The server's log and its metric telemetry_refused_records_total say why."
        )
        yield Finding(Verdict.FAIL, about, f"answers `{outcome}` at {place} to a test record", remedy)


@dataclass(frozen=True, slots=True)
class _Transport:
    """Sends to a server as its clients do. With TLS, trusts the server's own certificate, whichever names are in it."""

    settings: Settings
    host: str

    def send_http(self, body: bytes, token: str | None) -> str:
        port = self.settings.otlp_http_port
        connection: http.client.HTTPConnection
        if self.settings.tls_certificate:
            context = self._context(self.settings.tls_certificate)
            connection = http.client.HTTPSConnection(self.host, port, timeout=_SECONDS, context=context)
        else:
            connection = http.client.HTTPConnection(self.host, port, timeout=_SECONDS)
        try:
            connection.request("POST", "/v1/logs", body, {**_BODY_TYPE, **_authorization(token)})
            status = connection.getresponse().status
        except ssl.SSLError:
            raise
        except (OSError, http.client.HTTPException):
            return "unreachable"
        finally:
            connection.close()
        names = {http.HTTPStatus.OK: "ok", http.HTTPStatus.UNAUTHORIZED: "unauthenticated"}
        return names.get(http.HTTPStatus(status), str(status))

    def send_grpc(self, body: bytes, token: str | None) -> str:
        place = f"[{self.host}]" if ":" in self.host else self.host
        target = f"{place}:{self.settings.otlp_grpc_port}"
        if certificate := self.settings.tls_certificate:
            pair = [
                Path(os.environ[name]).read_bytes() if name in os.environ else None
                for name in (_KEY, _CERTIFICATE)
            ]
            trusted = grpc.ssl_channel_credentials(certificate.read_bytes(), *pair)
            try:
                name = self._name(certificate)
            except ssl.SSLError:
                raise
            except OSError:
                return "unreachable"
            channel = grpc.secure_channel(target, trusted, [("grpc.ssl_target_name_override", name)])
        else:
            channel = grpc.insecure_channel(target)
        metadata = [(name.lower(), value) for name, value in _authorization(token).items()]
        with channel:
            export = channel.unary_unary(f"/{KINDS[Signal.LOGS].service}/Export")
            try:
                export(body, metadata=metadata, timeout=_SECONDS)
            except grpc.RpcError as error:
                code = error.code()
                return "unreachable" if code is grpc.StatusCode.UNAVAILABLE else str(code.name.lower())
        return "ok"

    def _context(self, certificate: Path) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(certificate)
        if _CERTIFICATE in os.environ:
            context.load_cert_chain(os.environ[_CERTIFICATE], os.environ.get(_KEY))
        return context

    def _name(self, certificate: Path) -> str:
        """Give a name that the server's certificate is for."""
        address = (self.host, self.settings.otlp_grpc_port)
        with (
            socket.create_connection(address, timeout=_SECONDS) as plain,
            self._context(certificate).wrap_socket(plain) as connection,
        ):
            names: Any = (connection.getpeercert() or {}).get("subjectAltName", ())
            return str(names[0][1]) if names else self.host


def _examine_clickhouse(settings: Settings, url: str, sent: Mapping[str, str]) -> Iterator[Finding]:
    def door_of(user: str, password: str) -> Door:
        return Door(url, user, password, settings.database, settings.clickhouse_ca_file)

    writer = door_of(settings.clickhouse_user, writer_password(settings))
    reader = door_of(settings.reader_user, reader_password(settings))
    stranger = door_of(settings.reader_user, secrets.token_hex(16))
    for about, door, variable in (
        ("user who writes", writer, "CLICKHOUSE_PASSWORD"),
        ("user who reads", reader, "TELEMETRY_READER_PASSWORD"),
    ):
        try:
            door.rows("SELECT 1")
        except UpkeepError as error:
            yield Finding(Verdict.FAIL, about, f"{door.user} gets no answer", f"{error} ({variable})")
            return
        yield Finding(Verdict.OK, about, f"{door.user} is known at {url}")
    yield _refused("wrong password", stranger, "SELECT 1", "is refused")
    yield _refused("user who reads", reader, _WRITE, f"{reader.user} cannot write")
    try:
        found, there = tables(reader), migrations(writer)
    except UpkeepError as error:
        yield Finding(Verdict.FAIL, "tables", f"{settings.database} cannot be looked at", str(error))
        return
    missing = [name for name in (f"{one.number:04d} {one.name}" for one in known()) if name not in there]
    if missing:
        remedy = "Restart the server, which applies what is missing, or run `telemetry schema --apply`."
        yield Finding(Verdict.FAIL, "tables", f"{settings.database} lacks migration {missing[0]}", remedy)
        return
    yield Finding(
        Verdict.OK, "tables", f"{settings.database} has {len(found)} of them, as this version makes them"
    )
    for about, record in sent.items():
        yield _find(about, reader, record)


def _refused(about: str, door: Door, sql: str, text: str) -> Finding:
    try:
        door.command(sql)
    except UpkeepError:
        return Finding(Verdict.OK, about, text)
    remedy = "Anyone could read or write: look at the users of that ClickHouse server."
    return Finding(Verdict.FAIL, about, "is not refused what it should be", remedy)


def _find(about: str, door: Door, record: str) -> Finding:
    """Look for a record until it is there."""
    begun = time.monotonic()
    while True:
        try:
            if door.rows(_FIND, {"id": record})[0][0]:
                return Finding(Verdict.OK, "test record", f"sent over {about}, found in otel_logs")
        except UpkeepError as error:
            return Finding(Verdict.FAIL, "test record", "cannot be looked for", str(error))
        if time.monotonic() - begun > _FIND_SECONDS:
            remedy = "It may wait in the spool for ClickHouse: look at /metrics and at the server's log."
            text = f"sent over {about}, not in otel_logs after {_FIND_SECONDS:g} s"
            return Finding(Verdict.FAIL, "test record", text, remedy)
        time.sleep(0.2)


def _authorization(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}
