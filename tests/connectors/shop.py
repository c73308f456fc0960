"""The telemetry of a small shop, with which systems of logs and traces are filled: the same for all of them.

Everything is within subject.WINDOW. Some of it is there to be misread: ids with leading zeros, lines of the same
nanosecond, quotes, backslashes and new lines in texts, a name that is a query.
"""

from dataclasses import dataclass, field
from typing import Any

from tests.connectors.subject import START

BEGIN_NS = int(START.timestamp()) * 10**9
SECOND = 10**9
MINUTE = 60 * SECOND

HOSTILE = '"} | json | x="\\'
"""The name of an operation, and a part of a line: what breaks out of a query that is not escaped."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a log. `severity` is empty for a line that has none."""

    time_ns: int
    service: str
    pod: str
    severity: str
    message: str
    trace_id: str = ""
    span_id: str = ""
    namespace: str = "production"


@dataclass(frozen=True, slots=True)
class SpanData:
    """One span; `attributes` have values as OTLP writes them."""

    trace_id: str
    span_id: str
    parent_id: str
    service: str
    name: str
    start_ns: int
    duration_ns: int
    kind: int = 1
    is_error: bool = False
    message: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    events: tuple[tuple[int, str], ...] = ()
    links: tuple[tuple[str, str], ...] = ()


SLOW = "4bf92f3577b34da6a3ce929d0e0e4736"
FAILED = "000000000000000000000000000000ab"
"""An id of 64 bits, with zeros in front."""
QUICK = "0af7651916cd43dd8448eb211c80319c"
HOSTILE_TRACE = "0af7651916cd43dd8448eb211c80319d"
OTHER = "11112222333344445555666677778888"

SPANS = (
    SpanData(SLOW, "00f067aa0ba902b7", "", "shop", "GET /checkout", BEGIN_NS + 5 * MINUTE, 2 * SECOND, 2,
             attributes={"http.status_code": {"intValue": "200"}, "customer.tier": {"stringValue": "gold"}},
             events=((BEGIN_NS + 5 * MINUTE + 1000, "cache miss"),)),
    SpanData(SLOW, "00f067aa0ba902b8", "00f067aa0ba902b7", "payments", "authorize", BEGIN_NS + 5 * MINUTE + 10**8,
             1_800_000_000, 3),
    SpanData(SLOW, "00f067aa0ba902b9", "00f067aa0ba902b8", "payments", "SELECT cards",
             BEGIN_NS + 5 * MINUTE + 2 * 10**8, 50_000_000, 3, attributes={"db.rows": {"intValue": "3"}}),
    SpanData(FAILED, "000000000000000c", "", "shop", "GET /checkout", BEGIN_NS + 10 * MINUTE, 300_000_000, 2,
             is_error=True, message="card refused", attributes={"http.status_code": {"intValue": "500"}}),
    SpanData(FAILED, "000000000000000d", "000000000000000c", "payments", "authorize",
             BEGIN_NS + 10 * MINUTE + 10**8, 100_000_000, 2, is_error=True, message="issuer said no"),
    SpanData(QUICK, "b7ad6b7169203331", "", "shop", "GET /cart", BEGIN_NS + 15 * MINUTE, 20_000_000, 2,
             attributes={"http.status_code": {"intValue": "200"}, "retry": {"boolValue": True}},
             links=((SLOW, "00f067aa0ba902b7"),)),
    SpanData(HOSTILE_TRACE, "b7ad6b7169203332", "", "shop", HOSTILE, BEGIN_NS + 20 * MINUTE, 10_000_000, 1,
             attributes={"note": {"stringValue": HOSTILE}}),
    SpanData(OTHER, "aaaabbbbccccdddd", "", "mail", "send", BEGIN_NS + 25 * MINUTE, 40_000_000, 5),
)  # fmt: skip


def resource_spans(spans: tuple[SpanData, ...] = SPANS) -> list[dict[str, Any]]:
    """Return spans as OTLP's JSON, a resource for each."""
    return [
        {
            "resource": {
                "attributes": [
                    {"key": "service.name", "value": {"stringValue": span.service}},
                    {"key": "k8s.namespace.name", "value": {"stringValue": "production"}},
                ]
            },
            "scopeSpans": [{"scope": {"name": "shop"}, "spans": [_otlp(span)]}],
        }
        for span in spans
    ]


def _otlp(span: SpanData) -> dict[str, Any]:
    return {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "parentSpanId": span.parent_id,
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.start_ns + span.duration_ns),
        "attributes": [{"key": key, "value": value} for key, value in span.attributes.items()],
        "events": [{"timeUnixNano": str(moment), "name": name} for moment, name in span.events],
        "links": [{"traceId": trace_id, "spanId": span_id} for trace_id, span_id in span.links],
        "status": {"code": 2, "message": span.message} if span.is_error else {},
    }


SAME_NS = BEGIN_NS + 12 * MINUTE + 123_456_789


def _lines() -> tuple[Line, ...]:
    found = []
    for number in range(6):
        moment = BEGIN_NS + (10 + 2 * number) * MINUTE
        found += [
            Line(moment, "payments", "payments-1", "INFO", f"authorize request {number}"),
            Line(moment + SECOND, "payments", "payments-1", "ERROR", f"payment declined: card {number} refused",
                 FAILED if number == 0 else "", "000000000000000d" if number == 0 else ""),
            Line(moment + 2 * SECOND, "payments", "payments-1", "INFO", f"answered request {number} with 402"),
            Line(moment + 500_000_000, "shop", "shop-1", "DEBUG", f"basket {number} loaded"),
        ]  # fmt: skip
    found += [Line(SAME_NS, "shop", "shop-1", "WARN", f"retry {name} of the same moment") for name in "abcde"]
    found += [
        Line(BEGIN_NS + 30 * MINUTE, "shop", "shop-2", "INFO", f"a strange name: {HOSTILE} (100%) [x]*"),
        Line(
            BEGIN_NS + 31 * MINUTE, "shop", "shop-2", "FATAL", "two lines:\n  at Payment.java:12\tOutOfMemory"
        ),
        Line(BEGIN_NS + 32 * MINUTE, "shop", "shop-2", "", "a line of no severity, naïve café ✓"),
        Line(BEGIN_NS + 33 * MINUTE, "mail", "mail-1", "INFO", "sent", namespace="staging"),
    ]
    return tuple(sorted(found, key=lambda line: line.time_ns))


LINES = _lines()
