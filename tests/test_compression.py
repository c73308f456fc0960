"""Decompressing request bodies within a limit."""

import contextlib
import gzip
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import repeat
from typing import Any

import lz4.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp.compression import (
    CLICKHOUSE_ENCODINGS,
    Corrupt,
    Decompressor,
    PieceDecompressor,
    TooLarge,
    Truncated,
    UnknownEncoding,
    zstd,
)

SET = zstd.CompressionParameter


def raw_deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


ENCODERS: dict[str, tuple[str | None, Callable[[bytes], bytes]]] = {
    "none": (None, bytes),
    "empty": ("", bytes),
    "identity": ("identity", bytes),
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "zstd": ("zstd", zstd.compress),
    "zstd without a size": (
        "zstd",
        partial(zstd.compress, options={SET.content_size_flag: 0, SET.checksum_flag: 1}),
    ),
    "upper case": (" GZIP ", gzip.compress),
}
COMPRESSED = ["gzip", "deflate", "raw deflate", "zstd"]


def decompress(encoding: str | None, data: bytes, limit: int = 1 << 20, step: int = 1 << 16) -> bytes:
    decompressor = Decompressor(encoding, limit)
    for start in range(0, len(data), step):
        decompressor.feed(data[start : start + step])
    return decompressor.finish()


@pytest.mark.parametrize("name", ENCODERS)
@given(
    body=st.binary(max_size=2000), repeats=st.integers(1, 50), cuts=st.lists(st.integers(1, 300), max_size=30)
)
def test_every_encoding_gives_the_body_back(name: str, body: bytes, repeats: int, cuts: list[int]) -> None:
    """Any division of the body into chunks gives the same bytes."""
    encoding, encode = ENCODERS[name]
    data = encode(body * repeats)
    decompressor = Decompressor(encoding, len(body) * repeats)
    for cut in cuts:
        decompressor.feed(data[:cut])
        data = data[cut:]
    decompressor.feed(data)
    assert decompressor.finish() == body * repeats


@pytest.mark.parametrize("name", ENCODERS)
def test_one_byte_at_a_time(name: str) -> None:
    """The shortest chunks work too."""
    encoding, encode = ENCODERS[name]
    assert decompress(encoding, encode(b"telemetry" * 100), step=1) == b"telemetry" * 100


@pytest.mark.parametrize("name", ENCODERS)
def test_the_limit_is_exact(name: str) -> None:
    """A body of the limit passes, one of a byte more does not."""
    encoding, encode = ENCODERS[name]
    assert decompress(encoding, encode(b"x" * 100_000), limit=100_000) == b"x" * 100_000
    with pytest.raises(TooLarge, match="limit of 99999 bytes"):
        decompress(encoding, encode(b"x" * 100_000), limit=99_999)


def zeros(name: str, size: int) -> Iterator[bytes]:
    """Compress zeros, holding little of them."""
    block = bytes(1 << 20)
    compressors: dict[str, Callable[[], Any]] = {
        "gzip": lambda: zlib.compressobj(1, wbits=31),
        "deflate": lambda: zlib.compressobj(1),
        "zstd": zstd.ZstdCompressor,
    }
    compressor = compressors[name]()
    for one in repeat(block, size >> 20):
        yield compressor.compress(one)
    yield compressor.flush()


@pytest.mark.parametrize("name", ["gzip", "deflate", "zstd"])
def test_a_bomb_costs_the_limit(name: str) -> None:
    """A gigabyte of zeros is refused with no more memory than the limit and a few slices."""
    bomb = b"".join(zeros(name, 1 << 30))
    limit = 16 << 20
    decompressor = Decompressor(ENCODERS[name][0], limit)
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            decompressor.feed(bomb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < limit + (32 << 20)


def test_a_whole_body_is_not_held_twice() -> None:
    """The result of finish is the buffer, not a copy of it."""
    data = gzip.compress(bytes(32 << 20), compresslevel=1)
    tracemalloc.start()
    try:
        body = decompress("gzip", data, limit=32 << 20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(body) == 32 << 20
    assert peak < 48 << 20


@pytest.mark.parametrize(
    ("encoding", "head", "nothing"),
    [
        ("gzip", b"", gzip.compress(b"")),
        ("zstd", b"", zstd.compress(b"")),
        ("deflate", zlib.compress(b"")[:2], b"\x00\x00\x00\xff\xff"),
    ],
    # Names of their own: gzip's bytes hold the time, and every process of a run must name a test alike.
    ids=["gzip", "zstd", "deflate"],
)
def test_input_that_never_becomes_a_body_is_refused(encoding: str, head: bytes, nothing: bytes) -> None:
    """Empty members, frames and blocks cannot keep the server busy for ever."""
    assert decompress("gzip", gzip.compress(b"") * 100, limit=1000) == b""
    with pytest.raises(TooLarge, match="as sent"):
        decompress(encoding, head + nothing * 10_000, limit=1000, step=100)


@pytest.mark.parametrize("name", COMPRESSED)
def test_a_truncated_body_is_corrupt(name: str) -> None:
    """A body that lost its end at any byte is not taken for a shorter one."""
    encoding, encode = ENCODERS[name]
    data = encode(b"some telemetry" * 20)
    for end in range(len(data)):
        with pytest.raises(Corrupt):
            decompress(encoding, data[:end])


@pytest.mark.parametrize("name", COMPRESSED)
def test_trailing_bytes_are_corrupt(name: str) -> None:
    """Nothing may follow a body, in the same chunk or in the next."""
    encoding, encode = ENCODERS[name]
    for step in (1, 1 << 16):
        with pytest.raises(Corrupt):
            decompress(encoding, encode(b"body") + b"trailing garbage", step=step)


def test_deflate_has_no_second_stream() -> None:
    """Only gzip members and zstd frames may follow each other."""
    with pytest.raises(Corrupt, match="followed by other bytes"):
        decompress("deflate", zlib.compress(b"a") + zlib.compress(b"b"))


@pytest.mark.parametrize("name", ["gzip", "deflate", "zstd"])
def test_a_changed_checksum_is_corrupt(name: str) -> None:
    """Checksums are verified."""
    data = bytearray(
        ENCODERS["zstd without a size"][1](b"body") if name == "zstd" else ENCODERS[name][1](b"body")
    )
    data[-5 if name == "gzip" else -1] ^= 1
    with pytest.raises(Corrupt):
        decompress(name, bytes(data))


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
@given(data=st.binary(max_size=500))
def test_arbitrary_bytes_raise_nothing_else(encoding: str, data: bytes) -> None:
    """Any input gives the receiver one of the two errors or a body."""
    with contextlib.suppress(Corrupt, TooLarge):
        decompress(encoding, data)


@pytest.mark.parametrize("step", [1, 7, 1 << 16])
def test_members_and_frames_follow_each_other(step: int) -> None:
    """A body may be several gzip members or zstd frames, skippable frames included."""
    parts = [b"one ", b"", b"two ", b"three" * 1000]
    assert decompress("gzip", b"".join(map(gzip.compress, parts)), step=step) == b"".join(parts)
    skippable = b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip"
    assert decompress("zstd", skippable.join(map(zstd.compress, parts)), step=step) == b"".join(parts)


def test_an_empty_body_needs_no_encoding() -> None:
    """No bytes are a body, but not a compressed one."""
    assert decompress(None, b"", limit=0) == b""
    with pytest.raises(Corrupt, match="truncated"):
        decompress("gzip", b"")


@pytest.mark.parametrize(
    "encoding", ["br", "lz4", "x-zstd", "gzip, gzip", "gzip,", "gzip;q=1", "zlib", "\x00"]
)
def test_an_unknown_encoding_is_refused(encoding: str) -> None:
    """An encoding we do not know, or a list of them, is refused before any byte is read, and not repeated."""
    with pytest.raises(UnknownEncoding) as raised:
        Decompressor(encoding, 1)
    assert str(raised.value) == "unknown Content-Encoding: send identity, gzip, deflate or zstd"


def windowed(log: int, body: bytes) -> bytes:
    options: dict[int, int] = {
        SET.window_log: log,
        SET.chain_log: 6,
        SET.hash_log: 6,
        SET.content_size_flag: 0,
    }
    compressor = zstd.ZstdCompressor(options=options)
    return compressor.compress(body) + compressor.flush()


def test_a_large_zstd_window_is_refused() -> None:
    """A frame cannot make the decoder allocate more than the window that real encoders use."""
    assert decompress("zstd", windowed(25, b"body")) == b"body"
    with pytest.raises(TooLarge, match="window"):
        decompress("zstd", windowed(26, b"body"))


def test_a_zstd_frame_with_an_unknown_dictionary_is_corrupt() -> None:
    """We have no dictionaries."""
    dictionary = zstd.ZstdDict(b"telemetry" * 100, is_raw=True)
    with pytest.raises(Corrupt):
        decompress("zstd", zstd.compress(b"telemetry" * 50, zstd_dict=dictionary))


def pieces(encoding: str, data: bytes, step: int = 1 << 16, window: int = 32 << 20) -> Iterator[bytes]:
    decompressor = PieceDecompressor(encoding, CLICKHOUSE_ENCODINGS, window)
    for start in range(0, len(data), step):
        yield from decompressor.feed(data[start : start + step])
    decompressor.finish()


@pytest.mark.parametrize("step", [1, 7, 1 << 16])
def test_lz4_frames_follow_each_other(step: int) -> None:
    """ClickHouse's clients send them, and each is whole."""
    data = b"".join(map(lz4.frame.compress, [b"one ", b"two ", b"three" * 1000]))
    assert b"".join(pieces("lz4", data, step)) == b"one two " + b"three" * 1000


def test_lz4_that_is_not_whole_is_refused() -> None:
    """Truncated at any byte, or followed by anything else; the two are told apart."""
    data = lz4.frame.compress(b"some telemetry" * 20)
    for end in range(len(data)):
        with pytest.raises(Truncated):
            list(pieces("lz4", data[:end]))
    with pytest.raises(Corrupt, match="not valid lz4"):
        list(pieces("lz4", data + b"trailing garbage"))


@given(data=st.binary(max_size=500))
def test_arbitrary_bytes_as_lz4_raise_nothing_else(data: bytes) -> None:
    """Any input gives the caller one error or content."""
    with contextlib.suppress(Corrupt):
        list(pieces("lz4", data))


@pytest.mark.parametrize("encoding", CLICKHOUSE_ENCODINGS)
def test_no_piece_of_a_bomb_is_large(encoding: str) -> None:
    """A body without a limit costs a few pieces at a time."""
    size = 1 << 28
    bomb = lz4.frame.compress(bytes(size)) if encoding == "lz4" else b"".join(zeros(encoding, size))
    tracemalloc.start()
    try:
        assert sum(map(len, pieces(encoding, bomb))) == size
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 24 << 20


def test_a_caller_may_allow_a_larger_zstd_window() -> None:
    """ClickHouse's interface takes what its server takes."""
    assert b"".join(pieces("zstd", windowed(27, b"body"), window=128 << 20)) == b"body"
    with pytest.raises(TooLarge, match="at most 134217728 bytes"):
        list(pieces("zstd", windowed(28, b"body"), window=128 << 20))
