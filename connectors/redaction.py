"""Removes what is private from everything that a system returns, with the rules by which this product stores.

A value of an attribute or label is treated by its key as one that arrives is: dropped, hashed, kept or redacted. All
other texts are searched for what the patterns describe. What was removed before, as in this installation's own store,
stays as it is. Ids of traces and spans are no text; cursors and the places of lines (`stream`, `id`) are the adapter's
own words to itself, are handed back to it alone, and are not to be shown.
"""

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, Final, TypeVar, cast

from config.credentials import hash_key
from config.settings import Settings
from privacy.rules import load_rules
from privacy.sanitizer import Sanitizer

T = TypeVar("T")

_HASHED: Final = re.compile(r"(?:hmac-)?sha256:[0-9a-f]{64}")
_AS_THEY_ARE: Final = frozenset({"trace_id", "span_id", "parent_id", "next_cursor", "cursor", "stream", "id"})
"""Fields of the contract's shapes that are left as they are."""
_ID: Final = re.compile(r"[0-9a-fA-F]{16,32}")
_IDS: Final = frozenset({"trace_id", "span_id", "parent_id"})


class Redaction:
    """The rules, applied to the shapes of `connectors.contract`."""

    def __init__(self, sanitizer: Sanitizer) -> None:
        self._sanitizer = sanitizer

    def redacted(self, value: T) -> T:
        """Return a value of the contract's shapes without what is private; the value itself is not changed."""
        return cast("T", self._redacted(value, {}))

    def text(self, text: str) -> str:
        """Return a text without what is private."""
        return self._sanitizer.redact(text, {})

    def _redacted(self, value: Any, known: dict[tuple[str, str], str | None]) -> Any:
        if isinstance(value, str) and not isinstance(value, Enum):
            return self._known(known, "", value)
        if isinstance(value, Mapping):
            return self._mapping(value, known)
        if isinstance(value, list | tuple | set | frozenset):
            if value and all(isinstance(item, tuple) and not any(map(_is_text, item)) for item in value):
                return value  # points
            return type(value)([self._redacted(item, known) for item in value])
        if is_dataclass(value) and not isinstance(value, type):
            changes = {
                one.name: self._field(one.name, getattr(value, one.name), known) for one in fields(value)
            }
            return replace(value, **changes)
        return value

    def _field(self, name: str, value: Any, known: dict[tuple[str, str], str | None]) -> Any:
        # What is in an id's place and is none is a text like others.
        is_as_it_is = name in _AS_THEY_ARE and (name not in _IDS or _ID.fullmatch(str(value)))
        return value if is_as_it_is else self._redacted(value, known)

    def _mapping(self, value: Mapping[Any, Any], known: dict[tuple[str, str], str | None]) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for key, item in value.items():
            shown = self._redacted(key, known)
            if not isinstance(item, str) or isinstance(item, Enum):
                made[shown] = self._redacted(item, known)
                continue
            kept = self._known(known, str(key), item)
            if kept is not None:
                made[shown] = kept
        return made

    def _known(self, known: dict[tuple[str, str], str | None], key: str, text: str) -> str | None:
        """Return what is kept of a text, worked out once for each: labels come again with every series."""
        if (key, text) not in known:
            known[key, text] = self._kept(key, text)
        return known[key, text]

    def _kept(self, key: str, text: str) -> str | None:
        if _HASHED.fullmatch(text):
            return text
        return self._sanitizer.attribute(key, text, {}) if key else self._sanitizer.redact(text, {})


def _is_text(value: Any) -> bool:
    return not (value is None or isinstance(value, int | float))


def redaction(settings: Settings) -> Redaction:
    """Return the rules of the settings, as the receiver applies them. Raises RulesError."""
    rules = load_rules(settings.sanitize_config, settings.sanitize_level)
    return Redaction(Sanitizer(rules, hash_key(settings) or None))
