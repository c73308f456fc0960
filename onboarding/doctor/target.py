"""What the doctor examines: a client's settings on this machine, and the server that they name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from config.settings import Settings
from onboarding.probe import new_id


@dataclass(frozen=True, slots=True)
class Target:
    """Where to look. `settings` are the server's, as far as this machine has them."""

    settings: Settings
    project: Path
    environment: Mapping[str, str]
    url: str | None = None
    """ClickHouse's address, when it is not the one in the settings."""
    managed: tuple[Path, ...] | None = None
    """The organization's settings files; None: the client's usual places."""
    check_id: str = field(default_factory=new_id)
