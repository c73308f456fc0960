"""Statements that stay open: a block for each message, errors that end them, and no waiting for ever."""

import threading
from collections.abc import Iterator

import pytest

from clickhouse import stream as module
from clickhouse.engine import Engine, EngineError
from clickhouse.stream import Stream, StreamEndedError, message

# A message of the test's own: `message Line { bytes text = 1; }`, whose texts are upper-cased.
SQL = """
SELECT arrayJoin(arrayMap(text -> upper(text), resource_spans)) AS text
FROM file({batch:String}, 'Protobuf', 'resource_spans Array(String)')
SETTINGS max_threads = 1, format_schema = '%s:Lines'
"""


def line(text: bytes) -> bytes:
    return b"\x0a" + bytes([len(text)]) + text


@pytest.fixture
def opened(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stream]:
    proto = tmp_path_factory.mktemp("schema") / "lines.proto"
    proto.write_text('syntax = "proto3"; message Lines { repeated bytes resource_spans = 1; }')
    made = engine.stream(SQL % proto, {}, message([line(b"sample")]))
    yield made
    engine.drop(made)


def test_each_message_gives_its_own_block_in_order(opened: Stream) -> None:
    """The parts of a message are joined, and no block is of another's."""
    for number in range(20):
        block = bytes(opened.pass_through(message([line(b"a%d" % number), line(b"b%d" % number)])))
        assert block.endswith(
            b"\x02A%d\x02B%d" % (number, number) if number < 10 else b"\x03A%d\x03B%d" % (number, number)
        )


def test_a_message_larger_than_the_pipe_passes(opened: Stream) -> None:
    """The engine reads while it is written."""
    lines = [line(b"x" * 100)] * 30_000
    assert bytes(opened.pass_through(message(lines))).count(b"X" * 100) == 30_000


def test_a_malformed_message_ends_it_with_the_engine_s_error(opened: Stream) -> None:
    """A later write to it fails too, and waits for nothing."""
    with pytest.raises(EngineError):
        opened.pass_through(message([b"\x0f\x01", b"\xff" * 4_000_000]))
    with pytest.raises((EngineError, StreamEndedError)):
        opened.pass_through(message([line(b"good")] * 100_000))


def test_a_message_without_rows_is_not_waited_for_without_end(
    opened: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine gives no block for it: the stream is ended instead."""
    monkeypatch.setattr(module, "_TIMEOUT_SECONDS", 0.2)
    with pytest.raises(StreamEndedError):
        opened.pass_through(message([b""]))


def test_closing_the_engine_closes_its_streams(opened: Stream) -> None:
    """Nothing of a closed one is left: no timer that it started waits for its end."""
    before = set(threading.enumerate())
    opened.pass_through(message([line(b"a")]))
    opened.close()
    left = [thread for thread in set(threading.enumerate()) - before if isinstance(thread, threading.Timer)]
    for timer in left:
        timer.join(timeout=180)
    assert not [timer for timer in left if timer.is_alive()]
