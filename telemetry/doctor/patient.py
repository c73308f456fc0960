"""What is examined: a client's settings on this machine, and the server that they point at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from telemetry.client.trial import new_id
from telemetry.settings import Settings


@dataclass(frozen=True, slots=True)
class Patient:
    """Where to look. `settings` are the server's, as far as they are known here."""

    settings: Settings
    project: Path
    environment: Mapping[str, str]
    url: str | None = None
    """The ClickHouse to ask, when it is not the one of the settings."""
    managed: tuple[Path, ...] | None = None
    """Files of the organization; None: where the client has them."""
    check_id: str = field(default_factory=new_id)
