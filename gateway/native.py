"""The Native format for clients that announce a version of ClickHouse's protocol, as clickhouse-go does over HTTP.

From revision 54454 on, such a client expects 8 bytes of block information before each block, and after each column's
type a byte that says that the column is serialized as usual. The engine writes neither, so this module inserts them,
and steps over every column to find where it ends. It also restores the time zones of DateTime columns, which the
engine leaves out for clients that announce no version. The data itself is passed on unchanged.

Source: https://github.com/ClickHouse/ClickHouse/blob/master/src/Formats/NativeWriter.cpp
"""

import re
from collections.abc import Sequence
from typing import Final

from clickhouse.varint import read_varint, varint
from gateway.errors import QueryError

REVISION: Final = 54454
"""The first revision that is supported; a client that announces an older one is served as if it announced none."""
LARGEST: Final = 64 << 20
"""The largest result in bytes that can be rewritten, since all of it is held in memory."""
_BLOCK: Final = bytes.fromhex("010002ffffffff00")  # no overflow row, no bucket, end of the block information
_SIZES: Final = {
    name: size
    for size, names in (
        (1, "UInt8 Int8 Bool Enum8 Nothing"),
        (2, "UInt16 Int16 Enum16 Date BFloat16"),
        (4, "UInt32 Int32 Float32 Date32 DateTime IPv4 Decimal32 Time"),
        (8, "UInt64 Int64 Float64 DateTime64 Decimal64 Time64"),
        (16, "UInt128 Int128 UUID IPv6 Decimal128"),
        (32, "UInt256 Int256 Decimal256"),
    )
    for name in names.split()
}
_NAME: Final = re.compile(r"(\w+)(?:\((.*)\))?", re.DOTALL)
# Quoted texts and names, brackets, and commas between arguments.
_PART: Final = re.compile(r"""'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|[(),]|[^'`(),]+""", re.DOTALL)
_ELEMENT_NAME: Final = re.compile(r"(?:\w+|`(?:[^`\\]|\\.)*`) +(?=\w)", re.DOTALL)


def rewrite(data: bytes, types: Sequence[str]) -> bytes:
    """Return blocks in Native format rewritten; `types` are the columns' full types if known. Raises QueryError."""
    if len(data) > LARGEST:
        raise QueryError.of(
            396,
            "TOO_MANY_ROWS_OR_BYTES",
            f"Limit for result exceeded: with client_protocol_version it is {LARGEST} bytes.",
        )
    walk = _Walk(data)
    pieces: list[bytes] = []
    while walk.at < len(data):
        begin = walk.at
        columns, rows = walk.number(), walk.number()
        pieces += (_BLOCK, data[begin : walk.at])
        for number in range(columns):
            begin = walk.at
            walk.text()
            pieces.append(data[begin : walk.at])
            kind = walk.text().decode()
            zoned = types[number] if "DateTime" in kind and number < len(types) else kind
            written = zoned.encode()
            pieces += (varint(len(written)), written, b"\0")
            begin = walk.at
            if rows:
                walk.prefix(kind)
                walk.column(kind, rows)
            pieces.append(data[begin : walk.at])
    return b"".join(pieces)


class _Walk:
    """A position in blocks of Native format, which steps over columns."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def number(self) -> int:
        """Read a variable-length number."""
        value, self.at = read_varint(self._data, self.at)
        return value

    def text(self) -> bytes:
        """Read a text that follows its length."""
        length = self.number()
        self.at += length
        return self._data[self.at - length : self.at]

    def prefix(self, kind: str) -> None:
        """Step over a column's prefix: the version of each dictionary in it."""
        name, arguments = _parsed(kind)
        if name == "LowCardinality":
            self.at += 8
        elif name in {"Array", "Nullable", "Map", "Tuple", "Nested", "SimpleAggregateFunction"}:
            for argument in arguments[1:] if name == "SimpleAggregateFunction" else arguments:
                self.prefix(argument)

    def column(self, kind: str, rows: int) -> None:
        """Step over a column's values. Raises QueryError for a type of unknown size."""
        name, arguments = _parsed(kind)
        match name:
            case "String":
                for _ in range(rows):
                    self.text()
            case "Nullable":
                self.at += rows
                self.column(arguments[0], rows)
            case "Array" | "Map" | "Nested":
                length = self._fixed(8 * rows) if rows else 0
                self._columns(arguments, length)
            case "Tuple":
                self._columns(arguments, rows)
            case "LowCardinality":
                self._dictionary(arguments[0], rows)
            case "SimpleAggregateFunction":
                self.column(arguments[1], rows)
            case _:
                self.at += rows * _size(name, arguments)

    def _columns(self, kinds: Sequence[str], rows: int) -> None:
        for kind in kinds:
            self.column(kind, rows)

    def _dictionary(self, kind: str, rows: int) -> None:
        """Step over a dictionary and each row's index into it."""
        if rows:
            width = 1 << (self._fixed(8) & 0xFF)
            name, arguments = _parsed(kind)
            self.column(arguments[0] if name == "Nullable" else kind, self._fixed(8))
            places = self._fixed(8)
            self.at += places * width

    def _fixed(self, size: int) -> int:
        """Step over `size` bytes and return the number in the last eight."""
        self.at += size
        return int.from_bytes(self._data[self.at - 8 : self.at], "little")


def _size(name: str, arguments: Sequence[str]) -> int:
    """Return the size in bytes of one value of a fixed-size type. Raises QueryError."""
    if name == "FixedString":
        return int(arguments[0])
    if name == "Decimal":
        digits = int(arguments[0])
        return next(size for size, most in ((4, 9), (8, 18), (16, 38), (32, 76)) if digits <= most)
    if name.startswith("Interval"):
        return 8
    if name not in _SIZES:
        raise QueryError.of(
            48,
            "NOT_IMPLEMENTED",
            f"The type {name[:100]} cannot be sent to a client with client_protocol_version.",
        )
    return _SIZES[name]


def _parsed(kind: str) -> tuple[str, list[str]]:
    """Return a type's name and arguments, with the elements of tuples without their names."""
    found = _NAME.fullmatch(kind.strip())
    if found is None:
        return kind, []
    arguments, depth = [""], 0
    for part in _PART.findall(found[2] or ""):
        depth += {"(": 1, ")": -1}.get(part, 0)
        if part == "," and not depth:
            arguments.append("")
        else:
            arguments[-1] += part
    stripped = [argument.strip() for argument in arguments if argument.strip()]
    if found[1] in {"Tuple", "Nested"}:
        stripped = [
            argument[named.end() :] if (named := _ELEMENT_NAME.match(argument)) else argument
            for argument in stripped
        ]
    return found[1], stripped
