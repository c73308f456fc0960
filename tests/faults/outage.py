"""The spool's work, recorded, and the blocks that must be found after the power failed at any instant of it."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from clickhouse.pieces import Pieces
from receiver import block_file, manifest
from receiver.block_file import Outgoing
from receiver.spool import Spool
from receiver.spool_layout import DEAD_LETTERS, return_dead_letters
from tests.faults.power import Cut, Recorder, cuts

_BOUND = 1 << 30


@dataclass(frozen=True, slots=True)
class Promise:
    """From a moment on: blocks that must be found, or need not be any more, since the store has them."""

    kept: bool
    blocks: tuple[Outgoing, ...]


@dataclass(slots=True)
class Story:
    """The files of a play: its batches, and the blocks of each request."""

    recorder: Recorder
    batches: dict[bytes, tuple[Outgoing, ...]] = field(default_factory=dict)


def play(root: Path) -> Story:
    """Do everything that a spool does, once."""
    root.mkdir()
    story = Story(Recorder(root))
    promises = story.recorder.promises

    def batch(number: int, tables: Sequence[str]) -> tuple[list[Outgoing], list[bytes]]:
        blocks = [
            Outgoing(
                table, f"token-{number}-{table}", number, Pieces([f"{number} rows of {table} ".encode() * 20])
            )
            for table in tables
        ]
        request = number.to_bytes(16, "big")
        story.batches[request] = tuple(blocks)
        return blocks, [request]

    with story.recorder.recording():
        spool = Spool(root, _BOUND)
        spool.open()
        # The store is away: two blocks wait.
        blocks, requests = batch(1, ["otel_traces", "otel_logs"])
        first = spool.write(blocks, requests)
        spool.seal(first, "away", even_if_full=False)
        promises.append(Promise(True, tuple(blocks)))
        # The store takes a batch at once.
        taken, requests = batch(2, ["otel_traces"])
        (entry,) = spool.write(taken, requests)
        promises.append(Promise(False, tuple(taken)))
        spool.done(entry)
        # It takes one block of a batch, and not the other.
        half, requests = batch(3, ["otel_metrics_gauge", "otel_metrics_sum"])
        entries = spool.write(half, requests)
        promises.append(Promise(False, (half[0],)))
        spool.done(entries[0])
        spool.seal(entries[1:], "slow", even_if_full=False)
        promises.append(Promise(True, (half[1],)))
        # A batch that does not fit is not acknowledged.
        blocks_dropped, requests = batch(4, ["otel_logs"])
        spool.drop(spool.write(blocks_dropped, requests))
        # The waiting blocks are taken, or refused for good, and tried again by hand.
        promises.append(Promise(False, (blocks[0],)))
        spool.done(first[0])
        spool.bury(first[1], "TYPE_MISMATCH")
        assert return_dead_letters(root) == 1
        spool.take_returned()
        # A kill leaves a batch open, and the next start takes it up.
        left, requests = batch(5, ["otel_traces", "otel_logs"])
        spool.write(left, requests)
        Spool(root, _BOUND).open()
        promises.append(Promise(True, tuple(left)))
    return story


def outages(folder: Path) -> tuple[int, list[str]]:
    """Play, cut the power in every way, and open the files that are left. Return the number of ways, and the errors."""
    folder.mkdir(parents=True, exist_ok=True)
    story = play(folder / "spool")
    boot = folder / "boot"
    boot.write_text("another boot\n")
    ways, wrong = 0, []
    # The recovery's own syncs do not matter here, and take most of the time.
    with mock.patch.object(manifest, "_BOOT", boot), mock.patch.object(os, "fsync"):
        for cut in cuts(story.recorder):
            cut.lay_out(folder / "found", story.recorder.root)
            wrong += _wrong(story, cut, folder / "found")
            ways += 1
    return ways, wrong


def _wrong(story: Story, cut: Cut, folder: Path) -> Iterator[str]:
    """Open the files that are left, and compare them with the promises until then."""
    requests, found = _recovered(folder)
    written = {block.token: block for blocks in story.batches.values() for block in blocks}
    stored: set[str] = set()
    promised: set[str] = set()
    for promise in story.recorder.promises[: cut.moment.promises]:
        tokens = {block.token for block in promise.blocks}
        if promise.kept:
            promised |= tokens
        else:
            stored |= tokens
    after = f"after change {cut.moment.changes}"
    changed = [token for token, block in found.items() if written.get(token) != block]
    yield from (f"{after}: {token} is not what was written" for token in changed)
    yield from (f"{after}: {token} is lost" for token in promised - stored - found.keys())
    for request in requests:
        missing = {block.token for block in story.batches[request]} - found.keys() - stored
        yield from (f"{after}: a request is taken for known without {token}" for token in missing)


def _recovered(folder: Path) -> tuple[list[bytes], dict[str, Outgoing]]:
    """Start on a folder; return the requests taken for known, and the blocks that wait or are dead, by token."""
    spool = Spool(folder, _BOUND)
    requests = spool.open().requests
    found = {}
    for table in spool.tables():
        while entry := spool.oldest(table):
            block = spool.read(entry)
            found[block.token] = block
            spool.done(entry)
    for letter in (folder / DEAD_LETTERS).iterdir():
        described, data = block_file.read(letter)
        found[described.token] = Outgoing(described.table, described.token, described.records, data)
    return requests, found
