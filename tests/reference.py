"""The reference decoder: the rows that must be stored for an OTLP request.

It reads the requests with the generated classes and builds every row in plain Python, one value at a time:
slow, and meant to be right at a glance. The transform statements are held to it row by row.

It covers the otel_* tables that a request fills directly: no roll-ups, and nothing of what a table does after
the insert. The privacy decisions come from the sanitizer that is passed in (the `Scrub` protocol); without
one, values are rendered as they were sent. Where several entries come to the same map key, the last one wins.
"""

import base64
import json
import math
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, MutableMapping, Sequence
from decimal import Decimal
from typing import Any, Literal, Protocol, cast

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from privacy.sanitizer import legible
from receiver.nested import text_of

Signal = Literal["traces", "logs", "metrics"]
Row = dict[str, Any]
StringRule = Callable[[str], str | None]  # maps a string to its stored form; None drops it

SPAN_KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
STATUS_CODES = ("Unset", "Ok", "Error")
METRIC_TABLES = {
    "gauge": "otel_metrics_gauge",
    "sum": "otel_metrics_sum",
    "summary": "otel_metrics_summary",
    "histogram": "otel_metrics_histogram",
    "exponential_histogram": "otel_metrics_exp_histogram",
}
TABLES: dict[Signal, tuple[str, ...]] = {
    "traces": ("otel_traces",),
    "logs": ("otel_logs",),
    "metrics": tuple(METRIC_TABLES.values()),
}


class Rules(Protocol):
    """The keys that have a rule of their own; a key in several sets is dropped before hashed before safe."""

    @property
    def drop_keys(self) -> Container[str]: ...
    @property
    def hash_keys(self) -> Container[str]: ...
    @property
    def safe_keys(self) -> Container[str]: ...
    @property
    def excerpt_keys(self) -> Container[str]: ...
    @property
    def extract(self) -> Container[str]: ...


class Scrub(Protocol):
    """The privacy decisions, as the product's sanitizer makes them."""

    @property
    def rules(self) -> Rules: ...
    def attribute(self, key: str, text: str, counts: MutableMapping[str, int]) -> str | None: ...
    def redact(self, text: str, counts: MutableMapping[str, int]) -> str: ...
    def redact_attribute(self, key: str, text: str, counts: MutableMapping[str, int]) -> str: ...
    def hashed(self, text: str) -> str: ...
    def labels(self, key: str, text: str) -> Mapping[str, str]: ...
    def excerpt(self, text: str) -> str: ...


def rows(signal: Signal, requests: Sequence[bytes], scrub: Scrub | None) -> dict[str, list[Row]]:
    """Every table of the signal with its rows, in order of appearance; times are integer nanoseconds."""
    private = Private(scrub) if scrub else Plain()
    tables: dict[str, list[Row]] = {table: [] for table in TABLES[signal]}
    decode = {"traces": _spans, "logs": _log_records, "metrics": _data_points}[signal]
    for request in requests:
        for table, row in decode(request, private):
            tables[table].append(row)
    return tables


def _spans(request: bytes, stored: "Plain") -> Iterator[tuple[str, Row]]:
    for resource_spans in ExportTraceServiceRequest.FromString(request).resource_spans:
        resource = stored.attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                start, end = span.start_time_unix_nano, span.end_time_unix_nano
                yield (
                    "otel_traces",
                    {
                        "Timestamp": _time(start),
                        "TraceId": _id(span.trace_id),
                        "SpanId": _id(span.span_id),
                        "ParentSpanId": _id(span.parent_span_id),
                        "TraceState": stored.string(span.trace_state),
                        "SpanName": stored.string(span.name),
                        "SpanKind": _name(SPAN_KINDS, span.kind),
                        "ServiceName": resource.get("service.name", ""),
                        "ResourceAttributes": resource,
                        "ScopeName": stored.string(scope_spans.scope.name),
                        "ScopeVersion": stored.string(scope_spans.scope.version),
                        "SpanAttributes": stored.labelled_attributes(span.attributes),
                        "Duration": max(end - start, 0),
                        "StatusCode": _name(STATUS_CODES, span.status.code),
                        "StatusMessage": stored.status_message(span.status.message),
                        "Events.Timestamp": [_time(event.time_unix_nano) for event in span.events],
                        "Events.Name": [stored.string(event.name) for event in span.events],
                        "Events.Attributes": [stored.attributes(event.attributes) for event in span.events],
                        "Links.TraceId": [_id(link.trace_id) for link in span.links],
                        "Links.SpanId": [_id(link.span_id) for link in span.links],
                        "Links.TraceState": [stored.string(link.trace_state) for link in span.links],
                        "Links.Attributes": [stored.attributes(link.attributes) for link in span.links],
                    },
                )


def _log_records(request: bytes, stored: "Plain") -> Iterator[tuple[str, Row]]:
    for resource_logs in ExportLogsServiceRequest.FromString(request).resource_logs:
        resource = stored.attributes(resource_logs.resource.attributes)
        for scope_logs in resource_logs.scope_logs:
            for record in scope_logs.log_records:
                yield (
                    "otel_logs",
                    {
                        "Timestamp": _time(record.time_unix_nano or record.observed_time_unix_nano),
                        "TraceId": _id(record.trace_id),
                        "SpanId": _id(record.span_id),
                        "TraceFlags": record.flags & 255,
                        "SeverityText": stored.string(record.severity_text),
                        "SeverityNumber": min(max(record.severity_number, 0), 255),
                        "ServiceName": resource.get("service.name", ""),
                        "Body": stored.body(record.body),
                        "ResourceSchemaUrl": stored.string(resource_logs.schema_url),
                        "ResourceAttributes": resource,
                        "ScopeSchemaUrl": stored.string(scope_logs.schema_url),
                        "ScopeName": stored.string(scope_logs.scope.name),
                        "ScopeVersion": stored.string(scope_logs.scope.version),
                        "ScopeAttributes": stored.attributes(scope_logs.scope.attributes),
                        "LogAttributes": stored.labelled_attributes(record.attributes),
                        "EventName": stored.string(record.event_name),
                    },
                )


def _data_points(request: bytes, stored: "Plain") -> Iterator[tuple[str, Row]]:
    for resource_metrics in ExportMetricsServiceRequest.FromString(request).resource_metrics:
        resource = stored.attributes(resource_metrics.resource.attributes)
        for scope_metrics in resource_metrics.scope_metrics:
            scope = scope_metrics.scope
            for metric in scope_metrics.metrics:
                kind = metric.WhichOneof("data")
                if kind is None:
                    continue
                data = getattr(metric, kind)
                for point in data.data_points:
                    shared = {
                        "ResourceAttributes": resource,
                        "ResourceSchemaUrl": stored.string(resource_metrics.schema_url),
                        "ScopeName": stored.string(scope.name),
                        "ScopeVersion": stored.string(scope.version),
                        "ScopeAttributes": stored.attributes(scope.attributes),
                        "ScopeDroppedAttrCount": scope.dropped_attributes_count,
                        "ScopeSchemaUrl": stored.string(scope_metrics.schema_url),
                        "ServiceName": resource.get("service.name", ""),
                        "MetricName": stored.string(metric.name),
                        "MetricDescription": stored.string(metric.description),
                        "MetricUnit": stored.string(metric.unit),
                        "Attributes": stored.attributes(point.attributes),
                        "StartTimeUnix": _time(point.start_time_unix_nano),
                        "TimeUnix": _time(point.time_unix_nano),
                        "Flags": point.flags,
                    }
                    yield METRIC_TABLES[kind], shared | _measured(kind, data, point, stored)


def _measured(kind: str, data: Any, point: Any, stored: "Plain") -> Row:
    """Return the columns that only this kind of metric has."""
    if kind == "gauge":
        return {"Value": _reading(point), **_exemplars(point, stored)}
    if kind == "sum":
        return {
            "Value": _reading(point),
            **_exemplars(point, stored),
            "AggregationTemporality": data.aggregation_temporality,
            "IsMonotonic": data.is_monotonic,
        }
    if kind == "summary":
        return {
            "Count": point.count,
            "Sum": point.sum,
            "ValueAtQuantiles.Quantile": [pair.quantile for pair in point.quantile_values],
            "ValueAtQuantiles.Value": [pair.value for pair in point.quantile_values],
        }
    either_histogram = {
        "Count": point.count,
        "Sum": point.sum,
        **_exemplars(point, stored),
        "Min": point.min,
        "Max": point.max,
        "AggregationTemporality": data.aggregation_temporality,
    }
    if kind == "histogram":
        return either_histogram | {
            "BucketCounts": list(point.bucket_counts),
            "ExplicitBounds": list(point.explicit_bounds),
        }
    return either_histogram | {
        "Scale": point.scale,
        "ZeroCount": point.zero_count,
        "PositiveOffset": point.positive.offset,
        "PositiveBucketCounts": list(point.positive.bucket_counts),
        "NegativeOffset": point.negative.offset,
        "NegativeBucketCounts": list(point.negative.bucket_counts),
    }


def _exemplars(point: Any, stored: "Plain") -> Row:
    return {
        "Exemplars.FilteredAttributes": [stored.attributes(e.filtered_attributes) for e in point.exemplars],
        "Exemplars.TimeUnix": [_time(e.time_unix_nano) for e in point.exemplars],
        "Exemplars.Value": [_number(e) for e in point.exemplars],
        "Exemplars.SpanId": [_id(e.span_id) for e in point.exemplars],
        "Exemplars.TraceId": [_id(e.trace_id) for e in point.exemplars],
    }


def _time(nanoseconds: int) -> int:
    return min(nanoseconds, 2**63 - 1)


def _id(raw: bytes) -> str:
    return raw.hex() if any(raw) else ""


def _name(names: Sequence[str], number: int) -> str:
    return names[number] if 0 <= number < len(names) else names[0]


def _number(point: Any) -> float:
    match point.WhichOneof("value"):
        case "as_int":
            return float(point.as_int)
        case "as_double":
            return float(point.as_double)
    return math.nan


def _reading(point: Any) -> float:
    return math.nan if point.flags & 1 else _number(point)


class Plain:
    """The stored form of strings, attributes and bodies when nothing is private."""

    def string(self, text: str) -> str:
        return text

    def status_message(self, text: str) -> str:
        return text

    def attributes(self, pairs: Iterable[Any]) -> dict[str, str]:
        stored: dict[str, str] = {}
        for pair in pairs:
            text = self.attribute(pair.key, pair.value)
            if text is not None:
                stored[self.key(pair.key)] = text
        return _sorted(stored)

    def labelled_attributes(self, pairs: Iterable[Any]) -> dict[str, str]:
        return self.attributes(pairs)

    def body(self, value: Any) -> str:
        return self.text(value, self.string) or ""

    def key(self, key: str) -> str:
        return key

    def attribute(self, key: str, value: Any) -> str | None:  # noqa: ARG002  the key matters to Private
        return self.text(value, self.string)

    def text(self, value: Any, rule: StringRule) -> str | None:  # noqa: PLR0911  a line for each type
        """Render an AnyValue as a map holds it; `rule` is as in `json`."""
        match value.WhichOneof("value"):
            case "string_value":
                return rule(value.string_value)
            case "bool_value":
                return "true" if value.bool_value else "false"
            case "int_value":
                return str(value.int_value)
            case "double_value":
                return javascript_number(value.double_value)
            case "bytes_value":
                return base64.b64encode(value.bytes_value).decode()
            case "array_value" | "kvlist_value":
                return self.json(value, rule)
            case _:
                return ""

    def json(self, value: Any, rule: StringRule) -> str | None:  # noqa: PLR0911  a line for each type
        """Render an AnyValue as compact JSON; `rule` is for the strings under no key of their own."""
        match value.WhichOneof("value"):
            case "array_value":
                elements = [self.json(element, rule) for element in value.array_value.values]
                return "[" + ",".join(element for element in elements if element is not None) + "]"
            case "kvlist_value":
                members: dict[str, str] = {}
                for pair in value.kvlist_value.values:
                    member = self.json(pair.value, self.string)
                    if member is not None:
                        members[self.key(pair.key)] = member
                return "{" + ",".join(f"{_quoted(k)}:{v}" for k, v in _sorted(members).items()) + "}"
            case "string_value":
                text = rule(value.string_value)
                return None if text is None else _quoted(text)
            case "bytes_value":
                return _quoted(base64.b64encode(value.bytes_value).decode())
            case "double_value" if not math.isfinite(value.double_value):
                return _quoted(javascript_number(value.double_value))
            case "bool_value" | "int_value" | "double_value":
                return self.text(value, rule)
            case _:
                return "null"


class Private(Plain):
    """The stored form under the decisions of a sanitizer.

    What becomes of structures and bytes is the product's own word, which tests/test_nested.py holds to examples.
    """

    def __init__(self, scrub: Scrub) -> None:
        self.scrub = scrub
        self.rules = scrub.rules
        self.counts: Counter[str] = Counter()
        self.plain = Plain()

    def string(self, text: str) -> str:
        return self.scrub.redact(text, self.counts)

    def hashed(self, value: Any) -> str:
        text = self.plain.text(value, self.plain.string)
        return self.scrub.hashed(text) if text else ""

    def status_message(self, text: str) -> str:
        key = "status.message"
        if key in self.rules.drop_keys:
            return ""
        if key in self.rules.hash_keys:
            return self.scrub.hashed(text) if text else ""
        if key in self.rules.safe_keys:
            return text
        redacted = self.string(text)
        return self.scrub.excerpt(redacted) if key in self.rules.excerpt_keys else redacted

    def labelled_attributes(self, pairs: Iterable[Any]) -> dict[str, str]:
        """Add to the attributes the labels taken out of some of them; an attribute that was sent wins."""
        pairs = list(pairs)
        labels: dict[str, str] = {}
        for pair in pairs:
            if pair.key in self.rules.extract and pair.value.WhichOneof("value") == "string_value":
                labels |= self.scrub.labels(pair.key, pair.value.string_value)
        return _sorted(labels | self.attributes(pairs))

    def key(self, key: str) -> str:
        rules = self.rules
        named = (rules.drop_keys, rules.hash_keys, rules.safe_keys, rules.excerpt_keys)
        return key if any(key in keys for keys in named) else self.string(key)

    def attribute(self, key: str, value: Any) -> str | None:
        if key in self.rules.drop_keys:
            return None
        if key in self.rules.hash_keys:
            return self.hashed(value)
        kind = value.WhichOneof("value")
        if kind in ("array_value", "kvlist_value", "bytes_value"):
            return self.structured(key, value)
        if key in self.rules.safe_keys:
            is_text = kind == "string_value"
            return legible(value.string_value) if is_text else self.plain.text(value, self.plain.string)
        if kind == "string_value":
            return self.scrub.attribute(key, value.string_value, self.counts)
        text = self.plain.text(value, self.plain.string) or ""
        is_number = kind in ("int_value", "double_value")
        return self.scrub.redact_attribute(key, text, self.counts) if is_number else text

    def body(self, value: Any) -> str:
        kind = value.WhichOneof("value")
        if kind == "string_value":
            return self.string(value.string_value)
        return self.structured("", value) if kind else ""

    def structured(self, key: str, value: Any) -> str:
        return text_of(value, key, cast("Any", self.scrub), self.counts)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _sorted(mapping: Mapping[str, str]) -> dict[str, str]:
    """Put the entries in bytewise order of their keys."""
    return {key: mapping[key] for key in sorted(mapping, key=str.encode)}


def javascript_number(number: float) -> str:
    """Print a double as JavaScript's String() does (ECMAScript, Number::toString with radix 10)."""
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    if number == 0:
        return "0"
    # repr gives the shortest digits that read back as the same double, as ECMAScript requires.
    negative, digit_tuple, exponent = Decimal(repr(number)).normalize().as_tuple()
    digits = "".join(map(str, digit_tuple))
    point = len(digits) + int(exponent)  # where the decimal point stands, counted from the first digit
    if len(digits) <= point <= 21:
        text = digits + "0" * (point - len(digits))
    elif 0 < point <= 21:
        text = digits[:point] + "." + digits[point:]
    elif -6 < point <= 0:
        text = "0." + "0" * -point + digits
    else:
        mantissa = digits if len(digits) == 1 else digits[0] + "." + digits[1:]
        text = f"{mantissa}e{point - 1:+d}"
    return "-" + text if negative else text
