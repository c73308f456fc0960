"""Names for people to read and type: short session and trace ids, and an alias for a user whom the rules hash.

A short form is the beginning of the whole, so that it is the same in every answer, and is accepted where the whole is:
by questions, tools, commands and the page's addresses, which all ask `whole`. Deleting takes whole ids alone. CSV, JSON
and the tools have the whole.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from access.query import Streams, rows
from access.reading import Reading, statement
from access.refusal import Code, Refusal

Ask = Callable[[str, Mapping[str, str]], Sequence[Sequence[Any]]]
"""Returns the rows of a statement, with these values bound."""
SHORT: Final = 8
_ALIAS: Final = "user-"
_HASH: Final = re.compile(r"(?:hmac-)?sha256:([0-9a-f]{64})|([0-9a-f]{32,64})")
_ID: Final = re.compile(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{16}|[0-9a-fA-F]{32}"
)
_SHORT_USER: Final = re.compile(r"(?:user-|(?:hmac-)?sha256:)?([0-9a-f]{8,63})(?:…|\.\.\.)?")
"""As tables, findings and other answers show it, with or without what stands before the digits."""
_SHORT_ID: Final = re.compile(r"([0-9a-zA-Z-]{6,35})(?:…|\.\.\.)?")
_SHORT_TRACE: Final = re.compile(r"[0-9a-f]{6,31}")
_DIGITS_64: Final = 16
_NAMED: Final = 5
"""Candidates that a refusal names."""


class Ambiguous(Refusal):
    """A short form is the beginning of several. The text has them."""


def short_id(value: str) -> str:
    """Return the first eight characters of a UUID or of a trace's id, any other value as it is."""
    return value[:SHORT] if _ID.fullmatch(value) else value


def alias(user: str) -> str:
    """Return a user's name as the rules leave it; for one who is a hash, `user-` and its first eight digits."""
    found = _HASH.fullmatch(user)
    return f"{_ALIAS}{(found[1] or found[2])[:SHORT]}" if found else user


def is_short_trace(value: str) -> bool:
    """Whether this is the beginning of a trace's id, and no id of 64 or 128 bits."""
    return _SHORT_TRACE.fullmatch(value) is not None and len(value) != _DIGITS_64


def whole(name: str, value: str, ask: Ask) -> str:
    """Return the whole value of a parameter that has a short form; any other value as it is.

    Raises Ambiguous, and what `ask` raises.
    """
    form = {"user": _SHORT_USER, "session": _SHORT_ID, "trace": _SHORT_ID}.get(name)
    short = form.fullmatch(value) if form else None
    if short is None:
        return value
    found = [str(row[0]) for row in ask(statement(f"whole_{name}"), {"short": short[1], "value": value})]
    if value in found or not found:
        return value
    if len(found) > 1:
        some = [*found[:_NAMED], *(["and more"] if len(found) > _NAMED else [])]
        message = f"Several begin with {value}: {', '.join(some)}. Write more of the one that is meant."
        raise Ambiguous(Code.INVALID_ARGUMENT, message, name, tuple(found[:_NAMED]))
    return found[0]


def whole_in(store: Streams, name: str, value: str) -> str:
    """Return the same of a store. Raises Ambiguous, and what the store raises."""
    return whole(name, value, lambda sql, bound: rows(store, sql, bound))


def whole_filters(reading: Reading, filters: Mapping[str, str]) -> dict[str, str]:
    """Return filters of a tool with whole ids. Raises Refusal."""
    try:
        return {name: whole_in(reading.store, name, value) for name, value in filters.items()}
    except Ambiguous as error:
        error.field = f"filters.{error.field}"
        raise
