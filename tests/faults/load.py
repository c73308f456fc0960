"""Clients that send over gRPC while things break, each request with records whose ids are its own.

Patient clients send a request again until it is acknowledged, as OpenTelemetry's SDKs do; hasty ones send each once
and take no for an answer, so that what they are told can be held against what is stored, one to one.
"""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otlp.signals import KINDS, Signal
from tests.faults.ledger import PER_REQUEST, Ledger

_OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 300),
]
_CALL_SECONDS = 15
_PAUSE_SECONDS = 0.02
_TEXT = "what a span may say of itself " * 20
RECORDS = {Signal.TRACES: 20, Signal.LOGS: 10, Signal.METRICS: 5}


def signal_of(number: int) -> Signal:
    """Return the signal of a request, by its number."""
    return (Signal.TRACES, Signal.TRACES, Signal.LOGS, Signal.METRICS)[number % 4]


def body(number: int) -> bytes:
    """Make a request; its content is the same at any time, except its timestamps."""
    now = time.time_ns()
    ids = range(number * PER_REQUEST, number * PER_REQUEST + RECORDS[signal_of(number)])
    match signal_of(number):
        case Signal.TRACES:
            traces = ExportTraceServiceRequest()
            spans = traces.resource_spans.add().scope_spans.add().spans
            for one in ids:
                span = spans.add(
                    name="span",
                    trace_id=number.to_bytes(16, "big"),
                    span_id=one.to_bytes(8, "big"),
                    start_time_unix_nano=now,
                    end_time_unix_nano=now,
                )
                span.attributes.add(key="text").value.string_value = _TEXT
            return traces.SerializeToString()
        case Signal.LOGS:
            logs = ExportLogsServiceRequest()
            records = logs.resource_logs.add().scope_logs.add().log_records
            for one in ids:
                record = records.add(time_unix_nano=now, span_id=one.to_bytes(8, "big"))
                record.body.string_value = "a line"
            return logs.SerializeToString()
        case Signal.METRICS:
            metrics = ExportMetricsServiceRequest()
            metric = metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="metric")
            metric.sum.is_monotonic = True
            for one in ids:
                metric.sum.data_points.add(time_unix_nano=now, as_int=one)
            return metrics.SerializeToString()


class Load:
    """Clients in threads, from the start until `stop`."""

    def __init__(self, target: str, ledger: Ledger, numbers: Iterator[int], clients: int = 24) -> None:
        self._target = target
        self._ledger = ledger
        self._numbers = numbers
        self._stopping = threading.Event()
        self._give_up = threading.Event()
        self._threads = [
            threading.Thread(target=self._send_forever, args=(place % 2 == 0,), daemon=True)
            for place in range(clients)
        ]

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    def stop(self, seconds: float = 60) -> None:
        """Send nothing new; patient clients get so long to be acknowledged."""
        self._stopping.set()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._give_up.set()
        for thread in self._threads:
            thread.join(_CALL_SECONDS + 5)
            assert not thread.is_alive(), "a client hangs"

    def _send_forever(self, patient: bool) -> None:  # noqa: FBT001  one of two kinds
        chance = random.Random()
        with grpc.insecure_channel(self._target, _OPTIONS) as channel:
            exports = {signal: channel.unary_unary(f"/{KINDS[signal].service}/Export") for signal in Signal}
            while not self._stopping.is_set():
                number = next(self._numbers)
                signal, content = signal_of(number), body(number)
                while True:
                    self._ledger.begin(number, RECORDS[signal])
                    try:
                        exports[signal](content, timeout=_CALL_SECONDS)
                    except grpc.RpcError:
                        if self._give_up.wait(0.1 + chance.random() / 5) or not patient:
                            break
                    else:
                        self._ledger.acknowledge(number)
                        break
                self._stopping.wait(_PAUSE_SECONDS * chance.random())


class Sending(Protocol):
    """The server to send to, and the ledger."""

    target: str
    ledger: Ledger
    numbers: Iterator[int]


@contextmanager
def sending(play: Sending) -> Iterator[Load]:
    """Send while the block runs. A new ledger, in place of the one before, notes the requests."""
    play.ledger = Ledger()
    load = Load(play.target, play.ledger, play.numbers)
    load.start()
    try:
        yield load
    finally:
        load.stop()
