"""The Export requests as the survey parses them: the attributes and bodies of their records stay bytes.

Attributes are most of a request, and the transform parses them anyway: it finds the faults inside of them. The survey
proves the rest well-formed, lengths above all.
"""

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

_RECORDS = {"Span", "Event", "Link", "LogRecord"}
_OPAQUE = {".opentelemetry.proto.common.v1.KeyValue", ".opentelemetry.proto.common.v1.AnyValue"}


def outline(request: type[Message]) -> type[Message]:
    """Return a message class with the encoding of `request`."""
    pool = DescriptorPool()
    for file in dict.fromkeys(_files(request.DESCRIPTOR.file)):
        proto = FileDescriptorProto()
        file.CopyToProto(proto)
        for message in proto.message_type:
            _leave(message)
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
