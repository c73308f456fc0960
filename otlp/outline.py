"""The Export requests as they are looked at before they are queued: as an envelope, a sketch and an outline.

In the envelope all that is inside of a record, and of a resource or a scope, stays bytes. What is parsed grows with the
number of records by 16 bytes each, so that they can be counted before anything is made of them. In the sketch, which
the survey parses, records have no attributes and bodies: the parser passes over them as over any field that it does not
know. In the outline, by which they are counted where a request is so large that they can be too many, they are bytes.

Attributes are most of a request, and the transform parses them anyway: it finds the faults inside of them. The survey
proves the rest well-formed, lengths above all.
"""

from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

_RECORDS = {"Span", "Event", "Link", "LogRecord"}
_POINTS = {"NumberDataPoint", "HistogramDataPoint", "ExponentialHistogramDataPoint", "SummaryDataPoint"}
_OPAQUE = {".opentelemetry.proto.common.v1.KeyValue", ".opentelemetry.proto.common.v1.AnyValue"}


_SEALED = {"Resource", "InstrumentationScope", "KeyValue", "AnyValue"}


def outline(request: type[Message]) -> type[Message]:
    """Return a message class with the encoding of `request`, with attributes and bodies as bytes."""
    return _changed(request, _leave)


def sketch(request: type[Message]) -> type[Message]:
    """Return a message class with the encoding of `request`, without attributes and bodies."""
    return _changed(request, _leave_out)


def envelope(request: type[Message]) -> type[Message]:
    """Return a message class with the encoding of `request`, with records, resources, scopes and texts as bytes."""
    return _changed(request, _seal)


def _changed(request: type[Message], change: Callable[[DescriptorProto], None]) -> type[Message]:
    pool = DescriptorPool()
    for file in dict.fromkeys(_files(request.DESCRIPTOR.file)):
        proto = FileDescriptorProto()
        file.CopyToProto(proto)
        for message in proto.message_type:
            change(message)
        pool.Add(proto)
    return GetMessageClass(pool.FindMessageTypeByName(request.DESCRIPTOR.full_name))


def _files(file: Any) -> Iterator[Any]:
    for dependency in file.dependencies:
        yield from _files(dependency)
    yield file


def _leave(message: DescriptorProto) -> None:
    for field in message.field if message.name in _RECORDS else ():
        if field.type_name in _OPAQUE:
            field.type = FieldDescriptorProto.TYPE_BYTES
            field.ClearField("type_name")
    for nested in message.nested_type:
        _leave(nested)


def _leave_out(message: DescriptorProto) -> None:
    if message.name in _RECORDS:
        kept = [field for field in message.field if field.type_name not in _OPAQUE]
        del message.field[:]
        message.field.extend(kept)
    for nested in message.nested_type:
        _leave_out(nested)


def _seal(message: DescriptorProto) -> None:
    sealed = _RECORDS | _POINTS | _SEALED
    for field in message.field:
        is_text = field.type == FieldDescriptorProto.TYPE_STRING
        if is_text or field.type_name.rpartition(".")[2] in sealed:
            field.type = FieldDescriptorProto.TYPE_BYTES
            field.ClearField("type_name")
    for nested in message.nested_type:
        _seal(nested)
