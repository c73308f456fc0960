"""Whether the disk under the data directory has room: told at the start, before telemetry fills the rest."""

import shutil
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger()

LEAST_SHARE: Final = 0.05
LEAST_BYTES: Final = 1 << 30
"""A merge of the tables' parts writes the rows of a day again before it frees the old ones."""


def warn_of_little_room(directory: Path) -> None:
    """Log a warning when less than a twentieth of the disk, or less than 1 GiB, is free. Raises OSError."""
    usage = shutil.disk_usage(directory)
    if is_little(usage.free, usage.total):
        log.warning(
            "Little room on the disk: free some space, lower TELEMETRY_RETENTION_DAYS, or set TELEMETRY_DATA_DIR to"
            " another disk. When it is full, clients are told to try later.",
            free=f"{usage.free / 1e9:.1f} GB",
            of=f"{usage.total / 1e9:.0f} GB",
        )


def is_little(free: int, total: int) -> bool:
    """Whether so many bytes free are few for a disk of `total` bytes."""
    return free < max(LEAST_BYTES, LEAST_SHARE * total)
