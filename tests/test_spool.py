"""The spool on a real disk: the files after a crash, damaged files, order, bounds, dead letters."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from clickhouse.pieces import Pieces
from receiver import manifest
from receiver.block_file import CorruptBlock, Outgoing
from receiver.spool import Entry, Recovered, Spool, SpoolFull

MANY = 1 << 30
FIRST = Outgoing("otel_logs", "token-1", 3, Pieces([b"rows of the ", b"first block"]))
SECOND = Outgoing("otel_traces", "token-2", 5, Pieces([b"rows of the second block"]))
REQUESTS = [b"0123456789abcdef", b"fedcba9876543210"]


def spool_in(data: Path, bound: int = MANY) -> tuple[Spool, Recovered]:
    made = Spool(data, bound)
    return made, made.open()


def waiting(spool: Spool) -> list[Outgoing]:
    """Read all that waits, oldest first in each table."""
    found = []
    for table in sorted(spool.tables()):
        for _ in range(spool.count(table)):
            entry = spool.oldest(table)
            assert entry is not None
            found.append(spool.read(entry))
            spool.postpone(entry)
    return found


def files(data: Path) -> list[str]:
    return sorted(str(path.relative_to(data)) for path in data.rglob("*") if path.is_file())


def sealed(spool: Spool, blocks: Sequence[Outgoing], why: str = "NETWORK_ERROR") -> list[Entry]:
    entries = spool.write(blocks, REQUESTS)
    spool.seal(entries, why, even_if_full=False)
    return entries


def test_a_batch_that_is_inserted_leaves_nothing(tmp_path: Path) -> None:
    """Its files are there meanwhile, for their owner alone."""
    spool, _ = spool_in(tmp_path)
    entries = spool.write([FIRST, SECOND], REQUESTS)
    (batch,) = (tmp_path / "spool/batches").iterdir()
    assert batch.suffix == ".open"
    assert sorted(path.name for path in batch.iterdir()) == [
        "00.otel_logs.block",
        "01.otel_traces.block",
        "requests",
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in batch.iterdir()} == {0o600}
    assert stat.S_IMODE(batch.stat().st_mode) == 0o700
    for entry in entries:
        spool.done(entry)
    assert files(tmp_path) == []
    assert (spool.bytes, spool.tables()) == (0, [])


def test_what_is_sealed_waits_over_a_restart(tmp_path: Path) -> None:
    """With its token, its records and its requests; the reason is in the name."""
    before, _ = spool_in(tmp_path)
    sealed(before, [FIRST, SECOND])
    (batch,) = (tmp_path / "spool/batches").iterdir()
    assert batch.suffix == ".NETWORK_ERROR"
    after, found = spool_in(tmp_path)
    assert found == Recovered(blocks=2, records=8, corrupt=0, requests=REQUESTS)
    assert waiting(after) == [FIRST, SECOND]
    assert after.bytes == before.bytes > len(FIRST.data) + len(SECOND.data)
    assert after.age_seconds("otel_logs") > 0


def test_a_batch_that_was_being_inserted_is_kept_as_a_whole(tmp_path: Path) -> None:
    """After a kill it is unknown whether it was committed: its token makes the repeat harmless."""
    before, _ = spool_in(tmp_path)
    before.write([FIRST, SECOND], REQUESTS)
    after, found = spool_in(tmp_path)
    assert found == Recovered(blocks=2, records=8, corrupt=0, requests=REQUESTS)
    assert waiting(after) == [FIRST, SECOND]
    (batch,) = (tmp_path / "spool/batches").iterdir()
    assert batch.suffix == ".restart"


def test_a_block_of_a_batch_that_is_committed_does_not_come_back(tmp_path: Path) -> None:
    """The rest of the batch does, and its requests are known."""
    before, _ = spool_in(tmp_path)
    first, _ = before.write([FIRST, SECOND], REQUESTS)
    before.done(first)
    after, found = spool_in(tmp_path)
    assert found.requests == REQUESTS
    assert waiting(after) == [SECOND]


def test_a_batch_that_was_being_written_is_forgotten(tmp_path: Path) -> None:
    """It was never acknowledged, and its client sends it again."""
    before, _ = spool_in(tmp_path)
    before.write([FIRST], REQUESTS)
    (batch,) = (tmp_path / "spool/batches").iterdir()
    batch.rename(batch.with_suffix(".tmp"))
    _, found = spool_in(tmp_path)
    assert found == Recovered()
    assert files(tmp_path) == []


def test_requests_of_an_unsynced_batch_are_not_trusted_after_the_machine_went_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of its files may be missing; the others are stored, and the client's resend is too."""
    before, _ = spool_in(tmp_path)
    before.write([FIRST], REQUESTS)
    sealed(before, [SECOND])
    monkeypatch.setattr(manifest, "boot", lambda: "another")
    after, found = spool_in(tmp_path)
    assert found.requests == REQUESTS, "those of the sealed batch, which is all there"
    assert waiting(after) == [FIRST, SECOND]


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:-1], lambda data: data[:40], lambda _: b"", lambda data: data[:-3] + b"\0" + data[-2:],
     lambda data: data.replace(b"token-1", b"token-9"), lambda data: data + b"\0", lambda data: bytes(len(data))],
    ids=["cut", "cut in the head", "empty", "a byte in the rows", "a byte in the head", "longer", "zeros"],
)  # fmt: skip
def test_a_damaged_file_is_set_aside_and_blocks_no_other(tmp_path: Path, damage: object) -> None:
    """Whether it was synced or not; its requests are not taken for stored unless it was."""
    assert callable(damage)
    before, _ = spool_in(tmp_path)
    (entry, _) = before.write([FIRST, SECOND], REQUESTS)
    entry.path.write_bytes(damage(entry.path.read_bytes()))
    after, found = spool_in(tmp_path)
    assert found == Recovered(blocks=1, records=5, corrupt=1, requests=[])
    assert waiting(after) == [SECOND]
    assert [name for name in files(tmp_path) if "corrupt" in name] == [
        f"spool/corrupt/{entry.folder.path.stem}.00.otel_logs.block"
    ]


def test_a_bit_flipped_while_it_waited_is_found_when_it_is_read(tmp_path: Path) -> None:
    """A start reads the heads alone; a block that differs from the written one is not inserted."""
    spool, _ = spool_in(tmp_path)
    first, second = sealed(spool, [FIRST, SECOND])
    data = bytearray(first.path.read_bytes())
    data[-1] ^= 1
    first.path.write_bytes(data)
    spool, found = spool_in(tmp_path)
    assert found.blocks == 2
    entry = spool.oldest("otel_logs")
    assert entry is not None
    with pytest.raises(CorruptBlock, match="its content has changed"):
        spool.read(entry)
    spool.set_aside(entry)
    assert waiting(spool) == [SECOND]
    assert spool.bytes == second.size


def test_the_oldest_goes_first_also_after_a_restart(tmp_path: Path) -> None:
    """In each table by itself; one that is postponed lets the others go."""
    spool, _ = spool_in(tmp_path)
    blocks = [Outgoing("otel_logs", f"token-{number}", 1, Pieces([b"%d" % number])) for number in range(12)]
    for block in blocks:
        sealed(spool, [block])
    spool, _ = spool_in(tmp_path)
    assert waiting(spool) == blocks
    oldest = spool.oldest("otel_logs")
    assert oldest is not None
    spool.postpone(oldest)
    assert waiting(spool) == [*blocks[1:], blocks[0]]


def test_a_full_spool_takes_no_more(tmp_path: Path) -> None:
    """Unless a part of the batch may be in the store already: then it is kept, so that nothing is stored twice."""
    spool, _ = spool_in(tmp_path, 1000)
    (kept,) = sealed(spool, [Outgoing("otel_logs", "a", 1, Pieces([bytes(400)]))])
    entries = spool.write([Outgoing("otel_logs", "b", 1, Pieces([bytes(400)]))], [])
    with pytest.raises(SpoolFull):
        spool.seal(entries, "x", even_if_full=False)
    spool.drop(entries)
    assert len(files(tmp_path)) == 2
    entries = spool.write([Outgoing("otel_logs", "c", 1, Pieces([bytes(400)]))], [])
    spool.seal(entries, "x", even_if_full=True)
    assert 1000 < spool.bytes < 1250
    spool.done(kept)
    spool.done(entries[0])
    assert spool.bytes == 0


def test_dead_letters_are_kept_with_their_reason_and_can_be_returned(tmp_path: Path) -> None:
    """They count for the bound; returned, they wait as other blocks do, under the token they had."""
    spool, _ = spool_in(tmp_path)
    first, second = spool.write([FIRST, SECOND], REQUESTS)
    spool.bury(first, "TYPE_MISMATCH")
    spool.done(second)
    (letter,) = (tmp_path / "dead-letter").iterdir()
    assert letter.name == f"{first.folder.path.stem}.00.otel_logs.TYPE_MISMATCH.block"
    assert spool.bytes == first.size
    spool, found = spool_in(tmp_path)
    assert (found.blocks, spool.bytes) == (0, first.size)
    letter.rename(tmp_path / "spool/returned" / letter.name)
    assert spool.take_returned() == 1
    assert waiting(spool) == [FIRST]
    assert spool.bytes == first.size
    entry = spool.oldest("otel_logs")
    assert entry is not None
    spool.bury(entry, "TYPE_MISMATCH")
    (letter,) = (tmp_path / "dead-letter").iterdir()
    assert letter.name == f"{entry.folder.path.stem}.00.otel_logs.TYPE_MISMATCH.block"
    assert spool.take_returned() == 0


def test_a_disk_that_fails_is_told(tmp_path: Path) -> None:
    """By the operating system's error, and nothing half written is left."""
    spool, _ = spool_in(tmp_path)
    (tmp_path / "spool/batches").rmdir()
    (tmp_path / "spool/batches").write_text("a file in its place")
    with pytest.raises(NotADirectoryError):
        spool.write([FIRST], [])


def test_a_block_that_cannot_be_removed_is_removed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next start would insert it again, when its token may be forgotten; the others of its batch stay."""
    spool, _ = spool_in(tmp_path)
    first, second = sealed(spool, [FIRST, SECOND])

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    with monkeypatch.context() as broken:
        broken.setattr(Path, "unlink", refuse)
        with pytest.raises(PermissionError):
            spool.done(first)
        with pytest.raises(PermissionError):
            spool.sweep()
    assert waiting(spool) == [SECOND]
    spool.sweep()
    assert [path.name for path in second.folder.path.iterdir() if path.suffix] == ["01.otel_traces.block"]
    spool.done(second)
    assert files(tmp_path) == []


def test_all_that_is_acknowledged_is_synced_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file, then their directory, then the rename's: a loss of power may not destroy them."""
    spool, _ = spool_in(tmp_path)
    entries = spool.write([FIRST, SECOND], REQUESTS)
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(tmp_path)))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    spool.seal(entries, "x", even_if_full=False)
    name = entries[0].folder.path.stem
    opened = f"spool/batches/{name}.open"
    assert sorted(synced[:3]) == [
        f"{opened}/00.otel_logs.block", f"{opened}/01.otel_traces.block", f"{opened}/requests",
    ]  # fmt: skip
    assert synced[3:] == [opened, "spool/batches"]
