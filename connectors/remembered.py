"""A question of the history, and where it is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Past:
    """One question of the history. `error_code` and `error_message` are empty when it was answered."""

    id: str
    user: str
    connection_id: str
    connection_name: str
    query_type: str
    query_text: str
    session_id: str = ""
    tool: str = ""
    query_params: Mapping[str, Any] = field(default_factory=dict)
    result_count: int | None = None
    result_sample: Any = None
    error_code: str = ""
    error_message: str = ""
    execution_time_ms: int = 0
    was_cached: bool = False
    queried_at: datetime = field(default_factory=lambda: datetime.now(UTC))


class Remembered(Protocol):
    """The history: `connectors.state.history`. Its methods block and raise StateError."""

    def add(self, past: Past) -> None:
        """Keep a question."""
        ...

    def listed(
        self, user: str, session_id: str = "", after: tuple[datetime, str] | None = None, limit: int = 50
    ) -> Sequence[Past]:
        """Return a user's questions, newest first, after a place; one more than `limit` where there are more."""
        ...

    def found(self, user: str, query_id: str) -> Past | None:
        """Return one question of a user's."""
        ...
