"""Numbers of variable length."""

import pytest
from google.protobuf.internal.encoder import _VarintBytes  # type: ignore[attr-defined]
from hypothesis import given
from hypothesis import strategies as st

from clickhouse.varint import read_varint, varint

NUMBERS = st.integers(0, 2**64 - 1)


@given(number=NUMBERS)
def test_a_number_is_written_as_protobuf_writes_it(number: int) -> None:
    """The shortest form, lowest bits first."""
    assert varint(number) == _VarintBytes(number)


@given(before=st.binary(max_size=5), number=NUMBERS, after=st.binary(max_size=5))
def test_a_number_is_read_where_it_begins(before: bytes, number: int, after: bytes) -> None:
    """The reader returns the number and the place after it, with any bytes around it."""
    encoded = varint(number)
    expected = (number, len(before) + len(encoded))
    assert read_varint(before + encoded + after, len(before)) == expected
    assert read_varint(memoryview(before + encoded + after), len(before)) == expected


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 9, b"\xff" * 10, b"\x80" * 1000])
def test_a_number_without_an_end_is_refused(data: bytes) -> None:
    """Truncated, or longer than 64 bits need."""
    with pytest.raises(ValueError, match="does not end"):
        read_varint(data, 0)
