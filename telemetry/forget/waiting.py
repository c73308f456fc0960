"""What the spool holds is not in the tables yet, and would come after a deletion: there must be nothing in it.

Looked for in the data directory, which is where the server runs.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from receiver.spool import BATCHES, CORRUPT, DEAD_LETTERS, RETURNED
from telemetry.forget.erase import EraseError
from telemetry.settings import Settings

_SECONDS: Final = 15.0
"""A batch that is being stored is there for a moment; one that is there longer waits for ClickHouse."""


def look_for_waiting(settings: Settings) -> None:
    """Wait for a moment until the spool is empty. Raises EraseError when it does not come to be."""
    data = settings.data_dir
    if not data.is_dir():
        raise EraseError(
            f"There is no data directory {data}, so nobody knows what waits in the spool: run this where the server"
            " runs, with its settings (TELEMETRY_DATA_DIR)."
        )
    for folder in (DEAD_LETTERS, CORRUPT):
        if count := sum(1 for _ in _blocks(data / folder)):
            raise EraseError(
                f"{count} blocks lie in {data / folder} and may hold rows of the person: have them tried"
                " again (telemetry replay) or delete them, then run this again."
            )
    deadline = time.monotonic() + _SECONDS
    while any(True for folder in (BATCHES, RETURNED) for _ in _blocks(data / folder)):
        if time.monotonic() > deadline:
            raise EraseError(
                f"Blocks wait in {data / BATCHES} and may hold rows of the person: wait until ClickHouse has taken"
                " them (telemetry_waiting_blocks), then run this again."
            )
        time.sleep(0.1)


def _blocks(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and "block" in path.name)
