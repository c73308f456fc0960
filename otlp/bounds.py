"""How many parts a request may have, counted in its bytes before any object is made of it.

A byte of gzip makes five hundred empty records, each of which costs as much as one that says something. So records,
elements of a request and elements of one record have limits of their own, beside the limit on bytes. An element is an
attribute, an event, a link, a data point's bucket or exemplar, or an item of a list: whatever a client can repeat.

Guarantees: memory and time of a check grow with the limits and not with what a client sends, but for one pass over the
bytes in C; small requests, which cannot be over a limit, are not looked at. Does not prove a request well-formed: the
survey does, and what cannot be read here is left to it.

Source: https://protobuf.dev/programming-guides/encoding/
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError, Message

from otlp.outline import envelope
from otlp.signals import KINDS, RECORDS, Signal, Survey, survey
from otlp.status import Reason, Rejected

_VALUE: Final = "opentelemetry.proto.common.v1.AnyValue"
_LEAST: Final = 2
"""Bytes of the smallest element: a tag and a length of 0."""


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """The most of each that a request, or one record, may have."""

    records: int = 50_000
    elements: int = 1_000_000
    record_elements: int = 20_000
    expanded_bytes: int = 512 << 20
    """Of resources and scopes, each counted as often as it has records: so often it is written."""


DEFAULTS: Final = RequestLimits()


def surveyed(signal: Signal, body: bytes, limits: RequestLimits) -> Survey:
    """Return what a serialized request holds. Raises Rejected when it has too many parts, or is malformed."""
    check(signal, body, limits)
    can_be_too_many = len(body) > limits.elements * _LEAST
    return survey(signal, body, partial(check_elements, limits=limits) if can_be_too_many else None)


def check(signal: Signal, body: bytes, limits: RequestLimits) -> None:
    """Raise Rejected when a serialized request has too many records, or one of them too many elements.

    Nothing is made of a record: it stays the bytes that it is.
    """
    most = len(body) // _LEAST
    if most <= min(limits.records, limits.record_elements):
        return
    try:
        found, largest = _holders(signal, body, limits.records)
        if found > limits.records:
            raise _too_many(
                "groups of records", found, limits.records, "TELEMETRY_MAX_REQUEST_RECORDS", stopped=True
            )
        request = _envelope(signal).FromString(body)
    except (DecodeError, _Unreadable):
        return  # the survey says what is wrong with it
    _check_records(_descriptor(signal), request, limits, largest)


def too_many_records(count: int, limit: int) -> Rejected:
    """Return the failure of a request of so many records."""
    return _too_many("records", count, limit, "TELEMETRY_MAX_REQUEST_RECORDS")


def too_many_elements(count: int, limit: int) -> Rejected:
    """Return the failure of a request that has a record of at least so many elements."""
    return _too_many("elements in one record", count, limit, "TELEMETRY_MAX_RECORD_ELEMENTS", stopped=True)


def _check_records(descriptor: Descriptor, request: Any, limits: RequestLimits, largest: int) -> None:
    """Check the records of an envelope, and what each of them has from its resource and scope.

    No record has more than `largest` bytes: to see the length of each makes a copy of it.
    """
    held = list(_records(descriptor, request))
    count = sum(len(one.records) for one in held)
    if count > limits.records:
        raise too_many_records(count, limits.records)
    expanded = sum(one.shared * len(one.records) for one in held)
    if expanded > limits.expanded_bytes:
        raise _too_many(
            "bytes of resources and scopes, counted for each record,",
            expanded,
            limits.expanded_bytes,
            "TELEMETRY_MAX_EXPANDED_BYTES",
        )
    for one in held:
        for kind, head in one.heads:
            _check_record(kind, head, limits)
        most = limits.record_elements * _LEAST
        if largest > most and max(map(len, one.records), default=0) > most:
            for record in one.records:
                _check_record(one.kind, record, limits)


def _check_record(descriptor: Descriptor, record: bytes, limits: RequestLimits) -> None:
    if len(record) <= limits.record_elements * _LEAST:
        return
    if (found := _elements(descriptor, record, limits.record_elements)) > limits.record_elements:
        raise too_many_elements(found, limits.record_elements)


def check_elements(request: Any, limits: RequestLimits) -> None:
    """Raise Rejected when a request, parsed as an outline, has too many elements in its records."""
    total = 0
    for held in _records(request.DESCRIPTOR, request):
        repeated = _repeated(held.kind)
        for record in held.records:
            for name, inner in repeated:
                below = getattr(record, name)
                count = len(below)
                total += count
                if inner and count:
                    total += sum(len(getattr(one, name)) for one in below for name in inner)
            if total > limits.elements:
                raise _too_many(
                    "elements", total, limits.elements, "TELEMETRY_MAX_REQUEST_ELEMENTS", stopped=True
                )


@cache
def _repeated(descriptor: Descriptor) -> Sequence[tuple[str, Sequence[str]]]:
    """Return the names of a record's repeated fields, and of theirs."""
    return [
        (
            field.name,
            [below.name for below in field.message_type.fields if below.is_repeated]
            if field.message_type is not None
            else [],
        )
        for field in descriptor.fields
        if field.is_repeated
    ]


def check_json(text: bytes, limits: RequestLimits) -> None:
    """Raise Rejected when a request in JSON has more objects, arrays and items than the limits leave room for.

    An attribute in JSON is two objects, two names and a comma, so a mark of JSON is a quarter of an element at most.
    """
    most = _MARKS_AN_ELEMENT * limits.elements
    if len(text) <= most or sum(map(text.count, _MARKS)) <= most:
        return
    if (found := _marks(text, most)) > most:
        raise _too_many(
            "elements",
            found // _MARKS_AN_ELEMENT,
            limits.elements,
            "TELEMETRY_MAX_REQUEST_ELEMENTS",
            stopped=True,
        )


def _too_many(what: str, count: int, limit: int, setting: str, *, stopped: bool = False) -> Rejected:
    """Return a failure that names the count, the limit and the setting. A count that was stopped is a part of it."""
    least = "at least " if stopped else ""
    return Rejected(
        Reason.TOO_LARGE,
        f"The request has {least}{count:,} {what} and {limit:,} are allowed: send smaller batches, or raise {setting}.",
    )


class _Unreadable(Exception):  # noqa: N818  what was found
    """The bytes are no message."""


_MARKS: Final = (b"{", b"[", b",")
_MARKS_AN_ELEMENT: Final = 4
# What stands between two strings, and the string behind it: marks inside of strings are text.
_APART: Final = re.compile(rb'([^"]*)("(?:[^"\\]+|\\.)*(?:"|\Z)|\Z)', re.DOTALL)


def _marks(text: bytes, most: int) -> int:
    """Return how many marks stand outside of strings; no more are counted than are needed to be over `most`."""
    found = 0
    for apart in _APART.finditer(text):
        found += sum(map(apart[1].count, _MARKS)) if apart[1] else 0
        if found > most:
            break
    return found


def _descriptor(signal: Signal) -> Descriptor:
    descriptor: Any = KINDS[signal].request.DESCRIPTOR
    return descriptor  # type: ignore[no-any-return]


@cache
def _envelope(signal: Signal) -> type[Message]:
    return envelope(KINDS[signal].request)


@dataclass(frozen=True, slots=True)
class _Held:
    """Records of one type that lie together, and the resource and the scope that they share, with their types."""

    kind: Descriptor
    records: Sequence[Any]
    heads: Sequence[tuple[Descriptor, bytes]] = ()

    @property
    def shared(self) -> int:
        return sum(len(head) for _, head in self.heads)


def _records(
    descriptor: Descriptor, message: Any, heads: Sequence[tuple[Descriptor, bytes]] = ()
) -> Iterator[_Held]:
    """Yield the lists of records in an envelope or an outline; `descriptor` is of the message, as OTLP has it."""
    for name, kind in _head_types(descriptor).items():
        head = getattr(message, name)
        if isinstance(head, bytes):
            heads = [*heads, (kind, head)]
    for name, below in _holding(descriptor).items():
        value = getattr(message, name)
        if below.full_name in RECORDS:
            yield _Held(below, value, heads)
        elif descriptor.fields_by_name[name].is_repeated:
            for one in value:
                yield from _records(below, one, heads)
        elif message.HasField(name):
            yield from _records(below, value, heads)


@cache
def _head_types(descriptor: Descriptor) -> Mapping[str, Descriptor]:
    return {
        field.name: field.message_type
        for field in descriptor.fields
        if field.name in {"resource", "scope"} and field.message_type is not None
    }


@cache
def _holding(descriptor: Descriptor) -> Mapping[str, Descriptor]:
    """Return the fields of a message that are records or hold some, and their types."""
    return {
        field.name: field.message_type
        for field in descriptor.fields
        if field.message_type is not None
        and field.message_type.full_name != _VALUE  # which holds itself
        and (field.message_type.full_name in RECORDS or _holding(field.message_type))
    }


def _holders(signal: Signal, body: bytes, most: int) -> tuple[int, int]:
    """Return how many messages hold records, and the size of the largest that holds them directly.

    Records are not looked at. Stop when there are more than `most`.
    """
    found = largest = 0
    left: list[tuple[Descriptor, int, int]] = [(_descriptor(signal), 0, len(body))]
    while left:
        descriptor, begin, end = left.pop()
        holding = _holding_numbers(descriptor)
        if not holding:
            largest = max(largest, end - begin)
            continue
        for number, start, stop in _lengths(body, begin, end):
            if number in holding:
                found += 1
                if found > most:
                    return found, largest
                left.append((holding[number], start, stop))
    return found, largest


@cache
def _holding_numbers(descriptor: Descriptor) -> Mapping[int, Descriptor]:
    """Return the fields of a message, by number, that hold messages which hold records."""
    return {
        descriptor.fields_by_name[name].number: below
        for name, below in _holding(descriptor).items()
        if below.full_name not in RECORDS
    }


def _elements(descriptor: Descriptor, record: bytes, most: int) -> int:
    """Return how many elements a record has at all depths; stop when they are more than `most`.

    What is counted is a field that can be repeated, or that is a message: an empty list in a list is work, too.
    """
    found = 0
    left: list[tuple[Descriptor, int, int]] = [(descriptor, 0, len(record))]
    while left:
        inside, begin, end = left.pop()
        known = _counted(inside)
        try:
            for number, start, stop in _lengths(record, begin, end):
                below = known.get(number, _UNCOUNTED)
                if below is _UNCOUNTED:
                    continue
                found += 1 if below is not None else stop - start  # packed numbers have a byte each at least
                if found > most:
                    return found
                if isinstance(below, Descriptor) and stop > start:
                    left.append((below, start, stop))
        except _Unreadable:
            continue  # the survey or the transform says what is wrong with it
    return found


_UNCOUNTED: Final = object()


@cache
def _counted(descriptor: Descriptor) -> Mapping[int, Descriptor | None]:
    """Return the fields of a message that count, by number; numbers, which are packed, have None."""
    return {
        field.number: field.message_type
        for field in descriptor.fields
        if field.message_type is not None or field.is_repeated
    }


def _lengths(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield the fields of a message in data[at:end] that have a length: number, and where they begin and end.

    Groups, which OTLP has none of, are passed over with all that is in them, as every parser ignores them.
    """
    depth = 0
    while at < end:
        tag, at = _number(data, at, end)
        match tag & 7:
            case 2:
                size, at = _number(data, at, end)
                start, at = at, at + size
                if at > end:
                    raise _Unreadable
                if not depth:
                    yield tag >> 3, start, at
            case 0:
                _, at = _number(data, at, end)
            case 1:
                at += 8
            case 5:
                at += 4
            case 3:
                depth += 1
            case 4 if depth:
                depth -= 1
            case _:
                raise _Unreadable


def _number(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the varint at `at`, and where it ends."""
    number = shift = 0
    while at < end and shift < _LONGEST:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:  # noqa: PLR2004  the last byte
            return number, at
        shift += 7
    raise _Unreadable


_LONGEST: Final = 70
"""Bits of the longest varint."""
