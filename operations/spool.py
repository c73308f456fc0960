"""The work of `telemetry spool` and `telemetry replay`, with the server running or without it."""

from dataclasses import dataclass
from pathlib import Path

from clickhouse.startup import open_engine, open_store
from clickhouse.store import DaysLeft, StoreAway
from config.data_directory import InUseError, data_directory
from config.settings import Settings
from receiver.disk import Disk
from receiver.inserter import Inserter
from receiver.metrics import Metrics
from receiver.replay import Replay
from receiver.resends import Resends
from receiver.spool import Spool
from receiver.spool_layout import return_dead_letters, stored_blocks
from receiver.store_health import StoreHealth


@dataclass(slots=True)
class Line:
    """Blocks of one table that are in one state for one reason."""

    state: str
    table: str
    reason: str
    blocks: int = 0
    records: int = 0
    size: int = 0
    since: float = 0.0
    """When the oldest was written, in seconds of the wall clock."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a replay."""

    inserted: int
    refused: int
    left: int
    handed_over: int = 0
    """Blocks left to the server that is running."""
    trouble: str = ""


def listing(data: Path) -> list[Line]:
    """List the blocks in the spool and the dead letters of a data directory, also while a server uses it."""
    lines: dict[tuple[str, str, str], Line] = {}
    for block in stored_blocks(data):
        key = (block.state, block.table, block.reason)
        line = lines.setdefault(key, Line(*key, since=block.written_at))
        line.blocks += 1
        line.records += block.records
        line.size += block.size
        line.since = min(line.since, block.written_at)
    return [lines[key] for key in sorted(lines)]


def replay(settings: Settings) -> Outcome:
    """Try the dead letters again: through the running server, or else in this process, with all waiting blocks.

    Raises StoreError, StartError and SchemaError, as a start does.
    """
    try:
        with data_directory(settings) as directory:
            return _replay_here(settings, directory)
    except InUseError:
        return Outcome(0, 0, 0, handed_over=return_dead_letters(settings.data_dir))


def _replay_here(settings: Settings, directory: Path) -> Outcome:
    engine = open_engine(settings, directory)
    try:
        store = open_store(settings, engine, lambda _: None)
        store.open()
        spool = Spool(directory, settings.spool_bytes)
        spool.open()
        return_dead_letters(directory)
        spool.take_returned()
        metrics = Metrics()
        health = StoreHealth(spool, metrics)
        inserter = Inserter(store.writer, health, metrics, settings.clickhouse_insert_seconds)
        disk = Disk(spool, Resends(0), metrics)
        outcome = _replay_all(spool, Replay(spool, inserter, health, disk, metrics, ()), metrics)
        store.writer.close()
        return outcome
    finally:
        engine.close()


def _replay_all(spool: Spool, replay: Replay, metrics: Metrics) -> Outcome:
    trouble = ""
    try:
        for table in spool.tables():
            while (entry := spool.oldest(table)) is not None:
                try:
                    is_out = replay.one(entry)
                except DaysLeft:  # nothing waits behind it here
                    continue
                if not is_out:
                    trouble = "A block that was refused cannot be moved to the dead letters; repair the disk."
                    break
    except StoreAway as away:
        trouble = str(away)
    left = sum(spool.count(table) for table in spool.tables())
    return Outcome(_sum(metrics.replayed_blocks), _sum(metrics.dead_blocks), left, trouble=trouble)


def _sum(counter: object) -> int:
    samples = [sample for family in counter.collect() for sample in family.samples]  # type: ignore[attr-defined]
    return int(sum(sample.value for sample in samples if sample.name.endswith("_total")))
