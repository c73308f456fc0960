"""What `telemetry spool` shows and `telemetry replay` does, with the server running or without it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clickhouse.store import StoreAway
from receiver.block_file import Corrupt, describe
from receiver.delivery import Delivery
from receiver.meters import Meters
from receiver.replay import Replay
from receiver.resends import Resends
from receiver.spool import BATCHES, CORRUPT, DEAD_LETTERS, RETURNED, Spool
from telemetry.serve import InUseError, data_directory
from telemetry.settings import Settings
from telemetry.store import open_engine, open_store


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
    """What a replay did."""

    inserted: int
    refused: int
    left: int
    handed_over: int = 0
    """Blocks left to the server that is running."""
    trouble: str = ""


def listing(data: Path) -> list[Line]:
    """List what is in the spool and the dead letters of a data directory, also while a server works there."""
    lines: dict[tuple[str, str, str], Line] = {}
    for state, table, reason, path in _files(data):
        try:
            size = path.stat().st_size
            records = 0 if state == "set aside" else describe(path).records
        except (OSError, Corrupt):
            continue  # it has just been inserted, or will be set aside
        line = lines.setdefault((state, table, reason), Line(state, table, reason))
        line.blocks += 1
        line.records += records
        line.size += size
        written = _written_at(path)
        line.since = min(line.since or written, written)
    return [lines[key] for key in sorted(lines)]


def replay(settings: Settings) -> Outcome:
    """Try the dead letters again: through the server that is running, or else here and now, with all that waits.

    Raises StoreError, StartError and SchemaError, as a start does.
    """
    try:
        with data_directory(settings) as directory:
            return _replay_here(settings, directory)
    except InUseError:
        return Outcome(0, 0, 0, handed_over=_return_dead_letters(settings.data_dir))


def _replay_here(settings: Settings, directory: Path) -> Outcome:
    engine = open_engine(settings, directory)
    try:
        store = open_store(settings, engine, lambda _: None)
        store.open()
        spool = Spool(directory, settings.spool_bytes)
        spool.open()
        _return_dead_letters(directory)
        spool.take_returned()
        meters = Meters()
        delivery = Delivery(store.writer, spool, Resends(0), meters, settings.clickhouse_insert_seconds)
        outcome = _replay_all(spool, Replay(spool, delivery, meters, ()), meters)
        store.writer.close()
        return outcome
    finally:
        engine.close()


def _replay_all(spool: Spool, replay: Replay, meters: Meters) -> Outcome:
    trouble = ""
    try:
        for table in spool.tables():
            while (entry := spool.oldest(table)) is not None:
                if not replay.one(entry):
                    trouble = "A block that was refused cannot be moved to the dead letters; mend the disk."
                    break
    except StoreAway as away:
        trouble = str(away)
    left = sum(spool.count(table) for table in spool.tables())
    return Outcome(_sum(meters.replayed_blocks), _sum(meters.dead_blocks), left, trouble=trouble)


def _return_dead_letters(data: Path) -> int:
    letters = sorted((data / DEAD_LETTERS).glob("*.block"))
    for letter in letters:
        letter.rename(data / RETURNED / letter.name)
    return len(letters)


def _sum(counter: object) -> int:
    samples = [sample for family in counter.collect() for sample in family.samples]  # type: ignore[attr-defined]
    return int(sum(sample.value for sample in samples if sample.name.endswith("_total")))


def _files(data: Path) -> Iterator[tuple[str, str, str, Path]]:
    """Name every block file's state, table and reason."""
    for path in (data / BATCHES).glob("*/*.block"):
        reason = path.parent.suffix.removeprefix(".")
        if reason == "open":
            yield "in work", path.name.split(".")[1], "", path
        elif reason != "tmp":
            yield "waiting", path.name.split(".")[1], reason, path
    for path in (data / RETURNED).glob("*.block"):
        yield "waiting", path.name.split(".")[2], "returned", path
    for path in (data / DEAD_LETTERS).glob("*.block"):
        _, _, table, reason, _ = path.name.split(".")
        yield "dead letter", table, reason, path
    for path in (data / CORRUPT).glob("*.block"):
        yield "set aside", path.name.split(".")[2], "corrupt", path


def _written_at(path: Path) -> float:
    name = path.parent.name if path.parent.parent.name == Path(BATCHES).name else path.name
    number = name.partition("-")[0]
    return int(number) / 1e9 if number.isdigit() else time.time()
