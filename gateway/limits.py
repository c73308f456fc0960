"""The limits of a reader's statement, as settings of the engine."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.errors import QueryError

NUMBER: Final = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,9})?")
UNSTREAMED_BYTES: Final = 64 << 20
"""The largest result that is held in memory, since it is not streamed."""
_BLOCK_ROWS: Final = 32_768
_RANGE: Final = 10_000_000


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """The limits of one statement of a reader, and the number of statements that run at a time for each role."""

    queries: int
    seconds: float
    memory_bytes: int
    all_memory_bytes: int
    """Memory of all readers' statements together."""
    result_rows: int
    result_bytes: int
    threads: int
    patience_seconds: float
    """How long each piece of a request's body may take to arrive."""

    def settings(self, memory_bytes: int, block_rows: int | None) -> dict[str, str]:
        """Return the limits as settings of the engine; `block_rows` are those that it may take at a time."""
        return {
            "max_execution_time": str(self.seconds),
            "max_memory_usage": str(memory_bytes),
            "max_result_rows": str(self.result_rows),
            "max_result_bytes": str(self.result_bytes),
            "max_threads": str(self.threads),
            # The engine looks at its limits between blocks.
            "max_block_size": str(min(block_rows or _BLOCK_ROWS, _BLOCK_ROWS)),
            "function_range_max_elements_in_block": str(_RANGE),
            # Ingest has the higher priority where the two compete for a core.
            "os_threads_nice_value_query": "10",
        }

    def check(self, changes: Mapping[str, str]) -> None:
        """Raise QueryError for a change by SET or SETTINGS that exceeds a limit."""
        for name, limit in self.settings(self.memory_bytes, None).items():
            if name in changes and not is_within(changes[name], limit):
                raise QueryError.of(
                    452, "SETTING_CONSTRAINT_VIOLATION", f"Setting {name} shouldn't be greater than {limit}"
                )


def is_within(wanted: str, limit: str) -> bool:
    """Whether a setting's value is a number above 0 and within a limit."""
    return bool(NUMBER.fullmatch(wanted)) and 0 < float(wanted) <= float(limit)
