"""Millions of spans, as many as a day brings, with a server that goes away now and then: the receiver stays flat."""

import itertools
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otlp.signals import KINDS, Signal
from tests.faults.proxy import Fault
from tests.faults.stage import Stage

SPANS = 500
"""In a request."""
_CLIENTS = 4
_LOOK_SECONDS = 1.0
_COUNT = "SELECT count(), uniqExact(SpanId) FROM otel_traces WHERE SpanName = 'claude_code.tool' FORMAT TSV"


@dataclass(frozen=True, slots=True)
class Look:
    """The receiver's resources at one moment."""

    spans: int
    resident_bytes: int
    descriptors: int
    threads: int


@dataclass(frozen=True, slots=True)
class Soaked:
    """The outcome."""

    spans: int
    seconds: float
    stored: int
    twice: int
    looks: tuple[Look, ...]

    def steady(self) -> tuple[Look, Look]:
        """Return the most of everything held in the second and in the last quarter; the first quarter warms up."""
        quarter = max(1, len(self.looks) // 4)
        return _most(self.looks[quarter : 2 * quarter]), _most(self.looks[-quarter:])


class _Template:
    """A request whose span ids are overwritten in place: making millions of spans must not be what is measured."""

    def __init__(self) -> None:
        request = ExportTraceServiceRequest()
        resource = request.resource_spans.add()
        resource.resource.attributes.add(key="service.name").value.string_value = "claude-code"
        spans = resource.scope_spans.add().spans
        now = time.time_ns()
        for number in range(SPANS):
            span = spans.add(
                name="claude_code.tool",
                trace_id=b"soaking-and-more",
                span_id=b"\xffid%05d" % number,
                start_time_unix_nano=now,
                end_time_unix_nano=now + 1_000_000,
            )
            for key in ("tool_name", "session.id", "model"):
                span.attributes.add(key=key).value.string_value = f"value of {key}"
        self._body = np.frombuffer(request.SerializeToString(), np.uint8)
        starts = [found.start() for found in re.finditer(rb"\xffid\d{5}", self._body.tobytes())]
        assert len(starts) == SPANS
        self._places = np.array(starts)[:, None] + np.arange(8)

    def body(self, first: int) -> bytes:
        """Make the request with the ids from this one on."""
        made = self._body.copy()
        made[self._places] = np.arange(first, first + SPANS, dtype=">u8").view(np.uint8).reshape(SPANS, 8)
        return made.tobytes()


def soak(stage: Stage, spans: int, told: Callable[[int, int], None] = lambda *_: None) -> Soaked:
    """Send so many spans, each until it is acknowledged, and look at the receiver meanwhile."""
    template = _Template()
    numbers = itertools.count()
    acknowledged = [0] * _CLIENTS
    begun = time.monotonic()
    threads = [
        threading.Thread(
            target=_send, args=(stage, template, numbers, spans, acknowledged, place), daemon=True
        )
        for place in range(_CLIENTS)
    ]
    for thread in threads:
        thread.start()
    looks = []
    for number in itertools.count():
        # Answers are lost for three seconds of every thirty.
        stage.proxy.fail(Fault.CUT_AFTER if number % 30 in {5, 6, 7} else Fault.NONE)
        looks.append(_look(stage, sum(acknowledged)))
        told(min(sum(acknowledged), spans), spans)
        if not any(thread.is_alive() for thread in threads):
            break
        threads[0].join(_LOOK_SECONDS)
    stage.proxy.fail(Fault.NONE)
    stage.receiver.wait_until_drained(600)
    seconds = time.monotonic() - begun
    rows, ids = map(int, stage.clickhouse.ask(_COUNT).split("\t"))
    return Soaked(sum(acknowledged), seconds, ids, rows - ids, tuple(looks))


def _send(
    stage: Stage, template: _Template, numbers: Iterator[int], spans: int, acknowledged: list[int], place: int
) -> None:
    with grpc.insecure_channel(stage.target) as channel:
        export = channel.unary_unary(f"/{KINDS[Signal.TRACES].service}/Export")
        while (first := next(numbers) * SPANS) < spans:
            body = template.body(first)
            while True:
                try:
                    export(body, timeout=60)
                except grpc.RpcError:
                    time.sleep(0.2)
                else:
                    break
            acknowledged[place] += SPANS


def _look(stage: Stage, spans: int) -> Look:
    process = Path(f"/proc/{stage.receiver.process.process.pid}")
    status = dict(
        line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line
    )
    return Look(
        spans,
        int(status["VmRSS"].split()[0]) << 10,
        sum(1 for _ in (process / "fd").iterdir()),
        int(status["Threads"]),
    )


def _most(looks: tuple[Look, ...]) -> Look:
    return Look(
        max(look.spans for look in looks),
        max(look.resident_bytes for look in looks),
        max(look.descriptors for look in looks),
        max(look.threads for look in looks),
    )
