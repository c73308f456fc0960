"""A request with one bad record, sent to a real server in every encoding: its neighbours are in the tables."""

import json
import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from clickhouse.client import Client
from otlp.json_encoding import encode_request
from otlp.signals import Signal
from tests.server import Server
from tests.test_request_repair import PLACE, RECORDS, a_request, records_of

TABLES = {"traces": "otel_traces", "logs": "otel_logs", "metrics": "otel_metrics_sum"}
PROTOBUF, JSON = "application/x-protobuf", "application/json"


def made(signal: Signal, service: str) -> Any:
    """Make a request of six records of now in two resources."""
    request = a_request(signal, [[3, 2], [1]])
    for resource in getattr(request, RECORDS[signal][0]):
        resource.resource.attributes[0].value.string_value = service
    for record in records_of(signal, request):
        match signal:
            case Signal.TRACES:
                record.start_time_unix_nano = time.time_ns()
                record.trace_id, record.span_id = os.urandom(16), os.urandom(8)
            case Signal.LOGS:
                record.time_unix_nano = time.time_ns()
            case Signal.METRICS:
                record.sum.data_points[0].time_unix_nano = time.time_ns()
    return request


def not_utf8(record: bytes) -> bytes:
    return record.replace(PLACE.encode(), b"a\xff\xfe(\x80")


def no_message(record: bytes) -> bytes:
    return b"\xff" * len(record)


PROTOBUF_FAULTS: dict[str, tuple[Callable[[bytes], bytes], int]] = {
    "not UTF-8": (not_utf8, 6),
    "no message": (no_message, 5),
}
JSON_FAULTS = {
    "half a pair": ('"\\ud83d"', 6),
    "NaN": ("NaN", 5),
    "an object": ("{}", 5),
    "bytes": ('"\udcff"', 6),
}


@pytest.mark.parametrize("signal", Signal)
def test_its_neighbours_are_stored(server: Server, signal: Signal) -> None:
    """Over gRPC and HTTP, in protobuf and in JSON; partial success says what was wrong."""
    expected: dict[str, int] = {}
    for kind, (change, kept) in PROTOBUF_FAULTS.items():
        for way in ("grpc", "http"):
            service = f"{signal} {kind} {way}"
            request = made(signal, service)
            record = list(records_of(signal, request))[1].SerializeToString()
            body = request.SerializeToString().replace(record, change(record))
            said = (
                server.export(signal, body) if way == "grpc" else server.post(signal, body, PROTOBUF).content
            )
            assert b"not" in said
            expected[service] = kept
    for kind, (fault, kept) in JSON_FAULTS.items():
        service = f"{signal} {kind} json"
        request = encode_request(made(signal, service))
        text = json.dumps(request).replace(f'"stringValue": "{PLACE}"', f'"stringValue": {fault}', 1)
        answer = server.post(signal, text.encode(errors="surrogateescape"), JSON)
        assert answer.status_code == 200
        assert answer.json()["partialSuccess"]["errorMessage"]
        expected[service] = kept
    with Client(server.endpoint()) as client:
        found = client.rows(
            f"SELECT ServiceName, count() FROM {TABLES[signal]} WHERE startsWith(ServiceName, '{signal} ')"
            " GROUP BY ServiceName"
        )
    assert {str(name): int(count) for name, count in found} == expected
