"""Reads OTLP/JSON in Rust, where the distribution `native/` is installed: the same bytes as `otlp.json_encoding` makes.

It reads what nearly every client sends. Any other request it leaves to `otlp.json_encoding`, which repairs it, or
refuses some of it and says why. What fields there are, it is told from the Protobuf descriptors.
"""

from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from otlp.bounds import RequestLimits
from otlp.json_encoding import HEX, holds_records
from otlp.signals import KINDS, RECORDS
from receiver.native import Choice, NativeError, installed

_Field = tuple[str, int, int, int, bool, bool, bool, int]
"""Its name, number, type, the place of its message, whether it is repeated, has presence, holds records; its oneof."""


def native_json(choice: Choice) -> "NativeJson | None":
    """Return the reader, or None where it is not chosen or cannot be used; the transform warns of that, or raises."""
    if choice == "sql":
        return None
    try:
        return NativeJson()
    except NativeError:
        return None


class NativeJson:
    """The reader of the requests of all signals. Raises NativeError."""

    def __init__(self) -> None:
        native = installed()
        messages: list[Any] = []
        self._requests = {
            signal.value: _place(kind.request.DESCRIPTOR, messages) for signal, kind in KINDS.items()
        }
        # The list of messages grows by those that are found in them.
        described = [(one.full_name in RECORDS, _fields(one, messages)) for one in messages]
        self._native: Final[Any] = native.Json(described)

    def __call__(self, signal: str, text: bytes, limits: RequestLimits) -> tuple[bytes, int] | None:
        """Return a request in Protobuf and the number of its records; None when it is not one that is read here."""
        read: tuple[bytes, int] | None = self._native.translate(
            self._requests[signal], text, limits.records, limits.record_elements
        )
        return read


def _fields(descriptor: Descriptor, messages: list[Any]) -> list[_Field]:
    """Return those fields of a message that are read; bytes in base64, which are rare, are not."""
    oneofs = [oneof for oneof in descriptor.oneofs if len(oneof.fields) > 1]
    return [
        (
            field.json_name,
            field.number,
            field.type,
            _place(field.message_type, messages) if field.message_type is not None else 0,
            field.is_repeated,
            field.has_presence,
            field.message_type is not None and holds_records(field.message_type),
            oneofs.index(field.containing_oneof) + 1 if field.containing_oneof in oneofs else 0,
        )
        for field in descriptor.fields
        if field.type != FieldDescriptor.TYPE_BYTES or field.name in HEX
    ]


def _place(descriptor: Any, messages: list[Any]) -> int:
    """Return a message type's place among those known, where it is put when it is not there."""
    if descriptor not in messages:
        messages.append(descriptor)
    return messages.index(descriptor)
