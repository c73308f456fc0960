"""What hostile or broken clients send: requests that are small on the wire and large in work, and ones that never end.

Used by the benchmark of floods and by tests. Every request is for a server of one's own, on loopback.
"""

import gzip
import socket
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from otlp.signals import KINDS, Signal

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Flood:
    """A request over HTTP, compressed; `number` makes each one differ, so that none is known as sent before."""

    signal: Signal
    content_type: str
    body: Callable[[int], bytes]

    def compressed(self, number: int) -> bytes:
        """Return the request of this number in gzip."""
        return gzip.compress(self.body(number), 1, mtime=0)


def varint(number: int) -> bytes:
    """Write a number, seven bits a byte."""
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])


def field(number: int, *content: bytes) -> bytes:
    """Write a length-delimited field."""
    data = b"".join(content)
    return varint(number << 3 | 2) + varint(len(data)) + data


def attribute(key: str, text: bytes) -> bytes:
    """Write an attribute of a log record."""
    return field(6, field(1, key.encode()), field(2, field(1, text)))


def logs(*records: bytes) -> bytes:
    """Write a request of log records."""
    return field(1, field(2, *(field(2, record) for record in records)))


def texts(unit: bytes, size: int, count: int) -> Callable[[int], bytes]:
    """Return a request of one record with so many texts, which repeat a unit."""

    def body(number: int) -> bytes:
        return logs(
            b"".join(
                attribute(f"note{index}", b"%d " % number + unit * (size // len(unit)))
                for index in range(count)
            )
        )

    return body


def empties(count: int) -> Callable[[int], bytes]:
    """Return so many records that say nothing."""
    return lambda number: logs(field(5, field(1, b"%d" % number)), *[b""] * count)


def attributes(count: int, records: int = 1, content: bytes = b"") -> Callable[[int], bytes]:
    """Return records with so many attributes each, which say nothing, or all the same."""
    return lambda number: logs(*[field(6, content) * count + field(5, field(1, b"%d" % number))] * records)


def items(count: int, records: int = 1) -> Callable[[int], bytes]:
    """Return records with a list of short texts each."""
    listed = field(6, field(1, b"list"), field(2, field(5, field(1, field(1, b"a@b.co")) * count)))
    return lambda number: logs(*[listed + field(5, field(1, b"%d" % number))] * records)


def json_records(count: int) -> Callable[[int], bytes]:
    """Return so many records in JSON that say nothing."""
    head = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":['
    return lambda number: head + b"{}," * count + b'{"body":{"stringValue":"%d"}}]}]}]}' % number


FLOODS: Final[Mapping[str, Flood]] = {
    "20 texts of commands": Flood(Signal.LOGS, PROTOBUF, texts(b"curl mysql -pX7 ", 50_000, 20)),
    "200 texts of addresses": Flood(Signal.LOGS, PROTOBUF, texts(b"a@b.co ", 20_000, 200)),
    "5,000 texts of passwords": Flood(Signal.LOGS, PROTOBUF, texts(b"password=Xy7! ", 500, 5000)),
    "2,000,000 records": Flood(Signal.LOGS, PROTOBUF, empties(2_000_000)),
    "49,000 records": Flood(Signal.LOGS, PROTOBUF, empties(49_000)),
    "2,000,000 attributes": Flood(Signal.LOGS, PROTOBUF, attributes(2_000_000)),
    "900,000 attributes in 50 records": Flood(Signal.LOGS, PROTOBUF, attributes(18_000, 50)),
    "900,000 values without keys": Flood(Signal.LOGS, PROTOBUF, attributes(9_000, 100, field(2))),
    "300,000 items in 100 records": Flood(Signal.LOGS, PROTOBUF, items(3_000, 100)),
    "4,000,000 records in JSON": Flood(Signal.LOGS, JSON, json_records(4_000_000)),
    "49,000 records in JSON": Flood(Signal.LOGS, JSON, json_records(49_000)),
}


def unfinished_gzip(size: int) -> bytes:
    """Return the beginning of a body of gzip that has so many bytes, and no end."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return packer.compress(bytes(size)) + packer.flush(zlib.Z_SYNC_FLUSH)


class HalfSent:
    """One connection over gRPC with calls whose messages lack their last byte (RFC 9113 has the frames)."""

    def __init__(self, address: tuple[str, int], calls: int, size: int) -> None:
        self._socket = socket.create_connection(address, timeout=20)
        self._socket.setblocking(False)
        self._size = size
        self._window = 65_535
        self._initial = 65_535
        self._out = bytearray(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS))
        self._in = bytearray()
        self.sent = dict.fromkeys(range(1, 2 * calls, 2), 0)
        """The bytes of each call's message that were sent, by its stream."""
        self.ended: set[int] = set()
        """The streams that the server has answered."""
        self._windows = dict.fromkeys(self.sent, self._initial)
        for stream in self.sent:
            self._out += _frame(_HEADERS, _END_HEADERS, stream, _block())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def pump(self) -> None:
        """Send what the server's windows allow, and read what it says; returns at once."""
        for stream, sent in self.sent.items():
            allowed = min(self._window, self._windows[stream], self._size - sent, 16_384)
            if stream not in self.ended and allowed > 0 and len(self._out) < 1 << 20:
                begin = struct.pack(">BI", 0, self._size) if not sent else b""
                payload = (begin + bytes(allowed))[:allowed]
                self._out += _frame(_DATA, 0, stream, payload)
                self.sent[stream] += allowed
                self._window -= allowed
                self._windows[stream] -= allowed
        try:
            if self._out:
                del self._out[: self._socket.send(self._out)]
            self._in += self._socket.recv(1 << 16)
        except BlockingIOError:
            pass
        self._read()

    def _read(self) -> None:
        while len(self._in) >= _HEAD and len(self._in) >= _HEAD + int.from_bytes(self._in[:3]):
            size = int.from_bytes(self._in[:3])
            kind, flags, stream = struct.unpack(">BBI", self._in[3:_HEAD])
            payload = bytes(self._in[_HEAD : _HEAD + size])
            del self._in[: _HEAD + size]
            if kind == _SETTINGS and not flags & _ACK:
                for at in range(0, size, 6):
                    number, value = struct.unpack(">HI", payload[at : at + 6])
                    if number == _INITIAL_WINDOW_SIZE:
                        change, self._initial = value - self._initial, value
                        self._windows = {one: left + change for one, left in self._windows.items()}
                self._out += _frame(_SETTINGS, _ACK)
            elif kind == _WINDOW_UPDATE and stream:
                self._windows[stream] += int.from_bytes(payload)
            elif kind == _WINDOW_UPDATE:
                self._window += int.from_bytes(payload)
            elif kind == _PING and not flags & _ACK:
                self._out += _frame(_PING, _ACK, 0, payload)
            elif kind in (_HEADERS, _RST_STREAM):
                self.ended.add(stream)


_HEAD: Final = 9
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _WINDOW_UPDATE = 0x0, 0x1, 0x3, 0x4, 0x6, 0x8
_ACK, _END_HEADERS, _INITIAL_WINDOW_SIZE = 0x1, 0x4, 0x4


def _frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _block() -> bytes:
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": f"/{KINDS[Signal.LOGS].service}/Export",
        ":authority": "localhost",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    # As literals: RFC 7541, section 6.2.2.
    return b"".join(
        b"\0%c%b%c%b" % (len(name), name.encode(), len(value), value.encode())
        for name, value in fields.items()
    )
