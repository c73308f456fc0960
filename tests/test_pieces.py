"""The bytes of a block in pieces."""

import gc

from clickhouse.engine import Engine
from clickhouse.pieces import Pieces


def test_pieces_are_one_block_however_they_are_divided() -> None:
    """Length, order and equality are those of the bytes."""
    joined = Pieces.joined([Pieces([b"ab", b""]), Pieces([memoryview(b"cde")])])
    assert (len(joined), bytes(joined)) == (5, b"abcde")
    assert [bytes(piece) for piece in joined] == [b"ab", b"", b"cde"]
    assert joined == Pieces([b"abcde"])
    assert hash(joined) == hash(Pieces([b"abcde"]))
    assert joined != Pieces([b"abcdf"])
    assert not Pieces([])


def test_lent_memory_stays_while_the_pieces_do(engine: Engine) -> None:
    """The engine frees a result when its last holder goes, and uses the memory for the next."""
    connection = engine.connect()
    try:
        lent = [
            Pieces.of(connection.query(f"SELECT repeat('{letter}', 1000000)", "RawBLOB")) for letter in "abc"
        ]
        gc.collect()
        for _ in range(20):
            connection.query("SELECT repeat('x', 1000000)", "RawBLOB")
        joined = Pieces.joined(lent)
        del lent
        gc.collect()
        assert bytes(joined) == b"".join(letter * 1_000_000 for letter in (b"a", b"b", b"c"))
        views = iter(joined)
        del joined
        gc.collect()
        assert [bytes(view[:3]) for view in views] == [b"aaa", b"bbb", b"ccc"]
    finally:
        connection.close()
