"""The person or session to forget, and the forms in which the tables may have the name.

A person is named by any identifier that Claude Code sends: an email address, an account's or installation's id. Its
stored form depends on the rules and the hash key at the time it arrived. So the plain value, its plain hash and its
hash with the key are all looked for.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from privacy.sanitizer import Sanitizer

USER_KEYS: Final = (
    "user.email",
    "user.id",
    "user.account_uuid",
    "user.account_id",
    "user.name",
    "user.full_name",
    "enduser.id",
)
"""Attributes that name a person."""
NAMING: Final = ("user.email", "enduser.id", "user.id", "user.account_uuid")
"""The attributes from which typed tables take `user_id`: the first that is present."""
SESSION_KEY: Final = "session.id"
_HASH: Final = re.compile(r"(?:hmac-)?sha256:[0-9a-f]{64}")
_SHORTEST: Final = 4


class SubjectError(ValueError):
    """The named value cannot be looked for. The text has the remedy, and not the value."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A person (`user`) or a session. `values` are its forms in the tables; `label` names it without revealing it."""

    kind: str
    values: tuple[str, ...] = field(repr=False)
    label: str


def person(value: str, sanitizer: Sanitizer) -> Subject:
    """Name a person by an identifier that their client sends, or by its hash. Raises SubjectError."""
    value = _named(value)
    if _HASH.fullmatch(value):
        return Subject("user", (value,), value)
    plain = Sanitizer(sanitizer.rules, None)
    spellings = dict.fromkeys((value, value.lower()))
    stored = [
        text
        for spelling in spellings
        for text in (
            spelling,
            plain.hashed(spelling),
            sanitizer.hashed(spelling),
            *(sanitizer.attribute(key, spelling, {}) for key in USER_KEYS),
        )
        # A redacted value is the same for everybody.
        if text and "[REDACTED:" not in text
    ]
    return Subject("user", tuple(dict.fromkeys(stored)), sanitizer.hashed(value))


def session(value: str, sanitizer: Sanitizer) -> Subject:
    """Name a session by its id. Raises SubjectError."""
    value = _named(value)
    return Subject("session", (value,), sanitizer.hashed(value))


def _named(value: str) -> str:
    value = value.strip()
    if len(value) < _SHORTEST:
        raise SubjectError("What is named is too short to be one person or session: give it in full.")
    return value
