"""One connection as it is kept: its name and purpose, its configuration without the credentials, and how it is.

An Entry comes from one of three sources: the state, where each user has entries of their own; the file of connections,
which is only read; and the store of this installation. Its credentials are not in it: `connectors.directory` adds them
when the connection is opened.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from access.refusal import Code, Refusal
from access.text import visible
from connectors.contract import Health

OWNER: Final = "owner"
"""The user at the command line, over standard input and output, and with the generated token of the web process."""
LOCAL: Final = "local"
EVERYONE: Final = ""
"""The user of entries that all users have."""
OWN_NAME: Final = "telemetry"
"""The name of this installation's own store."""
SET: Final = "set"
"""What is shown of a credential, and what keeps it when it is sent back."""


class Source(StrEnum):
    """Where an entry is kept."""

    STATE = "state"
    FILE = "file"
    OWN = "own"


@dataclass(frozen=True, slots=True)
class Checked:
    """What the last health check found; `reason` is empty when healthy."""

    health: Health = Health.UNKNOWN
    reason: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """What a person writes about a connection. `config` may hold credentials."""

    name: str
    backend_type: str
    config: Mapping[str, Any] = field(repr=False)
    description: str = ""
    is_enabled: bool = True
    is_default: bool = False
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One connection. `config` says SET where there is a credential; `version` changes with every change of it."""

    id: str
    user: str
    name: str
    backend_type: str
    config: Mapping[str, Any]
    description: str = ""
    is_enabled: bool = True
    is_default: bool = False
    tags: tuple[str, ...] = ()
    checked: Checked = Checked()
    created_at: datetime | None = None
    updated_at: datetime | None = None
    source: Source = Source.STATE

    @property
    def version(self) -> str:
        """What names this entry in this form: adapters and answers are kept under it."""
        return f"{self.id} {self.updated_at.isoformat() if self.updated_at else ''}"


def user_of(caller: str) -> str:
    """Return the user that a caller is: the owner where there is no token, and otherwise the token's name."""
    return OWNER if caller in {"", LOCAL} else caller


def taken(name: str) -> Refusal:
    """Return the refusal for a name that another connection of the user has."""
    return Refusal(
        Code.CONFLICT,
        f"There is a connection {visible(name, 80)!r} already: choose another name, or change that one.",
        "name",
    )
