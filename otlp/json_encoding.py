"""Translate OTLP/JSON requests to OTLP Protobuf and back, and responses to JSON.

Guarantees: a field of the wrong type refuses the record (span, log record or data point) that it belongs to
and no other; every record refused is counted; the others are carried in full. A value that only a strict parser
refuses is repaired (`otlp.lenient_json`), and one that is nested too deep is cut off. `null` for a double is NaN, since
that is how JSON.stringify writes NaN and infinities. A part of a request under a name that is not known, which holds
no record, is named in a warning. Otherwise reasons name the place by schema field names and indexes, never by client
content.

Does not: judge values. A trace id of a wrong length or an unknown enum number passes, as it does in Protobuf.

Implements https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding, which is
https://protobuf.dev/programming-guides/json/ except that ids are hex, enums are integers only, and names are
lowerCamelCase only. The walk is driven by the Protobuf descriptors, so new fields need no code here.
"""

import base64
import binascii
import math
import re
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache, partial
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from otlp.bounds import DEFAULTS, RequestLimits, check_json, too_many_elements, too_many_records
from otlp.lenient_json import lenient
from otlp.repairs import MAX_DEPTH, TOO_DEEP, described
from otlp.signals import RECORDS
from otlp.wire import (
    BEFORE_KEY,
    BEFORE_TEXT,
    BOOL_VALUE,
    FEW,
    LATIN,
    LENGTH,
    behind,
    double_value,
    integer_value,
    tag_of_bytes,
)

_REQUESTS: dict[str, Any] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}

HEX: Final = frozenset({"trace_id", "span_id", "parent_span_id"})
"""The fields of bytes that are in hex; others are in base64."""

# Arrays and key-value lists are cut off before it, so that only other messages can reach it.
_MAX_DEPTH = MAX_DEPTH + 6
_NESTED = frozenset({"arrayValue", "kvlistValue"})


class MalformedJson(ValueError):  # noqa: N818 - the name is the condition
    """The body is not JSON, or not an export request of the signal."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A request in Protobuf, how many records it holds, how many were refused, and why the first of these.

    `repairs` are the values that were repaired, by kind; `unknown` is the number of parts without a record in which a
    name is not known. message is for partial_success.error_message; it is empty when there is nothing to say.
    """

    body: bytes
    records: int
    refused: int
    message: str
    repairs: Mapping[str, int] = field(default_factory=dict)
    unknown: int = 0


Quick: TypeAlias = Callable[[str, bytes, RequestLimits], tuple[bytes, int] | None]
"""Returns a request of a signal in Protobuf and the number of its records, or None: it is to be read here."""


def decode(
    signal: Literal["traces", "logs", "metrics"],
    text: bytes,
    limits: RequestLimits = DEFAULTS,
    quick: Quick | None = None,
) -> Decoded:
    """Translate one export request; `quick` is asked first.

    Raises MalformedJson when its records cannot be told apart, and Rejected when it has more parts than it may have.
    """
    check_json(text, limits)
    if quick is not None and (read := quick(signal, text, limits)) is not None:
        return Decoded(*read, refused=0, message="")
    repairs: Mapping[str, int] = {}
    try:
        request = orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            request, repairs = lenient(text)
        except (ValueError, RecursionError):
            raise MalformedJson("the body is not JSON: expected UTF-8 text of one object") from None
    if type(request) is not dict:
        raise MalformedJson("the body is not an OTLP request: expected an object")
    shape = _request_shape(signal, limits.record_elements)
    for name in shape.holding:
        if not isinstance(request.get(name), list | None):
            raise MalformedJson(f"{name}: expected an array")
    tally = _Tally(limits.records, repairs=Counter(repairs))
    written = _keep(shape, request, "", 0, tally) or b""
    # In the order of Protobuf's own writers, so that a request is known again when it comes over another protocol.
    body = _REQUESTS[signal].FromString(written).SerializeToString()
    return Decoded(body, tally.records, tally.refused, tally.message(), tally.repairs, tally.unknown)


def encode_request(message: Message) -> dict[str, Any]:
    """Return an export request as OTLP's JSON has it: ids in hex, enums as numbers, bytes in base64."""
    return _with_hex_ids(MessageToDict(message, use_integers_for_enums=True))  # type: ignore[no-any-return]


def encode_response(message: Message) -> bytes:
    """Return an export response or a google.rpc.Status as JSON; a full success is {}."""
    return orjson.dumps(MessageToDict(message, use_integers_for_enums=True))


class _Wrong(Exception):  # noqa: N818 - it carries what was expected, and its path is added while it is raised
    def __init__(self, expected: str) -> None:
        super().__init__(expected)
        self.expected = expected
        self.path: list[str] = []


class _TooDeep(Exception):  # noqa: N818  what was found
    """A record has to be cut."""


@dataclass(slots=True)
class _Tally:
    most_records: int
    records: int = 0
    refused: int = 0
    unknown: int = 0
    reasons: list[str] = field(default_factory=list)
    repairs: Counter[str] = field(default_factory=Counter)
    warning: str = ""

    def refuse(self, count: int, path: str, wrong: _Wrong) -> None:
        self.refused += count
        if len(self.reasons) < 3:  # noqa: PLR2004 - a client's log needs the first few
            where = (path + "".join(reversed(wrong.path))).removeprefix(".")
            self.reasons.append(f"{_shorten(where, 150)}: expected {wrong.expected}")

    @property
    def found(self) -> int:
        """How much was found so far, of any kind."""
        return self.records + self.refused + self.unknown

    def is_unknown(self, path: str, name: str) -> None:
        """Note a part of the request that holds no record, and the first name in it that is not known."""
        self.unknown += 1
        if not self.warning:
            shown = name if _NAME.fullmatch(name) else "a field"
            where = f"{path}.{shown}".removeprefix(".")
            self.warning = (
                f"{_shorten(where, 150)} is not known here and holds no record: names are OTLP's own, in"
                " lowerCamelCase, and each signal has its own path"
            )

    def message(self) -> str:
        reasons = _shorten("; ".join(self.reasons), 300)
        return "; ".join(filter(None, (reasons, self.warning, described(self.repairs))))


def _shorten(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."


class _Field(NamedTuple):
    """A field's Protobuf name, the JSON type that is taken as it is, and the function that reads any other.

    Of messages the function returns what stands in the message around them: bytes, with the field's tag and length.
    """

    name: str
    plain: type | None
    read: Callable[[Any, int], Any]
    is_message: bool


@dataclass(frozen=True, slots=True)
class _Holding:
    tag: bytes
    is_repeated: bool
    shape: "_Shape"


@dataclass(frozen=True, slots=True)
class _Shape:
    """A message type: its own fields and those that hold records below it, by their JSON names."""

    made: type[Message]
    is_record: bool
    fields: dict[str, _Field] = field(default_factory=dict)
    holding: dict[str, _Holding] = field(default_factory=dict)
    oneofs: list[list[str]] = field(default_factory=list)
    doubles: dict[str, frozenset[str]] = field(default_factory=dict)
    """The fields for which null is NaN unless one of these others is there: the rest of its oneof."""


def _keep(shape: _Shape, value: Any, path: str, outer: int, tally: _Tally) -> bytes | None:
    """Return a message that is or holds records, without those that are wrong; None if the message itself is."""
    try:
        written = [_own_fields(shape, value, outer, tally)]
    except _Wrong as wrong:
        tally.refuse(max(1, _count(shape, value)), path, wrong)
        return None
    tally.records += shape.is_record
    before = tally.found
    for json_name, holding in shape.holding.items():
        below = value.get(json_name)
        if below is None:
            continue
        here = f"{path}.{json_name}"
        if not holding.is_repeated:
            kept = _keep(holding.shape, below, here, outer + 1, tally)
            if kept is not None:
                written.append(behind(holding.tag, kept))
        elif type(below) is list:
            written += _keep_each(holding, below, here, outer, tally)
        else:
            tally.refuse(1, here, _Wrong("an array"))
    if before == tally.found and not shape.is_record and (name := _unknown_name(shape, value)) is not None:
        tally.is_unknown(path, name)
    return b"".join(written)


def _keep_each(holding: _Holding, below: list[Any], path: str, outer: int, tally: _Tally) -> Iterator[bytes]:
    """Yield each message of an array as it stands in the one around it, but for those that are wrong."""
    if len(below) + tally.found > tally.most_records:
        raise too_many_records(len(below) + tally.found, tally.most_records)
    for index, one in enumerate(below):
        kept = _keep(holding.shape, one, f"{path}[{index}]", outer + 1, tally)
        if kept is not None:
            yield behind(holding.tag, kept)


def _unknown_name(shape: _Shape, value: dict[str, Any]) -> str | None:
    """Return the first name that is not known of a field that could hold records, where no known one does."""
    if any(value.get(name) for name in shape.holding):
        return None
    for name, one in value.items():
        if one and isinstance(one, list | dict) and name not in shape.fields and name not in shape.holding:
            return name
    return None


def _own_fields(shape: _Shape, value: Any, outer: int, tally: _Tally) -> bytes:
    """Return a message's fields other than those that hold records, with what is nested too deep in them cut off."""
    try:
        return _message(shape, value, outer)
    except _TooDeep:
        return _message(shape, _cut(value, outer + 1, shape.holding, tally.repairs), outer)


def _cut(value: Any, depth: int, but: Container[str], repairs: Counter[str]) -> Any:
    """Return a message's JSON, every object of which is a message, with what is nested too deep in it cut off.

    The fields named in `but` hold records, which are looked at by themselves.
    """
    if type(value) is list:
        return [_cut(one, depth, but, repairs) for one in value]
    if type(value) is not dict:
        return value
    if depth >= MAX_DEPTH and not _NESTED.isdisjoint(value):
        repairs["too_deep"] += 1
        return {"stringValue": TOO_DEEP}
    return {
        name: one if name in but else _cut(one, depth + (type(one) is dict or type(one) is list), (), repairs)
        for name, one in value.items()
    }


def _count(shape: _Shape, value: Any) -> int:
    """Return the number of records in a message that is refused as a whole."""
    if shape.is_record or type(value) is not dict:
        return 1
    total = 0
    for json_name, holding in shape.holding.items():
        below = value.get(json_name)
        if below is not None:
            total += sum(_count(holding.shape, one) for one in (below if type(below) is list else [below]))
    return total


def _message(shape: _Shape, value: Any, outer: int) -> bytes:
    """Return a message's own fields, those that are messages at the end; `outer` counts the messages around it."""
    if type(value) is not dict:
        raise _Wrong("an object")
    depth = outer + 1
    if depth > _MAX_DEPTH:
        raise _TooDeep
    if len(value) > 1:
        _check_oneofs(shape, value)
    fields = shape.fields
    known: dict[str, Any] = {}
    messages = b""
    for json_name, one in value.items():
        if json_name not in fields:
            continue
        name, plain, read, is_message = fields[json_name]
        if type(one) is plain:
            known[name] = one
            continue
        if one is None:
            known |= _of_null(shape, json_name, value)
            continue
        try:
            if is_message:
                messages += read(one, depth)
            else:
                known[name] = read(one, depth)
        except _Wrong as wrong:
            wrong.path.append(f".{json_name}")
            raise
    return shape.made(**known).SerializeToString() + messages if known else messages


def _of_null(shape: _Shape, json_name: str, value: dict[str, Any]) -> dict[str, float]:
    """Return what null in this field of a message says: nothing, or NaN."""
    if json_name in shape.doubles and shape.doubles[json_name].isdisjoint(value):
        return {shape.fields[json_name].name: math.nan}
    return {}


def _behind(tag: bytes, read: Callable[[Any, int], bytes], value: Any, depth: int) -> bytes:
    return behind(tag, read(value, depth))


def _check_oneofs(shape: _Shape, value: dict[str, Any]) -> None:
    for names in shape.oneofs:
        if sum(value.get(name) is not None for name in names) > 1:
            raise _Wrong(f"one of {', '.join(names)}")


@cache
def _request_shape(signal: str, most: int) -> _Shape:
    return _shape(_REQUESTS[signal].DESCRIPTOR, {}, most)


def _shape(descriptor: Descriptor, shapes: dict[str, _Shape], most: int) -> _Shape:
    """Return the shape of a message type whose arrays have `most` items at most.

    `shapes` holds those already begun, as AnyValue contains itself.
    """
    if descriptor.full_name in shapes:
        return shapes[descriptor.full_name]
    shape = shapes[descriptor.full_name] = _Shape(
        GetMessageClass(descriptor), descriptor.full_name in RECORDS
    )
    for known in descriptor.fields:
        below = known.message_type
        tag = tag_of_bytes(known.number)
        if below is not None and holds_records(below):
            shape.holding[known.json_name] = _Holding(tag, known.is_repeated, _shape(below, shapes, most))
            continue
        read: Callable[[Any, int], Any]
        if below is None:
            read = partial(_array, _reader(known), most) if known.is_repeated else _reader(known)
        else:
            read = partial(_behind, tag, partial(_message, _shape(below, shapes, most)))
            if known.is_repeated:
                read = (
                    partial(_attributes, tag, read, most)
                    if below is KeyValue.DESCRIPTOR
                    else partial(_joined, read, most)
                )
        plain = None if known.is_repeated else _PLAIN.get(known.type)
        shape.fields[known.json_name] = _Field(known.name, plain, read, below is not None)
        if known.type == FieldDescriptor.TYPE_DOUBLE and not known.is_repeated:
            oneof = known.containing_oneof
            others = [other.json_name for other in oneof.fields if other is not known] if oneof else []
            shape.doubles[known.json_name] = frozenset(others)
    shape.oneofs.extend(
        [member.json_name for member in oneof.fields] for oneof in descriptor.oneofs if len(oneof.fields) > 1
    )
    return shape


def holds_records(descriptor: Descriptor) -> bool:
    """Whether a message type is of records, or has some at any depth."""
    seen: set[str] = set()
    left = [descriptor]
    while left:
        one = left.pop()
        if one.full_name not in seen:
            seen.add(one.full_name)
            left += [known.message_type for known in one.fields if known.message_type is not None]
    return not seen.isdisjoint(RECORDS)


def _reader(known: FieldDescriptor) -> Callable[[Any, int], Any]:
    if known.type == FieldDescriptor.TYPE_BYTES:
        return _hex if known.name in HEX else _base64
    if known.type == FieldDescriptor.TYPE_ENUM:
        return _enum
    return _SCALARS[known.cpp_type]


def _array(read: Callable[[Any, int], Any], most: int, value: Any, depth: int) -> list[Any]:
    if type(value) is not list:
        raise _Wrong("an array")
    if len(value) > most:
        raise too_many_elements(len(value), most)
    return [_item(read, one, index, depth) for index, one in enumerate(value)]


def _item(read: Callable[[Any, int], Any], value: Any, index: int, depth: int) -> Any:
    try:
        return read(value, depth)
    except _Wrong as wrong:
        wrong.path.append(f"[{index}]")
        raise


def _joined(read: Callable[[Any, int], bytes], most: int, value: Any, depth: int) -> bytes:
    return b"".join(_array(read, most, value, depth))


def _attributes(tag: bytes, read: Callable[[Any, int], bytes], most: int, value: Any, depth: int) -> bytes:
    """Return an array of KeyValue. What nearly all are is written here, in a fifth of the time, others by `read`."""
    if type(value) is not list or len(value) > most or depth + 2 > _MAX_DEPTH:
        return _joined(read, most, value, depth)
    written: list[str] = []
    latin_tag = tag.decode(LATIN)
    for index, one in enumerate(value):
        if type(one) is dict and len(one) == 2 and type(key := one.get("key")) is str and key.isascii():  # noqa: PLR2004
            below = one.get("value")
            if type(below) is dict and len(below) == 1 and len(key) < FEW:
                text = below.get("stringValue")
                if type(text) is str and text.isascii() and len(text) < FEW:
                    held = f"{BEFORE_TEXT[len(text)]}{text}"
                else:
                    held = _scalar(below)
                if held:
                    named = BEFORE_KEY[len(key)]
                    written.append(
                        f"{latin_tag}{LENGTH[len(named) + len(key) + len(held)]}{named}{key}{held}"
                    )
                    continue
        written.append(_item(read, one, index, depth).decode(LATIN))  # its tag is part of it
    return "".join(written).encode(LATIN)


def _scalar(value: dict[str, Any]) -> str:
    """Return an AnyValue of one field as it stands in a KeyValue; empty when it is not one that is written here."""
    ((kind, scalar),) = value.items()
    if (
        kind == "intValue"
        and type(scalar) is str
        and scalar.isdigit()
        and scalar.isascii()
        and len(scalar) < _SHORT
    ):
        return integer_value(int(scalar))
    if kind == "doubleValue" and type(scalar) is float:
        return double_value(scalar)
    if kind == "boolValue" and type(scalar) is bool:
        return BOOL_VALUE[scalar]
    return ""


def _string(value: Any, _depth: int) -> str:
    if type(value) is not str:
        raise _Wrong("a string")
    return value


def _bool(value: Any, _depth: int) -> bool:
    if type(value) is not bool:
        raise _Wrong("true or false")
    return value


def _double(value: Any, _depth: int) -> float:
    if type(value) is float or type(value) is int:
        return float(value)
    if type(value) is str:
        if value in {"NaN", "Infinity", "-Infinity"}:
            return float(value)
        if _NUMBER.fullmatch(value) and abs(number := float(value)) != math.inf:
            return number
    raise _Wrong('a number, a decimal string, "NaN", "Infinity" or "-Infinity"')


def _integer(low: int, high: int, value: Any, _depth: int) -> int:
    if type(value) is int and low <= value <= high:
        return value
    if type(value) is str and len(value) <= _SHORT and value.isdigit() and value.isascii():
        short = int(value)
        if short <= high:
            return short
    number: float | Decimal = math.nan
    if type(value) is str and len(value) <= _MAX_INTEGER_TEXT and _NUMBER.fullmatch(value):
        # Exact, where a float is not: "9007199254740993.0".
        number = Decimal(value)
    elif type(value) is float and value > -(2.0**63):
        # An integer below the range reaches us as the float at its edge.
        number = value
    if low <= number <= high and number == int(number):
        return int(number)
    raise _Wrong(f"an integer of {low} to {high}, as a number or a decimal string")


def _enum(value: Any, depth: int) -> int:
    if type(value) is str:
        raise _Wrong("an enum's number, not a string")
    return _integer(-(2**31), 2**31 - 1, value, depth)


def _hex(value: Any, _depth: int) -> bytes:
    try:
        return binascii.unhexlify(_string(value, _depth))
    except ValueError:
        raise _Wrong("hex digits, two a byte") from None


def _base64(value: Any, _depth: int) -> bytes:
    text = _string(value, _depth).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise _Wrong("base64") from None


def _with_hex_ids(node: Any) -> Any:
    if isinstance(node, list):
        return [_with_hex_ids(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: base64.b64decode(value).hex() if key in _IDS else _with_hex_ids(value)
        for key, value in node.items()
    }


_IDS = {"traceId", "spanId", "parentSpanId"}
_NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?")
_MAX_INTEGER_TEXT = 100
_SHORT = 19
"""The digits of a time in nanoseconds, as nearly all integers are times or counts; fewer digits fit into any int64."""

_PLAIN: dict[int, type] = {
    FieldDescriptor.TYPE_STRING: str,
    FieldDescriptor.TYPE_BOOL: bool,
    FieldDescriptor.TYPE_DOUBLE: float,
}

_SCALARS: dict[int, Callable[[Any, int], Any]] = {
    FieldDescriptor.CPPTYPE_STRING: _string,
    FieldDescriptor.CPPTYPE_BOOL: _bool,
    FieldDescriptor.CPPTYPE_DOUBLE: _double,
    FieldDescriptor.CPPTYPE_INT32: partial(_integer, -(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: partial(_integer, 0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: partial(_integer, -(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: partial(_integer, 0, 2**64 - 1),
}
