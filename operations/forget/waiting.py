"""Checks that the spool is empty: its blocks are not in the tables yet, and would arrive after the deletion.

The spool is in the data directory, on the server's machine.
"""

import time
from typing import Final

from config.settings import Settings
from operations.forget.erase import EraseError
from receiver.spool_layout import BATCHES, CORRUPT, DEAD_LETTERS, RETURNED, count_files

_SECONDS: Final = 15.0
"""A batch that is being stored is in the spool for a moment; one that stays longer waits for ClickHouse."""


def look_for_waiting(settings: Settings) -> None:
    """Wait for a moment until the spool is empty. Raises EraseError when it is still not empty."""
    data = settings.data_dir
    if not data.is_dir():
        raise EraseError(
            f"There is no data directory {data}, so it is unknown what waits in the spool: run this where the server"
            " runs, with its settings (TELEMETRY_DATA_DIR)."
        )
    for folder in (DEAD_LETTERS, CORRUPT):
        if count := count_files(data, folder):
            raise EraseError(
                f"{count} blocks lie in {data / folder} and may hold rows of the person: have them tried"
                " again (telemetry replay) or delete them, then run this again."
            )
    deadline = time.monotonic() + _SECONDS
    while count_files(data, BATCHES, RETURNED):
        if time.monotonic() > deadline:
            raise EraseError(
                f"Blocks wait in {data / BATCHES} and may hold rows of the person: wait until ClickHouse has taken"
                " them (telemetry_waiting_blocks), then run this again."
            )
        time.sleep(0.1)
