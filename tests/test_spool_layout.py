"""The contents of the spool, according to its files and their names."""

from pathlib import Path

from clickhouse.pieces import Pieces
from receiver.block_file import Outgoing
from receiver.spool import Spool
from receiver.spool_layout import (
    BATCHES,
    CORRUPT,
    DEAD_LETTERS,
    RETURNED,
    WRITING,
    State,
    StoredBlock,
    batch_name,
    count_files,
    in_state,
    return_dead_letters,
    stored_blocks,
    written_at,
)


def block(table: str, records: int) -> Outgoing:
    return Outgoing(table, f"token-{table}", records, Pieces([bytes(10)]))


def described(data: Path) -> list[tuple[State, str, str, int]]:
    return sorted((found.state, found.table, found.reason, found.records) for found in stored_blocks(data))


def test_every_block_is_described_on_its_whole_way(tmp_path: Path) -> None:
    """In work, waiting, refused for good, returned, damaged: with its table, reason and records."""
    spool = Spool(tmp_path, 1 << 20)
    spool.open()
    assert described(tmp_path) == []
    spool.write([block("otel_logs", 1)], [])
    spool.seal(spool.write([block("otel_traces", 2)], []), "network error", even_if_full=False)
    refused, damaged, stored = spool.write([block(f"otel_{n}", 3) for n in "abc"], [])
    spool.bury(refused, "TYPE_MISMATCH")
    spool.set_aside(damaged)
    spool.done(stored)
    others = [
        (State.IN_WORK, "otel_logs", "", 1),
        (State.SET_ASIDE, "otel_b", "corrupt", 0),
        (State.WAITING, "otel_traces", "network_error", 2),
    ]
    assert described(tmp_path) == sorted([*others, (State.DEAD_LETTER, "otel_a", "TYPE_MISMATCH", 3)])
    assert [count_files(tmp_path, folder) for folder in (BATCHES, DEAD_LETTERS, RETURNED, CORRUPT)] == [
        2,
        1,
        0,
        1,
    ]
    assert return_dead_letters(tmp_path) == 1
    assert described(tmp_path) == sorted([*others, (State.WAITING, "otel_a", "returned", 3)])
    assert spool.take_returned() == 1
    assert described(tmp_path) == sorted([*others, (State.WAITING, "otel_a", "returned", 3)])


def test_a_block_has_the_size_and_the_time_of_its_batch(tmp_path: Path) -> None:
    """Also when it has left that."""
    spool = Spool(tmp_path, 1 << 20)
    spool.open()
    (entry,) = spool.write([block("otel_logs", 1)], [])
    size, time = entry.path.stat().st_size, entry.folder.written_at
    spool.bury(entry, "TYPE_MISMATCH")
    assert list(stored_blocks(tmp_path)) == [
        StoredBlock(State.DEAD_LETTER, "otel_logs", "TYPE_MISMATCH", 1, size, time)
    ]


def test_what_is_being_written_is_nothing_yet_but_counts(tmp_path: Path) -> None:
    """It may be dropped again, so it is not shown; and it may be inserted, so a deletion waits for it."""
    batch = tmp_path / BATCHES / batch_name(1_700_000_000_000_000_000, WRITING)
    batch.mkdir(parents=True)
    (batch / "00.otel_logs.block").write_bytes(b"half of i")
    assert list(stored_blocks(tmp_path)) == []
    assert count_files(tmp_path, BATCHES) == 1
    assert written_at(batch.name) == 1_700_000_000
    assert in_state(batch, "a reason: any").name == batch.with_suffix(".a_reason__any").name
