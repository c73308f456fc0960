"""Repairs Export requests that do not parse: what can be kept is, and of the rest only the records concerned go.

A text that is not UTF-8 gets U+FFFD, a value that is nested too deep is cut off, and a record whose bytes are no
protobuf is left out. All other bytes stay as they were sent. What does not parse is found with the generated classes,
in C, down to records; Python looks only into those that these refuse. A request whose records cannot be told apart
is refused as a whole, and so is one of which no record is left.

This runs after a parse has failed, never before.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from clickhouse.varint import read_varint
from otlp.repairs import MAX_DEPTH, TOO_DEEP, described
from otlp.signals import KINDS, RECORDS, Signal, Survey, malformed, survey
from otlp.status import Reason, Rejected
from otlp.wire import behind, tag_of_bytes

_BYTES: Final = 2
_GROUP: Final = 3
_END_GROUP: Final = 4
_VALUE: Final = AnyValue.DESCRIPTOR.full_name
_NESTED: Final = frozenset(
    AnyValue.DESCRIPTOR.fields_by_name[name].number for name in ("array_value", "kvlist_value")
)
_CUT: Final = AnyValue(string_value=TOO_DEEP).SerializeToString()


@dataclass(frozen=True, slots=True)
class Repaired:
    """A request that parses, how many records were left out of it, and how many values were repaired, by kind."""

    body: bytes
    survey: Survey
    refused: int
    repairs: Mapping[str, int]

    def and_then(self, later: "Repaired") -> "Repaired":
        """Return both repairs of a request that was repaired again."""
        repairs = Counter(self.repairs) + Counter(later.repairs)
        return Repaired(later.body, later.survey, self.refused + later.refused, repairs)

    @property
    def message(self) -> str:
        """What the client is told."""
        left_out = f"records that are not well-formed, not stored: {self.refused}" if self.refused else ""
        return "; ".join(filter(None, (left_out, described(self.repairs))))


def repaired(signal: Signal, body: bytes) -> Repaired:
    """Repair a serialized Export request. Raises Rejected when none of its records can be kept."""
    shape = _shape(KINDS[signal].request.DESCRIPTOR)
    # The second time each message is looked into: a record that parses alone can be too deep where it stands.
    for trusting in (True, False):
        work = _Work(trusting)
        try:
            kept = work.message(shape, body, 1)
        except _Broken:
            break
        if _parses(KINDS[signal].request, kept):
            found = survey(signal, kept)
            if found.records or found.untyped_metrics:
                return Repaired(kept, found, work.refused, work.repairs)
            break
    raise malformed(signal)


def unknown_field(signal: Signal, body: bytes) -> str:
    """Name the first field that is not known in a request without records, as in `field 1000 of ResourceSpans`."""
    return _unknown(KINDS[signal].request.FromString(body))


MAX_FIELDS: Final = 2_000_000
"""How many fields are looked at in one request: Python takes a microsecond for each."""


class _Broken(Exception):  # noqa: N818  what was found
    """The bytes are not a message: a length exceeds them, or a tag is none."""


class _Field(NamedTuple):
    """A field's number and wire type, where its tag begins, where its value does, and where it ends."""

    number: int
    wire: int
    begin: int
    value: int
    end: int


@dataclass(frozen=True, slots=True)
class _Shape:
    """A message type: its class, its fields that are texts and messages, and whether it is or holds records."""

    message: type[Message]
    is_record: bool
    is_value: bool
    texts: set[int] = field(default_factory=set)
    messages: dict[int, "_Shape"] = field(default_factory=dict)
    holding: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Work:
    """One request's repair. When `trusting`, a record, or what holds some, is not looked into when it parses alone."""

    trusting: bool
    looked_at: int = 0
    refused: int = 0
    repairs: Counter[str] = field(default_factory=Counter)

    def message(self, shape: _Shape, data: bytes, depth: int) -> bytes:
        """Return a message's bytes so that they parse. Raises _Broken when that cannot be."""
        if self.trusting and (shape.is_record or shape.holding) and _parses(shape.message, data):
            return data
        kept: list[bytes] = []
        for one in _fields(data):
            self.looked_at += 1
            if self.looked_at > MAX_FIELDS:
                raise Rejected(
                    Reason.MALFORMED,
                    f"The body is not well-formed, and has more than the {MAX_FIELDS:,} fields up to which it would be"
                    " repaired: check the exporter, or send smaller batches.",
                )
            value = data[one.value : one.end]
            if one.wire != _BYTES or one.number not in shape.texts | shape.messages.keys():
                kept.append(data[one.begin : one.end])
                continue
            if one.number in shape.texts:
                changed = self._text(value)
            elif shape.is_value and one.number in _NESTED and depth >= MAX_DEPTH:
                self.repairs["too_deep"] += 1
                return _CUT
            elif one.number in shape.holding:
                held = self._held(shape.messages[one.number], value, depth + 1)
                if held is None:
                    continue
                changed = held
            else:
                changed = self.message(shape.messages[one.number], value, depth + 1)
            kept.append(behind(tag_of_bytes(one.number), changed))
        made = b"".join(kept)
        if shape.is_record and not _parses(shape.message, made):
            raise _Broken
        return made

    def _held(self, shape: _Shape, data: bytes, depth: int) -> bytes | None:
        """Return a message that is or holds records; None, with its records counted, when it cannot be kept."""
        before = Counter(self.repairs)
        try:
            return self.message(shape, data, depth)
        except _Broken:
            self.repairs = before
            self.refused += max(1, _count(shape, data))
            return None

    def _text(self, data: bytes) -> bytes:
        try:
            data.decode()
        except UnicodeDecodeError:
            self.repairs["invalid_utf8"] += 1
            return data.decode(errors="replace").encode()
        return data


def _parses(message: type[Message], data: bytes) -> bool:
    try:
        message.FromString(data)
    except DecodeError:
        return False
    return True


def _count(shape: _Shape, data: bytes) -> int:
    """Return how many records lie in a message, as far as it can be read."""
    if shape.is_record:
        return 1
    total = 0
    try:
        for one in _fields(data):
            if one.wire == _BYTES and one.number in shape.holding:
                total += _count(shape.messages[one.number], data[one.value : one.end])
    except _Broken:
        pass
    return total


def _fields(data: bytes) -> Iterator[_Field]:
    at = 0
    while at < len(data):
        one = _field(data, at)
        yield one
        at = one.end


def _field(data: bytes, begin: int) -> _Field:
    try:
        tag, value = read_varint(data, begin)
        number, wire = tag >> 3, tag & 7
        match wire:
            case _ if not number:
                raise _Broken
            case 0:
                _, end = read_varint(data, value)
            case 1:
                end = value + 8
            case 2:
                size, value = read_varint(data, value)
                end = value + size
            case 3:
                end = _group_end(data, value, number)
            case 5:
                end = value + 4
            case _:
                raise _Broken
    except ValueError:
        raise _Broken from None
    if end > len(data):
        raise _Broken
    return _Field(number, wire, begin, value, end)


def _group_end(data: bytes, at: int, number: int) -> int:
    """Return where a group ends, which begins with its first field; groups may be nested."""
    opened = [number]
    while opened:
        tag, value = read_varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == _GROUP:
            opened.append(number)
            at = value
        elif wire == _END_GROUP:
            if opened.pop() != number:
                raise _Broken
            at = value
        else:
            at = _field(data, at).end
    return at


@cache
def _shape(descriptor: Descriptor) -> _Shape:
    return _made(descriptor, {})


def _made(descriptor: Descriptor, shapes: dict[str, _Shape]) -> _Shape:
    """Return the shape of a message type; `shapes` holds those already begun, since AnyValue contains itself."""
    name = descriptor.full_name
    if name in shapes:
        return shapes[name]
    shape = shapes[name] = _Shape(GetMessageClass(descriptor), name in RECORDS, name == _VALUE)
    for one in descriptor.fields:
        if one.type == FieldDescriptor.TYPE_STRING:
            shape.texts.add(one.number)
        elif one.message_type is not None:
            below = shape.messages[one.number] = _made(one.message_type, shapes)
            if below.is_record or below.holding:
                shape.holding.add(one.number)
    return shape


def _unknown(message: Any) -> str:
    unknown = UnknownFieldSet(message)
    if len(unknown):
        return f"field {unknown[0].field_number} of {message.DESCRIPTOR.name}"
    for known, value in message.ListFields():
        if known.message_type is not None:
            for below in value if known.is_repeated else [value]:
                if found := _unknown(below):
                    return found
    return ""
