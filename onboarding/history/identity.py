"""Whose history it is: what the client itself says about its user on every event, from its own state file.

Only the names below are read; the file also holds what must not be read.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_ACCOUNT: Final = {
    "accountUuid": "user.account_uuid",
    "emailAddress": "user.email",
    "organizationUuid": "organization.id",
}


def identity(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the client's attributes of identity; empty where it never ran."""
    named = environment.get("CLAUDE_CONFIG_DIR", "").strip()
    folder = Path(named) if named else Path(environment.get("HOME") or Path.home())
    state = _read(folder / ".claude.json")
    found = {"user.id": state.get("userID")}
    account = state.get("oauthAccount")
    if isinstance(account, dict):
        found |= {attribute: account.get(key) for key, attribute in _ACCOUNT.items()}
    return {attribute: value for attribute, value in found.items() if isinstance(value, str) and value}


def _read(path: Path) -> dict[str, Any]:
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}
